//! A completion reports its result in every way: by polling, waiting, awaiting, a signal or a
//! callback, once and not too early.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::common::child::in_child;
use crate::common::sink::{Script, queue_to, scripted, sync_error};
use crate::common::task::Task;
use crate::common::{DEADLINE, STALLS_SOON, TRY, WAIT, small, spawn, wait_for};
use alq::{Completion, Error, Level, Notify, Operation, Queue, Status, SyncOp};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const DONE: Status = Status::Done(Ok(()));

/// A completion that is in progress until the script's sync gate opens.
fn gated() -> (Queue, Arc<Script>, Completion) {
    let (queue, script) = scripted();
    script.shut_sync();
    queue.writen(b"record\n", TRY).unwrap();
    let completion = queue.fsync(SyncOp::Data).unwrap();
    script.wait_for_sync(1);
    (queue, script, completion)
}

/// Counts how often it is woken; `Arc::strong_count` shows how many wakers are left.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(completion: &mut Completion, count: &Arc<Count>) -> Poll<Result<(), Error>> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(completion).poll(&mut Context::from_waker(&waker))
}

/// A future run by this thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_completion_can_be_awaited_in_any_executor() {
    let (queue, script, completion) = gated();
    let (ours, theirs) = (completion.clone(), completion.clone());
    let ours = spawn(move || block_on(ours));
    let theirs = spawn(move || pollster::block_on(theirs));
    assert_eq!(completion.status(), Status::InProgress);
    script.open_sync();
    assert_eq!(ours.join(), Ok(()));
    assert_eq!(theirs.join(), Ok(()));
    let append = async |record: &[u8]| {
        let position = queue.writen(record, WAIT)?;
        queue.completion(position, Level::Durable).await
    };
    for _ in 0..100 {
        block_on(append(b"awaited\n")).unwrap();
        pollster::block_on(append(b"awaited\n")).unwrap();
    }
    assert_eq!(script.synced(), 7 + 1600);
}

#[test]
fn a_task_is_woken_once_and_not_before_it_is_done() {
    let (queue, script, mut completion) = gated();
    let count = Arc::new(Count::default());
    assert!(poll(&mut completion, &count).is_pending());
    queue.writen(b"something moves\n", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(count.woken(), 0);
    script.open_sync();
    wait_for("the wake-up", || count.woken() == 1);
    assert_eq!(poll(&mut completion, &count), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut completion, &count), Poll::Ready(Ok(())), "again");
    assert_eq!(Arc::strong_count(&count), 1, "no waker is left");
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    assert_eq!(count.woken(), 1);
}

#[test]
fn the_last_waker_takes_the_place_of_the_one_before() {
    let (_queue, script, mut completion) = gated();
    let counts: [Arc<Count>; 2] = Default::default();
    for _ in 0..3 {
        for (n, count) in counts.iter().enumerate() {
            assert!(poll(&mut completion, count).is_pending());
            assert_eq!(Arc::strong_count(count), 2);
            assert_eq!(Arc::strong_count(&counts[1 - n]), 1);
        }
    }
    script.open_sync();
    wait_for("the wake-up", || counts[1].woken() == 1);
    assert_eq!(counts[0].woken(), 0);
}

#[test]
fn clones_that_are_polled_by_several_tasks_all_wake() {
    let (_queue, script, completion) = gated();
    let mut clones: Vec<_> = (0..8)
        .map(|_| (completion.clone(), Arc::default()))
        .collect();
    for (clone, count) in &mut clones {
        assert!(poll(clone, count).is_pending());
    }
    script.open_sync();
    for (clone, count) in &mut clones {
        wait_for("the wake-up", || count.woken() == 1);
        assert_eq!(poll(clone, count), Poll::Ready(Ok(())));
    }
}

#[test]
fn a_dropped_future_keeps_no_waker_and_takes_nothing_back() {
    let (_queue, script, completion) = gated();
    let (dropped, kept) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (mut one, mut other) = (completion.clone(), completion.clone());
    assert!(poll(&mut one, &dropped).is_pending());
    assert!(poll(&mut other, &kept).is_pending());
    drop(one);
    assert_eq!(Arc::strong_count(&dropped), 1);
    assert_eq!(Arc::strong_count(&kept), 2, "each takes back its own");
    script.open_sync();
    wait_for("the wake-up", || kept.woken() == 1);
    assert_eq!(dropped.woken(), 0);
    assert_eq!(script.synced(), 7);
}

