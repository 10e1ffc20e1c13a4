//! A task that reserves is pending while there is no room, is woken when there is, and leaves
//! nothing registered if it is dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use crate::common::sink::{Script, queue_to};
use crate::common::{
    Log, Numbers, Record, TRY, WAIT, assert_complete, filled, parse, room_waits, small, spawn,
    wait_for,
};
use alq::{Entry, Error, Level, Operation, Options, Queue, Reserve};

/// Counts how often a task was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn told(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns whether no code holds its waker any more.
    fn is_alone(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }
}

fn poll<'q>(future: &mut Reserve<'q>, count: &Arc<Count>) -> Poll<Result<Entry<'q>, Error>> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

#[track_caller]
fn assert_pending(future: &mut Reserve<'_>, count: &Arc<Count>) {
    assert!(poll(future, count).is_pending());
}

#[track_caller]
fn ready<'q>(future: &mut Reserve<'q>, count: &Arc<Count>) -> Result<Entry<'q>, Error> {
    match poll(future, count) {
        Poll::Ready(reserved) => reserved,
        Poll::Pending => panic!("it is pending"),
    }
}

/// A queue whose sink accepts nothing yet, and whose ring is full.
fn full(options: Options) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.shut_write();
    let queue = queue_to(&script, options);
    queue.writen(&[b'#'; 4096], TRY).unwrap();
    (queue, script)
}

#[test]
fn a_task_is_woken_when_the_drain_makes_room() {
    let (queue, script) = full(small());
    let count = Count::new();
    let mut future = queue.reserve(10);
    assert_pending(&mut future, &count);
    assert_pending(&mut future, &count); // polled for no reason
    assert_eq!((count.told(), room_waits(&queue.stats())), (0, 1));
    script.open_write();
    wait_for("the task is told", || count.told() == 1);
    let mut entry = ready(&mut future, &count).unwrap();
    assert!(count.is_alone());
    entry.copy_from_slice(b"123456789\n");
    entry.post();
    drop(future);
    queue.flush().unwrap();
    assert!(script.bytes().ends_with(b"##123456789\n"));
    assert_eq!(queue.stats().refused_records, 0);
}

#[test]
fn a_task_is_woken_by_a_give_back_only_if_the_room_suffices() {
    let log = Log::new();
    let queue = log.open(small());
    let first = filled(&queue, 4000, b'#');
    let second = filled(&queue, 96, b'#');
    let (small_one, large_one) = (Count::new(), Count::new());
    let (mut small_room, mut large_room) = (queue.reserve(96), queue.reserve(97));
    assert_pending(&mut small_room, &small_one);
    assert_pending(&mut large_room, &large_one);
    drop(second); // given back
    wait_for("the one that fits is told", || small_one.told() == 1);
    let entry = ready(&mut small_room, &small_one).unwrap();
    assert_eq!(large_one.told(), 0);
    entry.post();
    first.post();
    wait_for("the other is told", || large_one.told() > 0);
    ready(&mut large_room, &large_one).unwrap().post();
    queue.close(None).unwrap();
    assert_eq!(log.bytes().len(), 4000 + 96 + 97);
}

#[test]
fn a_future_dropped_while_pending_leaves_nothing_registered() {
    for ordered in [false, true] {
        let (queue, script) = full(small().ordered(ordered));
        let count = Count::new();
        let mut futures: Vec<_> = (0..100).map(|_| queue.reserve(4096)).collect();
        for future in &mut futures {
            assert_pending(future, &count);
        }
        assert!(!count.is_alone());
        drop(futures);
        assert!(count.is_alone());
        let other = Count::new();
        let mut kept = queue.reserve(1);
        assert_pending(&mut kept, &other);
        script.open_write();
        wait_for("the one that is left is told", || other.told() == 1);
        assert_eq!(count.told(), 0);
        drop(ready(&mut kept, &other));
        queue.flush().unwrap();
        // All of the room is there.
        queue.writen(&[b'.'; 4096], TRY).unwrap();
        queue.close(None).unwrap();
        let stats = queue.stats();
        assert_eq!((stats.posted_bytes, stats.written_bytes), (8192, 8192));
        assert_eq!((stats.held, stats.refused_records), (0, 0));
    }
}

#[test]
fn a_woken_task_that_is_not_polled_delays_no_other() {
    for ordered in [false, true] {
        let (queue, script) = full(small().ordered(ordered));
        let count = Count::new();
        let mut idle = queue.reserve(4096);
        assert_pending(&mut idle, &count);
        let handle = queue.clone();
        let writer = spawn(move || handle.writen(&[b'w'; 4096], WAIT).map(drop));
        script.open_write();
        writer.join().unwrap();
        pollster::block_on(queue.reserve(4096)).unwrap().post();
        drop(idle);
        queue.close(None).unwrap();
    }
}

