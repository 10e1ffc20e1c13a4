//! What goes wrong, and must cost neither bytes nor promises.

use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::symlink;

use super::{NOON, Place};
use crate::logs::Rotation;
use crate::logs::log::Log;
use crate::logs::point::Script;
use crate::words::SyncOp;

/// Every rotation fails.
const NO_DESCRIPTORS: Script = Script::Fail("make the new file", usize::MAX, libc::EMFILE);

#[test]
fn while_rotations_fail_writes_are_as_large_as_ever() {
    let mut place = Place::new();
    let log = place.open(Rotation::new().size_bytes(5));
    let run = || {
        for record in ["one\n", "two\n"] {
            place.put(&log, record);
        }
        log.room()
    };
    let (room, _) = Script::run(Some(NO_DESCRIPTORS), run);
    assert_eq!(room, u64::MAX, "not one record a write");
    place.set(NOON + 1);
    place.put(&log, "three\n");
    assert_eq!(place.files().len(), 2, "the bound is that of before");
    assert_eq!(log.room(), 1);
    place.check();
}

#[test]
fn while_rotations_fail_lines_are_not_written_one_by_one() {
    let mut place = Place::new();
    let log = place.open(Rotation::new().size_bytes(5).whole_lines(100));
    let lines = "some\nmore\nlines\n";
    let run = || {
        for record in ["one\n", "two\n", lines] {
            place.put(&log, record); // which has it written at once
        }
    };
    Script::run(Some(NO_DESCRIPTORS), run);
    place.check();
}

#[test]
fn a_log_whose_name_leaves_no_room_for_others_is_refused() {
    let place = Place::new();
    let path = place.dir.path().join("x".repeat(240));
    let refused = Rotation::new().open(path).unwrap_err().to_string();
    assert!(refused.contains("File name too long"), "{refused}");
    assert!(place.files().is_empty(), "{:?}", place.files());
    let path = place.dir.path().join("x".repeat(220));
    drop(Rotation::new().open(path).unwrap());
}

#[test]
fn what_cannot_be_had_is_named() {
    let place = Place::new();
    let lock = place.dir.path().join("log.lock");
    fs::create_dir(&lock).unwrap();
    let refused = Rotation::new().open(place.path()).unwrap_err();
    assert_eq!(refused.errno(), libc::EISDIR);
    let (refused, lock) = (refused.to_string(), lock.display().to_string());
    assert!(
        refused.contains(&lock) && refused.contains("lock"),
        "{refused}"
    );
}

/// Who has made the names does not matter: they may not be on disk.
#[test]
fn the_first_sync_reaches_the_directory_also_of_a_log_that_was_there() {
    let place = Place::new();
    fs::write(place.path(), "one\n").unwrap();
    let log = place.open(Rotation::new());
    let sync = || log.durable.sync(SyncOp::Full, &log.names);
    let elsewhere = place.dir.path().with_extension("elsewhere");
    fs::rename(place.dir.path(), &elsewhere).unwrap();
    let refused = sync().map_err(|error| error.kind());
    fs::rename(&elsewhere, place.dir.path()).unwrap();
    assert_eq!(refused, Err(io::ErrorKind::NotFound));
    sync().unwrap();
}

/// What an earlier process has written counts as written, so it must become durable as that.
#[test]
fn a_sync_covers_the_file_in_which_a_recovery_has_found_its_bytes() {
    let place = Place::new();
    let rotated = |log: &Log| {
        log.ask(&log.asked);
        log.attend();
    };
    let log = place.open(Rotation::new());
    let end = log.end().unwrap();
    let runs = [IoSlice::new(b"one\n")];
    log.write(&runs).unwrap();
    drop(log);
    let log = place.open(Rotation::new());
    rotated(&log);
    drop(log);
    let log = place.open(Rotation::new());
    assert_eq!(log.holds(&end, &runs), Some(4));
    // So it is seen whether the file is looked for.
    let file = place.dir.path().join(&place.files()[1]);
    fs::remove_file(&file).unwrap();
    symlink("nowhere", &file).unwrap();
    let refused = log.durable.sync(SyncOp::Data, &log.names).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ELOOP));
}

#[cfg(feature = "zstd")]
#[test]
fn of_a_file_that_is_packed_in_another_form_than_before_one_is_left() {
    use crate::logs::Compression;
    let place = Place::new();
    let plain = place.dir.path().join("log.20200101T000000Z-000000");
    fs::write(&plain, "one\n").unwrap();
    fs::write(plain.with_extension("20200101T000000Z-000000.gz"), "packed").unwrap();
    let log = place.open(Rotation::new().compress(Compression::Zstd));
    log.go_through(Vec::new());
    assert_eq!(place.files(), ["log", "log.20200101T000000Z-000000.zst"]);
}
