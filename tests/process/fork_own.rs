//! A child of fork(2) opens, drains and ends its own queues independently of its parent, and so
//! does its child.
//!
//! Each test runs in a separate process that forks.

use std::io;
use std::mem;
use std::process::Command;

use crate::common::LATER;
use crate::common::child::in_child;
use crate::common::fork::{End, fork};
use crate::common::task::Task;
use crate::common::{Log, TRY, WAIT, fill_up, filled, pipe, read_all, small};
use alq::{AsyncAppend, Error, Queue, SyncOp, shutdown};

#[test]
fn a_child_opens_queues_of_its_own_and_so_does_its_child() {
    in_child(
        "a_child_opens_queues_of_its_own_and_so_does_its_child",
        || {
            fn generation(depth: u32, inherited: &[Queue]) {
                let log = Log::new();
                let queue = log.open(small());
                let mut all = inherited.to_vec();
                all.push(queue.clone());
                queue.writen(b"before\n", LATER).unwrap();
                if depth < 3 {
                    fork(End::WithHandlers, || generation(depth + 1, &all)).join();
                }
                for queue in inherited {
                    queue.writen(format!("{depth}\n").as_bytes(), WAIT).unwrap();
                }
                queue.writen(b"after\n", LATER).unwrap();
                queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
                let flushers = Task::named("alq-flusher").len();
                assert_eq!(flushers, 1, "this process's");
                let deeper = ((depth + 1)..=3).rev().map(|depth| format!("{depth}\n"));
                let text: String = deeper.collect();
                // This process's flusher may have written its first line at any moment.
                let others = log.text().replacen("before\n", "", 1);
                assert_eq!(others, text + "after\n");
                // This line is for this process alone.
                shutdown(None).unwrap();
                assert_eq!(queue.writen(b"late\n", TRY), Err(Error::Closed));
                assert_eq!(small().open("/dev/null").unwrap_err(), Error::Closed);
                mem::forget(all);
            }
            generation(0, &[]);
        },
    );
}

#[test]
fn what_a_child_has_not_dropped_is_drained_when_it_ends() {
    in_child(
        "what_a_child_has_not_dropped_is_drained_when_it_ends",
        || {
            let (log, parent_log) = (Log::new(), Log::new());
            let parents = parent_log.open(small());
            parents.writen(b"pending\n", LATER).unwrap();
            let child = fork(End::WithHandlers, || {
                let queue = log.open(small());
                queue.writen(b"left\n", LATER).unwrap();
                mem::forget(queue);
            });
            child.join();
            assert_eq!(log.text(), "left\n");
            parents.flush().unwrap();
            assert_eq!(parent_log.text(), "pending\n");
        },
    );
}

#[test]
fn the_end_of_a_child_does_not_wait_for_what_holds_up_its_parent() {
    in_child(
        "the_end_of_a_child_does_not_wait_for_what_holds_up_its_parent",
        || {
            let (reader, writer) = pipe().unwrap();
            let filler = fill_up(&writer);
            let stuck = small().open_fd(&writer).unwrap();
            stuck.writen(b"stuck\n", TRY).unwrap();
            let log = Log::new();
            let queue = log.open(small());
            let held = filled(&queue, 5, b'h');
            queue.writen(b"behind\n", LATER).unwrap();
            for end in [End::AtOnce, End::WithHandlers] {
                fork(end, || {
                    assert_eq!(stuck.writen(b"x", TRY), Err(Error::WouldBlock));
                    stuck.flush().unwrap();
                    stuck.close(None).unwrap();
                    shutdown(None).unwrap();
                })
                .join();
            }
            drop(writer);
            held.post();
            queue.close(None).unwrap();
            assert_eq!(log.text(), "hhhhhbehind\n");
            let bytes = read_all(reader);
            stuck.close(None).unwrap();
            drop(stuck);
            assert_eq!(&bytes.join()[filler..], b"stuck\n");
        },
    );
}

#[test]
fn exec_inherits_no_descriptor() {
    in_child("exec_inherits_no_descriptor", || {
        let inherited = || {
            let list = Command::new("ls").args(["-l", "/proc/self/fd"]).output();
            let list = String::from_utf8(list.unwrap().stdout).unwrap();
            (list.lines().count(), list)
        };
        let (before, _) = inherited();
        alq::async_append::enable();
        let log = Log::new();
        let queue = log.open(small());
        queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
        let stderr = io::stderr();
        let mut appender = AsyncAppend::new(&stderr);
        appender.write(b"through its queue\n").unwrap();
        assert!(appender.is_async());
        let (after, list) = inherited();
        assert_eq!(after, before, "{list}");
        assert!(
            !list.contains("test.log") && !list.contains("alq"),
            "{list}"
        );
    });
}
