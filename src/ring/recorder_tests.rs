//! The ring that overwrites, on one thread: what is copied out is a run of whole records that ends
//! with the last one posted.

use super::drain::{Copied, CopyStep};
use super::tests::{append, ring};
use super::{Drain, Refusal, Ring};
use crate::memory::heap::Heap;
use crate::words::{Geometry, Tail};

fn recorder(capacity: u32, slots: u32) -> (Ring<Heap>, Drain) {
    let (ring, drain) = ring(capacity, slots);
    (ring.recording(), drain)
}

/// Copies everything, and steps over open entries if asked to. Returns the records, and how many
/// entries were stepped over; `None` if an open entry blocks the copy.
fn copy(ring: &Ring<Heap>, drain: &mut Drain, steps_over: bool) -> Option<(Vec<Vec<u8>>, u64)> {
    let mut copied = Copied::default();
    loop {
        match drain
            .copy(ring, ring.head(), steps_over, &mut copied)
            .unwrap()
        {
            CopyStep::Moved => {}
            CopyStep::Held { .. } => return None,
            CopyStep::Done => break,
        }
    }
    drain.free(ring, &copied);
    let mut records = Vec::new();
    let mut from = 0;
    for end in &copied.ends {
        records.push(copied.bytes[from..*end].to_vec());
        from = *end;
    }
    assert_eq!(from, copied.bytes.len());
    Some((records, copied.held))
}

#[test]
fn the_oldest_records_make_room_and_no_more_of_them_than_needed() {
    let (ring, mut drain) = recorder(16, 8);
    for record in [&b"aaaa"[..], b"bbbb", b"cccc", b"dddd", b"ee"] {
        append(&ring, record);
    }
    assert_eq!((ring.recorded().0.records, ring.recorded().0.bytes), (1, 4));
    append(&ring, b"ff"); // the room of `aaaa` had two more bytes
    assert_eq!(ring.recorded().0.records, 1);
    let (records, _) = copy(&ring, &mut drain, false).unwrap();
    assert_eq!(records.concat(), b"bbbbccccddddeeff");
    assert_eq!(copy(&ring, &mut drain, false).unwrap().0.len(), 0);
    append(&ring, &[b'x'; 16]);
    append(&ring, &[b'y'; 16]);
    assert_eq!(copy(&ring, &mut drain, false).unwrap().0, [[b'y'; 16]]);
}

#[test]
fn slots_run_out_before_bytes_and_are_made_free() {
    let (ring, mut drain) = recorder(64, 4);
    for letter in b'a'..=b'z' {
        append(&ring, &[letter]);
    }
    assert_eq!(copy(&ring, &mut drain, false).unwrap().0.concat(), b"wxyz");
}

#[test]
fn an_entry_that_stays_open_for_a_lap_is_not_overwritten() {
    let (ring, mut drain) = recorder(16, 8);
    append(&ring, b"aaaa");
    let held = ring.reserve(4).unwrap();
    append(&ring, b"cccccccc");
    append(&ring, b"dddd"); // in place of `aaaa`
    assert_eq!(ring.reserve(4).unwrap_err(), Refusal::Held);
    assert_eq!(copy(&ring, &mut drain, false), None);
    // Stepped over, the records after it stay. The next copy has them again.
    for _ in 0..2 {
        let (records, held) = copy(&ring, &mut drain, true).unwrap();
        assert_eq!((records.concat(), held), (b"ccccccccdddd".to_vec(), 1));
        assert_eq!(ring.reserve(8).unwrap_err(), Refusal::Held);
    }
    held.post(4);
    append(&ring, b"eeee");
    let (records, held) = copy(&ring, &mut drain, false).unwrap();
    assert_eq!((records.concat(), held), (b"ccccccccddddeeee".to_vec(), 0));
}

/// Other threads overwrite between two pieces of a copy. What was copied before the gap goes.
#[test]
fn a_copy_that_is_overtaken_has_no_gap() {
    let (ring, mut drain) = recorder(1 << 14, 1 << 8);
    let record = |i: u8| [i; 2048];
    (0..8).for_each(|i| append(&ring, &record(i)));
    let mut copied = Copied::default();
    let step = drain.copy(&ring, ring.head(), false, &mut copied).unwrap();
    assert_eq!((step, copied.ends.len()), (CopyStep::Moved, 2));
    (8..11).for_each(|i| append(&ring, &record(i))); // in place of 0, 1 and 2
    let until = ring.head();
    while drain.copy(&ring, until, false, &mut copied).unwrap() != CopyStep::Done {}
    let expected: Vec<u8> = (3..11).flat_map(record).collect();
    assert!(copied.bytes == expected, "{:?}", copied.ends);
    assert_eq!(copied.overwritten.records, 3);
    drain.free(&ring, &copied);
    assert_eq!((ring.accounts().records, ring.fill()), (11, 0));
}

