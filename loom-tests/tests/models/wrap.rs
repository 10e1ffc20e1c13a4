//! The wrap: bytes and slots are used in the next lap only after the drain has freed them.

use alq::model::{Drained, Heap, Holes, Ring};
use alq_loom_tests::{append, explore, ring_before_wrap, take, take_all};
use loom::sync::Arc;
use loom::thread;

/// One producer goes around the ring twice, and past the wrap of both halves of the head word.
/// Bytes and slots are used again only after the drain has freed them.
#[test]
fn wrap_onto_the_second_lap() {
    explore("wrap_onto_the_second_lap", [2, 3], || {
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

/// Slots wrap before bytes do: there are more records than slots, each of one byte.
#[test]
fn slots_are_reused_only_when_free() {
    explore("slots_are_reused_only_when_free", [1, 2], || {
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

/// Two producers claim at the wrap of a nearly full ring, while the drain makes room. A claim from
/// a stale head or against a stale tail would overlap the bytes of the other producer, or bytes
/// that the drain still reads.
#[test]
fn two_producers_claim_while_the_drain_frees_room() {
    explore(
        "two_producers_claim_while_the_drain_frees_room",
        [2, 3],
        || {
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
        },
    );
}

/// With a sink that cuts records, the tail moves into a record. The bytes before the tail are free,
/// while the slot and the bytes after the tail stay with the record. A producer gets the first two
/// of four bytes as soon as it sees that they are free.
#[test]
fn freed_bytes_of_a_cut_record_are_claimed() {
    explore("freed_bytes_of_a_cut_record_are_claimed", 4, || {
        let (ring, mut drain) = ring_before_wrap(4);
        drain.cut_records(true);
        let ring = Arc::new(ring);
        append(&ring, b'x', 4);
        let other = Arc::clone(&ring);
        let producer = thread::spawn(move || match other.reserve(2) {
            Ok(mut reservation) => {
                reservation.fill(b"bb");
                reservation.post(2);
                true
            }
            Err(_) => false,
        });
        let mut file = Vec::new();
        let cut = drain.step(&ring, 4, Holes::Wait, |runs| {
            file.extend(runs[0][..2].iter().copied());
            Ok::<_, ()>(2)
        });
        let moved = Drained::Moved {
            bytes: 2,
            more: true,
        };
        assert_eq!(
            (cut, drain.ahead(), drain.is_within()),
            (Ok(moved), 0, true)
        );
        take(&mut drain, &ring, &mut file);
        let has_posted = producer.join().unwrap();
        while !matches!(take(&mut drain, &ring, &mut file), Drained::Empty) {}
        assert_eq!(file, if has_posted { &b"xxxxbb"[..] } else { b"xxxx" });
    });
}