#[test]
fn on_an_ordered_queue_threads_that_wait_come_first() {
    let (queue, script) = full(small().ordered(true));
    let handle = queue.clone();
    let writer = spawn(move || handle.writen(&[b'w'; 4096], WAIT).map(drop));
    wait_for("the thread waits", || room_waits(&queue.stats()) == 1);
    let task = pollster_thread(&queue, b't');
    wait_for("the task waits", || room_waits(&queue.stats()) == 2);
    script.open_write();
    writer.join().unwrap();
    task.join().unwrap();
    queue.close(None).unwrap();
    assert_eq!(script.bytes()[4096], b'w');
    assert_eq!(script.bytes()[8192..], [b't'; 100]);
}

fn pollster_thread(queue: &Queue, letter: u8) -> crate::common::Watched<Result<(), Error>> {
    let queue = queue.clone();
    spawn(move || {
        let mut entry = pollster::block_on(queue.reserve(100))?;
        entry.fill(letter);
        entry.post();
        Ok(())
    })
}

#[test]
fn a_task_is_woken_by_a_close_and_by_a_failure() {
    let (queue, script) = full(small());
    let count = Count::new();
    let mut future = queue.reserve(1);
    assert_pending(&mut future, &count);
    script.fail_write(libc::EIO);
    script.open_write();
    wait_for("the task is told of the failure", || count.told() == 1);
    let failed = Error::Io {
        operation: Operation::Write,
        errno: libc::EIO,
        target: alq::Target::default(),
    };
    assert_eq!(ready(&mut future, &count).unwrap_err(), failed);

    let (queue, script) = full(small());
    let count = Count::new();
    let mut future = queue.reserve(1);
    assert_pending(&mut future, &count);
    let handle = queue.clone();
    let closer = spawn(move || handle.close(None));
    wait_for("the task is told of the close", || count.told() == 1);
    assert_eq!(ready(&mut future, &count).unwrap_err(), Error::Closed);
    script.open_write();
    closer.join().unwrap();
    assert!(count.is_alone());
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn a_waker_that_panics_harms_neither_the_queue_nor_the_others() {
    let (queue, script) = full(small());
    let panics = Waker::from(Arc::new(Panics));
    let mut context = Context::from_waker(&panics);
    let mut first = queue.reserve(10);
    assert!(Pin::new(&mut first).poll(&mut context).is_pending());
    let count = Count::new();
    let mut second = queue.reserve(10);
    assert_pending(&mut second, &count);
    let position = queue.position();
    let mut written = queue.completion(position, Level::Written);
    assert!(Pin::new(&mut written).poll(&mut context).is_pending());
    let mut other = queue.completion(position, Level::Written);
    let told = Count::new();
    let waker = Waker::from(Arc::clone(&told));
    assert!(
        Pin::new(&mut other)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    script.open_write();
    wait_for("the task behind it is told", || count.told() == 1);
    wait_for("so is the one that waits for the write", || {
        told.told() == 1
    });
    ready(&mut second, &count).unwrap().post();
    drop(first);
    queue.close(None).unwrap();
    assert_eq!(queue.stats().last_error, None);
}

#[test]
fn impossible_requests_fail_at_once() {
    let log = Log::new();
    let queue = log.open(small());
    let error = |queue: &Queue, len| pollster::block_on(queue.reserve(len)).unwrap_err();
    assert_eq!(error(&queue, 0), Error::InvalidLength { len: 0 });
    let too_large = Error::TooLarge {
        len: 4097,
        max: 4096,
    };
    assert_eq!(error(&queue, 4097), too_large);
    let fixed = Log::new().open(small().fixed(8, 4));
    assert_eq!(error(&fixed, 8), Error::WrongMode);
}

/// Tasks and threads on a ring that is always full; some tasks give up before they have their room.
#[test]
fn under_load_every_record_is_there_once() {
    const EACH: u32 = 2000;
    for ordered in [false, true] {
        let log = Log::new();
        let queue = log.open(small().ordered(ordered));
        thread::scope(|scope| {
            for writer in 0..4 {
                let queue = &queue;
                scope.spawn(move || {
                    let mut numbers = Numbers::new(writer);
                    for seq in 0..EACH {
                        let len = Record::MIN_LEN + numbers.below(500);
                        let text = Record { writer, seq, len }.text();
                        if writer == 0 {
                            queue.writen(text.as_bytes(), WAIT).unwrap();
                            continue;
                        }
                        let gives_up = numbers.below(4) == 0;
                        if gives_up {
                            drop(poll(&mut queue.reserve(len), &Count::new()));
                        }
                        let mut entry = pollster::block_on(queue.reserve(len)).unwrap();
                        entry.copy_from_slice(text.as_bytes());
                        entry.post();
                    }
                });
            }
        });
        queue.close(None).unwrap();
        assert_complete(&parse(&log.bytes()), &[EACH; 4]);
        assert!(room_waits(&queue.stats()) > 0);
    }
}
