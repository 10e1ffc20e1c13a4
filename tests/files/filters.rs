//! A queue works under a container's or a sandbox's filter of system calls: if the filter denies a
//! call, the library uses another one or does without.

use std::collections::BTreeMap;
use std::io::{IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::{env, fs, io, iter};

use crate::common::child::{in_child, in_its_file};
use crate::common::fork::{End, fork};
use crate::common::{NEVER_STALLS, TRY, WAIT, fill_up, pipe};
use alq::{Error, FileSink, Options, Queue, Sink, SyncOp, ring_file};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule};
use seccompiler::{SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition};

/// Denies every system call that the library can do without, to this thread and to the threads that
/// it starts.
fn forbid(errno: i32) {
    let whole = [
        libc::SYS_membarrier,
        libc::SYS_renameat2,
        libc::SYS_pwritev2,
        libc::SYS_memfd_create,
        libc::SYS_openat2,
        libc::SYS_statx,
        libc::SYS_fallocate,
        libc::SYS_getrandom,
        libc::SYS_fstatfs,
    ];
    let mut rules: BTreeMap<_, _> = whole.into_iter().map(|call| (call, Vec::new())).collect();
    let of_fcntl = |command: i32| {
        let is_it = Condition::new(1, Len::Dword, Op::Eq, u64::try_from(command).unwrap()).unwrap();
        SeccompRule::new(vec![is_it]).unwrap()
    };
    let commands = [libc::F_OFD_SETLK, libc::F_OFD_GETLK].map(of_fcntl);
    rules.insert(libc::SYS_fcntl, commands.into());
    apply(rules, errno);
}

/// Denies the system calls that these rules match.
fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) {
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(u32::try_from(errno).unwrap()),
        env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

fn options() -> Options {
    Options::new()
        .capacity(1 << 16)
        .stall_limit(Some(NEVER_STALLS))
}

fn append(queue: &Queue, records: usize) {
    for _ in 0..records {
        queue.writen(b"a record, as ever\n", WAIT).unwrap();
    }
    queue.flush().unwrap();
}

fn everything_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let [ring, log, other] = ["ring", "log", "other"].map(|name| folder.path().join(name));
    let queue = options().open(&log).unwrap();
    append(&queue, 10_000);
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    drop(queue);
    for round in 0..2 {
        let queue = options().ring_file(&ring).open(&other).unwrap();
        append(&queue, 10_000);
        let state = ring_file::inspect(&ring).unwrap();
        assert!(state.in_use, "by /proc/locks, {round}");
    }
    assert!(!ring_file::inspect(&ring).unwrap().in_use);
    let text = b"a record, as ever\n".repeat(10_000);
    assert!(fs::read(&log).unwrap() == text);
    assert!(fs::read(&other).unwrap() == text.repeat(2));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        3,
        "nothing beside"
    );

    let (mut reader, writer) = UnixStream::pair().unwrap();
    let reads = crate::common::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        text
    });
    let queue = options().open_fd(&writer).unwrap();
    drop(writer);
    append(&queue, 10_000);
    drop(queue);
    assert!(reads.join() == text);
}

/// A pipe or a socket that is shared in blocking mode, and full: it holds `len` bytes.
fn full_and_shared(mut reader: impl Read, writer: &impl AsFd, len: usize) {
    let sink = FileSink::new(writer.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let bytes = vec![b'x'; 1 << 20];
    let write = || {
        sink.write(&[IoSlice::new(&bytes)])
            .map_err(|error| error.kind())
    };
    assert_eq!(write(), Err(io::ErrorKind::WouldBlock));
    let queue = options().open_fd(writer).unwrap();
    fork(End::AtOnce, || {
        assert_eq!(
            queue.writen(b"in a child\n", TRY).map(drop),
            Err(Error::WouldBlock)
        );
    })
    .join();
    // Half of it is read, so a part of the write fits.
    reader.read_exact(&mut vec![0; len / 2]).unwrap();
    let taken = write().unwrap();
    assert!((1..1 << 20).contains(&taken), "{taken}");
    while write().is_ok() {}
}

/// Without pwritev2(2), a write to a full pipe that other processes share would never return.
#[test]
fn a_full_pipe_in_blocking_mode_keeps_no_thread() {
    let test = "a_full_pipe_in_blocking_mode_keeps_no_thread";
    in_child(test, || {
        apply([(libc::SYS_pwritev2, Vec::new())].into(), libc::EPERM);
        let (reader, writer) = pipe().unwrap();
        let len = fill_up(&writer);
        full_and_shared(reader, &writer, len);
        let (reader, mut writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let len = iter::from_fn(|| writer.write(&[b'#'; 4096]).ok()).sum();
        writer.set_nonblocking(false).unwrap();
        full_and_shared(reader, &writer, len);
    });
}

/// Set in a process that started with the filter, as in a container.
const FILTERED: &str = "ALQ_TEST_FILTERED";

fn with_filter(test: &str, errno: i32) {
    in_child(test, || {
        if env::var_os(FILTERED).is_some() {
            return everything_goes_on();
        }
        forbid(errno);
        let mut again = Command::new(env::current_exe().unwrap());
        let again = again.args([
            "--exact",
            &in_its_file(test),
            "--nocapture",
            "--test-threads=1",
        ]);
        assert!(again.env(FILTERED, "").status().unwrap().success());
    });
}

#[test]
fn a_filter_that_does_not_know_a_call() {
    with_filter("a_filter_that_does_not_know_a_call", libc::ENOSYS);
}

/// The error that Docker and others return for a call that is not on their list.
#[test]
fn a_filter_that_permits_no_call() {
    with_filter("a_filter_that_permits_no_call", libc::EPERM);
}