/// A waker that holds a completion, like the waker of a task that has nothing else left.
struct Holds(#[expect(dead_code, reason = "it is dropped")] Completion);

impl Wake for Holds {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_hold_the_completion_that_it_waits_for() {
    let script = Script::new();
    let queue = queue_to(&script, small().stall_limit(Some(STALLS_SOON)));
    script.shut_sync();
    queue.writen(b"record\n", TRY).unwrap();
    let completion = queue.fsync(SyncOp::Data).unwrap();
    let polled = |completion: &mut Completion| {
        let waker = Waker::from(Arc::new(Holds(completion.clone())));
        let task = Pin::new(completion).poll(&mut Context::from_waker(&waker));
        assert!(task.is_pending());
    };
    let mut one = completion.clone();
    let dropped = spawn(move || {
        polled(&mut one);
        drop(one); // and with it, the last of the task
    });
    dropped.join();
    let mut other = completion.clone();
    let replaced = spawn(move || {
        polled(&mut other);
        polled(&mut other);
        other
    });
    let other = replaced.join();
    script.open_sync();
    other.wait().unwrap();
}

#[test]
fn the_status_goes_from_in_progress_to_done_and_stays() {
    let (queue, script, completion) = gated();
    assert_eq!(completion.status(), Status::InProgress);
    script.open_sync();
    completion.wait().unwrap();
    script.fail_sync(5);
    queue.writen(b"lost\n", TRY).unwrap();
    let failed = queue.fsync(SyncOp::Data).unwrap();
    failed.wait().unwrap_err();
    queue.close(None).unwrap();
    drop(queue);
    for _ in 0..3 {
        assert_eq!(completion.clone().status(), DONE);
        assert_eq!(completion.wait(), Ok(()));
        assert_eq!(failed.clone().status(), Status::Done(Err(sync_error(5))));
        assert_eq!(failed.wait_timeout(Duration::ZERO), Err(sync_error(5)));
    }
}

#[test]
fn wait_timeout_gives_up_after_the_time_and_the_completion_goes_on() {
    let (_queue, script, completion) = gated();
    for timeout in [Duration::ZERO, Duration::from_millis(30)] {
        let began = Instant::now();
        assert_eq!(completion.wait_timeout(timeout), Err(Error::TimedOut));
        assert!(began.elapsed() >= timeout);
        assert_eq!(completion.status(), Status::InProgress);
    }
    script.open_sync();
    completion.wait_timeout(DEADLINE).unwrap();
}

#[test]
fn wait_tells_that_nothing_moves_and_the_completion_goes_on() {
    let script = Script::new();
    let queue = queue_to(&script, small().stall_limit(Some(STALLS_SOON)));
    script.shut_sync();
    queue.writen(b"record\n", TRY).unwrap();
    let completion = queue.fsync(SyncOp::Data).unwrap();
    assert!(matches!(completion.wait(), Err(Error::Stalled { .. })));
    assert_eq!(completion.status(), Status::InProgress);
    let held = queue.getn(1, TRY).unwrap();
    let behind = queue.writen(b"behind\n", TRY).unwrap();
    let behind = queue.completion(behind, Level::Written);
    assert!(matches!(behind.wait(), Err(Error::Held { .. })));
    drop(held);
    behind.wait().unwrap();
    script.open_sync();
    completion.wait().unwrap();
}

#[test]
fn a_signal_carries_its_value_and_says_that_an_operation_is_done() {
    let name = "a_signal_carries_its_value_and_says_that_an_operation_is_done";
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR1);
    set.thread_block().unwrap(); // a child inherits it, and so do all of its threads
    in_child(name, || {
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK).unwrap();
        let (_queue, script, completion) = gated();
        let signal = |value| Notify::Signal {
            signo: Signal::SIGUSR1 as i32,
            value,
        };
        completion.notify(signal(0x1234_5678_9abc_def0)).unwrap();
        completion.notify(Notify::None).unwrap();
        assert!(
            signals.read_signal().unwrap().is_none(),
            "not before it is done"
        );
        script.open_sync();
        completion.wait().unwrap();
        let mut next = None;
        let mut got = |value: u64| {
            wait_for("the signal", || {
                next = signals.read_signal().unwrap();
                next.is_some()
            });
            let info = next.unwrap();
            assert_eq!(info.ssi_signo, Signal::SIGUSR1 as u32);
            assert_eq!((info.ssi_ptr, info.ssi_code), (value, libc_si_asyncio()));
            assert_eq!(info.ssi_pid, std::process::id());
        };
        got(0x1234_5678_9abc_def0);
        completion.notify(signal(7)).unwrap(); // it is done already, so the signal comes at once
        got(7);
        assert!(signals.read_signal().unwrap().is_none(), "one each");
    });
}

