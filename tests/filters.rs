//! A queue works under a container's or a sandbox's filter of system calls: if the filter denies a
//! call, the library uses another one or does without.

mod common;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::{env, fs};

use alq::{Options, Queue, SyncOp, ring_file};
use common::child::in_child;
use common::{NEVER_STALLS, WAIT};
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
    let mut rules: std::collections::BTreeMap<_, _> =
        whole.into_iter().map(|call| (call, Vec::new())).collect();
    let of_fcntl = |command: i32| {
        let is_it = Condition::new(1, Len::Dword, Op::Eq, u64::try_from(command).unwrap()).unwrap();
        SeccompRule::new(vec![is_it]).unwrap()
    };
    let commands = [libc::F_OFD_SETLK, libc::F_OFD_GETLK].map(of_fcntl);
    rules.insert(libc::SYS_fcntl, commands.into());
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
    let reads = common::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        text
    });
    let queue = options().from_fd(&writer).unwrap();
    drop(writer);
    append(&queue, 10_000);
    drop(queue);
    assert!(reads.join() == text);
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
        let again = again.args(["--exact", test, "--nocapture", "--test-threads=1"]);
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
