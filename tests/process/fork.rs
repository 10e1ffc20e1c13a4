//! A child of fork(2) appends synchronously and leaves everything of its parent unchanged; the
//! parent works as before.
//!
//! Each test runs in a separate process that forks.
#![allow(
    unsafe_code,
    reason = "what a child takes over from its parent, and what a signal does, is not safe"
)]

use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{mem, ptr};

use crate::common::child::in_child;
use crate::common::fork::{End, fork, fork_raw};
use crate::common::{LATER, append_to};
use crate::common::{Log, TRY, WAIT, filled, small};
use alq::{AsyncAppend, Error, Level, Notify, Options, Status, SyncOp, flush_all, suspend};

#[test]
fn a_child_appends_at_once_and_what_its_parent_has_posted_is_written_once_by_the_parent() {
    in_child(
        "a_child_appends_at_once_and_what_its_parent_has_posted_is_written_once_by_the_parent",
        || {
            alq::async_append::enable();
            for end in [End::AtOnce, End::WithHandlers] {
                let (log, fixed_log, other) = (Log::new(), Log::new(), Log::new());
                let queue = log.open(small());
                let fixed = fixed_log.open(Options::new().fixed(4, 10));
                let file = append_to(other.path());
                let mut appender = AsyncAppend::new(&file);
                appender.write(b"parent\n").unwrap();
                appender.flush().unwrap();
                let mut lane = queue.lane();
                queue.writen(b"pending\n", LATER).unwrap();
                lane.writen(b"lane\n", LATER).unwrap();
                let posted = queue.position();
                let child = fork(end, || {
                    let text = || log.text().replace("pending\n", "").replace("lane\n", "");
                    queue.writen(b"1\n", TRY).unwrap();
                    assert_eq!(text(), "1\n");
                    let position = queue.writen(b"2\n", WAIT).unwrap();
                    assert!(position.bytes() >= posted.bytes() + 4);
                    assert_eq!(queue.position(), position);
                    let mut entry = queue.getn(100, TRY).unwrap();
                    writeln!(entry, "{}", 3).unwrap();
                    assert_eq!(text(), "1\n2\n", "not before it is posted");
                    entry.post();
                    drop(filled(&queue, 10, b'x'));
                    writeln!(&queue, "{}", 4).unwrap();
                    queue.writen_timeout(b"5\n", WAIT, Duration::ZERO).unwrap();
                    assert_eq!(text(), "1\n2\n3\n4\n5\n");
                    let refused = queue.writen(&[0; 5000], TRY).unwrap_err();
                    assert!(matches!(refused, Error::TooLarge { max: 4096, .. }));
                    assert_eq!(queue.write_fixed(b"1", TRY), Err(Error::WrongMode));

                    lane.writen(b"6\n", TRY).unwrap();
                    assert_eq!(lane.position(), queue.position());
                    let mut entry = lane.getn(10, WAIT).unwrap();
                    writeln!(entry, "{}", 7).unwrap();
                    entry.post();
                    lane.seal();
                    let mut new = queue.lane();
                    writeln!(new, "{}", 8).unwrap();
                    drop(new);
                    assert_eq!(text(), "1\n2\n3\n4\n5\n6\n7\n8\n");

                    fixed.write_fixed(b"fix1", TRY).unwrap();
                    let mut entry = fixed.get(WAIT).unwrap();
                    entry.copy_from_slice(b"fix2");
                    entry.post();
                    assert_eq!(fixed_log.text(), "fix1fix2");

                    assert!(!appender.is_async());
                    appender.write(b"child\n").unwrap();
                    appender.flush().unwrap();
                    assert_eq!(other.text(), "parent\nchild\n");

                    queue.activate();
                    queue.flush().unwrap();
                    flush_all(None).unwrap();
                    let stats = queue.stats();
                    assert_eq!((stats.posted_bytes, stats.written_records), (16, 8));
                    queue.clone().close(None).unwrap();
                    assert_eq!(queue.writen(b"late\n", WAIT), Err(Error::Closed));
                    drop((queue.clone(), fixed.clone()));
                });
                child.join();
                appender.write(b"parent again\n").unwrap();
                lane.writen(b"lane again\n", LATER).unwrap();
                lane.seal();
                queue.writen(b"more\n", LATER).unwrap();
                queue.flush().unwrap();
                let text = log.text();
                // The parent's flusher may have written at any moment.
                let childs = text.replace("pending\n", "").replace("lane\n", "");
                assert!(childs.starts_with("1\n2\n3\n4\n5\n6\n7\n8\n"), "{text}");
                assert_eq!(text.matches("pending\n").count(), 1, "{text}");
                assert!(text.ends_with("lane again\nmore\n"), "{text}");
                assert_eq!(text.matches("lane\n").count(), 1, "{text}");
                appender.flush().unwrap();
                assert_eq!(other.text(), "parent\nchild\nparent again\n");
                assert_eq!(
                    queue.stats().posted_bytes,
                    29,
                    "the parent has noticed nothing"
                );
                queue.close(None).unwrap();
                assert_eq!(text, log.text());
            }
        },
    );
}

