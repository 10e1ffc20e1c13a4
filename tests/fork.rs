//! Children of fork(2): they append synchronously and leave everything of their parent's alone; the parent notices
//! nothing.
//!
//! Each test has a process of its own that forks. `ALQ_FORKS` says how many children are made under load: 200, if it
//! does not.
#![allow(unsafe_code, reason = "fork(2) has no safe form")]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, exit};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{mem, ptr, thread};

use alq::{
    AsyncAppend, Error, Flags, Level, Notify, Operation, Options, Queue, Sink, Status, SyncOp,
    flush_all, shutdown, suspend,
};
use common::child::in_child;
use common::sink::{Script, queue_to};
use common::task::Task;
use common::{
    DEADLINE, Log, NEVER_STALLS, Numbers, Record, TRY, WAIT, fill_up, filled, nonblocking, parse,
    pipe, read_all, small, spawn, wait_for,
};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Posts that nobody would write before a flush.
const LATER: Flags = TRY.union(Flags::NOACTIVATE);

/// How a child ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// `_exit(2)`: no handler runs.
    AtOnce,
    /// `exit(3)`.
    WithHandlers,
}

/// A child that is waited for.
#[must_use]
struct Child(libc::pid_t);

/// Makes a child that runs `body` and ends.
fn fork(end: End, body: impl FnOnce()) -> Child {
    // SAFETY: the child runs `body` and ends. It has one thread, of which it needs no more than this library says.
    match unsafe { libc::fork() } {
        0 => run(end, body),
        pid => started(pid),
    }
}

/// The same by the system call, past the handlers of the C library.
fn fork_raw(body: impl FnOnce()) -> Child {
    // SAFETY: as above.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
        0 => run(End::AtOnce, body),
        pid => started(pid as libc::pid_t),
    }
}

fn started(pid: libc::pid_t) -> Child {
    assert!(pid > 0, "{}", io::Error::last_os_error());
    Child(pid)
}

fn run(end: End, body: impl FnOnce()) -> ! {
    let code = i32::from(catch_unwind(AssertUnwindSafe(body)).is_err());
    if end == End::WithHandlers {
        exit(code);
    }
    // SAFETY: it ends this process, and nothing else.
    unsafe { libc::_exit(code) }
}

impl Child {
    /// Fails unless it comes to its end, and to a good one.
    #[track_caller]
    fn join(self) {
        let end = Instant::now() + DEADLINE;
        let mut status = 0;
        loop {
            // SAFETY: the pointer is to one status.
            match unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) } {
                0 if Instant::now() > end => {
                    // SAFETY: a child that was not waited for keeps its number.
                    unsafe { libc::kill(self.0, libc::SIGKILL) };
                    panic!("the child hangs");
                }
                0 => thread::sleep(Duration::from_micros(200)),
                _ => break,
            }
        }
        assert_eq!(status, 0, "the child has failed");
    }
}

fn append_to(path: impl AsRef<Path>) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}

