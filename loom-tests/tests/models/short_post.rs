//! Short posts: the newest reservation gives its unused room back; any other leaves padding.

use alq::model::{Drained, Heap, Ring};
use alq_loom_tests::{append, explore, ring, take, take_all};
use loom::sync::Arc;
use loom::thread;

/// The newest short post gives its room back, and any other leaves padding. Bytes and padding add
/// up to the tail.
#[test]
fn short_posts() {
    explore("short_posts", 3, || {
        let (ring, mut drain) = ring(8);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let short = |ring: &Ring<Heap>, letter: u8| {
            let mut reservation = ring.reserve(3).expect("room for both");
            reservation.fill(&[letter; 3]);
            let posted = reservation.post(1);
            (posted.end, posted.gave_back)
        };
        let producer = thread::spawn(move || short(&other, b'a'));
        let mine = short(&ring, b'b');
        let mut file = Vec::new();
        take_all(&mut drain, &ring, &mut file, 2);
        let theirs = producer.join().unwrap();
        let gave_back = u64::from(mine.1) + u64::from(theirs.1);
        let accounts = ring.accounts();
        assert_eq!(accounts.bytes, 2);
        assert_eq!(accounts.padding, 2 * (2 - gave_back));
        assert_eq!(accounts.tail.pos, accounts.bytes + accounts.padding);
        assert_eq!(mine.0.max(theirs.0), accounts.tail.pos);
        assert_eq!(ring.fill(), 0, "the last one always gives back");
    });
}

/// Another thread claims room that was given back. The writes of the earlier owner happen before
/// those of the new owner.
#[test]
fn given_back_bytes_change_hands() {
    explore("given_back_bytes_change_hands", 3, || {
        let (ring, mut drain) = ring(4);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let mut reservation = ring.reserve(4).expect("an empty ring");
        let producer = thread::spawn(move || append(&other, b'b', 3));
        reservation.fill(b"aaaa");
        assert!(reservation.post(1).gave_back);
        producer.join().unwrap();
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        assert_eq!(file, b"abbb");
    });
}

/// Room is given back while another claim is in progress. That claim has found room after the
/// reservation or found the ring full, and takes the bytes that are given back.
#[test]
fn a_claim_in_progress_takes_bytes_given_back() {
    for (capacity, expected) in [(8, Some(4)), (4, None)] {
        let name = format!("a_claim_in_progress_takes_bytes_given_back/{capacity}");
        explore(&name, 4, move || {
            let (ring, mut drain) = ring(capacity);
            let ring = Arc::new(ring);
            let mut reservation = ring.reserve(4).expect("an empty ring");
            let other = Arc::clone(&ring);
            let claimer = thread::spawn(move || match other.reserve(3) {
                Ok(mut reservation) => {
                    reservation.fill(b"bbb");
                    Some(reservation.post(3).end - 3)
                }
                Err(_) => None,
            });
            reservation.fill(b"aaaa");
            let gave_back = reservation.post(1).gave_back;
            let start = claimer.join().unwrap();
            assert!(start == expected || (gave_back && start == Some(1)));
            let mut file = Vec::new();
            while !matches!(take(&mut drain, &ring, &mut file), Drained::Empty) {}
            assert_eq!(file, if start.is_some() { &b"abbb"[..] } else { b"a" });
        });
    }
}
