//! A child of fork(2) writes to the right file, waits only as long as it must, and raises no
//! signal.
//!
//! Each test runs in a separate process that forks.
#![allow(
    unsafe_code,
    reason = "what a child takes over from its parent, and what a signal does, is not safe"
)]

use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use crate::common::append_to;
use crate::common::child::in_child;
use crate::common::fork::{End, fork};
use crate::common::sink::{Script, queue_to};
use crate::common::{Log, TRY, WAIT, fill_up, filled, nonblocking, pipe, read_all, small};
use alq::{AsyncAppend, Error, FileSink, Operation, Options, Sink, SyncOp};
use rustix::process::{Resource, Rlimit, setrlimit};

fn io_error(errno: i32) -> Error {
    Error::Io {
        operation: Operation::Write,
        errno,
        target: alq::Target::default(),
    }
}

/// A sink over a descriptor, which it may or may not report.
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

/// A sink that passes its bytes on to a file.
struct Wraps(FileSink);

impl Sink for Wraps {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(runs)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.0)
    }
}

#[test]
fn a_child_appends_to_the_file_that_a_sink_wraps() {
    in_child("a_child_appends_to_the_file_that_a_sink_wraps", || {
        let log = Log::new();
        let file = FileSink::new(append_to(log.path()).into()).unwrap();
        let queue = small().open_sink(Wraps(file)).unwrap();
        fork(End::WithHandlers, || {
            queue.writen(b"child\n", WAIT).unwrap();
        })
        .join();
        queue.close(None).unwrap();
        assert_eq!(log.text(), "child\n");
    });
}

#[test]
fn a_sink_of_the_caller_is_not_called_in_the_child() {
    in_child("a_sink_of_the_caller_is_not_called_in_the_child", || {
        for says_so in [false, true] {
            let log = Log::new();
            let file = append_to(log.path());
            let queue = small().open_sink(Arc::new(Ends { file, says_so })).unwrap();
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
            assert_eq!(queue.writen(b"12", TRY), Err(Error::Forked));
            assert!(queue.writen(&[b'x'; 5000], TRY).is_err());
            let refused = queue.stats().refused;
            assert_eq!((refused.forked.records, refused.forked.bytes), (1, 2));
            assert_eq!(refused.too_large.records, 1);
        })
        .join();
        assert_eq!(queue.stats().refused_records, 0, "that of the parent");
    });
}

#[test]
fn an_error_in_a_child_names_the_log() {
    in_child("an_error_in_a_child_names_the_log", || {
        let full = "/dev/full";
        let queue = small().open(full).unwrap();
        let (file, synchronous) = (append_to(full), append_to(full));
        let mut appender = AsyncAppend::new(&synchronous);
        let of_descriptor = small().open_fd(&file).unwrap();
        fork(End::AtOnce, || {
            let why = "cannot be written: No space left on device (os error 28)";
            let number = |file: &File| format!("descriptor {}", file.as_raw_fd());
            for (error, name) in [
                (queue.writen(b"x", WAIT).unwrap_err(), full.to_owned()),
                (of_descriptor.writen(b"x", TRY).unwrap_err(), number(&file)),
                (appender.write(b"x").unwrap_err(), number(&synchronous)),
            ] {
                let text = error.to_string();
                assert!(text.starts_with(&format!("{name}: {why}")), "{text}");
            }
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
        let broken = small().open_fd(&writer).unwrap();
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
            let queue = Options::new().open_fd(nonblocking(&writer)).unwrap();
            drop(writer);
            let record: Vec<u8> = (0..500_000_u32).map(|i| (i * 7 + i / 251) as u8).collect();
            let (mut was_refused, mut tell) = pipe().unwrap();
            let child = fork(End::AtOnce, || {
                assert_eq!(queue.writen(b"x", TRY), Err(Error::WouldBlock));
                tell.write_all(b".").unwrap();
                queue.writen(&record, WAIT).unwrap();
            });
            drop(queue); // this process's
            drop(tell);
            was_refused.read_exact(&mut [0]).unwrap(); // the pipe is full until then
            let bytes = read_all(reader);
            child.join();
            assert!(bytes.join()[filler..] == record, "the bytes differ");
        },
    );
}

#[test]
fn a_child_appends_to_the_file_that_its_parent_has_reopened() {
    in_child(
        "a_child_appends_to_the_file_that_its_parent_has_reopened",
        || {
            let (old, new) = (Log::new(), Log::new());
            let queue = old.open(small());
            queue.writen(b"old\n", TRY).unwrap();
            queue.reopen_path(new.path()).unwrap().wait().unwrap();
            fork(End::WithHandlers, || {
                queue.writen(b"child\n", TRY).unwrap();
            })
            .join();
            queue.writen(b"new\n", TRY).unwrap();
            queue.close(None).unwrap();
            assert_eq!(
                (old.text(), new.text()),
                ("old\n".into(), "child\nnew\n".into())
            );
        },
    );
}
