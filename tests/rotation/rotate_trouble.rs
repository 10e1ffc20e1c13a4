//! Other things that happen to a log and its folder: no record is lost by them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use alq::rotate::{Compression, RotatingFile, Rotation};
use alq::{Error, Queue, SyncOp};
use rustix::process::{Resource, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::common::child::in_child;
use crate::common::disk::SmallDisk;
use crate::common::{DEADLINE, Record, STALLS_SOON, TRY, WAIT, assert_complete, parse, small};
use crate::rotated::{BACKGROUND, Folder, content, rotated, unpacked};

/// Adds a clock that stands until the test moves it, and a channel that receives the errors.
fn watched(rotation: Rotation) -> (Rotation, Arc<AtomicU64>, Receiver<String>) {
    static START: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);
    let (says, errors) = channel();
    let moved = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&moved);
    let rotation = rotation
        .on_error(move |error| says.send(error.to_string()).unwrap())
        .clock(move || *START + Duration::from_secs(clock.load(Ordering::Relaxed)));
    (rotation, moved, errors)
}

fn put(queue: &Queue, record: &str) {
    queue.writen(record.as_bytes(), WAIT).unwrap();
    queue.flush().unwrap();
}

/// Waits until what was requested is done or has failed.
fn settle(log: &RotatingFile) {
    log.wait_background(BACKGROUND).unwrap();
}

#[test]
fn a_log_that_is_renamed_or_deleted_is_created_again() {
    let folder = Folder::new();
    let (rotation, clock, errors) = watched(Rotation::new());
    let (log, queue) = folder.open(rotation);
    put(&queue, "one\n");
    let aside = folder.path().join("aside");
    fs::rename(folder.log(), &aside).unwrap();
    put(&queue, "two\n");
    assert_eq!(
        fs::read(&aside).unwrap(),
        b"one\ntwo\n",
        "the path was not checked yet"
    );
    clock.store(1, Ordering::Relaxed);
    put(&queue, "three\n");
    assert_eq!(
        folder.text(),
        "three\n",
        "the path is checked once a second"
    );
    fs::remove_file(folder.log()).unwrap();
    log.reopen();
    settle(&log);
    put(&queue, "four\n");
    assert_eq!(folder.text(), "four\n");
    // logrotate does this with `create`.
    fs::rename(folder.log(), folder.path().join("aside.1")).unwrap();
    fs::write(folder.log(), "another's\n").unwrap();
    log.rotate();
    settle(&log);
    put(&queue, "five\n");
    assert_eq!(
        folder.text(),
        "another's\nfive\n",
        "the first request only moves to the new file"
    );
    log.rotate();
    settle(&log);
    assert_eq!(folder.rotated().len(), 1);
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    queue.close(None).unwrap();
    assert!(errors.try_recv().is_err());
}

#[test]
fn a_directory_that_vanishes_and_returns() {
    let folder = Folder::new();
    let logs = folder.path().join("logs");
    let path = logs.join("log");
    fs::create_dir(&logs).unwrap();
    let (rotation, clock, errors) = watched(Rotation::new().size_bytes(8));
    let log = rotation.open(&path).unwrap();
    let queue = small().open_sink(log.clone()).unwrap();
    put(&queue, "one\n");
    settle(&log); // no thread reads the folder any more
    let away = folder.path().join("away");
    fs::rename(&logs, &away).unwrap();
    put(&queue, "two\nthree\n");
    put(&queue, "four\n");
    let error = errors.recv_timeout(DEADLINE).unwrap();
    assert!(
        error.ends_with("cannot create the log again: No such file or directory (os error 2)"),
        "{error}"
    );
    assert_eq!(
        fs::read(away.join("log")).unwrap(),
        b"one\ntwo\nthree\nfour\n"
    );
    clock.store(1, Ordering::Relaxed);
    put(&queue, "five\n");
    fs::create_dir(&logs).unwrap();
    put(&queue, "six\n");
    clock.store(2, Ordering::Relaxed);
    put(&queue, "seven\n");
    assert_eq!(fs::read(&path).unwrap(), b"seven\n");
    let before = fs::read(away.join("log")).unwrap();
    assert_eq!(before, b"one\ntwo\nthree\nfour\nfive\nsix\n");
    queue.close(None).unwrap();
    assert!(errors.try_recv().is_err(), "reported once");
}

#[test]
fn without_descriptors_the_old_file_gets_the_records_until_there_is_one() {
    let test = "without_descriptors_the_old_file_gets_the_records_until_there_is_one";
    in_child(test, || {
        let folder = Folder::new();
        let (rotation, clock, errors) = watched(Rotation::new().size_bytes(8));
        let (log, queue) = folder.open(rotation);
        put(&queue, "one\n");
        settle(&log);
        let mut limit = getrlimit(Resource::Nofile);
        let before = limit.current;
        let next = File::open("/dev/null").unwrap();
        limit.current = u64::try_from(next.as_raw_fd()).ok();
        drop(next);
        setrlimit(Resource::Nofile, limit).unwrap();
        for record in ["two\n", "three\n", "four\n"] {
            put(&queue, record);
        }
        let error = errors.recv_timeout(DEADLINE).unwrap();
        let why = io::Error::from_raw_os_error(libc::EMFILE);
        assert!(
            error.contains(&format!("cannot rotate the log: {why}")),
            "{error}"
        );
        limit.current = before;
        setrlimit(Resource::Nofile, limit).unwrap();
        assert_eq!(folder.rotated().len(), 0);
        clock.store(1, Ordering::Relaxed);
        put(&queue, "five\n");
        assert_eq!(folder.text(), "five\n");
        assert_eq!(folder.content(), b"one\ntwo\nthree\nfour\nfive\n");
    });
}

