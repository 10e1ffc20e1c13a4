//! The ring on one thread: the drain hands out every posted byte once, in order, and nothing else.

use std::io::IoSlice;

use super::survey::Late;
use super::{Drain, Drained, Holes, Refusal, Ring};
use crate::memory::heap::Heap;
use crate::words::{Geometry, Tail};

pub(super) fn ring(capacity: u32, slots: u32) -> (Ring<Heap>, Drain) {
    Ring::new(Heap::new(Geometry::new(capacity, slots)))
}

pub(super) fn append(ring: &Ring<Heap>, record: &[u8]) {
    let mut reservation = ring.reserve(record.len() as u32).unwrap();
    reservation.fill(record);
    reservation.post(record.len() as u32);
}

/// Runs one step that takes at most `take` bytes. Returns the offered runs and the result.
pub(super) fn step(
    ring: &Ring<Heap>,
    drain: &mut Drain,
    take: usize,
    holes: Holes,
) -> (Vec<Vec<u8>>, Drained) {
    let mut offered = Vec::new();
    let write = |runs: &[IoSlice<'_>]| -> Result<usize, ()> {
        offered = runs.iter().map(|run| run.to_vec()).collect();
        Ok(take.min(offered.concat().len()))
    };
    let drained = drain.step(ring, u32::MAX, holes, write).unwrap();
    (offered, drained)
}

#[test]
fn records_come_out_as_one_run_over_the_end_of_the_ring() {
    let (ring, mut drain) = ring(8, 8);
    append(&ring, b"12345");
    step(&ring, &mut drain, 8, Holes::Wait);
    append(&ring, b"abcdef");
    append(&ring, b"gh");
    let (offered, _) = step(&ring, &mut drain, 8, Holes::Wait);
    assert_eq!(offered, [b"abcdefgh"]);
}

/// However much a sink takes of what it is offered, the next offer continues at the next byte.
#[test]
fn a_short_write_continues_at_every_boundary() {
    for take in 1..=9 {
        let (ring, mut drain) = ring(16, 8);
        append(&ring, b"abc");
        let padded = ring.reserve(3).unwrap();
        append(&ring, b"d");
        padded.post(1); // a byte of an earlier lap: 0
        append(&ring, b"efgh");
        let mut file = Vec::new();
        let mut steps = 0;
        while file.len() < 9 {
            let (offered, drained) = step(&ring, &mut drain, take, Holes::Wait);
            let offered = offered.concat();
            assert_eq!(offered, b"abc\0defgh"[file.len()..]);
            file.extend_from_slice(&offered[..take.min(offered.len())]);
            assert!(matches!(drained, Drained::Moved { .. }));
            let accounts = ring.accounts();
            assert_eq!(accounts.bytes, file.len() as u64);
            assert_eq!(
                accounts.tail.pos + u64::from(accounts.ahead),
                accounts.bytes + accounts.padding
            );
            steps += 1;
        }
        assert_eq!(steps, 9_usize.div_ceil(take));
        assert_eq!(ring.accounts().records, 4);
        assert_eq!((ring.accounts().padding, ring.fill()), (2, 0));
    }
}

/// Padding between every two records: more runs than one write takes.
#[test]
fn many_runs_take_several_steps_and_lose_nothing() {
    let (ring, mut drain) = ring(256, 64);
    let letters: Vec<u8> = (0..40).map(|i| b'A' + i).collect();
    let mut open: Vec<_> = letters.iter().map(|_| ring.reserve(3).unwrap()).collect();
    for (reservation, letter) in open.iter_mut().zip(&letters) {
        reservation.bytes_mut()[0] = *letter;
    }
    for reservation in open {
        reservation.post(1);
    }
    let mut file = Vec::new();
    let mut mores = Vec::new();
    while file.len() < letters.len() {
        let (offered, drained) = step(&ring, &mut drain, usize::MAX, Holes::Wait);
        file.extend(offered.concat());
        if let Drained::Moved { more, .. } = drained {
            mores.push(more);
        }
    }
    assert_eq!(file, letters);
    assert_eq!(mores, [true, true, false], "16, 16 and 8 runs");
}

