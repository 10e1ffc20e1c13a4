//! A log without a queue, step by step: ended and failed at every point, with a clock that does what it likes.

use std::fs::{self, File};
use std::io::{self, IoSlice, Read};
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use super::log::Log;
use super::name::{Key, Kind, Names};
use super::point::Script;
use super::{Compression, Every, Rotation, Zone};

/// 2026-11-24, 11:46:20 UTC.
const NOON: u64 = 1_795_520_780;

/// A directory, a clock, and what was written.
struct Place {
    dir: TempDir,
    clock: Arc<AtomicU64>,
    written: Vec<u8>,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir_in("/dev/shm").unwrap(), // syncs cost nothing there
            clock: Arc::new(AtomicU64::new(NOON)),
            written: Vec::new(),
            errors: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn names(&self) -> Names {
        Names::of(&self.path()).unwrap()
    }

    fn set(&self, seconds: u64) {
        self.clock.store(seconds, Ordering::Relaxed);
    }

    fn open(&self, rotation: Rotation) -> Log {
        let (clock, errors) = (Arc::clone(&self.clock), Arc::clone(&self.errors));
        let now = move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed));
        let told = move |error: &super::RotateError| errors.lock().unwrap().push(error.to_string());
        Log::open(rotation.clock(now).on_error(told), &self.path()).unwrap()
    }

    /// Writes a record as a queue does.
    fn put(&mut self, log: &Log, record: &str) {
        loop {
            log.room();
            log.end();
            match log.write(&[IoSlice::new(record.as_bytes())]) {
                Ok(taken) => {
                    assert_eq!(taken, record.len());
                    self.written.extend_from_slice(record.as_bytes());
                    return;
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::Interrupted),
            }
        }
    }

    /// The names of all files but the lock, in order.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "log.lock").collect();
        names.sort();
        names
    }

    /// What all files hold, in order: of one that is there twice, the plain form counts.
    fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        let found = self.names().list().unwrap();
        for one in &found {
            let mut file = File::open(&one.path).unwrap();
            let has_plain = |key: Key| {
                let plain = Kind::Rotated(Compression::None);
                found.iter().any(|one| one.key == key && one.kind == plain)
            };
            match one.kind {
                Kind::Rotated(Compression::None) => file.read_to_end(&mut content).unwrap(),
                #[cfg(feature = "gzip")]
                Kind::Rotated(Compression::Gzip) if !has_plain(one.key) => {
                    let mut unpacked = flate2::read::GzDecoder::new(file);
                    unpacked.read_to_end(&mut content).unwrap()
                }
                _ => 0,
            };
        }
        content.extend(fs::read(self.path()).unwrap_or_default());
        content
    }

    fn check(&self) {
        assert_eq!(text(&self.content()), text(&self.written));
    }

    fn errors(&self, log: &Log) -> Vec<String> {
        log.worker.tell_all(&log.rotation);
        core::mem::take(&mut self.errors.lock().unwrap())
    }
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap()
}

/// The form that is compiled in.
fn form() -> Compression {
    if cfg!(feature = "gzip") {
        Compression::Gzip
    } else {
        Compression::None
    }
}

/// Three rotations and what follows them; the last record is still in the log.
fn some_work(place: &mut Place, log: &Log) {
    for record in ["one\n", "two\n", "three\n", "four\n"] {
        place.put(log, record);
    }
    log.go_through(Vec::new());
}

fn small() -> Rotation {
    Rotation::new().size_bytes(5).compress(form())
}

/// Runs `body` up to the point of that number; says whether it came to its end.
fn up_to(number: usize, body: impl FnOnce()) -> bool {
    let run = || catch_unwind(AssertUnwindSafe(body)).is_ok();
    Script::run(Some(Script::End(number)), run).0
}

