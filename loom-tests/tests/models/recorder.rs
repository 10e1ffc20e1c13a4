//! A ring that overwrites: claims take the room of the oldest records, while other threads post,
//! overwrite and copy.

use alq::model::{Copied, CopyStep, Drain, Head, Heap, Refusal, Ring};
use alq_loom_tests::{append, explore, recorder, ring_before_wrap, start, write};
use loom::sync::Arc;
use loom::thread;

/// Tries once to append `len` bytes of `letter`.
fn try_append(ring: &Ring<Heap>, letter: u8, len: u32) -> Result<(), Refusal> {
    let mut reservation = ring.reserve(len)?;
    reservation.fill(&vec![letter; len as usize]);
    reservation.post(len);
    Ok(())
}

/// Copies the records of a recorder up to `until` to the end of `file`, and steps over no entry.
fn copy(drain: &mut Drain, ring: &Ring<Heap>, until: Head, file: &mut Vec<u8>) {
    let mut copied = Copied::default();
    while drain.copy(ring, until, false, &mut copied) != Ok(CopyStep::Done) {
        loom::thread::yield_now();
    }
    drain.free(ring, &copied);
    file.append(&mut copied.bytes);
}

/// A thread overwrites records of two other threads at once. Whoever gets the bytes of the first
/// one does not write to them before their owner has finished, whichever thread has freed them.
#[test]
fn overwritten_bytes_change_hands() {
    explore("overwritten_bytes_change_hands", [1, 2], || {
        let (ring, _) = ring_before_wrap(4);
        let ring = Arc::new(ring.recording());
        let (one, two) = (Arc::clone(&ring), Arc::clone(&ring));
        let one = thread::spawn(move || try_append(&one, b'a', 2));
        let two = thread::spawn(move || {
            // Takes the room of both, if there are two.
            let _ = try_append(&two, b'b', 2);
            let _ = try_append(&two, b'c', 4);
        });
        let _ = try_append(&ring, b'd', 2);
        let _ = one.join().unwrap();
        two.join().unwrap();
    });
}

/// All slots are in use and all spans are posted. Two threads append: neither takes a slot that the
/// other one has just claimed for an entry that is open.
#[test]
fn nothing_is_refused_for_a_span_that_was_overwritten() {
    explore(
        "nothing_is_refused_for_a_span_that_was_overwritten",
        3,
        || {
            let (ring, _) = ring_before_wrap(16);
            let ring = Arc::new(ring.recording());
            b"wxyz".iter().for_each(|letter| {
                append(&ring, *letter, 1);
            });
            let other = Arc::clone(&ring);
            let other = thread::spawn(move || try_append(&other, b'a', 1));
            assert_eq!(try_append(&ring, b'b', 1), Ok(()));
            other.join().unwrap().unwrap();
            assert_eq!(ring.recorded().0.records, 2);
        },
    );
}

/// A producer overwrites a record while records are copied out of it. No byte is written while it
/// is read, and the copies are records in order, each whole and none twice, up to the last one.
#[test]
fn a_copy_against_a_producer() {
    explore("a_copy_against_a_producer", [2, 3], || {
        let (ring, mut drain) = ring_before_wrap(4);
        let ring = Arc::new(ring.recording());
        append(&ring, b'a', 2);
        let other = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            for letter in *b"bc" {
                append(&other, letter, 2);
            }
        });
        let mut file = Vec::new();
        copy(&mut drain, &ring, ring.head(), &mut file);
        let first = file.len();
        producer.join().unwrap();
        copy(&mut drain, &ring, ring.head(), &mut file);
        let all = b"aabbcc";
        assert!((0..=6 - first).any(|at| all[at..at + first] == file[..first]));
        assert!(all.ends_with(&file[first..]) && file.ends_with(b"cc"));
        let written = ring.recorded().0.records + file.len() as u64 / 2;
        assert_eq!(written, 3);
    });
}

/// A request for a dump comes while the flusher falls asleep, and a post at the same time. The
/// flusher wakes, and the dump has everything that was posted before the request.
#[test]
fn a_request_for_a_dump_wakes_the_flusher() {
    explore("a_request_for_a_dump_wakes_the_flusher", 2, || {
        let (shared, flusher, file) = recorder(8);
        let flusher = start(flusher, &shared);
        write(&shared, b'a', 2, true);
        let (number, request) = shared.outcome.dumps.ask("");
        shared.intake.bell.ring();
        let dumps = &shared.outcome.dumps;
        let is_met = || dumps.has_met(number).then_some(());
        shared.outcome.progress.wait_until(None, is_met).unwrap();
        assert_eq!(request.result().unwrap().unwrap().records, 1);
        write(&shared, b'b', 2, true); // no dump asks for it
        shared.intake.close();
        flusher.join().unwrap();
        assert_eq!(file.contents(), b"aa");
    });
}
