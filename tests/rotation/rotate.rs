//! A queue on a log that is rotated: together the files hold what was appended, and each file holds
//! whole records. Also checks requests, hooks, the lock, and a child of fork(2).

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use alq::rotate::{Compression, RotatingFile, Rotation};
use alq::{Error, Options, Queue, SyncOp};

use crate::common::fork::{End, fork};
use crate::common::load::produce;
use crate::common::{Record, WAIT, assert_complete, parse, wait_for, wait_until_parked};
use crate::rotated::{BACKGROUND, Folder, rotated, unpacked};

/// Four threads append in all ways, while another thread asks for rotations all the time.
fn load(queue: &Queue, log: &RotatingFile) -> Vec<u32> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let producers: Vec<_> = (0..4)
            .map(|number| scope.spawn(move || produce(queue, 2 * number, stop)))
            .collect();
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                log.rotate();
                queue.flush().unwrap();
                queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
            }
        });
        wait_for("three million bytes", || {
            queue.stats().written_bytes > 3_000_000
        });
        stop.store(true, Ordering::Relaxed);
        let counts = producers.into_iter().flat_map(|one| one.join().unwrap());
        counts.collect()
    })
}

#[test]
fn under_load_with_tiny_bounds_nothing_is_lost_and_no_record_is_split() {
    let forms = [Compression::None, Compression::Gzip, Compression::Zstd];
    for (form, size_bytes) in forms.into_iter().zip([20_000, 5_000, 10_000]) {
        let folder = Folder::new();
        let rotation = Rotation::new().size_bytes(size_bytes).compress(form);
        let log = rotation.open(folder.log()).unwrap();
        let options = Options::new().capacity(1 << 16);
        let queue = options.open_sink(log.clone()).unwrap();
        let counts = load(&queue, &log);
        queue.close(None).unwrap();
        log.wait_background(BACKGROUND).unwrap();
        let files = folder.rotated();
        assert!(files.len() > 100, "{form:?}: {} files", files.len());
        for file in &files {
            let is_packed = file.extension().is_some_and(|of| of == "gz" || of == "zst");
            assert_eq!(is_packed, form != Compression::None, "{file:?}");
            parse(&unpacked(file));
        }
        assert_complete(&parse(&folder.content()), &counts);
    }
}

#[test]
fn no_file_is_longer_than_the_bound_unless_its_first_record_is() {
    let folder = Folder::new();
    let (log, queue) = folder.open(Rotation::new().size_bytes(1000));
    for seq in 0..2000 {
        let len = if seq % 100 == 99 {
            3000
        } else {
            Record::MIN_LEN + seq as usize % 200
        };
        let record = Record {
            writer: 0,
            seq,
            len,
        };
        queue.writen(record.text().as_bytes(), WAIT).unwrap();
    }
    queue.close(None).unwrap();
    log.wait_background(BACKGROUND).unwrap();
    let mut lens = Vec::new();
    for file in folder.rotated() {
        let bytes = fs::read(&file).unwrap();
        assert!(
            bytes.len() <= 1000 || parse(&bytes).len() == 1,
            "{file:?}: {}",
            bytes.len()
        );
        lens.push(bytes.len());
    }
    let ordinary = lens
        .iter()
        .filter(|len| **len > 780 && **len <= 1000)
        .count();
    assert!(
        ordinary > lens.len() * 3 / 4,
        "most of them are nearly full: {lens:?}"
    );
    assert_complete(&parse(&folder.content()), &[2000]);
}

#[test]
fn a_requested_rotation_needs_no_further_append() {
    let folder = Folder::new();
    let (log, queue) = folder.open(Rotation::new());
    log.rotate();
    log.wait_background(BACKGROUND).unwrap();
    assert_eq!(folder.rotated().len(), 0, "there is nothing in it");
    queue.writen(b"one\n", WAIT).unwrap();
    queue.flush().unwrap();
    wait_until_parked(&queue);
    log.rotate();
    log.rotate();
    log.wait_background(BACKGROUND).unwrap();
    assert_eq!(folder.rotated().len(), 1);
    assert_eq!(folder.text(), "");
    queue.writen(b"two\n", WAIT).unwrap();
    queue.close(None).unwrap();
    assert_eq!(folder.text(), "two\n");
    assert_eq!(folder.content(), b"one\ntwo\n");
}

