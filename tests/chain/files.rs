//! Files of a log with a chain that were swapped, removed, repeated or added are found, also if every
//! checksum is right.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::WAIT;
use crate::forged::Forged;
use crate::{chained, read};
use alq::read::Notice;
use alq::rotate::{Compression, Rotation};
use tempfile::TempDir;

/// A log with several rotated files, and what a reader finds in it.
fn rotated(compression: Compression) -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let rotation = Rotation::new().compress(compression);
    let log = rotation.open(&path).unwrap();
    let queue = chained().open_sink(log.clone()).unwrap();
    for file in 0..4 {
        for record in 0..5 {
            let record = format!("record {record} of file {file}");
            queue.writen(record.as_bytes(), WAIT).unwrap();
        }
        queue.flush().unwrap();
        if file < 3 {
            log.rotate();
            log.wait_background(None).unwrap();
        }
    }
    queue.close(None).unwrap();
    log.wait_background(None).unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|end| end != "lock"))
        .collect();
    files.sort();
    let current = files.remove(0);
    assert_eq!(current, path);
    assert_eq!(files.len(), 3);
    let found = read(&path).assert_sound();
    assert_eq!(found.records.len(), 20);
    assert_eq!(found.frames(), 24, "20 records, 4 headers");
    (folder, files)
}

#[test]
fn files_that_are_swapped_removed_or_repeated_are_found_also_packed() {
    for compression in [Compression::None, Compression::Gzip] {
        let (folder, files) = rotated(compression);
        let path = folder.path().join("log");
        let all: Vec<(PathBuf, Vec<u8>)> = files
            .iter()
            .chain([&path])
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        let put_back = || {
            for (path, bytes) in &all {
                fs::write(path, bytes).unwrap();
            }
            read(&path).assert_sound();
        };
        for (one, (from, bytes)) in all.iter().enumerate() {
            for (to, others) in &all[one + 1..] {
                if to == &path && compression != Compression::None {
                    continue; // a packed file is no log
                }
                fs::write(from, others).unwrap();
                fs::write(to, bytes).unwrap();
                assert!(has_break(&path), "{from:?} and {to:?} swapped");
                fs::write(from, others).unwrap();
                fs::write(to, others).unwrap();
                assert!(has_break(&path), "{to:?} twice");
                put_back();
            }
        }
        for (file, (removed, _)) in all.iter().enumerate().skip(1) {
            fs::remove_file(removed).unwrap();
            if file < 3 {
                assert!(has_break(&path), "without {removed:?}");
            } else {
                fs::write(&path, []).unwrap();
                assert!(matches!(
                    read(&path).faults()[..],
                    [Notice::NotClosed { .. }]
                ));
            }
            put_back();
        }
        // The oldest file may be deleted. The number of the first frame says so.
        fs::remove_file(&all[0].0).unwrap();
        let found = read(&path).assert_sound();
        assert_eq!(found.proven.unwrap().0, 6);
        let header = Forged::of(&fs::read(&path).unwrap());
        assert_eq!(
            header.units.len(),
            8,
            "header, checkpoint, records, checkpoint"
        );
    }
}

fn has_break(path: &Path) -> bool {
    let found = read(path);
    found
        .faults()
        .iter()
        .any(|fault| matches!(fault, Notice::Broken { .. }))
}

#[test]
fn the_beginning_of_the_oldest_file_is_proved_without_the_files_before_it() {
    let (folder, files) = rotated(Compression::None);
    let path = folder.path().join("log");
    fs::remove_file(&files[0]).unwrap();
    let whole = Forged::of(&fs::read(&files[1]).unwrap());
    let forge = |change: &dyn Fn(&mut Forged)| {
        let mut forged = whole.clone();
        change(&mut forged);
        fs::write(&files[1], forged.bytes()).unwrap();
        assert!(has_break(&path));
    };
    forge(&|forged| {
        forged.units[0].bytes[45] ^= 1; // when it was created
        forged.units[0].mend(&[]);
    });
    forge(&|forged| forged.units.insert(1, forged.units[0].clone()));
    forge(&|forged| forged.units.insert(1, forged.units[2].clone()));
    forge(&|forged| drop(forged.units.remove(1)));
    forge(&|forged| drop(forged.units.drain(1..4)));
    forge(&|forged| drop(forged.units.drain(2..4)));
    forge(&|forged| drop(forged.units.drain(1..)));
}

/// Such a file would otherwise be lines, which nobody has written.
#[test]
fn a_file_without_frames_is_never_lines_of_a_log_with_a_chain() {
    let (folder, files) = rotated(Compression::None);
    let path = folder.path().join("log");
    let lines = "a forged line\n".repeat(10);
    for name in ["20250101T000000Z-000000", "20990101T000000Z-000000"] {
        let forged = folder.path().join(format!("log.{name}"));
        for len in [7, 14, 64, lines.len()] {
            fs::write(&forged, &lines[..len]).unwrap();
            let found = read(&path);
            assert!(!found.faults().is_empty(), "{len} bytes in {name}");
            assert_eq!(found.records.len(), 20);
        }
        fs::remove_file(forged).unwrap();
    }
    let bytes = fs::read(&files[0]).unwrap();
    fs::write(&files[0], &bytes[64..]).unwrap(); // without its header
    assert!(!read(&path).faults().is_empty());
}
