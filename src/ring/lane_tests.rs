//! Lanes on one thread: the drain takes what is committed in their spans, and seals a span only for
//! a reason.

use super::survey::Late;
use super::tests::{append, ring, step};
use super::{Drained, Holes, Owner, Refusal, Ring};
use crate::memory::heap::Heap;
use crate::primitives::sync::Ordering;
use crate::words::{Place, State};

/// Appends a record of a lane to its open span or to a new one. Returns `false` if there is no
/// room.
pub(super) fn append_in_lane(ring: &Ring<Heap>, owner: &mut Owner, record: &[u8]) -> bool {
    if !owner.begins(record.len()) {
        owner.leave(ring);
        if owner.open(ring, record.len() as u32).is_err() {
            owner.leave(ring);
            return false;
        }
    }
    owner.append(ring, record, true);
    true
}

/// The drain takes the committed prefix of an open span as it grows, up to any byte. It seals
/// nothing while nothing follows the span.
#[test]
fn an_open_span_is_taken_as_far_as_it_is_committed() {
    let (ring, mut drain) = ring(32, 8);
    let mut owner = ring.enter_lane(8);
    assert!(append_in_lane(&ring, &mut owner, b"ab"));
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"ab"]);
    let nothing = step(&ring, &mut drain, 9, Holes::Wait);
    assert_eq!(nothing, (vec![], Drained::Empty));
    assert!(append_in_lane(&ring, &mut owner, b"cde"));
    assert_eq!(step(&ring, &mut drain, 1, Holes::Wait).0, [b"cde"]);
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"de"]);
    assert!(append_in_lane(&ring, &mut owner, b"fgh")); // fills the span
    assert!(append_in_lane(&ring, &mut owner, b"ij")); // into another span, directly after it
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"fghij"]);
    assert_eq!((ring.accounts().padding, ring.fill()), (0, 6));
    owner.leave(&ring);
    assert_eq!(ring.fill(), 0, "what was not used is given back");
}

/// The drain continues after an open span whose owner does nothing; the owner continues in another
/// span.
#[test]
fn an_idle_span_is_sealed_when_another_follows() {
    let (ring, mut drain) = ring(32, 16);
    let mut owner = ring.enter_lane(8);
    assert!(append_in_lane(&ring, &mut owner, b"ab"));
    append(&ring, b"z");
    let (offered, drained) = step(&ring, &mut drain, 9, Holes::Wait);
    assert_eq!(offered, [b"ab"]);
    assert!(matches!(drained, Drained::Moved { more: true, .. }));
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"z"]);
    assert_eq!(ring.accounts().padding, 6);
    assert!(append_in_lane(&ring, &mut owner, b"cd"));
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"cd"]);
    let (_, outstanding) = ring.outstanding();
    assert_eq!(
        (outstanding.lane_records_posted, outstanding.lane_records),
        (2, 0)
    );
}

/// A lap with the same tag has left words in the slots that a lane's span does not use. They
/// are not taken for spans.
#[test]
fn slots_that_a_lane_does_not_use_are_not_taken_for_spans() {
    let (ring, mut drain) = ring(64, 8);
    let tag = ring.geometry().tag(9);
    for seq in 9..12 {
        let stale = Place { seq, start: 40 };
        // Relaxed: one thread.
        let slot = ring.slot(seq);
        slot.place.store(stale.to_bits(), Ordering::Relaxed);
        let state = State::closed(tag, 5).to_bits();
        slot.state.store(state, Ordering::Relaxed);
    }
    let mut owner = ring.enter_lane(8);
    assert!(append_in_lane(&ring, &mut owner, b"ab"));
    assert_eq!(ring.posted_end(), 2);
    let (_, outstanding) = ring.outstanding();
    assert_eq!((outstanding.bytes, outstanding.records), (2, 1));
    owner.leave(&ring);
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"ab"]);
    assert!(drain.has_reached(ring.head()));
}

/// Records of a lane are counted from the first span that the drain has yet to take.
#[test]
fn records_of_a_lane_are_counted_by_the_span() {
    let (ring, mut drain) = ring(64, 32);
    let mut owner = ring.enter_lane(4);
    let unwritten = |ring: &Ring<Heap>| {
        let (_, outstanding) = ring.outstanding();
        (outstanding.lane_records_posted, outstanding.lane_records)
    };
    for _ in 0..4 {
        assert!(append_in_lane(&ring, &mut owner, b"ab"));
    }
    assert_eq!(unwritten(&ring), (4, 4), "two spans of two");
    assert_eq!(step(&ring, &mut drain, 4, Holes::Wait).0, [b"abababab"]);
    assert_eq!(unwritten(&ring), (4, 2));
    assert_eq!(step(&ring, &mut drain, 1, Holes::Wait).0, [b"abab"]);
    assert_eq!(unwritten(&ring), (4, 2), "not the whole span");
    step(&ring, &mut drain, 9, Holes::Wait);
    assert_eq!(unwritten(&ring), (4, 0));
}