/// The packer asks for its memory before it begins. Without it, the file stays plain, and the
/// process goes on.
#[test]
fn without_memory_for_the_packer_the_files_stay_plain_until_there_is_some() {
    let test = "without_memory_for_the_packer_the_files_stay_plain_until_there_is_some";
    in_child(test, || {
        let folder = Folder::new();
        let (rotation, _, errors) = watched(Rotation::new().compress(Compression::Gzip));
        let (log, queue) = folder.open(rotation);
        put(&queue, "one\n");
        settle(&log);
        let mut limit = getrlimit(Resource::As);
        let before = limit.current;
        let pages = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
        // Room for a thread, and not for the packer's 16 MiB.
        limit.current = Some(pages * 4096 + (12 << 20));
        setrlimit(Resource::As, limit).unwrap();
        log.rotate();
        settle(&log);
        let error = errors.recv_timeout(DEADLINE).unwrap();
        limit.current = before;
        setrlimit(Resource::As, limit).unwrap();
        let why = io::Error::from_raw_os_error(libc::ENOMEM);
        assert!(
            error.contains(&format!("cannot pack the rotated file: {why}")),
            "{error}"
        );
        assert_eq!(log.background().unwrap().files, 1);
        put(&queue, "two\n");
        log.rotate();
        settle(&log);
        assert_eq!(log.background().unwrap().files, 0);
        assert_eq!(folder.content(), b"one\ntwo\n");
        assert!(errors.try_recv().is_err());
    });
}

/// The disk fills up in the middle of records and while files are packed, and is emptied.
#[test]
fn a_disk_that_fills_up_and_is_emptied() {
    let Some(disk) = SmallDisk::mount("a_disk_that_fills_up_and_is_emptied") else {
        return;
    };
    let path = disk.path().join("app.log");
    let rotation = Rotation::new()
        .size_bytes(9_000)
        .compress(Compression::Gzip);
    let log = rotation.open(&path).unwrap();
    let options = small().stall_limit(Some(STALLS_SOON));
    let queue = options.open_sink(log.clone()).unwrap();
    let mut count = 0;
    for _ in 0..3 {
        disk.fill();
        loop {
            let len = Record::MIN_LEN + count as usize % 700;
            let record = Record {
                writer: 0,
                seq: count,
                len,
            };
            if queue.writen(record.text().as_bytes(), TRY) == Err(Error::WouldBlock) {
                if queue.flush().is_err() {
                    break;
                }
            } else {
                count += 1;
            }
        }
        log.rotate(); // if this is in the middle of a record, the rotation comes after it
        let _ = log.wait_background(Some(STALLS_SOON));
        disk.make_room();
        queue.flush().unwrap();
    }
    queue.close(None).unwrap();
    log.rotate();
    settle(&log);
    for file in rotated(&path) {
        parse(&unpacked(&file));
    }
    assert_complete(&parse(&content(&path)), &[count]);
}

/// Forbids renameat2(2) to this thread and to the threads that it starts, as a filter that does not
/// know the call would.
fn forbid_renameat2(errno: i32) {
    let filter = SeccompFilter::new(
        [(libc::SYS_renameat2, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

#[test]
fn without_renameat2_nothing_is_lost() {
    in_child("without_renameat2_nothing_is_lost", || {
        for errno in [libc::EPERM, libc::ENOSYS] {
            forbid_renameat2(errno);
            let folder = Folder::new();
            let (rotation, _, errors) = watched(Rotation::new().size_bytes(8));
            let (log, queue) = folder.open(rotation.compress(Compression::Gzip));
            for record in ["one\n", "two\n", "three\n", "four\n"] {
                put(&queue, record);
            }
            queue.close(None).unwrap();
            settle(&log);
            assert_eq!(folder.rotated().len(), 2);
            assert_eq!(folder.content(), b"one\ntwo\nthree\nfour\n");
            assert!(errors.try_recv().is_err());
        }
    });
}

/// The next sync also covers a rotated file. If its name is gone, that sync fails.
#[test]
fn a_sync_covers_the_files_that_were_rotated_away() {
    let folder = Folder::new();
    let (log, queue) = folder.open(Rotation::new());
    let sync = || queue.fsync(SyncOp::Data).unwrap().wait();
    for number in 0..40 {
        put(&queue, &format!("{number}\n"));
        log.rotate();
        settle(&log);
    }
    sync().unwrap();
    for number in 0..40 {
        put(&queue, &format!("{number}\n"));
        log.rotate();
        settle(&log);
    }
    // The later files are still open. The first must be opened again by its name.
    let first = &folder.rotated()[40];
    fs::remove_file(first).unwrap();
    std::os::unix::fs::symlink("/dev/null", first).unwrap();
    put(&queue, "the last\n");
    let error = sync().unwrap_err();
    assert_eq!(error.errno(), libc::ELOOP, "{error}");
}
