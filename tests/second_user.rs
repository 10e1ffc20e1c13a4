//! A second user attacks a log and a ring file of root. That user is a real process without root's
//! rights: a child of fork(2) after setresuid(2). If this test does not run as root, it prints that
//! it is skipped.
#![allow(unsafe_code, reason = "setresuid(2) has no safe form")]

mod common;
mod rotated;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use alq::rotate::{Compression, Rotation};
use alq::{Error, Options, RingFileProblem};

use common::fork::{Child, End, fork, shared};
use common::{WAIT, wait_for};
use rotated::{BACKGROUND, Folder};

/// The second user, `nobody`.
const OTHER: u32 = 65_534;

fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("{test}: skipped, only root has a second user");
    }
    is_root
}

/// Starts a process of the second user that runs `body`.
fn as_other(body: impl FnOnce()) -> Child {
    fork(End::AtOnce, || {
        // SAFETY: a list of no groups is not read.
        assert_eq!(unsafe { libc::setgroups(0, std::ptr::null()) }, 0);
        // SAFETY: it takes integers; the child has one thread.
        assert_eq!(unsafe { libc::setresgid(OTHER, OTHER, OTHER) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setresuid(OTHER, OTHER, OTHER) }, 0);
        assert!(
            fs::read("/etc/shadow").is_err(),
            "it still has root's rights"
        );
        body();
    })
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder that all users may pass, with a folder `home` in it that belongs to the second user.
fn home_of_other() -> (Folder, PathBuf) {
    let folder = Folder::new();
    set_mode(folder.path(), 0o755);
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(OTHER), Some(OTHER)).unwrap();
    (folder, home)
}

/// The second user puts a set-user-ID program and a FIFO where rotated files are. Root makes no
/// copy that belongs to root, and deletes and counts neither.
#[test]
fn root_packs_nothing_that_another_user_has_put_there() {
    if !is_root("root_packs_nothing_that_another_user_has_put_there") {
        return;
    }
    let (_folder, home) = home_of_other();
    let program = home.join("log.20200101T000000Z-000000");
    as_other(|| {
        fs::write(&program, "a program").unwrap();
        set_mode(&program, 0o6777);
        let fifo = home.join("log.20200102T000000Z-000000");
        rustix::fs::mkfifoat(rustix::fs::CWD, fifo, rustix::fs::Mode::RWXU).unwrap();
        fs::write(
            home.join("log.99991231T235959Z-999999.fresh"),
            "the last name",
        )
        .unwrap();
    })
    .join();
    let rotation = || {
        Rotation::new()
            .size_bytes(4)
            .keep_files(1)
            .compress(Compression::Gzip)
    };
    let refused = rotation().open(home.join("log")).unwrap_err().to_string();
    assert!(
        refused.contains("insecure permissions (it belongs to another user)"),
        "{refused}"
    );
    let log = rotation()
        .shared_folder(true)
        .open(home.join("log"))
        .unwrap();
    let queue = Options::new().open_sink(log.clone()).unwrap();
    for record in ["one\n", "two\n", "six\n"] {
        queue.writen(record.as_bytes(), WAIT).unwrap();
        queue.flush().unwrap();
    }
    queue.close(None).unwrap();
    log.wait_background(BACKGROUND).unwrap();
    assert_eq!(log.background().unwrap().files, 0);
    let stat = fs::metadata(&program).unwrap();
    assert_eq!(
        (stat.uid(), stat.mode() & 0o7777, stat.len()),
        (OTHER, 0o6777, 9)
    );
    for entry in fs::read_dir(&home).unwrap() {
        let stat = entry.as_ref().unwrap().metadata().unwrap();
        let is_safe = stat.uid() == OTHER || stat.mode() & 0o7137 == 0;
        assert!(is_safe, "{entry:?} {:o}", stat.mode());
    }
    let packed = |path: &PathBuf| path.extension().is_some_and(|it| it == "gz");
    let names = fs::read_dir(&home).unwrap();
    let names = names.map(|entry| entry.unwrap().path());
    assert_eq!(
        names.filter(packed).count(),
        1,
        "root's own files are packed and limited"
    );
}

/// What both processes see.
struct Board {
    stop: AtomicBool,
    swaps: AtomicU32,
}

