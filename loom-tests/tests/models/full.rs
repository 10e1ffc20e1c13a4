//! A full ring: a claim that does not fit is refused, and a claim that fits is not refused, even if
//! it has read an old head or tail.

use alq::model::{Geometry, Heap, Missed, Refusal, Ring};
use alq_loom_tests::{append, explore, ring, ring_before_wrap, take};
use loom::sync::Arc;
use loom::thread;

/// While the drain does not run, a full ring refuses, and it refuses nothing that fits.
#[test]
fn full_is_refused() {
    explore("full_is_refused", 3, || {
        let (ring, mut drain) = ring(4);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let claim = move |ring: &Ring<Heap>, letter: u8| match ring.reserve(3) {
            Ok(mut reservation) => {
                reservation.fill(&[letter; 3]);
                Ok(reservation.post(3).end)
            }
            Err(refusal) => Err(refusal),
        };
        let producer = thread::spawn(move || claim(&other, b'a'));
        let mine = claim(&ring, b'b');
        let theirs = producer.join().unwrap();
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        match (mine, theirs) {
            (Ok(3), Err(Refusal::Full)) => assert_eq!(file, b"bbb"),
            (Err(Refusal::Full), Ok(3)) => assert_eq!(file, b"aaa"),
            both => panic!("exactly one fits: {both:?}"),
        }
    });
}

/// One thread repeatedly posts two bytes and drains them, so at most half of the ring is in use.
/// The single claim of the other thread must not be refused: not for a stale tail, and not for a
/// stale head, with which the ring looks full once the tail has moved past it.
#[test]
fn nothing_is_refused_for_a_stale_head_or_tail() {
    explore(
        "nothing_is_refused_for_a_stale_head_or_tail",
        [2, 3],
        || {
            let (ring, mut drain) = ring_before_wrap(4);
            let ring = Arc::new(ring);
            let other = Arc::clone(&ring);
            let claimer = thread::spawn(move || {
                let tried = other.reserve_at_once(2);
                if let Err(Missed::NoRoom(head)) = tried {
                    assert_eq!(other.used_if_full(head, 2), None, "half of it is free");
                }
                let reserved = tried.or_else(|_| other.reserve(2));
                let mut reservation = reserved.expect("half of the ring is free");
                reservation.fill(b"aa");
                reservation.post(2);
            });
            let mut file = Vec::new();
            for letter in *b"xyz" {
                // Refused only while the other record and one of ours are in the ring.
                if let Ok(mut reservation) = ring.reserve(2) {
                    reservation.fill(&[letter; 2]);
                    reservation.post(2);
                }
                take(&mut drain, &ring, &mut file);
            }
            claimer.join().unwrap();
            take(&mut drain, &ring, &mut file);
            assert!(file.windows(2).any(|record| record == b"aa"));
        },
    );
}

/// A ring of one entry of two bytes, as a fixed queue has it. A thread that reads its fill never
/// finds more than two bytes, although head and tail are read one after the other. The claimers
/// share the tail that they have seen.
#[test]
fn a_fixed_ring_never_seems_to_hold_more_than_its_entries() {
    let name = "a_fixed_ring_never_seems_to_hold_more_than_its_entries";
    explore(name, [1, 2], || {
        let geometry = Geometry::new(8, 4).with_spans_max(1);
        let (ring, mut drain) = Ring::new(Heap::new(geometry));
        append(&ring, b'x', 2);
        let ring = Arc::new(ring);
        let claim = || {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.reserve(2).is_ok_and(|entry| entry.post(2).end == 4))
        };
        let claims = [claim(), claim()];
        let other = Arc::clone(&ring);
        let reader = thread::spawn(move || assert!(other.fill() <= 2));
        take(&mut drain, &ring, &mut Vec::new());
        for claim in claims {
            claim.join().unwrap();
        }
        reader.join().unwrap();
    });
}
