//! Our writes raise no signal: a failed write only returns its error.
//!
//! Each test runs in a separate process, which a signal would end.

use std::io::Read;

use crate::common::child::in_child;
use crate::common::{Log, TRY, pipe, small};
use alq::{AsyncAppend, Error, Operation, Queue};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::process::{Resource, getrlimit, setrlimit};

fn write_error(errno: i32) -> Error {
    Error::Io {
        operation: Operation::Write,
        errno,
        target: alq::Target::default(),
    }
}

/// Restores the default action of SIGPIPE. Rust programs ignore that signal; it kills programs in
/// other languages, which use this library too.
fn as_in_other_languages() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        #[expect(
            unsafe_code,
            reason = "a signal's default action, in a process of its own"
        )]
        // SAFETY: no handler is installed, and no code relies on the earlier action.
        unsafe { sigaction(signal, &default) }.unwrap();
    }
}

/// Room for the ring, which lies in a file too.
const LIMIT: u64 = 1 << 16;

/// How long a file of this process may be.
fn limit_files(len: u64) {
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = Some(len);
    setrlimit(Resource::Fsize, limit).unwrap();
}

/// Appends to a pipe without a reader, and to a file beyond its limit.
fn append_in_vain(append: impl Fn(&std::fs::File) -> Error) {
    as_in_other_languages();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mask = SigSet::thread_get_mask().unwrap();
    let broken = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
    for _ in 0..3 {
        assert_eq!(append(&broken), write_error(libc::EPIPE));
    }
    let log = Log::new();
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(log.path())
        .unwrap();
    file.set_len(LIMIT - 5).unwrap();
    limit_files(LIMIT);
    for _ in 0..3 {
        assert_eq!(append(&file), write_error(libc::EFBIG));
    }
    assert_eq!(log.bytes().len() as u64, LIMIT);
    assert_eq!(SigSet::thread_get_mask().unwrap(), mask);
    let (mut reader, writer) = pipe().unwrap();
    AsyncAppend::new(&writer).write(b"as before").unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "as before");
}

#[test]
fn synchronous_appends_raise_no_signal() {
    in_child("synchronous_appends_raise_no_signal", || {
        append_in_vain(|file| {
            let mut appender = AsyncAppend::new(file);
            assert!(!appender.is_async());
            appender.write(b"12345678").unwrap_err()
        });
    });
}

#[test]
fn the_flusher_raises_no_signal() {
    in_child("the_flusher_raises_no_signal", || {
        append_in_vain(|file| {
            let queue: Queue = small().open_fd(file).unwrap();
            queue.writen(b"12345678", TRY).unwrap();
            queue.flush().unwrap_err()
        });
    });
}

/// A signal of the program that was pending before the write is still pending after it.
#[test]
fn a_signal_that_was_pending_before_stays_pending() {
    in_child("a_signal_that_was_pending_before_stays_pending", || {
        let mut ours = SigSet::empty();
        ours.add(Signal::SIGPIPE);
        as_in_other_languages();
        ours.thread_block().unwrap();
        nix::sys::signal::raise(Signal::SIGPIPE).unwrap();
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let told = AsyncAppend::new(&writer).write(b"x");
        assert_eq!(told, Err(write_error(libc::EPIPE)));
        assert_eq!(ours.wait().unwrap(), Signal::SIGPIPE); // would hang if it were taken away
    });
}
