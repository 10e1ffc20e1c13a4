//! Which files a reopen accepts, and what happens to the one before: missing and deleted files,
//! closed descriptors, no free descriptor.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::child::in_child;
use crate::common::{Log, TRY, assert_accounts, parse, small, spawn, wait_for};
use crate::reopen::{append_to, io, other, rotate, write_until};
use alq::{Error, Operation};

#[test]
fn what_cannot_be_opened_leaves_the_old_file_in_use() {
    let log = Log::new();
    let queue = log.open(small());
    let read_only = File::open(log.path()).unwrap();
    assert_eq!(queue.reopen(&read_only).unwrap_err(), Error::BadDescriptor);
    let missing = log.path().with_file_name("no/such/dir.log");
    assert_eq!(
        queue.reopen_path(missing).unwrap_err(),
        io(Operation::Open, libc::ENOENT)
    );
    queue.writen(b"as before\n", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "as before\n");

    let none_outstanding = log.open(small().outstanding_max(0));
    assert_eq!(
        none_outstanding.reopen_path(log.path()).unwrap_err(),
        Error::TooManyOutstanding
    );
    queue.close(None).unwrap();
    assert_eq!(queue.reopen_path(log.path()).unwrap_err(), Error::Closed);
}

#[test]
fn the_rules_of_open_hold_for_a_path() {
    let log = Log::new();
    let queue = log.open(small().mode(0o640));
    let new = log.path().with_extension("new");
    queue.reopen_path(&new).unwrap().wait().unwrap();
    let mode = fs::metadata(&new).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    let link = log.path().with_extension("link");
    symlink(&new, &link).unwrap();
    assert_eq!(
        queue.reopen_path(&link).unwrap_err(),
        io(Operation::Open, libc::ELOOP)
    );
    let following = log.open(small().follow_links(true));
    following.reopen_path(&link).unwrap().wait().unwrap();
}

#[test]
fn no_descriptor_stays_open() {
    in_child("no_descriptor_stays_open", || {
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        let log = Log::new();
        let queue = log.open(small());
        let before = open();
        for number in 0..50 {
            queue.writen(b"record\n", TRY).unwrap();
            rotate(&log.path(), number);
            queue.reopen_path(log.path()).unwrap().wait().unwrap();
        }
        wait_for("the old ones are closed", || open() == before);
        let (_log, file) = other();
        let _waits_in_vain = queue.getn(1, TRY).unwrap();
        queue.writen(b"behind it\n", TRY).unwrap();
        queue.reopen(&file).unwrap();
        queue.close(Some(std::time::Duration::ZERO)).unwrap_err();
        drop(file);
        wait_for("all are closed", || open() < before);
    });
}

#[test]
fn a_deleted_file_goes_on_taking_bytes_until_the_reopen() {
    let log = Log::new();
    let queue = log.open(small());
    let mut old = File::open(log.path()).unwrap();
    fs::remove_file(log.path()).unwrap();
    queue.writen(b"unseen\n", TRY).unwrap();
    queue.flush().unwrap();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    queue.writen(b"seen\n", TRY).unwrap();
    queue.close(None).unwrap();
    let mut unseen = String::new();
    old.read_to_string(&mut unseen).unwrap();
    assert_eq!((&*unseen, &*log.text()), ("unseen\n", "seen\n"));
    assert_accounts(&queue, 12, 0);
}

#[test]
fn without_a_free_descriptor_the_old_file_stays_in_use() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    in_child(
        "without_a_free_descriptor_the_old_file_stays_in_use",
        || {
            let log = Log::new();
            let queue = log.open(small());
            let file = append_to(&log.path());
            let before = getrlimit(Resource::Nofile);
            let mut none = before;
            none.current = Some(0);
            setrlimit(Resource::Nofile, none).unwrap();
            let duplicated = queue.reopen(&file).unwrap_err();
            let opened = queue.reopen_path(log.path()).unwrap_err();
            setrlimit(Resource::Nofile, before).unwrap();
            assert_eq!(opened, io(Operation::Open, libc::EMFILE));
            assert!(matches!(
                duplicated,
                Error::Io {
                    operation: Operation::Duplicate,
                    ..
                }
            ));
            queue.writen(b"as before\n", TRY).unwrap();
            queue.close(None).unwrap();
            assert_eq!(log.text(), "as before\n");
        },
    );
}

/// Does by hand what logrotate's `copytruncate` does. Bytes between its two steps may be lost, but
/// our writes leave neither a hole nor half a record.
#[test]
fn a_file_that_is_truncated_under_the_queue_has_neither_holes_nor_torn_records() {
    let log = Log::new();
    let queue = log.open(small());
    let over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (queue, over) = (queue.clone(), Arc::clone(&over));
        spawn(move || write_until(&queue, &over, 0))
    };
    let truncating = OpenOptions::new().write(true).open(log.path()).unwrap();
    let mut seen = Vec::new();
    for _ in 0..50 {
        let enough = queue.stats().written_bytes + 5000;
        wait_for("traffic", || queue.stats().written_bytes > enough);
        let copy = log.bytes();
        truncating.set_len(0).unwrap();
        let end = copy
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        seen.extend(parse(&copy[..end]));
    }
    over.store(true, Ordering::Relaxed);
    writer.join();
    queue.close(None).unwrap();
    seen.extend(parse(&log.bytes()));
    assert!(seen.is_sorted_by_key(|record| record.seq));
    assert_eq!(queue.stats().lost_bytes, 0);
}

/// Other code in the process closes our descriptor: that is an error, and a reopen repairs it.
#[test]
fn a_descriptor_that_was_closed_behind_our_back() {
    in_child("a_descriptor_that_was_closed_behind_our_back", || {
        let log = Log::new();
        let queue = log.open(small());
        let descriptors = fs::read_dir("/proc/self/fd")
            .unwrap()
            .map(|entry| entry.unwrap());
        let ours: i32 = descriptors
            .filter(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == log.path()))
            .map(|entry| entry.file_name().into_string().unwrap().parse().unwrap())
            .next()
            .unwrap();
        nix::unistd::close(ours).unwrap();
        queue.writen(b"record\n", TRY).unwrap();
        assert_eq!(queue.flush(), Err(io(Operation::Write, libc::EBADF)));
        // The number is used again before the queue closes it.
        let plug = File::open("/dev/null").unwrap();
        assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&plug), ours);
        std::mem::forget(plug);
        queue.reopen_path(log.path()).unwrap().wait().unwrap();
        queue.close(None).unwrap();
        assert_eq!(log.text(), "record\n");
    });
}