/// Until a copy is written, it is in the ring too. Claims overwrite it there, and it counts as
/// copied all the same.
#[test]
fn what_is_copied_stays_in_the_ring_until_it_is_written() {
    let (ring, mut drain) = recorder(16, 8);
    (b'a'..=b'f').for_each(|letter| append(&ring, &[letter; 4])); // `c` to `f` are kept
    drop(ring.reserve(1).unwrap()); // `d` to `f`
    let mut copied = Copied::default();
    while drain.copy(&ring, ring.head(), false, &mut copied) != Ok(CopyStep::Done) {}
    assert_eq!(
        (&copied.bytes[..], copied.ends.len()),
        (&b"ddddeeeeffff"[..], 3)
    );
    assert_eq!((ring.fill(), ring.recorded().0.records), (12, 3));
    append(&ring, b"gggggg"); // in place of `d`
    assert_eq!(ring.recorded().0.records, 4);
    drain.free(&ring, &copied);
    let counts = ring.recorded();
    assert_eq!((counts.0.records, counts.0.bytes), (3, 12));
    assert_eq!((counts.1.records, counts.1.bytes), (3, 12));
    assert_eq!(copy(&ring, &mut drain, false).unwrap().0, [b"gggggg"]);
    // All of a copy may be overwritten, and a copy that is never written frees nothing.
    for record in [b'h', b'i'] {
        append(&ring, &[record; 16]);
        let mut copied = Copied::default();
        while drain.copy(&ring, ring.head(), false, &mut copied) != Ok(CopyStep::Done) {}
    }
    let mut copied = Copied::default();
    while drain.copy(&ring, ring.head(), false, &mut copied) != Ok(CopyStep::Done) {}
    assert_eq!(copied.overwritten.records, 4);
    append(&ring, &[b'j'; 16]);
    drain.free(&ring, &copied);
    assert_eq!((ring.recorded().0.records, ring.fill()), (4, 16));
}

/// A sequence of pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Appends, short posts, drops and dumps, over many laps and across the wrap of both halves of the
/// head. Each dump is the end of what was posted, and nothing is counted twice.
#[test]
fn every_copy_is_the_end_of_what_was_posted() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let (bytes, slots) = [(64, 4), (64, 64), (256, 16), (1024, 256)][seed as usize % 4];
        let memory = Heap::new(Geometry::new(bytes, slots));
        let origin = Tail {
            seq: u64::from(u32::MAX - 50),
            pos: u64::from(u32::MAX) - 500,
        };
        let (ring, mut drain) = Ring::starting_at(memory, origin);
        let ring = ring.recording();
        let (mut posted, mut dumped, mut all_bytes) = (Vec::new(), 0, 0);
        for i in 0..500_u64 {
            match random.below(50) {
                0 => {
                    let (records, held) = copy(&ring, &mut drain, false).unwrap();
                    let from = posted.len() - records.len();
                    assert!(records == posted[from..], "seed {seed}, step {i}");
                    assert_eq!((held, ring.fill()), (0, 0));
                    dumped += records.len() as u64;
                    let overwritten = ring.recorded().0.records;
                    assert_eq!(dumped + overwritten, posted.len() as u64, "seed {seed}");
                    let kept: usize = records.iter().map(Vec::len).sum();
                    assert!(kept as u32 <= bytes);
                    assert_eq!(ring.accounts().bytes, all_bytes);
                }
                1 => drop(ring.reserve(1 + random.below(8) as u32).unwrap()),
                _ => {
                    let most = if random.below(20) == 0 {
                        bytes
                    } else {
                        1 + bytes / 16
                    };
                    let len = 1 + random.below(most.into()) as u32;
                    let mut reservation = ring.reserve(len).unwrap();
                    let used = 1 + random.below(len.into()) as usize;
                    let record = vec![i as u8; used];
                    reservation.bytes_mut()[..used].copy_from_slice(&record);
                    reservation.post(used as u32);
                    all_bytes += used as u64;
                    posted.push(record);
                }
            }
            let accounts = ring.accounts();
            assert!(accounts.tail.pos - origin.pos >= accounts.bytes + accounts.padding);
        }
    }
}