/// A thread looks for the log without pause. `ALQ_ROTATIONS=100000` is the long form.
#[test]
fn there_is_a_log_at_every_moment_of_ten_thousand_rotations() {
    let rotations = std::env::var("ALQ_ROTATIONS").map_or(10_000, |text| text.parse().unwrap());
    let folder = Folder::new();
    let rotation = Rotation::new().size_bytes(1).keep_files(20);
    let (log, queue) = folder.open(rotation);
    let is_over = AtomicBool::new(false);
    let (looks, missing) = thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let path = folder.log();
            let (mut looks, mut missing) = (0_u64, 0_u64);
            while !is_over.load(Ordering::Relaxed) {
                missing += u64::from(fs::symlink_metadata(&path).is_err());
                looks += 1;
            }
            (looks, missing)
        });
        for _ in 0..=rotations {
            queue.writen(b"x", WAIT).unwrap();
        }
        queue.close(None).unwrap();
        is_over.store(true, Ordering::Relaxed);
        looker.join().unwrap()
    });
    log.wait_background(BACKGROUND).unwrap();
    assert_eq!(folder.rotated().len(), 20);
    println!("{rotations} rotations, {looks} looks, {missing} times no log");
    assert!(looks > 100 && missing == 0, "{missing} of {looks}");
}

#[test]
fn at_start_cuts_off_what_an_earlier_process_wrote() {
    for (at_start, files) in [(false, 0), (true, 1)] {
        let folder = Folder::new();
        fs::write(folder.log(), "before\n").unwrap();
        let (log, queue) = folder.open(Rotation::new().at_start(at_start));
        queue.writen(b"after\n", WAIT).unwrap();
        queue.close(None).unwrap();
        log.wait_background(BACKGROUND).unwrap();
        assert_eq!(folder.rotated().len(), files);
        assert_eq!(folder.content(), b"before\nafter\n");
    }
}

#[test]
fn the_hook_is_called_for_each_file_in_order_on_a_thread_that_takes_no_signals() {
    let folder = Folder::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (in_hook, handle) = (
        Arc::clone(&seen),
        Arc::new(Mutex::new(None::<RotatingFile>)),
    );
    let own = Arc::clone(&handle);
    let rotation = Rotation::new()
        .compress(Compression::Gzip)
        .on_rotated(move |path| {
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            let blocked = status
                .lines()
                .find_map(|line| line.strip_prefix("SigBlk:\t"))
                .unwrap();
            let blocked = u64::from_str_radix(blocked, 16).unwrap();
            assert_eq!(blocked >> 14 & 1, 1, "SIGTERM");
            let log = own.lock().unwrap().clone().unwrap();
            assert_eq!(log.wait_background(None), Err(Error::WouldDeadlock));
            in_hook.lock().unwrap().push(unpacked(path));
            assert_ne!(unpacked(path), b"1", "a panic of the hook's own");
        });
    let (log, queue) = folder.open(rotation);
    *handle.lock().unwrap() = Some(log.clone());
    for number in 0..4 {
        queue.writen(number.to_string().as_bytes(), WAIT).unwrap();
        queue.flush().unwrap();
        log.rotate();
        log.wait_background(BACKGROUND).unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), [b"0", b"1", b"2", b"3"]);
    *handle.lock().unwrap() = None;
}

