//! Files and folders that other users or other writers have put in our way. Tests that need root
//! and a second user print that they are skipped.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::Place;
use crate::logs::point::Script;
use crate::logs::{Compression, Rotation};
use crate::words::{Error, RotationProblem};

/// The second user, `nobody`.
const OTHER: u32 = 65_534;

/// Whether this test has the rights that it needs.
fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("{test}: skipped, only root has a second user");
    }
    is_root
}

fn packing() -> Rotation {
    let form = if cfg!(feature = "gzip") {
        Compression::Gzip
    } else {
        Compression::None
    };
    Rotation::new().size_bytes(4).compress(form)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn old(place: &Place, day: u32) -> PathBuf {
    place
        .dir
        .path()
        .join(format!("log.202001{day:02}T000000Z-000000"))
}

/// The owner of the folder puts a set-user-ID program there, under the name of a rotated file. Root
/// must not make a copy of it that belongs to root.
#[test]
fn root_packs_no_file_of_another_user() {
    if !is_root("root_packs_no_file_of_another_user") {
        return;
    }
    let place = Place::new();
    let theirs = old(&place, 1);
    fs::write(&theirs, "a program").unwrap();
    chown(&theirs, Some(OTHER), Some(OTHER)).unwrap();
    set_mode(&theirs, 0o6777);
    chown(place.dir.path(), Some(OTHER), Some(OTHER)).unwrap();
    let refused = packing().open(place.path()).unwrap_err();
    let Error::Rotation(problem) = &refused else {
        panic!("{refused}")
    };
    assert!(
        matches!(**problem, RotationProblem::Insecure { .. }),
        "{refused}"
    );
    let said = refused.to_string();
    let folder = place.dir.path().display();
    let why = format!("parent folder {folder} has insecure permissions (it belongs to another");
    assert!(
        said.contains(&why) && said.contains("--shared-folder"),
        "{said}"
    );
    let log = place.open(packing().shared_folder(true).keep_files(0));
    log.go_through(Vec::new());
    assert_eq!(log.left_to_pack().unwrap().files, 0, "it is not counted");
    assert_eq!(
        place.files(),
        ["log", "log.20200101T000000Z-000000"],
        "it is as it was"
    );
    assert_eq!(fs::metadata(&theirs).unwrap().mode() & 0o7777, 0o6777);
}

#[test]
fn a_packed_file_has_no_right_that_a_log_does_not_need() {
    if packing().compression == Compression::None {
        return;
    }
    for (mode, packed) in [(0o6777, 0o640), (0o1644, 0o640), (0o400, 0o400)] {
        let place = Place::new();
        let plain = old(&place, 1);
        fs::write(&plain, "ours\n").unwrap();
        set_mode(&plain, mode);
        let log = place.open(packing());
        let ((), passed) = Script::run(None, || log.go_through(Vec::new()));
        assert!(passed.contains(&"packed"), "{passed:?}");
        let twin = place.dir.path().join(format!("{}.gz", plain.display()));
        assert_eq!(fs::metadata(twin).unwrap().mode() & 0o7777, packed);
    }
}

#[test]
fn a_hard_link_and_other_things_than_regular_files_are_left_alone() {
    let mut place = Place::new();
    let linked = old(&place, 1);
    fs::write(&linked, "linked\n").unwrap();
    fs::hard_link(&linked, place.dir.path().join("elsewhere")).unwrap();
    for (day, suffix) in [(2, ""), (3, ".gz"), (4, ".packing"), (5, ".fresh")] {
        let fifo = format!("{}{suffix}", old(&place, day).display());
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mkfifoat(rustix::fs::CWD, fifo, mode).unwrap(); // no process writes to it
    }
    let before = place.files();
    let log = place.open(packing().keep_files(0));
    log.go_through(Vec::new());
    place.put(&log, "one\n");
    assert_eq!(
        place.files(),
        before
            .iter()
            .map(String::as_str)
            .chain(["log"])
            .fold(Vec::new(), |mut names, name| {
                names.push(name.to_owned());
                names.sort();
                names
            })
    );
    assert!(place.errors(&log).is_empty());
}

#[test]
fn a_privileged_process_refuses_folders_that_others_may_change() {
    if !is_root("a_privileged_process_refuses_folders_that_others_may_change") {
        return;
    }
    let refused = |place: &Place, path: &Path| {
        let refused = Rotation::new().open(path).unwrap_err().to_string();
        assert!(refused.contains("insecure permissions"), "{refused}");
        drop(Rotation::new().shared_folder(true).open(path).unwrap());
        drop(fs::remove_dir_all(place.dir.path()));
    };
    let place = Place::new();
    set_mode(place.dir.path(), 0o777);
    refused(&place, &place.path());
    let place = Place::new();
    chown(place.dir.path(), None, Some(OTHER)).unwrap();
    set_mode(place.dir.path(), 0o770);
    refused(&place, &place.path());
    // A folder above the log's folder.
    let place = Place::new();
    let inside = place.dir.path().join("logs");
    fs::create_dir(&inside).unwrap();
    chown(place.dir.path(), Some(OTHER), None).unwrap();
    refused(&place, &inside.join("log"));
    // A link on the path of the log.
    let place = Place::new();
    let (link, target) = (place.dir.path().join("link"), Place::new());
    symlink(target.dir.path(), &link).unwrap();
    rustix::fs::chownat(
        rustix::fs::CWD,
        &link,
        Some(rustix::fs::Uid::from_raw(OTHER)),
        None,
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    )
    .unwrap();
    refused(&place, &link.join("log"));
    // The sticky bit keeps other users from renaming, but not from creating a file first.
    let place = Place::new();
    set_mode(place.dir.path(), 0o1777);
    drop(Rotation::new().open(place.path()).unwrap());
    fs::write(place.dir.path().join("theirs"), "").unwrap();
    chown(place.dir.path().join("theirs"), Some(OTHER), None).unwrap();
    let theirs = Rotation::new().open(place.dir.path().join("theirs"));
    assert!(
        theirs
            .unwrap_err()
            .to_string()
            .contains("insecure permissions")
    );
}

/// The owner of the parent folder replaces the folder of the log by a link to another folder.
#[test]
fn a_folder_that_is_swapped_for_a_link_moves_no_log() {
    let mut place = Place::new();
    let (logs, victim) = (
        place.dir.path().join("logs"),
        place.dir.path().join("victim"),
    );
    fs::create_dir(&logs).unwrap();
    fs::create_dir(&victim).unwrap();
    let rotation = || Rotation::new().size_bytes(4).shared_folder(true);
    let log = place.open_at(rotation(), &logs.join("log"));
    place.put(&log, "one\n");
    let moved = place.dir.path().join("moved");
    fs::rename(&logs, &moved).unwrap();
    symlink("victim", &logs).unwrap();
    for second in 1..4 {
        place.set(super::NOON + second);
        place.put(&log, "two\n");
    }
    assert_eq!(
        fs::read_dir(&victim).unwrap().count(),
        0,
        "nothing is written there"
    );
    assert_eq!(
        fs::read(moved.join("log")).unwrap(),
        b"one\ntwo\ntwo\ntwo\n"
    );
    let errors = place.errors(&log);
    let why = io::Error::from_raw_os_error(libc::ELOOP).to_string();
    assert!(errors.len() == 1 && errors[0].contains(&why), "{errors:?}");
    log.go_through(Vec::new());
    // Once a folder is at the path again, the log continues in it.
    fs::remove_file(&logs).unwrap();
    fs::create_dir(&logs).unwrap();
    place.set(super::NOON + 9);
    place.put(&log, "here\n");
    assert_eq!(fs::read(logs.join("log")).unwrap(), b"here\n");
}

/// A writer that has the file open without a lock, and writes to it at the worst moment.
static WRITER: Mutex<Option<File>> = Mutex::new(None);

#[test]
fn bytes_that_another_writer_appends_before_the_removal_are_kept() {
    if packing().compression == Compression::None {
        return;
    }
    for point in ["pack", "sync the folder", "remove the plain file"] {
        let mut place = Place::new();
        let log = place.open(packing());
        place.put(&log, "one\n");
        let late = File::options().append(true).open(place.path()).unwrap();
        *WRITER.lock().unwrap() = Some(late);
        place.put(&log, "two\n");
        let write_late = || {
            if let Some(mut late) = WRITER.lock().unwrap().take() {
                late.write_all(b"late\n").unwrap();
            }
        };
        Script::run(Some(Script::Call(point, write_late)), || {
            log.go_through(Vec::new());
            log.go_through(Vec::new());
        });
        assert_eq!(log.left_to_pack().unwrap().files, 0, "{point}");
        place.written = b"one\nlate\ntwo\n".into();
        place.check();
    }
}

/// Names that others have taken, in any form, are passed over, also that of the new file.
#[test]
fn names_that_are_taken_stop_no_rotation() {
    let mut place = Place::new();
    let log = place.open(packing());
    place.put(&log, "one\n");
    let folder = place.dir.path().to_owned();
    let taken = |name: &str| folder.join(format!("log.20261124T114620Z-{name}"));
    fs::create_dir(taken("000000.fresh")).unwrap();
    symlink("/etc/passwd", taken("000001.fresh")).unwrap();
    fs::write(taken("000002"), "decoy").unwrap();
    fs::hard_link(taken("000002"), place.dir.path().join("elsewhere")).unwrap();
    place.put(&log, "two\n");
    assert_eq!(fs::read(taken("000003")).unwrap(), b"one\n");
    assert_eq!(fs::read(place.path()).unwrap(), b"two\n");
    assert!(place.errors(&log).is_empty());
}
