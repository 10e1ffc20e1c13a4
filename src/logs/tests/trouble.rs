//! Failures of the system that must cost neither bytes nor promises.

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
fn while_rotations_fail_writes_are_as_large_as_before() {
    let mut place = Place::new();
    let log = place.open(Rotation::new().size_bytes(5));
    let run = || {
        for record in ["one\n", "two\n"] {
            place.put(&log, record);
        }
        log.room()
    };
    let (room, _) = Script::run(Some(NO_DESCRIPTORS), run);
    assert_eq!(room, u64::MAX, "a write may hold more than one record");
    place.set(NOON + 1);
    place.put(&log, "three\n");
    assert_eq!(place.files().len(), 2, "the bound holds again");
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
            place.put(&log, record); // `put` expects one write per record
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
    let why = io::Error::from_raw_os_error(libc::ENAMETOOLONG).to_string();
    assert!(refused.contains(&why), "{refused}");
    assert!(place.files().is_empty(), "{:?}", place.files());
    let path = place.dir.path().join("x".repeat(220));
    drop(Rotation::new().open(path).unwrap());
}

#[test]
fn a_lock_that_cannot_be_opened_is_named() {
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

/// The names may not be on disk, whichever process made them.
#[test]
fn the_first_sync_reaches_the_directory_also_of_a_log_that_was_there() {
    let place = Place::new();
    fs::write(place.path(), "one\n").unwrap();
    let log = place.open(Rotation::new());
    let sync = || log.durable.sync(SyncOp::Full, &log.folder, &log.names);
    let fails = Script::Fail("sync the folder", 1, libc::EIO);
    let (refused, _) = Script::run(Some(fails), sync);
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EIO));
    let (done, passed) = Script::run(None, sync);
    assert!(
        done.is_ok() && passed == ["sync the folder"],
        "until it has succeeded"
    );
    assert!(
        Script::run(None, sync).1.is_empty(),
        "not after it has succeeded"
    );
}

/// The bytes of an earlier process count as written, so a sync must make them durable.
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
    // A link in the place of the file makes the sync fail if it opens the file.
    let file = place.dir.path().join(&place.files()[1]);
    fs::remove_file(&file).unwrap();
    symlink("nowhere", &file).unwrap();
    let refused = log
        .durable
        .sync(SyncOp::Data, &log.folder, &log.names)
        .unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ELOOP));
}

#[cfg(feature = "zstd")]
#[test]
fn a_file_that_is_packed_in_another_form_leaves_one_packed_file() {
    use crate::logs::Compression;
    let place = Place::new();
    let plain = place.dir.path().join("log.20200101T000000Z-000000");
    fs::write(&plain, "one\n").unwrap();
    fs::write(plain.with_extension("20200101T000000Z-000000.gz"), "packed").unwrap();
    let log = place.open(Rotation::new().compress(Compression::Zstd));
    log.go_through(Vec::new());
    assert_eq!(place.files(), ["log", "log.20200101T000000Z-000000.zst"]);
}

/// Each of many files that cannot be packed is tried less and less often: n passes make fewer than
/// n log n tries.
#[cfg(feature = "gzip")]
#[test]
fn the_work_of_failing_does_not_grow_quadratically() {
    use crate::logs::Compression;
    let mut place = Place::new();
    let log = place.open(Rotation::new().size_bytes(1).compress(Compression::Gzip));
    let fails = Script::Fail("sync the packed file", usize::MAX, libc::EIO);
    let run = || {
        for _ in 0..64 {
            place.put(&log, "x");
            log.go_through(Vec::new());
        }
    };
    let ((), passed) = Script::run(Some(fails), run);
    let tries = passed.iter().filter(|point| **point == "pack").count();
    assert!((64..=64 * 7).contains(&tries), "{tries} tries");
    for _ in 0..64 {
        log.go_through(Vec::new());
    }
    assert_eq!(log.left_to_pack().unwrap().files, 0, "no file is forgotten");
    place.check();
}

#[cfg(feature = "gzip")]
#[test]
fn packing_that_is_stopped_leaves_whole_files_for_the_next_to_open_the_log() {
    use crate::logs::Compression;
    let packs = || Rotation::new().size_bytes(4).compress(Compression::Gzip);
    let mut place = Place::new();
    let log = place.open(packs());
    for record in ["one\n", "two\n", "six\n"] {
        place.put(&log, record);
    }
    let left = log.left_to_pack().unwrap();
    assert_eq!((left.files, left.bytes), (2, 8));
    let stops = Script::Fail("pack", 1, libc::EINTR);
    Script::run(Some(stops), || {
        log.worker.stop_packing();
        log.go_through(Vec::new());
    });
    assert_eq!(log.left_to_pack().unwrap().files, 2);
    assert!(place.errors(&log).is_empty(), "it is no error");
    drop(log);
    let log = place.open(packs());
    log.go_through(Vec::new());
    assert_eq!(log.left_to_pack().unwrap().files, 0);
    place.check();
}

/// Some file systems on CIFS and FUSE behave like this.
#[cfg(feature = "gzip")]
#[test]
fn a_folder_that_cannot_be_synced_is_no_failure() {
    use crate::logs::Compression;
    for errno in [libc::EINVAL, libc::EOPNOTSUPP, libc::EROFS] {
        let mut place = Place::new();
        let packs = Rotation::new().size_bytes(1).compress(Compression::Gzip);
        let log = place.open(packs);
        let fails = Script::Fail("sync the folder", usize::MAX, errno);
        let run = || {
            for _ in 0..4 {
                place.put(&log, "x");
                log.go_through(Vec::new());
            }
            log.durable
                .sync(SyncOp::Full, &log.folder, &log.names)
                .unwrap();
        };
        let ((), passed) = Script::run(Some(fails), run);
        let packed = passed.iter().filter(|point| **point == "pack").count();
        assert_eq!(packed, 3, "each once");
        assert_eq!(log.left_to_pack().unwrap().files, 0);
        assert!(place.errors(&log).is_empty());
        place.check();
    }
}
