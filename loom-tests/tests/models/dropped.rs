//! Entries that are dropped, and reservations that the drain has stepped over.

use alq_loom_tests::{append, explore, ring, take, take_all};
use loom::sync::Arc;
use loom::thread;

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
