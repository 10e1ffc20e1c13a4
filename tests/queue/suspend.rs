//! `suspend`, `status` and `fsync` do what POSIX says of `aio_suspend`, `aio_error` and
//! `aio_fsync`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::common::child::in_child;
use crate::common::sink::{Script, scripted, sync_error};
use crate::common::task::Task;
use crate::common::{DEADLINE, TRY, Watched, spawn, wait_for};
use alq::{Completion, Error, Level, Notify, Queue, Status, SyncOp, suspend};
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Longer than any step here takes, and finite, so that a failing test does not hang.
const LONG: Option<Duration> = Some(DEADLINE);

struct Gated {
    queue: Queue,
    script: Arc<Script>,
    completion: Completion,
}

impl Drop for Gated {
    fn drop(&mut self) {
        self.script.open_sync(); // or the drop of the queue would wait for it
    }
}

/// A completion that is in progress until the script's sync gate opens.
fn gated() -> Gated {
    let (queue, script) = scripted();
    script.shut_sync();
    queue.writen(b"record\n", TRY).unwrap();
    let completion = queue.fsync(SyncOp::Data).unwrap();
    script.wait_for_sync(1);
    Gated {
        queue,
        script,
        completion,
    }
}

/// Suspends on another thread, and waits until that thread sleeps.
fn suspended(list: Vec<Option<Completion>>) -> Watched<Result<(), Error>> {
    let (sender, receiver) = channel();
    let thread = spawn(move || {
        let list: Vec<_> = list.iter().map(Option::as_ref).collect();
        sender.send(Task::current()).unwrap();
        suspend(&list, LONG)
    });
    let task = receiver.recv().unwrap();
    wait_for("it sleeps", || !thread.is_running() || task.is_asleep());
    assert!(thread.is_running(), "nothing has completed");
    thread
}

/// The caller sleeps until one of the operations in the list has completed.
#[test]
fn it_returns_when_one_completes_and_the_others_go_on() {
    let all = [gated(), gated(), gated()]; // of different queues
    let list = all.iter().map(|one| Some(one.completion.clone())).collect();
    let thread = suspended(list);
    all[1].script.open_sync();
    assert_eq!(thread.join(), Ok(()));
    let status = all.each_ref().map(|one| one.completion.status());
    assert_eq!(
        status,
        [Status::InProgress, Status::Done(Ok(())), Status::InProgress]
    );
    all.iter().for_each(|one| one.script.open_sync());
    all.iter().for_each(|one| one.completion.wait().unwrap());
}

/// If an operation in the list has completed by the time of the call, it returns without sleeping.
#[test]
fn it_returns_at_once_if_one_has_completed() {
    let (done, busy) = (gated(), gated());
    done.script.open_sync();
    done.completion.wait().unwrap();
    for timeout in [None, Some(Duration::ZERO), LONG] {
        suspend(&[Some(&busy.completion), Some(&done.completion)], timeout).unwrap();
        suspend(&[Some(&done.completion), Some(&busy.completion)], timeout).unwrap();
    }
    assert_eq!(busy.completion.status(), Status::InProgress);
}

/// Null members of the list are ignored.
#[test]
fn none_is_ignored() {
    let one = gated();
    let thread = suspended(vec![None, Some(one.completion.clone()), None, None]);
    one.script.open_sync();
    assert_eq!(thread.join(), Ok(()));
    suspend(&[None, Some(&one.completion)], None).unwrap();
}

/// A failed operation has completed too: its status is then its error, and no longer "in progress".
#[test]
fn a_failed_member_has_completed() {
    let (one, busy) = (gated(), gated());
    one.script.fail_sync(5);
    let thread = suspended(vec![
        Some(busy.completion.clone()),
        Some(one.completion.clone()),
    ]);
    one.script.open_sync();
    assert_eq!(thread.join(), Ok(()));
    assert_eq!(one.completion.status(), Status::Done(Err(sync_error(5))));
    let elsewhere = busy.queue.completion(one.queue.position(), Level::Written);
    suspend(&[Some(&elsewhere), Some(&busy.completion)], None).unwrap();
}