/// The second user owns the folder above the log's, and swaps the log's folder for a link to a
/// folder of root, again and again, while root rotates.
#[test]
fn no_swap_of_a_folder_moves_text_of_root_into_another_folder() {
    if !is_root("no_swap_of_a_folder_moves_text_of_root_into_another_folder") {
        return;
    }
    let (folder, home) = home_of_other();
    let victim = folder.path().join("victim");
    fs::create_dir(&victim).unwrap();
    let (logs, moved) = (home.join("logs"), home.join("moved"));
    as_other(|| fs::create_dir(&logs).unwrap()).join();
    // SAFETY: the type consists of atomics.
    let board: &Board = unsafe { shared() };
    // A rotation that fails is tried again in another second, so each look at the clock is one.
    let (start, looks) = (SystemTime::now(), AtomicU64::new(0));
    let clock = move || start + Duration::from_secs(looks.fetch_add(1, Ordering::Relaxed) / 10);
    let rotation = Rotation::new()
        .size_bytes(40)
        .shared_folder(true)
        .clock(clock);
    let log = rotation.open(logs.join("log")).unwrap();
    let queue = Options::new().open_sink(log.clone()).unwrap();
    let attacker = as_other(|| {
        // Relaxed: the flags carry no data.
        while !board.stop.load(Ordering::Relaxed) {
            fs::rename(&logs, &moved).unwrap();
            symlink(&victim, &logs).unwrap();
            fs::remove_file(&logs).unwrap();
            fs::rename(&moved, &logs).unwrap();
            board.swaps.fetch_add(1, Ordering::Relaxed);
        }
    });
    let record = |number: u32| format!("record {number:06}\n");
    let mut count = 0;
    wait_for("a thousand swaps and records", || {
        for _ in 0..20 {
            queue.writen(record(count).as_bytes(), WAIT).unwrap();
            count += 1;
            log.reopen();
            log.rotate();
        }
        queue.flush().unwrap();
        let files = |folder| fs::read_dir(folder).map_or(0, Iterator::count);
        let is_rotated = files(&logs).max(files(&moved)) > 15;
        is_rotated && count > 1000 && board.swaps.load(Ordering::Relaxed) > 1000
    });
    // Relaxed: as above.
    board.stop.store(true, Ordering::Relaxed);
    attacker.join();
    queue.close(None).unwrap();
    log.wait_background(BACKGROUND).unwrap();
    assert_eq!(
        fs::read_dir(&victim).unwrap().count(),
        0,
        "nothing is written there"
    );
    let expected: String = (0..count).map(record).collect();
    assert!(rotated::content(&logs.join("log")) == expected.as_bytes());
    assert!(rotated::rotated(&logs.join("log")).len() > 10);
}

/// The second user is the first to create the ring file of a service, and its lock: each start says
/// whose file that is, and an optional ring lets the service start.
#[test]
fn another_user_who_creates_the_ring_first_keeps_no_service_from_starting() {
    if !is_root("another_user_who_creates_the_ring_first_keeps_no_service_from_starting") {
        return;
    }
    for folder_mode in [0o755, 0o1777] {
        let (folder, home) = home_of_other();
        set_mode(&home, folder_mode);
        let ring = home.join("app.ring");
        let (log, theirs) = (folder.log(), home.join("theirs"));
        as_other(|| {
            let queue = Options::new()
                .ring_file(&ring)
                .ring_on_disk(true)
                .open(&theirs)
                .unwrap();
            queue.writen(b"their record\n", WAIT).unwrap();
            queue.close(None).unwrap();
        })
        .join();
        fs::remove_file(&theirs).unwrap();
        let before = fs::read(&ring).unwrap();
        let options = || Options::new().ring_file(&ring).ring_on_disk(true);
        let refused = options().open(&log).unwrap_err();
        let Error::RingFile { problem, .. } = &refused else {
            panic!("{refused}");
        };
        assert!(
            matches!(**problem, RingFileProblem::NotOurs { uid: OTHER, .. }),
            "{refused}"
        );
        let queue = options().ring_optional(true).open(&log).unwrap();
        assert_eq!(queue.recovery(), None);
        queue.writen(b"a record\n", WAIT).unwrap();
        queue.close(None).unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"a record\n");
        assert!(fs::read(&ring).unwrap() == before && !theirs.exists());
    }
}

