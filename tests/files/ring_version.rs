//! A ring file of version 1 or 2 is recovered and becomes one of version 3.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::common::born_ns;
use crate::common::far::Far;
use crate::common::torture::damage::store_checked;
use crate::ring_folder::{id, log, open, options};
use alq::ring_file::inspect;
use alq::{Error, Framing, Recovery};
use flate2::read::GzDecoder;

/// A folder with the ring file and the log that a process with format version 1 has left: in the
/// middle of a write, with records of a lane in an open span.
fn version_1() -> tempfile::TempDir {
    folder_with(include_bytes!("ring_version_1/ring.gz"))
}

/// The same ring file, converted by a library that writes version 2.
fn version_2() -> tempfile::TempDir {
    folder_with(include_bytes!("ring_version_2/ring.gz"))
}

fn folder_with(ring: &[u8]) -> tempfile::TempDir {
    let unpacked = |packed: &[u8]| {
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut ring = unpacked(ring);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, unpacked(include_bytes!("ring_version_1/log.gz"))).unwrap();
    // The file is another one now: its numbers are those of this log.
    let of = fs::metadata(&log).unwrap();
    let [device, inode, born] = [of.dev(), of.ino(), born_ns(&log)];
    for intent in [128, 192] {
        let words = [(4, device), (5, inode), (6, born)];
        store_checked(&mut ring, intent, 56, &words);
    }
    // Of the note of the log the check comes first, so it is made at the end and moved.
    let path = log.to_str().unwrap();
    let mut note = vec![0; 8 * 512];
    let named = 32 + path.len().next_multiple_of(8);
    note[32..32 + path.len()].copy_from_slice(path.as_bytes());
    let words = [(0, device), (1, inode), (2, born), (3, path.len() as u64)];
    store_checked(&mut note, 0, named, &words);
    ring[4096..4104].copy_from_slice(&note[named..named + 8]);
    ring[4104..8192].fill(0);
    ring[4104..4104 + named].copy_from_slice(&note[..named]);
    fs::write(folder.path().join("ring"), ring).unwrap();
    folder
}

const LEFT: &str = "one\ntwo, longer\nthree\nin a lane\nonce more\n";

/// The records of the old file are in the log, once, and the file has version 3.
fn assert_converted(folder: &Path) {
    let text = log(folder);
    assert!(text.ends_with(&format!("70\n{LEFT}")), "{text}");
    assert_eq!(text.matches("one\n").count(), 1);
    assert_eq!(fs::read(folder.join("ring")).unwrap()[16], 3);
    let before = id(folder);
    assert_eq!(open(folder).recovery(), Some(&Recovery::default()), "once");
    assert_eq!(id(folder), before);
}

#[test]
fn a_ring_of_an_earlier_version_is_recovered_and_becomes_version_3() {
    for (left, framing) in [
        (version_1 as fn() -> _, None),
        (version_2, Some(Framing::Raw)),
    ] {
        for capacity in [4096, 1 << 14] {
            assert_recovers(left().path(), framing, capacity);
        }
    }
}

/// Recovers the file with a queue of this capacity. `framing` is what the file says of its records.
#[track_caller]
fn assert_recovers(folder: &Path, framing: Option<Framing>, capacity: usize) {
    let state = inspect(folder.join("ring")).unwrap();
    assert_eq!(
        (state.id.is_some(), state.framing),
        (framing.is_some(), framing)
    );
    assert_eq!(
        (state.log, state.stall_reason),
        (Some(folder.join("log")), None)
    );
    let queue = options(folder).capacity(capacity);
    let queue = queue.open(folder.join("log")).unwrap();
    let mut found = *queue.recovery().unwrap();
    assert_eq!(found.drained_bytes, if capacity == 4096 { 0 } else { 42 });
    found.drained_bytes = 0;
    assert_eq!(found, state.pending, "what an inspection tells");
    assert_eq!((found.bytes, found.spans), (42, 4));
    assert_eq!((found.already_written_bytes, found.damaged_slots), (37, 0));
    queue.flush().unwrap();
    let live = inspect(folder.join("ring")).unwrap();
    assert_eq!(live.framing, Some(Framing::Raw));
    assert!(state.id.is_none() || state.id == live.id, "it keeps its id");
    queue.close(None).unwrap();
    drop(queue);
    assert_converted(folder);
}

/// The conversion is one write. The sink refuses the ring right after it, so nothing else has
/// changed: the same state as after a kill.
#[test]
fn a_ring_of_an_earlier_version_that_was_just_converted_has_its_records() {
    for left in [version_1(), version_2()] {
        let folder = left.path();
        let before = [
            fs::read(folder.join("ring")).unwrap(),
            fs::read(folder.join("log")).unwrap(),
        ];
        let mut sink = Far::new(folder);
        sink.refusal = Some("not now");
        let error = options(folder).open_sink(sink).unwrap_err();
        assert!(matches!(error, Error::SinkRefused { .. }), "{error}");
        let ring = fs::read(folder.join("ring")).unwrap();
        let is_same = |range: std::ops::Range<usize>| ring[range.clone()] == before[0][range];
        assert!(is_same(64..384) && is_same(448..ring.len()));
        assert_eq!(fs::read(folder.join("log")).unwrap(), before[1]);
        let converted = id(folder);
        assert_eq!(open(folder).recovery().unwrap().already_written_bytes, 37);
        assert_eq!(id(folder), converted);
        assert_converted(folder);
    }
}

/// A file that a library with version 2 has begun to create becomes a ring.
#[test]
fn a_file_of_version_2_without_a_ring_becomes_one() {
    let left = version_2();
    let folder = left.path();
    let mut ring = fs::read(folder.join("ring")).unwrap();
    ring.truncate(4096);
    store_checked(&mut ring, 0, 56, &[(3, 0), (4, 0), (5, 0), (6, 0)]);
    ring[64..384].fill(0);
    fs::write(folder.join("ring"), ring).unwrap();
    let begun = id(folder);
    assert_eq!(open(folder).recovery().unwrap().bytes, 0);
    assert_eq!(fs::read(folder.join("ring")).unwrap()[16], 3);
    assert_eq!(id(folder), begun);
}

/// With frames, the records of version 1 would be damage in the log: they go to it as they are, and
/// then it is the log that is refused.
#[cfg(feature = "frames")]
#[test]
fn records_of_version_1_are_never_taken_for_frames() {
    let folder = version_1();
    let folder = folder.path();
    let error = options(folder).framing(Framing::Checked);
    let error = error.open(folder.join("log")).unwrap_err();
    assert!(matches!(error, Error::Framing { .. }), "{error}");
    assert_converted(folder);
}