/// `SI_ASYNCIO`. Source: sigaction(2).
const fn libc_si_asyncio() -> i32 {
    -4
}

#[test]
fn a_number_that_is_no_signal_is_refused() {
    let (_queue, script, completion) = gated();
    script.open_sync();
    for _ in 0..2 {
        for signo in [i32::MIN, -1, 0, 65, i32::MAX] {
            let error = completion.notify(Notify::Signal { signo, value: 0 });
            let operation = Operation::Signal;
            assert_eq!(
                error,
                Err(Error::Io {
                    operation,
                    errno: 22,
                    target: alq::Target::default()
                })
            );
        }
        completion.wait().unwrap();
    }
}

/// Registers a callback for `completion`. Returns its argument and the name of its thread.
fn told(completion: &Completion) -> Receiver<(Result<(), Error>, String)> {
    let (sender, receiver) = channel();
    let callback = move |result| {
        sender.send((result, Task::current().name())).unwrap();
    };
    completion
        .notify(Notify::Callback(Box::new(callback)))
        .unwrap();
    receiver
}

#[test]
fn callbacks_run_once_on_the_notifier_thread_with_the_result() {
    let (queue, script, completion) = gated();
    let name = "alq-notifier".to_owned();
    let receivers: Vec<_> = (0..5).map(|_| told(&completion)).collect();
    assert!(receivers[0].try_recv().is_err(), "not before it is done");
    script.open_sync();
    for receiver in receivers {
        assert_eq!(
            receiver.recv_timeout(DEADLINE).unwrap(),
            (Ok(()), name.clone())
        );
        assert!(receiver.recv().is_err(), "it ran once, and is gone");
    }
    assert_eq!(
        told(&completion).recv_timeout(DEADLINE).unwrap(),
        (Ok(()), name.clone())
    );
    queue.close(None).unwrap();
    script.fail_sync(5);
    let (queue, script) = scripted();
    script.fail_sync(5);
    queue.writen(b"lost\n", TRY).unwrap();
    let failed = told(&queue.fsync(SyncOp::Data).unwrap()); // the handle goes at once
    let result = failed.recv_timeout(DEADLINE).unwrap();
    assert_eq!(result, (Err(sync_error(5)), name));
}

#[test]
fn a_callback_may_append_and_wait_on_its_own_queue_and_drop_the_last_handle() {
    let (queue, script, completion) = gated();
    let (sender, receiver) = channel();
    let last = Mutex::new(Some(queue));
    let callback = move |_| {
        let queue = last.lock().unwrap().take().unwrap();
        let position = queue.writen(b"from the callback\n", WAIT).unwrap();
        queue.completion(position, Level::Durable).wait().unwrap();
        queue.flush().unwrap();
        drop(queue);
        sender.send(()).unwrap();
    };
    completion
        .notify(Notify::Callback(Box::new(callback)))
        .unwrap();
    script.open_sync();
    receiver.recv_timeout(DEADLINE).unwrap();
    assert_eq!(script.bytes(), b"record\nfrom the callback\n");
}

/// Panics once more when it is dropped.
struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("this panic is dropped with a panic, as it was told");
    }
}

#[test]
fn a_panic_in_a_callback_does_not_stop_later_ones() {
    let (_queue, script, completion) = gated();
    completion
        .notify(Notify::Callback(Box::new(|_| panic!("as it was told"))))
        .unwrap();
    let second = told(&completion);
    script.open_sync();
    second.recv_timeout(DEADLINE).unwrap().0.unwrap();
    // In a separate process: the thread serves all tests of this one.
    in_child("a_panic_in_a_callback_does_not_stop_later_ones", || {
        let (queue, _script) = scripted();
        let done = queue.fsync(SyncOp::Data).unwrap();
        let callback = |_| std::panic::panic_any(PanicsAgain);
        done.notify(Notify::Callback(Box::new(callback))).unwrap();
        let second = told(&done).recv_timeout(DEADLINE);
        second.unwrap().0.unwrap();
    });
}
