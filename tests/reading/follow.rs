//! `Reader::follow`: every record once, over rotation, packing, deletion, other folders and kills;
//! and no wake-up while nothing is written.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use alq::read::{Follow, Item, Notice, ReadOptions};
use alq::rotate::{Compression, Rotation};
use alq::{Flags, Options};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A test waits this long for an event, and then fails.
const DEADLINE: Timespec = Timespec {
    tv_sec: 300,
    tv_nsec: 0,
};

fn follow(path: &Path) -> Follow {
    let reader = ReadOptions::new().may_be_missing(true).open(path).unwrap();
    reader.follow().unwrap()
}

/// The next item, as text.
fn next(follow: &mut Follow) -> String {
    loop {
        if let Some(item) = follow.try_next().unwrap() {
            return match item {
                Item::Record(record) => String::from_utf8(record.bytes().to_vec()).unwrap(),
                Item::Notice(notice, _) => format!("({notice})"),
                _ => unreachable!(),
            };
        }
        let mut fds = [PollFd::from_borrowed_fd(follow.as_fd(), PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&DEADLINE)).unwrap(), 1, "no event came");
    }
}

fn append(path: &Path, text: &str) {
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// There is nothing to read now, and each change from here on makes an event.
#[track_caller]
fn is_at_end(follow: &mut Follow) {
    let item = follow.try_next().unwrap();
    assert!(item.is_none(), "{item:?}");
}

#[test]
fn lines_come_as_soon_as_they_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    append(&path, "one\ntw");
    let mut follow = follow(&path);
    assert_eq!(next(&mut follow), "one");
    is_at_end(&mut follow);
    append(&path, "o");
    is_at_end(&mut follow);
    append(&path, "\nthree\n");
    assert_eq!([next(&mut follow), next(&mut follow)], ["two", "three"]);
}

#[test]
fn a_log_that_does_not_exist_yet_is_found_in_a_folder_that_does_not_exist_yet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/app.log");
    let mut follow = follow(&path);
    is_at_end(&mut follow);
    fs::create_dir(dir.path().join("a")).unwrap();
    is_at_end(&mut follow);
    fs::create_dir(dir.path().join("a/b")).unwrap();
    is_at_end(&mut follow);
    append(&path, "");
    is_at_end(&mut follow);
    append(&path, "one\n");
    assert_eq!(next(&mut follow), "one");
}

#[test]
fn a_log_that_is_renamed_or_deleted_is_read_up_to_the_first_byte_of_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let other = dir.path().join("app.log.1"); // as logrotate names it
    append(&path, "one\n");
    let mut follow = follow(&path);
    assert_eq!(next(&mut follow), "one");
    is_at_end(&mut follow);
    fs::rename(&path, &other).unwrap();
    is_at_end(&mut follow);
    append(&other, "two\n");
    assert_eq!(next(&mut follow), "two");
    append(&path, "");
    is_at_end(&mut follow);
    append(&other, "three\n");
    assert_eq!(next(&mut follow), "three");
    is_at_end(&mut follow);
    append(&other, "four\n");
    append(&path, "five\n");
    assert_eq!([next(&mut follow), next(&mut follow)], ["four", "five"]);
    is_at_end(&mut follow);
    let old = File::options().append(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    is_at_end(&mut follow);
    (&old).write_all(b"six\n").unwrap();
    assert_eq!(next(&mut follow), "six");
    is_at_end(&mut follow);
    append(&path, "seven\n");
    assert_eq!(next(&mut follow), "seven");
    is_at_end(&mut follow);
    fs::write(&path, "8\n").unwrap(); // truncated, and written again
    let truncated = "(the file was truncated: reading continues at its start)";
    assert_eq!([next(&mut follow), next(&mut follow)], [truncated, "8"]);
}

#[test]
fn a_folder_that_is_replaced_is_found_at_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let name = |name: &str| dir.path().join(name);
    fs::create_dir_all(name("x/logs")).unwrap();
    let path = name("x/logs/app.log");
    append(&path, "one\n");
    let mut follow = follow(&path);
    assert_eq!(next(&mut follow), "one");
    is_at_end(&mut follow);
    fs::rename(name("x"), name("y")).unwrap();
    is_at_end(&mut follow);
    append(&name("y/logs/app.log"), "two\n");
    assert_eq!(next(&mut follow), "two");
    is_at_end(&mut follow);
    fs::create_dir_all(name("x/logs")).unwrap();
    is_at_end(&mut follow);
    append(&path, "three\n");
    assert_eq!(next(&mut follow), "three");
}