/// There are files to pack, and the request is served between two of them.
#[test]
fn a_requested_rotation_does_not_wait_until_all_files_are_packed() {
    let folder = Folder::new();
    for number in 0..2 {
        fs::write(
            folder
                .path()
                .join(format!("log.20200101T000000Z-00000{number}")),
            "old\n",
        )
        .unwrap();
    }
    let (give, handle) = mpsc::channel::<RotatingFile>();
    let handle = Mutex::new(handle);
    let counts = Arc::new(Mutex::new(Vec::new()));
    let (in_hook, path) = (Arc::clone(&counts), folder.log());
    let rotation = Rotation::new()
        .compress(Compression::Gzip)
        .on_rotated(move |_| {
            in_hook.lock().unwrap().push(rotated(&path).len());
            if let Ok(log) = handle.lock().unwrap().recv() {
                log.rotate();
            }
        });
    let (log, queue) = folder.open(rotation);
    queue.writen(b"new\n", WAIT).unwrap();
    queue.flush().unwrap();
    wait_until_parked(&queue);
    give.send(log.clone()).unwrap();
    drop(give);
    log.wait_background(BACKGROUND).unwrap();
    queue.close(None).unwrap();
    assert_eq!(*counts.lock().unwrap(), [2, 3, 3]);
    assert_eq!(folder.content(), b"old\nold\nnew\n");
}

#[test]
fn one_process_at_a_time_and_a_child_does_not_keep_the_lock() {
    let folder = Folder::new();
    let (log, queue) = folder.open(Rotation::new());
    let again = || Rotation::new().open(folder.log()).map(drop);
    let said = again().unwrap_err().to_string();
    assert!(
        said.contains(&format!("by process {}", std::process::id())),
        "{said}"
    );
    fork(End::AtOnce, || {
        let said = again().unwrap_err();
        assert_eq!(said.errno(), libc::EBUSY, "{said}");
    })
    .join();
    let (reader, writer) = crate::common::pipe().unwrap();
    let child = fork(End::AtOnce, || {
        let mut byte = [0];
        let _ = std::io::Read::read(&mut &reader, &mut byte); // waits for the parent
    });
    queue.close(None).unwrap();
    drop((log, queue));
    wait_for("the end of the flusher", || again().is_ok());
    std::io::Write::write_all(&mut &writer, b"!").unwrap();
    child.join();
}

#[test]
fn a_child_of_fork_follows_the_log_to_its_new_file() {
    let folder = Folder::new();
    let (log, queue) = folder.open(Rotation::new().compress(Compression::Gzip));
    queue.writen(b"before\n", WAIT).unwrap();
    queue.flush().unwrap();
    let (reader, writer) = crate::common::pipe().unwrap();
    let child = fork(End::AtOnce, || {
        let mut byte = [0];
        std::io::Read::read_exact(&mut &reader, &mut byte).unwrap(); // until the log is rotated
        queue.writen(b"of the child\n", WAIT).unwrap();
    });
    log.rotate();
    log.wait_background(BACKGROUND).unwrap();
    std::io::Write::write_all(&mut &writer, b"!").unwrap();
    child.join();
    assert_eq!(folder.text(), "of the child\n");
    assert_eq!(folder.content(), b"before\nof the child\n");
}

#[test]
fn a_child_of_fork_appends_to_the_log_and_its_requests_change_nothing() {
    let folder = Folder::new();
    let (log, queue) = folder.open(Rotation::new());
    queue.writen(b"cut off\n", WAIT).unwrap();
    queue.flush().unwrap();
    log.rotate();
    log.wait_background(BACKGROUND).unwrap();
    fork(End::AtOnce, || {
        queue.writen(b"of the child\n", WAIT).unwrap();
        log.rotate();
        log.reopen();
        assert_eq!(log.wait_background(None), Err(Error::Forked));
        drop((log.clone(), queue.clone()));
    })
    .join();
    assert_eq!(folder.text(), "of the child\n");
    queue.writen(b"of the parent\n", WAIT).unwrap();
    queue.close(None).unwrap();
    assert_eq!(folder.content(), b"cut off\nof the child\nof the parent\n");
    assert_eq!(folder.rotated().len(), 1);
}