/// While the owner is at work in its span, the drain stops before the next span; it still takes
/// what is committed.
#[test]
fn a_busy_span_is_not_sealed() {
    let (ring, mut drain) = ring(32, 16);
    let mut owner = ring.enter_lane(8);
    assert!(append_in_lane(&ring, &mut owner, b"ab"));
    append(&ring, b"z");
    assert!(owner.begins(1));
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"ab"]);
    let blocked = (vec![], Drained::Blocked { seq: 16 });
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait), blocked);
    assert!(!drain.is_posted(&ring));
    let (_, outstanding) = ring.outstanding();
    assert_eq!((outstanding.held, outstanding.oldest_held_bytes), (1, 6));
    owner.append(&ring, b"cd", true);
    assert!(drain.is_posted(&ring));
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"cd"]);
    assert!(!owner.begins(1), "the span was asked for");
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).0, [b"z"]);
    owner.leave(&ring);
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).1, Drained::Empty);
}

/// Idle lanes give up wanted room, also in the newest span; and not before it is wanted.
#[test]
fn a_span_is_sealed_for_its_room() {
    let (ring, mut drain) = ring(32, 16);
    let mut owner = ring.enter_lane(8);
    assert!(append_in_lane(&ring, &mut owner, b"ab"));
    step(&ring, &mut drain, 9, Holes::Wait);
    assert!(ring.lanes().hold_room());
    assert_eq!(ring.reserve(32).err(), Some(Refusal::Full));
    ring.lanes().want_room();
    step(&ring, &mut drain, 9, Holes::Wait);
    assert!(!ring.lanes().hold_room());
    step(&ring, &mut drain, 9, Holes::Wait);
    drop(ring.reserve(32).unwrap());
}

/// All lanes with an open span give up wanted room, one after the other.
#[test]
fn every_span_is_sealed_for_its_room() {
    let (ring, mut drain) = ring(64, 32);
    let mut owners = [(); 3].map(|()| ring.enter_lane(4));
    for owner in &mut owners {
        assert!(append_in_lane(&ring, owner, b"a"));
    }
    ring.lanes().want_room();
    for _ in 0..6 {
        step(&ring, &mut drain, 9, Holes::Wait);
    }
    assert!(!ring.lanes().hold_room());
    assert_eq!(ring.fill(), 0);
}

/// A lane was asked by another thread than the drain to leave its span, and has left it open: the
/// drain detects that.
#[test]
fn a_span_that_its_owner_has_left_is_final() {
    let (ring, mut drain) = ring(32, 16);
    let mut owner = ring.enter_lane(8);
    assert!(append_in_lane(&ring, &mut owner, b"ab"));
    ring.ask_lanes();
    assert!(append_in_lane(&ring, &mut owner, b"cd"));
    let mut file = Vec::new();
    for _ in 0..3 {
        file.extend(step(&ring, &mut drain, 9, Holes::Wait).0.concat());
    }
    assert_eq!(file, b"abcd");
    ring.ask_lanes();
    owner.leave(&ring);
    ring.lanes().want_room();
    step(&ring, &mut drain, 9, Holes::Wait);
    step(&ring, &mut drain, 9, Holes::Wait);
    assert_eq!(ring.fill(), 0);
}

/// An ended ring is drained past idle lanes, and steps over lanes that never finish the record that
/// they have begun.
#[test]
fn an_ended_ring_seals_its_lanes_and_steps_over_busy_ones() {
    let (ring, mut drain) = ring(64, 32);
    let mut busy = ring.enter_lane(8);
    assert!(append_in_lane(&ring, &mut busy, b"ab"));
    let mut idle = ring.enter_lane(8);
    assert!(append_in_lane(&ring, &mut idle, b"cd"));
    assert!(busy.begins(4));
    ring.close();
    let mut file = Vec::new();
    let mut drained = Drained::Empty;
    for _ in 0..8 {
        let (offered, now) = step(&ring, &mut drain, 9, Holes::StepOver);
        file.extend(offered.concat());
        drained = now;
    }
    assert_eq!((file.as_slice(), drained), (&b"abcd"[..], Drained::Empty));
    assert!(drain.has_reached(ring.ended().unwrap()));
    assert_eq!((ring.accounts().abandoned, ring.fill()), (1, 0));
    assert_eq!(ring.posted_too_late(), Late::default());
    let late = busy.append(&ring, b"late", true);
    assert_eq!(
        ring.posted_too_late(),
        Late {
            bytes: 4,
            records: 1,
            lane_records: 1
        }
    );
    assert!(ring.is_too_late(late.end) && !ring.is_too_late(late.start));
    assert!(!idle.begins(1));
}

/// As a quiet record of the shared path: a position inside the last record of a lane activates all
/// of that record.
#[test]
fn a_position_inside_a_quiet_record_of_a_lane_activates_all_of_it() {
    let (ring, mut drain) = ring(32, 8);
    let long = ring.reserve(5).unwrap();
    ring.activate_reserved(ring.claimed_end());
    long.post_as(2, false);
    let mut owner = ring.enter_lane(16);
    for record in [&b"ab"[..], b"cde"] {
        assert!(owner.begins(record.len()) || owner.open(&ring, 2).is_ok());
        owner.append(&ring, record, false);
    }
    assert_eq!(step(&ring, &mut drain, 32, Holes::Wait).0, [b"\0\0abcde"]);
    owner.leave(&ring);
    step(&ring, &mut drain, 9, Holes::Wait);
    assert_eq!(ring.fill(), 0, "a span that is written needs no activation");
    ring.reserve(1).unwrap().post_as(1, false);
    assert_eq!(step(&ring, &mut drain, 9, Holes::Wait).1, Drained::Quiet);
}
