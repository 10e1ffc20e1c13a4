//! Publishing: claims, posts, the drain that takes them, and threads that read the state of the
//! ring. The heap memory tracks every byte: two accesses without a happens-before edge between them
//! fail the model, even if the values are right.

use alq_loom_tests::{append, explore, ring, take, take_all};
use loom::sync::Arc;
use loom::thread;

/// Two producers and the drain: each record arrives once, whole, and in the order of the positions.
#[test]
fn two_producers_and_a_drain() {
    explore("two_producers_and_a_drain", 3, || {
        let (ring, mut drain) = ring(8);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let producer = thread::spawn(move || append(&other, b'a', 3));
        let third = Arc::clone(&ring);
        let drainer = thread::spawn(move || {
            let mut file = Vec::new();
            take_all(&mut drain, &third, &mut file, 5);
            file
        });
        let b_end = append(&ring, b'b', 2);
        let a_end = producer.join().unwrap();
        let file = drainer.join().unwrap();
        if a_end < b_end {
            assert_eq!((file.as_slice(), a_end, b_end), (&b"aaabb"[..], 3, 5));
        } else {
            assert_eq!((file.as_slice(), a_end, b_end), (&b"bbaaa"[..], 5, 2));
        }
    });
}

/// A reader gets the accounts of one moment, while the drain writes them.
#[test]
fn accounts_belong_together() {
    explore("accounts_belong_together", 3, || {
        let (ring, mut drain) = ring(8);
        let ring = Arc::new(ring);
        let padded = ring.reserve(2).expect("room");
        append(&ring, b'a', 2);
        padded.post(1);
        let other = Arc::clone(&ring);
        let reader = thread::spawn(move || {
            let (done, outstanding) = other.outstanding();
            assert_eq!(done.tail.pos, done.bytes + done.padding);
            assert_eq!(
                done.bytes + outstanding.bytes,
                3,
                "{done:?} {outstanding:?}"
            );
            assert_eq!(done.records + outstanding.records, 2);
            assert_eq!(outstanding.held, 0);
        });
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        reader.join().unwrap();
        assert_eq!(file.len(), 3);
    });
}
