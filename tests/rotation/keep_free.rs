//! Old rotated files make room on the file system; nothing else does.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::common::disk::SmallDisk;
use crate::common::{DEADLINE, WAIT};
use alq::Options;
use alq::rotate::Rotation;

const KEPT: u64 = 512 << 10;

fn free(path: &Path) -> u64 {
    let found = rustix::fs::statvfs(path).unwrap();
    found.f_bavail * found.f_frsize
}

/// The disk has 1 MiB. Each letter fills a file of 64 KiB.
#[test]
fn old_files_go_until_there_is_room_and_a_lack_of_it_is_told_once() {
    let test = "old_files_go_until_there_is_room_and_a_lack_of_it_is_told_once";
    let Some(disk) = SmallDisk::mount(test) else {
        return;
    };
    let path = disk.path().join("app.log");
    let other = disk.path().join("app.log.1"); // not one of ours
    fs::write(&other, "of another program").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let report = Arc::clone(&told);
    let freed = Arc::new(Mutex::new(Vec::new()));
    let freed_too = Arc::clone(&freed);
    let rotation = Rotation::new().size_bytes(1 << 16).keep_free(KEPT);
    let log = rotation
        .on_error(move |error| report.lock().unwrap().push(error.to_string()))
        .on_freed(move |path| freed_too.lock().unwrap().push(path.to_owned()))
        .open(&path)
        .unwrap();
    let queue = Options::new().open_sink(log.clone()).unwrap();
    // The first byte rotates the log, and the room is looked at. The rest comes after that.
    let put = |letter: u8| {
        for len in [1, (1 << 16) - 1] {
            queue.writen(&vec![letter; len], WAIT).unwrap();
            queue.flush().unwrap();
            log.wait_background(Some(DEADLINE)).unwrap();
        }
    };
    let rotated = || {
        let names = fs::read_dir(disk.path()).unwrap();
        let mut names: Vec<_> = names.map(|one| one.unwrap().path()).collect();
        names.retain(|name| name.to_str().unwrap().contains("app.log.2")); // with a time
        names.sort();
        names
    };
    for letter in b'a'..=b't' {
        put(letter);
        assert!(free(disk.path()) >= KEPT, "{}", letter as char);
    }
    // What is kept is the newest, and no more is deleted than must be.
    let kept = rotated();
    assert!(
        free(disk.path()) < KEPT + (1 << 17),
        "{}",
        free(disk.path())
    );
    let first = b't' - kept.len() as u8;
    for (at, name) in kept.iter().enumerate() {
        let expected = first + at as u8;
        assert_eq!(fs::read(name).unwrap()[0], expected, "{}", expected as char);
    }
    assert_eq!(*told.lock().unwrap(), Vec::<String>::new());
    assert_eq!(freed.lock().unwrap().len(), 19 - kept.len());
    assert!(freed.lock().unwrap().iter().all(|path| !path.exists()));

    // Others fill the disk: all of ours go, and the log goes on.
    fs::write(disk.path().join("filler"), vec![0; 448 << 10]).unwrap();
    for letter in b'u'..=b'w' {
        put(letter);
        assert_eq!(rotated(), Vec::<std::path::PathBuf>::new());
    }
    assert_eq!(fs::read(&path).unwrap()[0], b'w');
    assert!(other.exists());
    {
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("no rotated file is left"), "{told:?}");
    }
    disk.make_room();
    put(b'x');
    assert_eq!(rotated().len(), 1, "there is room again");
    queue.close(None).unwrap();
}
