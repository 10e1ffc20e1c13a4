//! The eventcount alone: the thread that makes a condition true sees the waiter, or the waiter sees
//! the condition.

use alq::model::Event;
use alq_loom_tests::{Cells, explore};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// Two threads make a condition true together, and one thread waits for it. The waiter wakes up,
/// and sees what the two did before.
#[test]
fn a_waiter_is_seen_or_sees() {
    explore("a_waiter_is_seen_or_sees", 3, || {
        let shared = Arc::new((Event::new(), AtomicU32::new(0), Cells::new()));
        let notifier = |cell: usize| {
            let shared = Arc::clone(&shared);
            move || {
                let (event, count, cells) = &*shared;
                cells.write(cell, 1);
                count.fetch_add(1, Ordering::Release);
                event.notify();
            }
        };
        let threads = [0, 1].map(|cell| thread::spawn(notifier(cell)));
        let (event, count, cells) = &*shared;
        // Relaxed until it is true: the event alone must make that visible.
        let both = || (count.load(Ordering::Relaxed) == 2).then_some(());
        event.wait_until(None, both).unwrap();
        assert_eq!(count.load(Ordering::Acquire), 2);
        cells.read(0, 2);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
