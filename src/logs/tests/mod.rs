//! Runs a log without a queue, step by step, with a clock that the test sets.

mod clocks;
mod ends;
mod keeping;
mod notes;
mod owners;
mod trouble;

use std::fs::{self, File};
use std::io::{self, IoSlice, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use super::folder::Folder;
use super::found::{self, Found};
use super::log::Log;
use super::name::{Key, Kind, Names};
use super::{Compression, Every, Rotation, Zone};

/// 2026-11-24, 11:46:20 UTC.
pub const NOON: u64 = 1_795_520_780;

/// A folder for a log, its clock, and the bytes that were written.
pub struct Place {
    pub dir: TempDir,
    clock: Arc<AtomicU64>,
    pub written: Vec<u8>,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Place {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir_in("/dev/shm").unwrap(), // a sync costs nothing there
            clock: Arc::new(AtomicU64::new(NOON)),
            written: Vec::new(),
            errors: Arc::default(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn found(&self) -> Vec<Found> {
        let folder = Folder::open(self.dir.path(), true).unwrap();
        found::list(&folder, &Names::of("log".into())).unwrap()
    }

    pub fn set(&self, seconds: u64) {
        // Relaxed: only one thread uses the clock.
        self.clock.store(seconds, Ordering::Relaxed);
    }

    pub fn open(&self, rotation: Rotation) -> Log {
        self.open_at(rotation, &self.path())
    }

    pub fn open_at(&self, rotation: Rotation, path: &Path) -> Log {
        let log = self.open_alone(rotation, path);
        log.room(); // as a queue without a ring file does
        log
    }

    /// Opens a log that no queue has yet.
    pub fn open_alone(&self, rotation: Rotation, path: &Path) -> Log {
        let (clock, errors) = (Arc::clone(&self.clock), Arc::clone(&self.errors));
        // Relaxed: as above.
        let now = move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed));
        let report =
            move |error: &super::RotateError| errors.lock().unwrap().push(error.to_string());
        Log::open(rotation.clock(now).on_error(report), path).unwrap()
    }

    /// Writes a record as a queue does: it asks for room before and after.
    pub fn put(&mut self, log: &Log, record: &str) {
        loop {
            log.room();
            log.end();
            match log.write(&[IoSlice::new(record.as_bytes())]) {
                Ok(taken) => {
                    assert_eq!(taken, record.len());
                    self.written.extend_from_slice(record.as_bytes());
                    log.room();
                    return;
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::Interrupted),
            }
        }
    }

    /// The names of all files except the lock, in order.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "log.lock").collect();
        names.sort();
        names
    }

    /// The content of all files, in order. Of a file that exists twice, the plain form counts.
    fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        let found = self.found();
        for one in &found {
            let mut file = File::open(self.dir.path().join(&one.name)).unwrap();
            let has_plain = |key: Key| {
                let plain = Kind::Rotated(Compression::None);
                found.iter().any(|one| one.key == key && one.kind == plain)
            };
            match one.kind {
                Kind::Rotated(Compression::None) | Kind::Fresh => {
                    file.read_to_end(&mut content).unwrap()
                }
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

    pub fn check(&self) {
        assert_eq!(text(&self.content()), text(&self.written));
    }

    pub fn errors(&self, log: &Log) -> Vec<String> {
        log.worker.call_hook_for_errors(&log.rotation);
        core::mem::take(&mut self.errors.lock().unwrap())
    }
}

pub fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap()
}

#[test]
fn names_sort_in_the_order_of_time_even_if_the_clock_is_set_back() {
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
    let refused = refused.unwrap_err().to_string();
    let (why, what) = (
        "cannot make the link point to the log",
        "not a symbolic link",
    );
    assert!(refused.contains(why) && refused.contains(what), "{refused}");
    assert_eq!(fs::read(&link).unwrap(), b"mine");
}

#[test]
fn each_refused_open_names_its_reason() {
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
