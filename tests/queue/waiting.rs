//! A writer that waits for room sleeps, wakes when there is enough and not before, and waits no
//! longer than it was asked to.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::common::task::{Task, assert_quiet};
use crate::common::{
    Log, Numbers, STALLS_SOON, TRY, WAIT, Watched, fill_up, filled, pipe, read_all, small, spawn,
    wait_for,
};
use alq::{Entry, Error, Position, Queue};

/// Fills the ring with open entries of these lengths; the post of the first makes room of just its
/// length.
fn full_of<'q>(queue: &'q Queue, lens: &[usize]) -> VecDeque<Entry<'q>> {
    assert_eq!(lens.iter().sum::<usize>(), queue.capacity());
    lens.iter().map(|&len| filled(queue, len, b'#')).collect()
}

fn post_first(entries: &mut VecDeque<Entry<'_>>) {
    entries.pop_front().unwrap().post();
}

fn post_all(entries: VecDeque<Entry<'_>>) {
    for entry in entries {
        entry.post();
    }
}

fn waits(queue: &Queue) -> u64 {
    let waits = queue.stats().waits;
    waits.writen_turn + waits.writen_room + waits.getn_turn + waits.getn_room
}

/// Appends on a new thread. Returns which thread that is, once it waits.
fn waiter<T: Send + 'static>(
    queue: &Queue,
    append: impl FnOnce(&Queue) -> T + Send + 'static,
) -> (Task, Watched<T>) {
    let before = waits(queue);
    let (sender, task) = mpsc::channel();
    let handle = queue.clone();
    let thread = spawn(move || {
        sender.send(Task::current()).unwrap();
        append(&handle)
    });
    wait_for("the writer waits", || waits(queue) > before);
    (task.recv().unwrap(), thread)
}

fn writes(len: usize) -> impl FnOnce(&Queue) -> Result<Position, Error> {
    move |queue| queue.writen(&vec![b'w'; len], WAIT)
}

