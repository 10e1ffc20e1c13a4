//! fork(2) first writes what was posted, unless that would have to wait, and a child may make its
//! parent's queues its own.
//!
//! Each test runs in a separate process that forks.

use std::time::Duration;

use crate::common::child::in_child;
use crate::common::fork::{End, fork};
use crate::common::task::Task;
use crate::common::{LATER, Log, TRY, WAIT, append_to, filled, small, wait_for};
use alq::{AsyncAppend, Error, Level, Options, Status, SyncOp};

/// Options of a queue whose flusher does not look by itself during a test.
fn sluggish() -> Options {
    small().max_delay(Duration::from_secs(600))
}

#[test]
fn what_was_posted_before_a_fork_outlives_a_parent_that_ends_at_once() {
    in_child(
        "what_was_posted_before_a_fork_outlives_a_parent_that_ends_at_once",
        || {
            let log = Log::new();
            let parent = fork(End::AtOnce, || {
                let queue = log.open(sluggish());
                let mut lane = queue.lane();
                queue.writen(b"queue\n", LATER).unwrap();
                lane.writen(b"lane\n", LATER).unwrap();
                fork(End::AtOnce, || ()).join();
                // The parent of daemon(3) ends by `_exit` here: nothing of the library runs.
            });
            parent.join();
            let mut lines: Vec<_> = log.text().lines().map(str::to_owned).collect();
            lines.sort();
            assert_eq!(lines, ["lane", "queue"]);
        },
    );
}

#[test]
fn a_fork_does_not_wait_for_what_stands_still() {
    in_child("a_fork_does_not_wait_for_what_stands_still", || {
        let log = Log::new();
        let queue = log.open(small());
        let held = filled(&queue, 5, b'a');
        queue.writen(b"behind\n", WAIT).unwrap();
        fork(End::AtOnce, || ()).join();
        assert_eq!(log.text(), "", "an open entry is in front");
        held.post();
        queue.flush().unwrap();
        assert_eq!(log.text(), "aaaaabehind\n");
    });
}

#[test]
fn a_queue_that_a_child_reopens_is_its_own_for_all_handles() {
    in_child(
        "a_queue_that_a_child_reopens_is_its_own_for_all_handles",
        || {
            let (log, other) = (Log::new(), Log::new());
            let queue = log.open(small());
            let (clone, mut lane) = (queue.clone(), queue.lane());
            queue.writen(b"parent\n", WAIT).unwrap();
            lane.writen(b"parent's lane\n", WAIT).unwrap();
            let foreign = filled(&queue, 8, b'f');
            fork(End::WithHandlers, || {
                assert!(Task::named("alq-flusher").is_empty());
                let reopened = queue.reopen_path(log.path()).unwrap();
                assert_eq!(reopened.status(), Status::Done(Ok(())));
                wait_for("its flusher", || Task::named("alq-flusher").len() == 1);
                let position = clone.writen(b"copied\n", LATER).unwrap();
                assert_eq!(clone.position(), position);
                lane.writen(b"lane\n", TRY).unwrap();
                filled(&queue, 3, b'e').post();
                lane.queue()
                    .completion(position, Level::Written)
                    .wait()
                    .unwrap();
                queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
                foreign.post();
                let stats = clone.stats();
                assert_eq!((stats.written_records, stats.foreign), (3, 0));

                // A child of the child: the same once more, now of the child's queue.
                fork(End::WithHandlers, || {
                    clone.writen(b"grandchild\n", WAIT).unwrap();
                    queue.reopen(append_to(other.path())).unwrap();
                    clone.writen(b"elsewhere\n", LATER).unwrap();
                    fork(End::AtOnce, || {
                        queue.writen(b"behind\n", WAIT).unwrap();
                    })
                    .join();
                })
                .join();

                queue
                    .reopen(append_to(other.path()))
                    .unwrap()
                    .wait()
                    .unwrap();
                queue.writen(b"child\n", LATER).unwrap();
                clone.close(None).unwrap();
                assert_eq!(queue.writen(b"closed\n", WAIT), Err(Error::Closed));
                assert!(queue.reopen(append_to(other.path())).is_err());
            })
            .join();
            drop(lane);
            queue.writen(b"end\n", WAIT).unwrap();
            queue.close(None).unwrap();
            assert_eq!(
                log.text(),
                "parent\nparent's lane\ncopied\nlane\neeegrandchild\nend\n"
            );
            assert_eq!(other.text(), "elsewhere\nbehind\nchild\n");
        },
    );
}

#[test]
fn appenders_of_the_parent_are_asynchronous_again_once_a_child_enables_them() {
    in_child(
        "appenders_of_the_parent_are_asynchronous_again_once_a_child_enables_them",
        || {
            let log = Log::new();
            let file = append_to(log.path());
            alq::async_append::enable();
            let mut appender = AsyncAppend::new(&file);
            let mut other = AsyncAppend::new(&file);
            appender.write(b"parent\n").unwrap();
            fork(End::WithHandlers, || {
                appender.write(b"at once\n").unwrap();
                assert_eq!(log.text(), "parent\nat once\n");
                assert!(!appender.is_async());
                assert!(
                    AsyncAppend::new(&file).is_async(),
                    "one that the child makes"
                );
                alq::async_append::enable();
                appender.write(b"later\n").unwrap();
                assert!(appender.is_async());
                assert!(!other.is_async() && other.start());
                appender.flush().unwrap();
                assert_eq!(log.text(), "parent\nat once\nlater\n");
                appender.write(b"at the end\n").unwrap();
            })
            .join();
            appender.write(b"parent\n").unwrap();
            appender.flush().unwrap();
            assert!(log.text().ends_with("later\nat the end\nparent\n"));
        },
    );
}

/// A child of fork(2) has the thread-local lanes of the thread that forked. It uses none of them on
/// the queue of its parent, and has a lane of its own on a queue that it has reopened.
#[test]
fn a_child_has_no_lane_of_a_thread_of_its_parent() {
    in_child("a_child_has_no_lane_of_a_thread_of_its_parent", || {
        let (log, other) = (Log::new(), Log::new());
        let queue = log.open(small().thread_lanes(true));
        queue.writen(b"parent\n", WAIT).unwrap();
        queue.flush().unwrap();
        fork(End::WithHandlers, || {
            queue.writen(b"child\n", WAIT).unwrap();
            queue.writen(b"child\n", TRY).unwrap();
            assert_eq!(log.text(), "parent\nchild\nchild\n");
            queue.reopen(append_to(other.path())).unwrap();
            for _ in 0..3 {
                queue.writen(b"reopened\n", WAIT).unwrap();
                queue.writen(b"reopened\n", TRY).unwrap();
                assert_eq!(queue.stats().lanes, 1);
            }
            queue.close(None).unwrap();
        })
        .join();
        assert_eq!(other.text(), "reopened\n".repeat(6));
        queue.writen(b"parent again\n", WAIT).unwrap();
        queue.flush().unwrap();
        assert_eq!(log.text(), "parent\nchild\nchild\nparent again\n");
        assert_eq!((queue.stats().lanes, queue.stats().posted_records), (1, 2));
    });
}