#[test]
fn an_entry_that_lives_across_a_fork_is_the_parents() {
    in_child("an_entry_that_lives_across_a_fork_is_the_parents", || {
        let log = Log::new();
        let queue = log.open(small());
        filled(&queue, 3000, b'.').post();
        queue.flush().unwrap();
        // One of them crosses the end of the ring: both views of it become private.
        let entries = [filled(&queue, 500, b'a'), filled(&queue, 1500, b'b')];
        let mut lane = queue.lane();
        let mut laned = lane.getn(100, TRY).unwrap();
        laned.fill(b'c');
        let child = fork(End::WithHandlers, || {
            // SAFETY: no other thread of this process uses the values.
            let mut laned = unsafe { ptr::read(&raw const laned) };
            // SAFETY: as above.
            let [mut first, mut second] = unsafe { ptr::read(&raw const entries) };
            first.fill(b'X');
            second.fill(b'Y');
            assert!(first.iter().all(|byte| *byte == b'X'));
            assert!(second.iter().all(|byte| *byte == b'Y'));
            write!(first, "text").unwrap();
            first.post();
            drop(second);
            laned.fill(b'Z');
            laned.post();
            assert_eq!(queue.stats().foreign, 3);
            assert_eq!(queue.stats().posted_bytes, 0);
        });
        child.join();
        let [first, second] = entries;
        assert!(first.iter().all(|byte| *byte == b'a'));
        assert!(second.iter().all(|byte| *byte == b'b'));
        assert!(laned.iter().all(|byte| *byte == b'c'));
        laned.post();
        second.post();
        first.post();
        queue.flush().unwrap();
        assert_eq!(
            log.bytes(),
            [
                vec![b'.'; 3000],
                vec![b'a'; 500],
                vec![b'b'; 1500],
                vec![b'c'; 100]
            ]
            .concat()
        );
        assert_eq!(queue.stats().foreign, 0);
    });
}