/// A list without members contains nothing that could complete. POSIX leaves the result open; an
/// endless sleep would be useless.
#[test]
fn without_members_there_is_nothing_to_wait_for() {
    for timeout in [None, LONG] {
        assert_eq!(suspend(&[], timeout), Err(Error::NothingToWaitFor));
        assert_eq!(
            suspend(&[None, None], timeout),
            Err(Error::NothingToWaitFor)
        );
    }
}

/// If the time passes before any operation completes, it returns with an error, and not earlier.
#[test]
fn it_times_out_after_at_least_the_timeout() {
    let one = gated();
    for timeout in [0, 1, 20, 150].map(Duration::from_millis) {
        let began = Instant::now();
        let result = suspend(&[Some(&one.completion)], Some(timeout));
        assert_eq!(result, Err(Error::NoneCompleted));
        assert!(began.elapsed() >= timeout);
    }
    assert_eq!(one.completion.status(), Status::InProgress);
    one.script.open_sync();
    suspend(&[Some(&one.completion)], Some(Duration::MAX)).unwrap();
}

extern "C" fn handle(_: i32) {}

/// Suspends while another thread sends the signal again and again, until the call returns.
fn interrupted(restart: SaFlags) {
    let action = SigAction::new(SigHandler::Handler(handle), restart, SigSet::empty());
    #[expect(
        unsafe_code,
        reason = "nothing safe installs a handler without SA_RESTART"
    )]
    // SAFETY: the handler does nothing, which is safe in a signal handler.
    unsafe { sigaction(Signal::SIGUSR2, &action) }.unwrap();
    for timeout in [LONG, None] {
        let one = gated();
        let completion = one.completion.clone();
        let (sender, receiver) = channel();
        let thread = spawn(move || {
            sender.send(pthread_self() as usize).unwrap();
            suspend(&[Some(&completion)], timeout)
        });
        let target = receiver.recv().unwrap();
        wait_for("the interruption", || {
            // The thread is not yet joined, so it still exists.
            let _ = pthread_kill(target as Pthread, Signal::SIGUSR2);
            !thread.is_running()
        });
        assert_eq!(thread.join(), Err(Error::Interrupted));
        assert_eq!(one.completion.status(), Status::InProgress);
        one.script.open_sync();
        suspend(&[Some(&one.completion)], LONG).unwrap();
    }
}

/// A signal handler that runs during the sleep ends it with an error, and the operations continue.
#[test]
fn a_signal_handler_interrupts_it() {
    in_child("a_signal_handler_interrupts_it", || {
        interrupted(SaFlags::empty());
    });
}

/// The same holds if the handler was installed to restart system calls.
#[test]
fn a_signal_handler_with_sa_restart_interrupts_it_too() {
    let name = "a_signal_handler_with_sa_restart_interrupts_it_too";
    in_child(name, || interrupted(SaFlags::SA_RESTART));
}

/// The signal of a completion may itself end the sleep; the status tells the caller which it was.
#[test]
fn the_signal_of_a_member_ends_it_one_way_or_the_other() {
    in_child(
        "the_signal_of_a_member_ends_it_one_way_or_the_other",
        || {
            let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            #[expect(unsafe_code, reason = "nothing safe ignores a signal")]
            // SAFETY: ignoring a signal runs no handler.
            unsafe { sigaction(Signal::SIGUSR2, &action) }.unwrap();
            let one = gated();
            let signal = Notify::Signal {
                signo: Signal::SIGUSR2 as i32,
                value: 0,
            };
            one.completion.notify(signal).unwrap();
            let thread = suspended(vec![Some(one.completion.clone())]);
            one.script.open_sync();
            assert!(matches!(thread.join(), Ok(()) | Err(Error::Interrupted)));
            one.completion.wait().unwrap();
        },
    );
}

/// The list may name an operation more than once.
#[test]
fn the_same_completion_may_be_in_the_list_twice() {
    let (one, busy) = (gated(), gated());
    let twice = &one.completion;
    let soon = Some(Duration::from_millis(10));
    let list = [Some(twice), Some(&busy.completion), Some(twice)];
    assert_eq!(suspend(&list, soon), Err(Error::NoneCompleted));
    let list = list.map(Option::<&Completion>::cloned).to_vec();
    let thread = suspended(list);
    one.script.open_sync();
    assert_eq!(thread.join(), Ok(()));
}

