//! Claims, posts and the drain. The heap memory tracks every byte: two accesses without a happens-before edge
//! between them fail the model, whatever values they saw.

use std::io::IoSlice;

use alq::model::{Heap, Holes, Refusal, Ring};
use alq_loom_tests::{append, explore, ring, ring_before_wrap, take, take_all};
use loom::sync::Arc;
use loom::thread;

/// Two producers and the drain: each record once, whole, and in the order of the positions.
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

/// One producer goes round the ring twice, and over the wrap of both halves of the head word: bytes and descriptors
/// are used again only after the drain has let go of them.
#[test]
fn wrap_onto_the_second_lap() {
    explore("wrap_onto_the_second_lap", 3, || {
        let (ring, mut drain) = ring_before_wrap(4);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            let origin = u64::from(u32::MAX);
            for (i, letter) in (1..).zip(*b"abcd") {
                assert_eq!(append(&other, letter, 3), origin + 3 * i);
            }
        });
        let mut file = Vec::new();
        take_all(&mut drain, &ring, &mut file, 12);
        producer.join().unwrap();
        assert_eq!(file, b"aaabbbcccddd");
    });
}

/// Descriptors wrap before bytes do: more records than descriptors, all of one byte.
#[test]
fn descriptors_are_reused_only_when_free() {
    explore("descriptors_are_reused_only_when_free", 2, || {
        let (ring, mut drain) = ring_before_wrap(16);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            for letter in *b"abcde" {
                append(&other, letter, 1);
            }
        });
        let mut file = Vec::new();
        take_all(&mut drain, &ring, &mut file, 5);
        producer.join().unwrap();
        assert_eq!(file, b"abcde");
    });
}

/// Two producers over the wrap of a ring that is nearly full, while the drain makes room: a claim from a stale head or
/// against a stale tail would overlap the other's bytes, or bytes that the drain still reads.
#[test]
fn two_producers_claim_while_room_comes() {
    explore("two_producers_claim_while_room_comes", 3, || {
        let (ring, mut drain) = ring_before_wrap(4);
        let ring = Arc::new(ring);
        append(&ring, b'x', 3);
        let claim = |ring: Arc<Ring<Heap>>, letter: u8| {
            thread::spawn(move || match ring.reserve(2) {
                Ok(mut reservation) => {
                    reservation.fill(&[letter; 2]);
                    Some((reservation.post(2).end, letter))
                }
                Err(_) => None,
            })
        };
        let a = claim(Arc::clone(&ring), b'a');
        let b = claim(Arc::clone(&ring), b'b');
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        let mut posted: Vec<_> = [a, b]
            .map(|thread| thread.join().unwrap())
            .into_iter()
            .flatten()
            .collect();
        posted.sort_unstable();
        take(&mut drain, &ring, &mut file);
        let mut expected = b"xxx".to_vec();
        expected.extend(posted.iter().flat_map(|(_, letter)| [*letter; 2]));
        assert_eq!(file, expected);
    });
}

/// One thread posts and takes two bytes again and again, so at most half of the ring is ever in use, and the other thread's
/// one claim must not be refused: neither for a stale tail, nor for a stale head, which looks full once the tail has
/// moved past it.
#[test]
fn nothing_is_refused_for_a_stale_head_or_tail() {
    explore("nothing_is_refused_for_a_stale_head_or_tail", 3, || {
        let (ring, mut drain) = ring_before_wrap(4);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let claimer = thread::spawn(move || {
            let mut reservation = other.reserve(2).expect("half of the ring is free");
            reservation.fill(b"aa");
            reservation.post(2);
        });
        let mut file = Vec::new();
        for letter in *b"xyz" {
            // Refused only with the other's record and one of ours in the ring.
            if let Ok(mut reservation) = ring.reserve(2) {
                reservation.fill(&[letter; 2]);
                reservation.post(2);
            }
            take(&mut drain, &ring, &mut file);
        }
        claimer.join().unwrap();
        take(&mut drain, &ring, &mut file);
        assert!(file.windows(2).any(|record| record == b"aa"));
    });
}

/// A full ring refuses, with the drain away; and refuses nothing that fits.
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

/// Short posts: the newest gives its room back, any other leaves padding; bytes and padding add up to the tail.
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

/// Room that was given back is claimed by another: the giver's writes happen before the new owner's.
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

/// A dropped entry posts nothing and holds up nobody.
#[test]
fn dropped_entry() {
    explore("dropped_entry", 3, || {
        let (ring, mut drain) = ring(8);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let dropper = thread::spawn(move || drop(other.reserve(3).expect("room")));
        let third = Arc::clone(&ring);
        let producer = thread::spawn(move || append(&third, b'b', 2));
        let mut file = Vec::new();
        take_all(&mut drain, &ring, &mut file, 2);
        dropper.join().unwrap();
        producer.join().unwrap();
        take(&mut drain, &ring, &mut file);
        assert_eq!(file, b"bb");
        assert_eq!((ring.fill(), ring.accounts().records), (0, 1));
    });
}

/// The target of a flush is never before what its own thread has posted, though tail and head are two words, and both
/// move on by more than what lies between them.
#[test]
fn a_flush_target_is_behind_ones_own_record() {
    explore("a_flush_target_is_behind_ones_own_record", 2, || {
        let (ring, mut drain) = ring(4);
        let ring = Arc::new(ring);
        append(&ring, b'x', 1);
        append(&ring, b'y', 1);
        let mine = append(&ring, b'm', 2);
        let other = Arc::clone(&ring);
        let others = thread::spawn(move || {
            let taken = |runs: &[IoSlice<'_>]| Ok::<_, ()>(runs.iter().map(|run| run.len()).sum());
            drain.step(&other, 2, Holes::Wait, taken).unwrap(); // x and y
            append(&other, b'b', 1);
            append(&other, b'c', 1);
        });
        assert!(ring.posted_end() >= mine);
        others.join().unwrap();
    });
}

/// The accounts are read as of one moment, while the drain writes them.
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