#[test]
fn completions_of_the_parent_fail_in_the_child_and_nothing_waits() {
    in_child(
        "completions_of_the_parent_fail_in_the_child_and_nothing_waits",
        || {
            let log = Log::new();
            let queue = log.open(small());
            let position = queue.writen(b"pending\n", LATER).unwrap();
            let held = filled(&queue, 1, b'h');
            let mut done = queue.fsync(SyncOp::Data).unwrap();
            done.wait().unwrap();
            queue.writen(b"behind\n", LATER).unwrap();
            let mut open = queue.completion(queue.position(), Level::Durable);
            let forked = Err(Error::Forked);
            let child = fork(End::WithHandlers, || {
                for completion in [&mut done, &mut open] {
                    assert_eq!(completion.status(), Status::Done(forked.clone()));
                    assert_eq!(completion.wait(), forked);
                    assert_eq!(completion.wait_timeout(Duration::ZERO), forked);
                    let mut context = Context::from_waker(Waker::noop());
                    let polled = std::pin::pin!(&mut *completion).poll(&mut context);
                    assert_eq!(polled, Poll::Ready(forked.clone()));
                    suspend(&[None, Some(completion)], None).unwrap();
                    let (sender, receiver) = mpsc::channel();
                    let callback = move |result| sender.send(result).unwrap();
                    completion
                        .notify(Notify::Callback(Box::new(callback)))
                        .unwrap();
                    assert_eq!(receiver.recv(), Ok(forked.clone()));
                    drop(completion.clone());
                }
                assert_eq!(queue.fsync(SyncOp::Full).unwrap_err(), Error::Forked);
                let position = queue.writen(b"child\n", WAIT).unwrap();
                let completion = queue.completion(position, Level::Written);
                assert_eq!(completion.wait(), forked);
            });
            child.join();
            assert_eq!(open.status(), Status::InProgress);
            held.post();
            open.wait().unwrap();
            queue.completion(position, Level::Durable).wait().unwrap();
        },
    );
}

#[test]
fn the_last_handle_is_dropped_in_the_child_and_nothing_happens() {
    in_child(
        "the_last_handle_is_dropped_in_the_child_and_nothing_happens",
        || {
            alq::async_append::enable();
            let (log, other) = (Log::new(), Log::new());
            let queue = log.open(small());
            let file = append_to(other.path());
            let mut appender = AsyncAppend::new(&file);
            queue.writen(b"pending\n", LATER).unwrap();
            appender.write(b"pending\n").unwrap();
            let completion = queue.completion(queue.position(), Level::Durable);
            let all = mem::ManuallyDrop::new((completion, queue, appender));
            let child = fork(End::WithHandlers, || {
                // SAFETY: no other thread of this process uses the values.
                drop(unsafe { ptr::read(&raw const *all) });
            });
            child.join();
            let (completion, queue, mut appender) = mem::ManuallyDrop::into_inner(all);
            completion.wait().unwrap();
            queue.writen(b"more\n", TRY).unwrap();
            appender.write(b"more\n").unwrap();
            drop((queue, appender));
            assert_eq!(log.text(), "pending\nmore\n");
            assert_eq!(other.text(), "pending\nmore\n");
        },
    );
}

#[test]
fn a_child_that_no_handler_knows_of_is_a_child_all_the_same() {
    in_child(
        "a_child_that_no_handler_knows_of_is_a_child_all_the_same",
        || {
            let log = Log::new();
            let queue = log.open(small());
            let held = filled(&queue, 5, b'h');
            queue.writen(b"pending\n", LATER).unwrap();
            fork_raw(|| {
                queue.writen(b"child\n", TRY).unwrap();
                assert_eq!(log.text(), "child\n");
                queue.flush().unwrap();
                queue.close(None).unwrap();
            })
            .join();
            held.post();
            queue.close(None).unwrap();
            assert_eq!(log.text(), "child\nhhhhhpending\n");
        },
    );
}

#[test]
fn a_queue_that_was_closed_is_closed_in_the_child() {
    in_child("a_queue_that_was_closed_is_closed_in_the_child", || {
        let log = Log::new();
        let queue = log.open(small());
        queue.close(None).unwrap();
        // A file that gets the number of its descriptor must not get its records.
        let other = Log::new();
        let _file = append_to(other.path());
        fork(End::WithHandlers, || {
            assert_eq!(queue.writen(b"late\n", WAIT), Err(Error::Closed));
            assert_eq!(queue.getn(1, TRY).unwrap_err(), Error::Closed);
        })
        .join();
        assert_eq!(log.text() + &other.text(), "");
    });
}