#[test]
fn writers_that_wait_do_nothing_at_all_until_there_is_room() {
    for ordered in [false, true] {
        let log = Log::new();
        let queue = log.open(small().ordered(ordered));
        let entries = full_of(&queue, &[4096]);
        let (tasks, threads): (Vec<_>, Vec<_>) =
            (0..3).map(|_| waiter(&queue, writes(100))).unzip();
        assert_quiet(&tasks);
        post_all(entries);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_small_writer_passes_a_large_one_that_does_not_fit_yet() {
    let log = Log::new();
    let queue = log.open(small());
    let mut entries = full_of(&queue, &[1000, 3096]);
    let (_, large) = waiter(&queue, writes(2000));
    let (_, one) = waiter(&queue, writes(400));
    let (_, two) = waiter(&queue, writes(600));
    post_first(&mut entries); // room for both of the small ones
    one.join().unwrap();
    two.join().unwrap();
    assert!(large.is_running());
    assert_eq!(queue.stats().fill_bytes, 4096, "all the room is used");
    post_first(&mut entries);
    large.join().unwrap();
    let waits = queue.stats().waits;
    assert_eq!((waits.writen_turn, waits.getn_turn), (0, 0));
}

#[test]
fn a_writer_is_woken_only_when_there_is_room_for_it() {
    const ROUNDS: usize = 100;
    let log = Log::new();
    let queue = log.open(small());
    let mut first = filled(&queue, 2000, b'#');
    let mut last = filled(&queue, 2000, b'#');
    let (task, large) = waiter(&queue, writes(3000));
    wait_for("it sleeps", || task.is_asleep());
    let before = task.sleeps();
    for round in 1..=ROUNDS {
        // Room of some 2000 bytes comes, and goes.
        let posted = queue.stats().written_bytes + first.len() as u64;
        let drains = queue.stats().drains;
        first.post();
        wait_for("room", || {
            let stats = queue.stats();
            stats.written_bytes == posted && stats.drains > drains
        });
        first = last;
        last = filled(&queue, 2000 + round % 2, b'#');
    }
    let wakes = task.sleeps() - before;
    assert!(wakes <= ROUNDS as u64 / 10, "{wakes} vain wake-ups");
    drop((first, last));
    large.join().unwrap();
}

#[test]
fn a_wait_that_times_out_appends_nothing_and_leaves_the_queue_as_it_was() {
    const PATIENCE: Duration = Duration::from_millis(20);
    for ordered in [false, true] {
        let log = Log::new();
        let queue = log.open(small().ordered(ordered));
        let entries = full_of(&queue, &[4096]);
        for patience in [Duration::ZERO, PATIENCE] {
            let began = Instant::now();
            let written = queue.writen_timeout(b"late", WAIT, patience);
            assert_eq!(written, Err(Error::TimedOut));
            let entry = queue.getn_timeout(4, WAIT, patience);
            assert_eq!(entry.unwrap_err(), Error::TimedOut);
            assert!(began.elapsed() >= 2 * patience);
        }
        let stats = queue.stats();
        assert_eq!((stats.posted_records, stats.held), (0, 1));
        assert_eq!((stats.waits.writen_room, stats.waits.getn_room), (2, 2));
        post_all(entries);
        queue.flush().unwrap();
        // With room, no time is needed, and there may be any amount of it.
        for patience in [Duration::ZERO, PATIENCE, Duration::MAX] {
            queue.writen_timeout(b"w", TRY, patience).unwrap();
            queue.writen_timeout(b"w", WAIT, patience).unwrap();
            queue.getn_timeout(1, WAIT, patience).unwrap().post();
        }
        queue.close(None).unwrap();
        assert_eq!(log.bytes().len(), 4096 + 9);
    }
}

#[test]
fn a_wait_without_an_end_in_sight_ends_with_room() {
    let log = Log::new();
    let queue = log.open(small());
    let entries = full_of(&queue, &[4096]);
    let (_, one) = waiter(&queue, |queue| {
        queue.writen_timeout(b"w", WAIT, Duration::MAX)
    });
    let (_, two) = waiter(&queue, |queue| {
        let entry = queue.getn_timeout(1, WAIT, Duration::MAX);
        entry.map(Entry::post)
    });
    drop(entries);
    one.join().unwrap();
    two.join().unwrap();
}

#[test]
fn nowait_with_a_time_limit_is_refused_at_once() {
    let log = Log::new();
    let queue = log.open(small());
    let _entries = full_of(&queue, &[4096]);
    let handle = queue.clone();
    let hour = Duration::from_secs(3600);
    spawn(move || {
        let written = handle.writen_timeout(b"w", TRY, hour);
        assert_eq!(written, Err(Error::WouldBlock));
        let entry = handle.getn_timeout(1, TRY, hour);
        assert_eq!(entry.unwrap_err(), Error::WouldBlock);
    })
    .join();
    assert_eq!(waits(&queue), 0);
}

#[test]
fn room_that_comes_while_a_wait_times_out_goes_to_the_next_waiter() {
    let mut numbers = Numbers::new(5);
    for round in 0..120 {
        let log = Log::new();
        let queue = log.open(small().ordered(round % 2 == 0));
        let mut entries = full_of(&queue, &[1000, 3096]);
        let patience = Duration::from_micros(numbers.below(3000) as u64);
        let impatient = {
            let queue = queue.clone();
            spawn(move || queue.writen_timeout(&[b'i'; 1000], WAIT, patience))
        };
        let patient = {
            let queue = queue.clone();
            spawn(move || queue.writen(&[b'p'; 1000], WAIT))
        };
        wait_for("they wait", || waits(&queue) == 2);
        post_first(&mut entries);
        // The room is there once, for one of them.
        let outcome = impatient.join();
        if outcome.is_ok() {
            post_first(&mut entries);
        } else {
            assert_eq!(outcome, Err(Error::TimedOut));
        }
        patient.join().unwrap();
    }
}

#[test]
fn a_writer_waits_for_a_slow_descriptor_beyond_the_stall_limit() {
    for ordered in [false, true] {
        let (reader, writer) = pipe().unwrap();
        let filler = fill_up(&writer);
        let options = small().ordered(ordered).stall_limit(Some(STALLS_SOON));
        let queue = options.open_fd(&writer).unwrap();
        drop(writer);
        queue.writen(&[b'f'; 4096], TRY).unwrap();
        let (_, one) = waiter(&queue, writes(100));
        let (_, two) = waiter(&queue, writes(200));
        for _ in 0..3 {
            // Each of these lasts for the stall limit.
            let stalled = queue.flush().unwrap_err();
            assert!(matches!(stalled, Error::Stalled { .. }), "{stalled:?}");
        }
        assert!(one.is_running() && two.is_running());
        let bytes = read_all(reader);
        one.join().unwrap();
        two.join().unwrap();
        queue.close(None).unwrap();
        drop(queue);
        assert_eq!(bytes.join().len(), filler + 4096 + 300);
    }
}

#[test]
fn every_waiter_for_an_open_reservation_returns_after_the_stall_limit() {
    for ordered in [false, true] {
        let log = Log::new();
        let queue = log.open(small().ordered(ordered).stall_limit(Some(STALLS_SOON)));
        let entries = full_of(&queue, &[100, 3996]);
        let began = Instant::now();
        let threads = [
            waiter(&queue, writes(1)).1,
            waiter(&queue, |queue| queue.getn(1, WAIT).map(Entry::post)).1,
            waiter(&queue, |queue| {
                queue.writen_timeout(b"w", WAIT, crate::common::NEVER_STALLS)
            })
            .1,
        ];
        for thread in threads {
            match thread.join() {
                Err(Error::Held { position, age }) => {
                    assert_eq!(position.bytes(), 0);
                    assert!(age > Duration::ZERO);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(began.elapsed() >= STALLS_SOON);
        assert!(queue.stats().waits.longest >= STALLS_SOON);
        post_all(entries);
        queue.writen(b"w", WAIT).unwrap();
        queue.close(None).unwrap();
        assert_eq!(log.bytes().len(), 4097);
    }
}
