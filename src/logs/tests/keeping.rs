//! Retention deletes the oldest files of the log, and leaves all other files alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::{NOON, Place, text};
use crate::logs::Rotation;
use crate::logs::point::Script;

/// Creates files with names that are nearly ours, and things that are not regular files.
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
    fs::create_dir(place.dir.path().join(&fresh)).unwrap();
    names.extend([folder, link, fresh]);
    names
}

#[test]
fn retention_deletes_the_oldest_of_our_own_and_nothing_else() {
    type Limit = fn(Rotation) -> Rotation;
    let limits: [(Limit, usize); 5] = [
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
        drop(log); // otherwise the steady clock says that no file is old
        place.open(limit(Rotation::new())).go_through(Vec::new());
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
fn a_file_that_cannot_be_deleted_is_reported_and_the_others_are_deleted() {
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