fn io_error(errno: i32) -> Error {
    Error::Io {
        operation: Operation::Write,
        errno,
    }
}

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
                assert!(text.contains("1\n2\n3\n4\n5\n6\n7\n8\n"), "{text}");
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
        // One of them lies over the end of the ring: both views of it are made private.
        let entries = [filled(&queue, 500, b'a'), filled(&queue, 1500, b'b')];
        let mut lane = queue.lane();
        let mut laned = lane.getn(100, TRY).unwrap();
        laned.fill(b'c');
        let child = fork(End::WithHandlers, || {
            // SAFETY: the values of this process are used by nobody else.
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
                assert!(log.text().contains(&text), "{}", log.text());
                assert_eq!(log.text().replace(&text, ""), "before\nafter\n");
                // It is for this process alone.
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
            let stuck = small().from_fd(&writer).unwrap();
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
                // SAFETY: the values of this process are used by nobody else.
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
        // Whoever gets the number of its descriptor must not get its records.
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

/// A sink that ends in a descriptor, and says so or not.
struct Ends {
    file: File,
    says_so: bool,
}

impl Sink for Ends {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.file).write_vectored(runs)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.says_so.then(|| self.file.as_fd())
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_of_the_caller_is_not_called_in_the_child() {
    in_child("a_sink_of_the_caller_is_not_called_in_the_child", || {
        for says_so in [false, true] {
            let log = Log::new();
            let file = append_to(log.path());
            let queue = small().to_sink(Arc::new(Ends { file, says_so })).unwrap();
            let expected = if says_so { Ok(()) } else { Err(Error::Forked) };
            fork(End::WithHandlers, || {
                assert_eq!(queue.writen(b"child\n", WAIT).map(drop), expected);
                filled(&queue, 3, b'e').post(); // a post cannot fail; it is counted
                let lost = if says_so { 0 } else { 3 };
                assert_eq!(queue.stats().lost_bytes, lost);
            })
            .join();
            assert_eq!(log.text(), if says_so { "child\neee" } else { "" });
        }
        let script = Script::new();
        let queue = queue_to(&script, small());
        fork(End::AtOnce, || {
            assert_eq!(queue.writen(b"x", TRY), Err(Error::Forked));
        })
        .join();
    });
}

fn default_action(signo: libc::c_int) {
    // SAFETY: it sets what a signal does to what it does by default.
    unsafe { libc::signal(signo, libc::SIG_DFL) };
}

#[test]
fn a_synchronous_append_raises_no_signal() {
    in_child("a_synchronous_append_raises_no_signal", || {
        let (reader, writer) = pipe().unwrap();
        let broken = small().from_fd(&writer).unwrap();
        let broken_fd = writer.as_fd().try_clone_to_owned().unwrap();
        let log = Log::new();
        let queue = log.open(small());
        drop(reader);
        fork(End::AtOnce, || {
            default_action(libc::SIGPIPE);
            default_action(libc::SIGXFSZ);
            assert_eq!(broken.writen(b"x", TRY), Err(io_error(libc::EPIPE)));
            assert_eq!(broken.writen(b"x", WAIT), Err(io_error(libc::EPIPE)));
            let mut appender = AsyncAppend::new(&broken_fd);
            assert_eq!(appender.write(b"x"), Err(io_error(libc::EPIPE)));
            let limit = Rlimit {
                current: Some(3),
                maximum: Some(3),
            };
            setrlimit(Resource::Fsize, limit).unwrap();
            queue.writen(b"abc", TRY).unwrap();
            assert_eq!(queue.writen(b"d", TRY), Err(io_error(libc::EFBIG)));
            assert_eq!(queue.writen(b"d", WAIT), Err(io_error(libc::EFBIG)));
        })
        .join();
        assert_eq!(log.text(), "abc");
    });
}

#[test]
fn a_child_waits_for_a_descriptor_that_is_in_nonblocking_mode() {
    in_child(
        "a_child_waits_for_a_descriptor_that_is_in_nonblocking_mode",
        || {
            let (reader, writer) = pipe().unwrap();
            let filler = fill_up(&writer);
            let queue = Options::new().from_fd(nonblocking(&writer)).unwrap();
            drop(writer);
            let record: Vec<u8> = (0..500_000_u32).map(|i| (i * 7 + i / 251) as u8).collect();
            let child = fork(End::AtOnce, || {
                assert_eq!(queue.writen(b"x", TRY), Err(Error::WouldBlock));
                queue.writen(&record, WAIT).unwrap();
            });
            drop(queue); // this process's
            let bytes = read_all(reader);
            child.join();
            assert!(bytes.join()[filler..] == record, "the bytes differ");
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

const WRITERS: usize = 2;

fn forks() -> u32 {
    let forks = std::env::var("ALQ_FORKS").map(|text| text.parse().unwrap());
    forks.unwrap_or(200)
}

/// Appends until it is told to stop; says how many records that were.
fn write_until(queue: &Queue, writer: usize, stop: &AtomicBool) -> u32 {
    let mut numbers = Numbers::new(writer);
    let mut lane = queue.lane();
    let mut seq = 0;
    while !stop.load(Ordering::Relaxed) {
        let len = Record::MIN_LEN + numbers.below(200);
        let text = Record { writer, seq, len }.text();
        if writer == WRITERS - 1 {
            lane.writen(text.as_bytes(), WAIT).unwrap(); // an order of its own
        } else if numbers.below(2) == 0 {
            queue.writen(text.as_bytes(), WAIT).unwrap();
        } else {
            let mut entry = queue.getn(len + numbers.below(100), WAIT).unwrap();
            write!(entry, "{text}").unwrap();
            entry.post();
        }
        seq += 1;
        if numbers.below(20) == 0 {
            thread::sleep(Duration::from_micros(50)); // the load is to last, not to fill the disk
        }
    }
    seq
}

/// Takes every lock that there is, over and over.
fn take_locks(queue: &Queue, stop: &AtomicBool) {
    let log = Log::new();
    let mut turn = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let completion = queue.completion(queue.position(), Level::Written);
        let _ = completion.notify(Notify::Callback(Box::new(drop)));
        let _ = queue.flush();
        let _ = (queue.stats(), flush_all(None));
        if turn % 16 == 0 {
            let _ = queue
                .fsync(SyncOp::Data)
                .and_then(|completion| completion.wait());
            let other = log.open(small());
            let _ = other.writen(b"x", TRY);
        }
        turn += 1;
    }
}

/// What each child does: an append by the parent's handle, and all of a queue of its own.
fn live(queue: &Queue, text: &str, number: u32, folder: &Path) {
    if number % 2 == 0 {
        queue.writen(text.as_bytes(), WAIT).unwrap();
    } else {
        let mut entry = queue.getn(text.len(), TRY).unwrap();
        entry.copy_from_slice(text.as_bytes());
        entry.post();
    }
    queue.flush().unwrap();
    drop(queue.stats());
    if number % 4 == 0 {
        let own = small().open(folder.join(number.to_string())).unwrap();
        own.writen(b"own\n", LATER).unwrap();
        own.completion(own.position(), Level::Durable)
            .wait()
            .unwrap();
        own.writen(b"end\n", LATER).unwrap();
        if number % 8 == 0 {
            mem::forget(own);
        }
    }
}

#[test]
fn children_under_load_lose_nothing_double_nothing_and_do_not_hang() {
    in_child(
        "children_under_load_lose_nothing_double_nothing_and_do_not_hang",
        || {
            let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
            let options = Options::new().capacity(1 << 14);
            let queue = log.open(options.stall_limit(Some(NEVER_STALLS)));
            let stop = Arc::new(AtomicBool::new(false));
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (queue, stop) = (queue.clone(), Arc::clone(&stop));
                    spawn(move || write_until(&queue, writer, &stop))
                })
                .collect();
            let locks = {
                let (queue, stop) = (queue.clone(), Arc::clone(&stop));
                spawn(move || take_locks(&queue, &stop))
            };
            for number in 0..forks() {
                let record = Record {
                    writer: WRITERS,
                    seq: number,
                    len: 100,
                };
                let text = record.text();
                let end = if number % 3 == 0 {
                    End::AtOnce
                } else {
                    End::WithHandlers
                };
                let held = queue.getn(10, WAIT).unwrap();
                let completion = queue.completion(queue.position(), Level::Written);
                let child = fork(end, || {
                    assert_eq!(completion.status(), Status::Done(Err(Error::Forked)));
                    drop(completion.clone());
                    live(&queue, &text, number, folder.path());
                });
                drop(held);
                child.join();
                if number % 4 == 0 {
                    let own = fs::read_to_string(folder.path().join(number.to_string())).unwrap();
                    let whole = end == End::WithHandlers || number % 8 != 0;
                    let expected = if whole { "own\nend\n" } else { "own\n" };
                    assert!(own.starts_with(expected), "{number}: {own:?}");
                    fs::remove_file(folder.path().join(number.to_string())).unwrap();
                }
            }
            stop.store(true, Ordering::Relaxed);
            let mut counts: Vec<u32> = writers.into_iter().map(common::Watched::join).collect();
            locks.join();
            queue.close(None).unwrap();
            counts.push(forks());
            common::assert_complete(&parse(&log.bytes()), &counts);
        },
    );
}

#[test]
fn a_process_may_fork_and_exec_while_it_appends() {
    in_child("a_process_may_fork_and_exec_while_it_appends", || {
        let log = Log::new();
        let queue = log.open(small());
        let stop = Arc::new(AtomicBool::new(false));
        let posted = Arc::new(AtomicU64::new(0));
        let writer = {
            let (queue, stop, posted) = (queue.clone(), Arc::clone(&stop), Arc::clone(&posted));
            spawn(move || {
                let count = write_until(&queue, 0, &stop);
                posted.store(u64::from(count), Ordering::Relaxed);
                count
            })
        };
        for _ in 0..20 {
            assert!(Command::new("true").status().unwrap().success());
        }
        wait_for("load", || queue.stats().posted_records > 100);
        stop.store(true, Ordering::Relaxed);
        let count = writer.join();
        queue.close(None).unwrap();
        common::assert_complete(&parse(&log.bytes()), &[count]);
    });
}