#[test]
fn an_open_reservation_blocks_and_an_ended_ring_steps_over_it() {
    let (ring, mut drain) = ring(16, 8);
    append(&ring, b"a");
    let held = ring.reserve(2).unwrap();
    append(&ring, b"b");
    let other = ring.reserve(1).unwrap();
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"a"]);
    let blocked = step(&ring, &mut drain, 9, Holes::Wait).1;
    assert!(
        matches!(blocked, Drained::Blocked { seq: 9 }),
        "{blocked:?}"
    );
    let (_, outstanding) = ring.outstanding();
    assert_eq!((outstanding.held, outstanding.oldest_held_bytes), (2, 2));
    assert_eq!((outstanding.bytes, outstanding.records), (1, 1));

    assert!(ring.close());
    assert!(!ring.close(), "only the first call closes");
    assert_eq!(ring.reserve(1).err(), Some(Refusal::Closed));
    let (offered, drained) = step(&ring, &mut drain, 9, Holes::StepOver);
    assert!(
        offered.is_empty()
            && matches!(
                drained,
                Drained::Moved {
                    bytes: 0,
                    more: true
                }
            )
    );
    assert_eq!(ring.accounts().abandoned, 1);
    let (offered, drained) = step(&ring, &mut drain, 9, Holes::StepOver);
    assert_eq!(offered, [b"b"]);
    assert!(matches!(
        drained,
        Drained::Moved {
            bytes: 1,
            more: true
        }
    ));
    step(&ring, &mut drain, 9, Holes::StepOver);
    assert_eq!(ring.accounts().abandoned, 2);
    assert!(drain.has_reached(ring.ended().unwrap()));
    assert_eq!(ring.posted_too_late(), Late::default());
    held.post(2); // their owners may still post: the record is counted, and written nowhere
    drop(other);
    assert_eq!(
        ring.posted_too_late(),
        Late {
            bytes: 2,
            records: 1,
            lane_records: 0
        }
    );
    assert_eq!(
        step(&ring, &mut drain, 9, Holes::StepOver).1,
        Drained::Empty
    );
}

#[test]
fn a_flush_ends_at_the_last_posted_byte() {
    let (ring, mut drain) = ring(16, 8);
    assert_eq!(ring.posted_end(), 0);
    append(&ring, b"abc");
    let held = ring.reserve(2).unwrap();
    assert_eq!(
        ring.posted_end(),
        3,
        "an open reservation behind it does not count"
    );
    append(&ring, b"d");
    assert_eq!(ring.posted_end(), 6, "one in front of it does");
    drop(ring.reserve(1).unwrap());
    assert_eq!(ring.posted_end(), 6, "nothing was posted there");
    drop(held);
    step(&ring, &mut drain, 9, Holes::Wait);
    assert_eq!(ring.posted_end(), ring.tail().pos);
}

#[test]
fn any_length_fits_an_empty_ring_wherever_it_stands() {
    let origin = Tail {
        seq: u64::from(u32::MAX) - 5,
        pos: u64::from(u32::MAX) - 20,
    };
    let memory = Heap::new(Geometry::new(8, 4));
    let (ring, mut drain) = Ring::starting_at(memory, origin);
    for len in (1..=8).cycle().take(64) {
        let record: Vec<u8> = (0..len).collect();
        append(&ring, &record);
        assert_eq!(step(&ring, &mut drain, 8, Holes::Wait).0, [record]);
    }
}

#[test]
#[should_panic(expected = "its own ring")]
fn a_drain_of_another_ring_is_refused() {
    let (_first, mut drain) = ring(8, 4);
    let (second, _) = ring(8, 4);
    step(&second, &mut drain, 1, Holes::Wait);
}

/// A ring that is set aside ends like a closed ring, and reports that its queue continues; until it
/// is closed after all.
#[test]
fn a_ring_that_is_set_aside_ends_and_may_be_closed_later() {
    let (ring, mut drain) = ring(16, 4);
    append(&ring, b"a");
    assert!(ring.set_aside());
    assert!(!ring.set_aside() && !ring.close(), "it has ended");
    assert!(ring.is_aside() && !ring.is_drained());
    assert_eq!(ring.reserve(1).err(), Some(Refusal::Aside));
    assert_eq!(ring.refusal(), Some(Refusal::Aside));
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"a"]);
    assert!(ring.is_drained());
    ring.end_aside();
    assert_eq!(ring.reserve(1).err(), Some(Refusal::Closed));

    let (ring, _drain) = self::ring(16, 4);
    assert!(ring.close() && !ring.set_aside(), "closed is closed");
    assert_eq!(ring.reserve(1).err(), Some(Refusal::Closed));
}

/// A caller activates what is reserved, and then the reservation gives bytes back: the noted
/// position lies inside the next record, and no part of that record is handed out by itself.
#[test]
fn a_position_inside_a_quiet_record_activates_all_of_it() {
    for take in [1, 9] {
        let (ring, mut drain) = ring(16, 8);
        let long = ring.reserve(8).unwrap();
        ring.activate_reserved(ring.claimed_end());
        long.post_as(2, false);
        let mut next = ring.reserve(9).unwrap();
        next.fill(b"abcdefghi");
        next.post_as(9, false);
        drain.cut_records(true);
        let mut file = Vec::new();
        while file.len() < 11 {
            let (offered, _) = step(&ring, &mut drain, take, Holes::Wait);
            assert_eq!(offered.concat(), b"\0\0abcdefghi"[file.len()..]);
            file.extend_from_slice(&offered.concat()[..take.min(11 - file.len())]);
        }
        let mut last = ring.reserve(1).unwrap();
        last.fill(b"z");
        last.post_as(1, false);
        assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).1, Drained::Quiet);
    }
}
