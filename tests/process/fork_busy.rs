//! A child that is forked while the queue's threads are in a callback, a sync or a recovery does
//! not hang, loses nothing and doubles nothing.
//!
//! Each test runs in a separate process that forks.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use crate::common::child::in_child;
use crate::common::fork::{End, fork, fork_raw};
use crate::common::sink::{Script, queue_to};
use crate::common::{DEADLINE, LATER, Log, TRY, WAIT, small};
use alq::{Error, Notify, Options, Status, SyncOp};

/// What a child of a busy parent can do: append to the log of its parent, and open a queue.
fn works(queue: &alq::Queue, own: &Log, told: impl Fn(Result<(), Error>) + Send + Sync + 'static) {
    queue.writen(b"child\n", WAIT).unwrap();
    let mine = own.open(Options::new());
    mine.writen(b"own\n", WAIT).unwrap();
    let synced = mine.fsync(SyncOp::Data).unwrap();
    synced.wait().unwrap();
    synced.notify(Notify::Callback(Box::new(told))).unwrap();
    mine.close(None).unwrap();
}

fn lines_of(log: &Log) -> Vec<String> {
    let mut lines: Vec<_> = log.text().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The parent's notifier thread runs a callback, and another callback waits. The child has a
/// separate notifier, which does not run the parent's callbacks.
#[test]
fn a_child_of_a_process_whose_notifier_is_in_a_callback() {
    in_child(
        "a_child_of_a_process_whose_notifier_is_in_a_callback",
        || {
            let (log, own) = (Log::new(), Log::new());
            let queue = log.open(small());
            queue.writen(b"parent\n", TRY).unwrap();
            let synced = queue.fsync(SyncOp::Data).unwrap();
            synced.wait().unwrap();
            let (entered, is_in) = channel();
            let (leave, may_leave) = channel::<()>();
            let may_leave = Mutex::new(may_leave);
            let runs = Arc::new(Mutex::new(0));
            let counted = Arc::clone(&runs);
            let first = move |_: Result<(), Error>| {
                entered.send(()).unwrap();
                may_leave.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            };
            synced.notify(Notify::Callback(Box::new(first))).unwrap();
            let second = move |_: Result<(), Error>| *counted.lock().unwrap() += 1;
            synced.notify(Notify::Callback(Box::new(second))).unwrap();
            is_in.recv_timeout(DEADLINE).unwrap();
            fork(End::WithHandlers, || {
                let (sender, receiver) = channel();
                works(&queue, &own, move |result| sender.send(result).unwrap());
                assert_eq!(receiver.recv_timeout(DEADLINE), Ok(Ok(())));
                assert_eq!(*runs.lock().unwrap(), 0, "that callback is the parent's");
            })
            .join();
            leave.send(()).unwrap();
            crate::common::wait_for("the second callback", || *runs.lock().unwrap() == 1);
            queue.close(None).unwrap();
            assert_eq!(lines_of(&log), ["child", "parent"]);
            assert_eq!(own.text(), "own\n");
        },
    );
}

/// The parent's sync thread is inside a sync when the parent forks.
#[test]
fn a_child_of_a_process_that_syncs() {
    in_child("a_child_of_a_process_that_syncs", || {
        let own = Log::new();
        let script = Script::new();
        let queue = queue_to(&script, small());
        script.shut_sync();
        queue.writen(b"parent\n", TRY).unwrap();
        let synced = queue.fsync(SyncOp::Data).unwrap();
        script.wait_for_sync(1);
        fork(End::WithHandlers, || {
            assert_eq!(synced.status(), Status::Done(Err(Error::Forked)));
            assert_eq!(queue.fsync(SyncOp::Data).unwrap_err(), Error::Forked);
            let mine = own.open(Options::new());
            mine.writen(b"own\n", WAIT).unwrap();
            mine.fsync(SyncOp::Data).unwrap().wait().unwrap();
            mine.close(None).unwrap();
        })
        .join();
        assert_eq!(synced.status(), Status::InProgress);
        script.open_sync();
        synced.wait().unwrap();
        queue.close(None).unwrap();
        assert_eq!(script.bytes(), b"parent\n");
        assert_eq!(own.text(), "own\n");
    });
}

/// The content of a ring file is still being written when the process forks: the parent writes it,
/// once.
#[test]
fn a_child_of_a_process_that_recovers() {
    in_child("a_child_of_a_process_that_recovers", || {
        let log = Log::new();
        let ring = log.path().with_extension("ring");
        let found: Vec<_> = (0..200).map(|n| format!("found {n:03}")).collect();
        let open = || small().capacity(1 << 16).ring_file(&ring);
        // A process that ends by `_exit` leaves what it has posted.
        fork(End::AtOnce, || {
            let queue = open().open(log.path()).unwrap();
            for line in &found {
                queue.writen(format!("{line}\n").as_bytes(), LATER).unwrap();
            }
        })
        .join();
        let queue = open().open(log.path()).unwrap();
        let appends = || {
            queue.writen(b"child\n", WAIT).unwrap();
            let refused = open().open(log.path()).unwrap_err();
            assert!(matches!(refused, Error::RingFile { .. }), "{refused}");
        };
        // The handlers of fork(3) wait for a moment until the parent has drained; the system call
        // does not.
        let one = |n| {
            if n % 2 == 0 {
                fork_raw(appends)
            } else {
                fork(End::WithHandlers, appends)
            }
        };
        let children: Vec<_> = (0..8).map(one).collect();
        children
            .into_iter()
            .for_each(crate::common::fork::Child::join);
        queue.close(None).unwrap();
        let lines = lines_of(&log);
        let of_children = lines.iter().filter(|line| *line == "child").count();
        assert_eq!(of_children, 8);
        let recovered: Vec<_> = lines.into_iter().filter(|line| line != "child").collect();
        assert_eq!(recovered, found);
    });
}