#[test]
fn whoever_is_killed_at_any_point_and_again_leaves_what_the_next_one_goes_on_with() {
    let mut count = 0;
    'first: for first in 1.. {
        for second in 1.. {
            let mut place = Place::new();
            let log = place.open(small());
            let is_over = up_to(first, || some_work(&mut place, &log));
            drop(log);
            if is_over {
                break 'first;
            }
            place.check();
            let log = place.open(small());
            let is_last = up_to(second, || some_work(&mut place, &log));
            drop(log);
            place.check();
            let log = place.open(small());
            some_work(&mut place, &log);
            place.check();
            let left = place.files();
            let is_whole = |name: &String| {
                name == "log" || name.len() == "log.".len() + 23 + form().suffix().len()
            };
            assert!(left.iter().all(is_whole), "{first}, {second}: {left:?}");
            count += 1;
            if is_last {
                break;
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn a_step_that_fails_leaves_the_log_where_it_is_and_is_tried_again_in_the_next_second() {
    let steps = [
        "make the new file",
        "move the old file aside",
        "put the new file in place",
    ];
    for step in steps {
        let mut place = Place::new();
        let log = place.open(small());
        let run = |place: &mut Place| {
            for record in ["one\n", "two\n", "three\n"] {
                place.put(&log, record);
            }
        };
        Script::run(Some(Script::Fail(step, 9, libc::EMFILE)), || {
            run(&mut place)
        });
        assert_eq!(place.files(), ["log"], "{step}");
        place.check();
        let errors = place.errors(&log);
        assert_eq!(errors.len(), 1, "once, and not once a record: {errors:?}");
        assert!(
            errors[0].contains("cannot rotate the log: Too many open files"),
            "{errors:?}"
        );
        place.set(NOON + 1);
        place.put(&log, "four\n");
        assert_eq!(place.files().len(), 2, "{step}");
        place.check();
    }
}

/// The new file is in place, and the system does not let us go on in it.
#[test]
fn a_rotation_that_fails_half_way_is_finished_by_the_next_look() {
    let mut place = Place::new();
    let log = place.open(small());
    place.put(&log, "one\n");
    let step = Script::Fail("go on in the new file", 1, libc::EIO);
    Script::run(Some(step), || place.put(&log, "two\n"));
    log.go_through(Vec::new());
    place.put(&log, "still there\n"); // which is not packed meanwhile
    place.check();
    place.set(NOON + 1);
    place.put(&log, "three\n");
    log.go_through(Vec::new());
    place.check();
    assert_eq!(fs::read(place.path()).unwrap(), b"three\n");
}

#[test]
fn a_file_that_cannot_be_packed_stays_as_it_is_until_it_can() {
    if form() == Compression::None {
        return;
    }
    let steps = [
        "make the packed file",
        "pack",
        "sync the packed file",
        "name the packed file",
        "sync the directory",
        "remove the plain file",
    ];
    for step in steps {
        let mut place = Place::new();
        let log = place.open(small());
        let fail = Script::Fail(step, 9, libc::ENOSPC);
        Script::run(Some(fail), || some_work(&mut place, &log));
        place.check();
        assert!(
            !place.files().iter().any(|name| name.ends_with(".packing")),
            "{step}"
        );
        let errors = place.errors(&log);
        assert_eq!(errors.len(), 3, "{step}: {errors:?}");
        log.go_through(Vec::new());
        let packed = place.files();
        assert_eq!(
            packed.iter().filter(|name| name.ends_with(".gz")).count(),
            3,
            "{packed:?}"
        );
        assert_eq!(packed.len(), 4);
        place.check();
    }
}

#[test]
fn names_sort_in_the_order_of_time_though_the_clock_is_set_back() {
    let mut place = Place::new();
    let log = place.open(Rotation::new().size_bytes(1));
    for (number, seconds) in [0, 0, 100, 50, 0, 60, 101, 1_000_000]
        .into_iter()
        .enumerate()
    {
        place.set(NOON - 1_000 + seconds);
        place.put(&log, &format!("{number}\n"));
    }
    drop(log);
    place.set(NOON - 100_000);
    let log = place.open(Rotation::new().size_bytes(1));
    place.put(&log, "after\n");
    place.put(&log, "all\n");
    place.check();
}

#[test]
fn a_period_ends_with_the_clock_and_a_clock_that_was_wrong_for_years_does_not_stop_it() {
    let hourly = || Rotation::new().every(Every::Hour).zone(Zone::Utc);
    let mut place = Place::new();
    let log = place.open(hourly());
    let rotated = |place: &Place| place.files().len() - 1;
    place.put(&log, "11:46\n");
    place.set(NOON + 13 * 60);
    place.put(&log, "11:59\n");
    assert_eq!(rotated(&place), 0);
    place.set(NOON + 14 * 60);
    place.put(&log, "12:00\n");
    assert_eq!(rotated(&place), 1);
    place.set(NOON - 3600);
    place.put(&log, "10:46: it is set back\n");
    assert_eq!(rotated(&place), 1, "by itself that cuts nothing");
    place.set(NOON - 3600 + 14 * 60);
    place.put(&log, "11:00\n");
    assert_eq!(rotated(&place), 2);
    place.set(NOON + 80 * 365 * 86400);
    place.put(&log, "many years later\n");
    assert_eq!(rotated(&place), 3);
    place.set(NOON);
    place.put(&log, "11:46, put right\n");
    place.set(NOON + 3600);
    place.put(&log, "12:46\n");
    assert_eq!(rotated(&place), 4);
    place.check();
}

#[test]
fn a_log_of_an_earlier_period_is_cut_before_the_first_record_and_an_empty_one_never() {
    let daily = || Rotation::new().every(Every::Day).zone(Zone::Utc);
    let place = &mut Place::new();
    fs::write(place.path(), "of yesterday\n").unwrap();
    place.written.extend(b"of yesterday\n");
    let yesterday = UNIX_EPOCH + Duration::from_secs(NOON - 86400);
    let file = File::options().append(true).open(place.path()).unwrap();
    file.set_modified(yesterday).unwrap();
    let log = place.open(daily());
    place.put(&log, "of today\n");
    assert_eq!(place.files().len(), 2);
    drop(log);
    let log = place.open(daily().at_start(true));
    log.room();
    assert_eq!(place.files().len(), 3, "at the start");
    place.set(NOON + 7 * 86400);
    log.room();
    assert_eq!(place.files().len(), 3, "there is nothing in it");
    place.put(&log, "of next week\n");
    assert_eq!(place.files().len(), 3);
    place.check();
}

/// Names that are nearly ours, and things that are no regular files.
fn put_decoys(place: &Place) -> Vec<String> {
    let stamp = "20200101T000000Z-000000";
    let near = [
        "log.20200101T000000Z-00000",
        "log.20200101T000000Z-0000000",
        "log.20201301T000000Z-000000",
        "log.20200101T000000-000000Z",
        "log.20200101t000000z-000000",
        "log.+0200101T000000Z-000000",
        "log.1",
        "log.gz",
        "log.old",
        "log2.20200101T000000Z-000000",
        "alog.20200101T000000Z-000000",
        "log-20200101T000000Z-000000",
    ];
    let mut names: Vec<String> = near.map(str::to_owned).into();
    let suffixes = [".bz2", ".gz.bak", ".gz.tmp", "~", ".fresh.gz", ".xz"];
    names.extend(suffixes.map(|suffix| format!("log.{stamp}{suffix}")));
    for name in &names {
        fs::write(place.dir.path().join(name), name).unwrap();
    }
    let folder = format!("log.{stamp}");
    fs::create_dir(place.dir.path().join(&folder)).unwrap();
    fs::write(place.dir.path().join(&folder).join("inside"), "").unwrap();
    let link = "log.20200102T000000Z-000000.gz".to_owned();
    symlink("log.1", place.dir.path().join(&link)).unwrap();
    let fresh = format!("log.{stamp}.fresh");
    fs::write(place.dir.path().join(&fresh), "not empty").unwrap();
    names.extend([folder, link, fresh]);
    names
}

#[test]
fn retention_deletes_the_oldest_of_our_own_and_nothing_else() {
    let limits: [(fn(Rotation) -> Rotation, usize); 5] = [
        (|of| of.keep_files(3), 3),
        (|of| of.keep_files(0), 0),
        (|of| of.keep_age(Duration::from_secs(2)), 2),
        (|of| of.keep_bytes(4 * 9 - 1), 3),
        (|of| of.keep_files(5).keep_bytes(2 * 9), 2),
    ];
    for (limit, kept) in limits {
        let mut place = Place::new();
        let decoys = put_decoys(&place);
        let log = place.open(limit(Rotation::new().size_bytes(9)));
        for number in 0..8 {
            place.put(&log, &format!("record {number}\n"));
            place.set(NOON + number + 1);
        }
        log.go_through(Vec::new());
        place.set(NOON + 9);
        let mut left = place.files();
        for decoy in &decoys {
            let at = left.iter().position(|name| name == decoy);
            left.remove(at.unwrap_or_else(|| panic!("{decoy} is gone")));
        }
        assert_eq!(left.len(), kept + 1, "{left:?}");
        let ours = left
            .iter()
            .map(|name| fs::read(place.dir.path().join(name)).unwrap());
        let mut ours: Vec<_> = ours.collect();
        ours.rotate_left(1); // the log is the newest
        let newest = &place.written[place.written.len() - 9 * (kept + 1)..];
        assert_eq!(text(&ours.concat()), text(newest));
    }
}

#[test]
fn a_file_that_cannot_be_deleted_is_told_and_the_others_go() {
    let mut place = Place::new();
    let log = place.open(Rotation::new().size_bytes(1).keep_files(1));
    for _ in 0..4 {
        place.put(&log, "x");
    }
    let fail = Script::Fail("delete", 1, libc::EACCES);
    Script::run(Some(fail), || log.go_through(Vec::new()));
    assert_eq!(place.errors(&log).len(), 1);
    assert_eq!(place.files().len(), 3);
    log.go_through(Vec::new());
    assert_eq!(place.files().len(), 2);
}

#[test]
fn a_link_leads_to_the_log_and_never_takes_the_place_of_something_else() {
    let mut place = Place::new();
    let link = place.dir.path().join("now");
    symlink("nowhere", &link).unwrap();
    let log = place.open(Rotation::new().size_bytes(1).link(&link));
    place.put(&log, "a\n");
    place.put(&log, "b\n");
    assert_eq!(fs::read(&link).unwrap(), b"b\n");
    drop(log);
    fs::remove_file(&link).unwrap();
    fs::write(&link, "mine").unwrap();
    let refused = Rotation::new().link(&link).open(place.path());
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("cannot open the log")
    );
    assert_eq!(fs::read(&link).unwrap(), b"mine");
}

#[test]
fn what_is_said_of_what_cannot_be_opened() {
    let place = Place::new();
    let said = |of: Rotation, path: &Path| of.open(path).unwrap_err().to_string();
    let folder = place.dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    assert!(said(Rotation::new(), &folder).contains("only a regular file can be rotated"));
    let link = place.dir.path().join("link");
    symlink("log", &link).unwrap();
    assert!(said(Rotation::new(), &link).contains("symbolic link"));
    fs::write(place.path(), "").unwrap();
    drop(Rotation::new().follow_links(true).open(&link).unwrap());
    let zone = Zone::Named("Nowhere/Land".to_owned());
    let of = Rotation::new().every(Every::Day).zone(zone);
    assert!(said(of, &place.path()).contains("Nowhere/Land"));
    assert!(said(Rotation::new().size_bytes(0), &place.path()).contains("size_bytes"));
    let of = Rotation::new().every(Every::Minutes(0));
    assert!(said(of, &place.path()).contains("1 to 1440 minutes"));
}
