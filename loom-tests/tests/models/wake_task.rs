//! How a task that waits for room is woken.

use std::task::{Poll, Wake, Waker};

use alq::model::sync::{Futex, Ordering};
use alq::model::{Asker, Heap, Kind, Last, Order, Shared};
use alq_loom_tests::{explore, queue, start, write};
use loom::sync::Arc;
use loom::thread;

/// The waker of an executor that polls a task again once it is woken.
struct Woken(Futex);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.swap(1, Ordering::Release); // an RMW: see `Ticket::look`
        self.0.wake_all();
    }
}

/// Waits for `len` bytes as a task, and posts them without activating. Returns the error of the
/// queue.
fn append(shared: &Shared<Heap>, len: u32) -> Result<(), alq::Error> {
    let woken = std::sync::Arc::new(Woken(Futex::new(0)));
    let waker = Waker::from(std::sync::Arc::clone(&woken));
    let mut asker = Asker::new();
    loop {
        if let Poll::Ready(reserved) = shared.intake.poll_reserve(&mut asker, len, &waker) {
            let reservation = reserved?;
            shared.intake.posted(reservation.post_as(len, false));
            return Ok(());
        }
        while woken.0.swap(0, Ordering::Acquire) == 0 {
            woken.0.wait(0, None);
        }
    }
}

/// The drain wakes a task that has found the ring full, with or without an activated post.
#[test]
fn a_drain_wakes_a_task() {
    explore("a_drain_wakes_a_task", 2, || {
        let (shared, flusher, _file) = queue(4, Order::Any);
        write(&shared, b'a', 3, false);
        let thread = start(flusher, &shared);
        append(&shared, 2).unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// The end of the intake wakes a task that waits for room.
#[test]
fn a_close_wakes_a_task() {
    explore("a_close_wakes_a_task", 3, || {
        let (shared, _flusher, _file) = queue(4, Order::Any);
        write(&shared, b'a', 4, false);
        let other = Arc::clone(&shared);
        let task = thread::spawn(move || append(&other, 1));
        shared.intake.close();
        assert_eq!(task.join().unwrap(), Err(alq::Error::Closed));
    });
}

/// A task and a thread wait for the same room. Both get it, in either order of arrival and for both
/// orders of a queue.
#[test]
fn a_task_and_a_thread_get_their_room() {
    for order in [Order::Any, Order::Arrival] {
        explore("a_task_and_a_thread_get_their_room", 0, move || {
            let (shared, flusher, _file) = queue(4, order);
            write(&shared, b'x', 4, false);
            let other = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                let entry = other.intake.wait_reserve(3, Kind::Writen, None).unwrap();
                other.intake.posted(entry.post_as(3, false));
            });
            let thread = start(flusher, &shared);
            append(&shared, 3).unwrap();
            writer.join().unwrap();
            shared.set_last(Last::Stop);
            thread.join().unwrap();
        });
    }
}