#[test]
fn a_link_that_is_changed_leads_to_the_new_log() {
    let dir = tempfile::tempdir().unwrap();
    let name = |name: &str| dir.path().join(name);
    for release in ["1", "2"] {
        fs::create_dir(name(release)).unwrap();
    }
    std::os::unix::fs::symlink("1", name("current")).unwrap();
    append(&name("1/app.log"), "one\n");
    let mut follow = follow(&name("current/app.log"));
    assert_eq!(next(&mut follow), "one");
    is_at_end(&mut follow);
    append(&name("2/app.log"), "two\n");
    is_at_end(&mut follow);
    std::os::unix::fs::symlink("2", name("new")).unwrap();
    fs::rename(name("new"), name("current")).unwrap();
    assert_eq!(next(&mut follow), "two");
}

/// How often this thread has gone to sleep.
fn sleeps() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let name = "voluntary_ctxt_switches:";
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

/// The thread that follows sleeps once until the record comes. A poll with a time-out would sleep
/// many times.
#[test]
fn a_follower_sleeps_until_something_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    append(&path, "one\n");
    let follower = {
        let path = path.clone();
        thread::spawn(move || {
            let mut follow = follow(&path);
            assert_eq!(next(&mut follow), "one");
            is_at_end(&mut follow);
            let before = sleeps();
            let item = follow.next().unwrap();
            assert!(matches!(item, Item::Record(_)));
            sleeps() - before
        })
    };
    thread::sleep(Duration::from_secs(2));
    append(&dir.path().join("another.log"), "nothing\n");
    append(&path, "two\n");
    let sleeps = follower.join().unwrap();
    assert!(sleeps <= 5, "{sleeps} times");
}

/// Rotates at `size` bytes, packs, and appends `count` numbered lines.
fn catch(path: &Path, size: u64, count: u64, form: Compression) {
    let log = Rotation::new().size_bytes(size).compress(form);
    let log = log.open(path).unwrap();
    let queue = Options::new().open_sink(log.clone()).unwrap();
    for n in 0..count {
        let line = format!("{n} {:1$}\n", "", (n % 50) as usize);
        queue.writen(line.as_bytes(), Flags::WAITOK).unwrap();
    }
    queue.close(None).unwrap();
    log.wait_background(None).unwrap();
}

/// The number of lines: `ALQ_LINES=1000000` is the long form.
fn count() -> u64 {
    std::env::var("ALQ_LINES").map_or(60_000, |lines| lines.parse().unwrap())
}

/// Follows while the log is rotated and packed, and starts again from its cursor all the time.
fn follow_restarted(path: &Path, count: u64, mut seed: u64) -> u64 {
    let mut restarts = 0;
    let mut follow = follow(path);
    let mut left = 0;
    for expected in 0..count {
        if left == 0 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            left = (seed >> 33) % 2000;
            let saved = follow.cursor().to_string();
            let reader = ReadOptions::new().may_be_missing(true).open(path);
            let mut reader = reader.unwrap();
            reader.resume(&saved.parse().unwrap()).unwrap();
            follow = reader.follow().unwrap();
            restarts += 1;
        }
        left -= 1;
        let line = next(&mut follow);
        let number = line.split(' ').next().unwrap();
        assert_eq!(
            number.parse(),
            Ok(expected),
            "after {restarts} restarts: {line}"
        );
    }
    is_at_end(&mut follow);
    restarts
}

#[test]
fn every_line_comes_once_while_the_log_is_rotated_and_packed() {
    for (form, size, seed) in [
        (Compression::Zstd, 64 << 10, 1),
        (Compression::Gzip, 4 << 10, 2),
        (Compression::None, 300, 3),
    ] {
        // Small files are many files: each of them costs listings of the folder.
        let count = if size < 1000 {
            count().min(20_000)
        } else {
            count()
        };
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("app.log");
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                catch(&path, size, count, form);
                // Relaxed: the end of the scope orders it.
                is_done.store(true, Ordering::Relaxed);
            });
            let restarts = follow_restarted(&path, count, seed);
            let files = fs::read_dir(dir.path()).unwrap().count();
            println!("{form:?}: {count} lines, {files} files, {restarts} restarts");
        });
        // Relaxed: as above.
        assert!(is_done.load(Ordering::Relaxed));
    }
}

#[test]
fn a_follower_that_is_too_slow_for_the_retention_says_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let rotated = |n: u32| -> PathBuf {
        dir.path()
            .join(format!("app.log.20261201T06000{n}Z-000000"))
    };
    append(&path, "one\n");
    let mut follow = follow(&path);
    assert_eq!(next(&mut follow), "one");
    is_at_end(&mut follow);
    append(&path, "two\n");
    fs::remove_file(&path).unwrap(); // rotated, and deleted
    append(&rotated(3), "four\n");
    append(&path, "five\n");
    assert_eq!(next(&mut follow), "two");
    let item = follow.next().unwrap();
    let Item::Notice(Notice::Gone, place) = item else {
        panic!("{item:?}");
    };
    assert_eq!(place.file(), rotated(3));
    assert_eq!([next(&mut follow), next(&mut follow)], ["four", "five"]);
}