/// Any number of threads may wait for one operation; all return when it completes.
#[test]
fn two_threads_suspended_on_one_completion_both_return() {
    let one = gated();
    let threads = [0, 1].map(|_| suspended(vec![Some(one.completion.clone())]));
    one.script.open_sync();
    for thread in threads {
        assert_eq!(thread.join(), Ok(()));
    }
}

/// The list may be long; any member that completes wakes the caller.
#[test]
fn one_of_a_thousand_members_is_enough() {
    let (busy, one) = (gated(), gated());
    let other = |_| busy.queue.fsync(SyncOp::Data).unwrap();
    for place in [0, 500, 999] {
        let mut list: Vec<_> = (0..1000).map(|n| Some(other(n))).collect();
        one.script.shut_sync();
        one.queue.writen(b"once more\n", TRY).unwrap();
        let last = one.queue.fsync(SyncOp::Data).unwrap();
        list[place] = Some(last);
        let thread = suspended(list);
        one.script.open_sync();
        assert_eq!(thread.join(), Ok(()));
    }
}

/// A call that has returned leaves nothing registered. Members that complete later wake no thread,
/// and another call may wait for them, also together with other members.
#[test]
fn it_can_be_called_again_for_the_members_that_are_left() {
    let all: Vec<_> = (0..20).map(|_| gated()).collect();
    let mut left: Vec<&Gated> = all.iter().collect();
    while let Some(next) = left.pop() {
        let list = |left: &[&Gated]| -> Vec<_> {
            left.iter()
                .map(|one| Some(one.completion.clone()))
                .collect()
        };
        let members = list(&left);
        let members: Vec<_> = members.iter().map(Option::as_ref).collect();
        let soon = Some(Duration::from_millis(1));
        if !members.is_empty() {
            assert_eq!(suspend(&members, soon), Err(Error::NoneCompleted));
        }
        let mut members = list(&left);
        members.push(Some(next.completion.clone()));
        let thread = suspended(members);
        next.script.open_sync();
        assert_eq!(thread.join(), Ok(()));
    }
}

/// A registration that stays would be woken later and would hold memory. So the subscribers of a
/// completion in progress do not grow in number; its debug form shows that.
#[test]
fn nothing_stays_subscribed() {
    let (one, busy) = (gated(), gated());
    let subscribers = || format!("{:?}", busy.completion).matches("Sleeper").count();
    let soon = Some(Duration::from_millis(1));
    for _ in 0..10 {
        let list = [Some(&busy.completion), Some(&busy.completion)];
        assert_eq!(suspend(&list, soon), Err(Error::NoneCompleted));
    }
    assert_eq!(subscribers(), 0);
    let thread = suspended(vec![
        Some(busy.completion.clone()),
        Some(one.completion.clone()),
    ]);
    assert!(subscribers() > 0, "the form shows them");
    one.script.open_sync();
    thread.join().unwrap();
    assert_eq!(subscribers(), 0);
    suspend(&[Some(&busy.completion), Some(&one.completion)], None).unwrap();
    assert_eq!(subscribers(), 0);
}

/// A request to sync returns before the sync is done. Its error status is "in progress" until
/// everything queued before the request is on disk.
#[test]
fn fsync_covers_what_was_queued_before_the_call() {
    let (queue, script) = scripted();
    script.shut_write();
    for _ in 0..10 {
        queue.writen(b"queued\n", TRY).unwrap();
    }
    let completion = queue.fsync(SyncOp::Full).unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let (theirs, synced) = (Arc::clone(&told), Arc::clone(&script));
    let callback = move |_| theirs.store(synced.synced(), Ordering::SeqCst);
    completion
        .notify(Notify::Callback(Box::new(callback)))
        .unwrap();
    assert_eq!(completion.status(), Status::InProgress);
    script.open_write();
    suspend(&[Some(&completion)], LONG).unwrap();
    assert_eq!(completion.status(), Status::Done(Ok(())));
    wait_for("the callback", || told.load(Ordering::SeqCst) == 70);
}