/// A FIFO, a socket or a device in the place of the ring, the log or its lock blocks no start.
#[test]
fn a_fifo_of_another_user_blocks_no_start() {
    if !is_root("a_fifo_of_another_user_blocks_no_start") {
        return;
    }
    let (folder, home) = home_of_other();
    as_other(|| {
        for name in ["ring", "log", "app.lock"] {
            let mode = rustix::fs::Mode::RWXU;
            rustix::fs::mkfifoat(rustix::fs::CWD, home.join(name), mode).unwrap();
        }
    })
    .join();
    let options = || Options::new().stall_limit(Some(Duration::from_millis(100)));
    let refused = options()
        .ring_file(home.join("ring"))
        .open(folder.log())
        .unwrap_err();
    assert!(refused.to_string().contains("ring"), "{refused}");
    for name in ["log", "app"] {
        let rotation = Rotation::new().shared_folder(true);
        let refused = rotation.open(home.join(name)).unwrap_err().to_string();
        assert!(refused.contains(name), "{refused}");
    }
}

/// The second user gets no right that the mode of a file does not give.
#[test]
fn an_unprivileged_process_rotates_its_own_log_and_opens_no_ring_of_root() {
    if !is_root("an_unprivileged_process_rotates_its_own_log_and_opens_no_ring_of_root") {
        return;
    }
    let (folder, home) = home_of_other();
    let (ring, log) = (folder.path().join("ring"), home.join("log"));
    drop(Options::new().ring_file(&ring).open(folder.log()).unwrap());
    as_other(|| {
        let refused = Options::new().ring_file(&ring).open(&log).unwrap_err();
        assert_eq!(refused.errno(), libc::EACCES, "{refused}");
        let name = ring.display().to_string();
        assert!(refused.to_string().contains(&name), "{refused}");
        let rotation = Rotation::new().size_bytes(4).compress(Compression::Gzip);
        let log = rotation.open(&log).unwrap();
        let options = Options::new().ring_file(&ring).ring_optional(true);
        let queue = options.open_sink(log.clone()).unwrap();
        for record in ["one\n", "two\n"] {
            queue.writen(record.as_bytes(), WAIT).unwrap();
            queue.flush().unwrap();
        }
        queue.close(None).unwrap();
        log.wait_background(BACKGROUND).unwrap();
    })
    .join();
    assert_eq!(rotated::content(&log), b"one\ntwo\n");
    assert_eq!(rotated::rotated(&log).len(), 1);
}

/// Rotation lists its folder: without that right the error names it.
#[test]
fn a_folder_that_may_not_be_read_is_refused_with_the_missing_right() {
    if !is_root("a_folder_that_may_not_be_read_is_refused_with_the_missing_right") {
        return;
    }
    let (_folder, home) = home_of_other();
    as_other(|| {
        let open = || Rotation::new().size_bytes(4).open(home.join("log"));
        set_mode(&home, 0o311);
        let refused = open().unwrap_err();
        assert_eq!(refused.errno(), libc::EACCES);
        let text = refused.to_string();
        let name = home.display().to_string();
        assert!(
            text.starts_with(&name) && text.contains("must be readable"),
            "{text}"
        );
        // A plain log needs no list.
        let plain = Options::new().open(home.join("log")).unwrap();
        plain.writen(b"one\n", WAIT).unwrap();
        plain.close(None).unwrap();
        // The right is taken away while the log is open: records continue into the old file.
        set_mode(&home, 0o711);
        let log = open().unwrap();
        let queue = Options::new().open_sink(log.clone()).unwrap();
        set_mode(&home, 0o111);
        for record in ["two\n", "six\n"] {
            queue.writen(record.as_bytes(), WAIT).unwrap();
            queue.flush().unwrap();
        }
        queue.close(None).unwrap();
        log.wait_background(BACKGROUND).unwrap();
        set_mode(&home, 0o755);
        assert_eq!(fs::read(home.join("log")).unwrap(), b"one\ntwo\nsix\n");
    })
    .join();
}
