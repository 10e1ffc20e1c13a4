use std::os::unix::fs::FileExt;

use super::{PART, Stream, Window, read};
use crate::words::FramingProblem;
use crate::words::frame::{FileHeader, Frames, HEADER_LEN, Kind, LogId};

const HEADER: FileHeader = FileHeader {
    id: LogId([7; 16]),
    stamps: false,
    first_position: 1000,
    created_ns: 0,
};

/// What is found in a file of `bytes`.
fn found(bytes: &[u8]) -> Stream {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    read(Window::new(file, bytes.len() as u64), 1100, &mut |_, _| {})
        .unwrap()
        .unwrap()
        .unwrap()
}

/// A log of two records; a third frame is a note between them.
fn log() -> (Vec<u8>, Vec<usize>) {
    let frames = Frames::new(HEADER.id, false);
    let mut bytes = HEADER.to_bytes().to_vec();
    let mut ends = vec![bytes.len()];
    frames.push(&mut bytes, Kind::Record, 1000, 0, b"first");
    ends.push(bytes.len());
    frames.push(&mut bytes, Kind::Gap, 1100, 0, &[0; 16]);
    ends.push(bytes.len());
    frames.push(&mut bytes, Kind::Record, 1100, 0, b"second record");
    ends.push(bytes.len());
    (bytes, ends)
}

#[test]
fn after_damage_the_next_frame_is_found_however_long_both_are() {
    let frames = Frames::new(HEADER.id, false);
    let payload: Vec<u8> = (0..900_000_u32).map(|at| (at / 3) as u8).collect();
    for damaged_bytes in [1, 15, 16, 20_000] {
        let mut bytes = HEADER.to_bytes().to_vec();
        // Each of these bytes begins a head whose length the file could hold.
        bytes.extend([0, 1, 2, 0].iter().cycle().take(damaged_bytes));
        frames.push(&mut bytes, Kind::Record, 1000, 0, &payload);
        frames.push(&mut bytes, Kind::Record, 901_016, 0, b"last");
        let stream = found(&bytes);
        assert_eq!(stream.damaged_bytes, damaged_bytes as u64);
        assert_eq!((stream.end, stream.torn_bytes), (901_036, 0));
    }
}

#[test]
fn every_cut_of_a_log_leaves_the_frames_before_it() {
    let (bytes, ends) = log();
    let positions = [1000, 1021, 1100, 1129];
    for len in 0..=bytes.len() {
        let stream = found(&bytes[..len]);
        let Some(whole) = ends.iter().rposition(|end| *end <= len) else {
            assert_eq!(stream.header, None);
            assert_eq!(stream.torn_bytes, len as u64);
            continue;
        };
        assert_eq!(stream.header, Some(HEADER));
        assert_eq!(stream.end, positions[whole], "{len}");
        assert_eq!(stream.whole_bytes, ends[whole] as u64);
        assert_eq!(stream.torn_bytes, (len - ends[whole]) as u64);
        // The mark is the position of the second record, after the note.
        assert_eq!(stream.marked_at, ends[whole.min(2)] as u64);
        assert_eq!(stream.damaged_bytes, 0);
    }
}

#[test]
fn a_file_of_zeros_has_no_header_yet() {
    for len in [1, 64, 65, 4096, PART + 1] {
        let stream = found(&vec![0; len]);
        assert_eq!((stream.header, stream.torn_bytes), (None, len as u64));
        let mut bytes = vec![0; len];
        bytes[len - 1] = 1;
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let refused = read(Window::new(file, len as u64), u64::MAX, &mut |_, _| {}).unwrap();
        let problem = if len > HEADER_LEN {
            FramingProblem::DamagedHeader
        } else {
            FramingProblem::NotFramed
        };
        assert_eq!(refused, Err(problem), "{len}");
    }
}

#[test]
fn damage_before_a_good_frame_is_no_torn_end() {
    let (mut bytes, ends) = log();
    bytes[HEADER_LEN + 18] ^= 1;
    let stream = found(&bytes);
    assert_eq!((stream.end, stream.torn_bytes), (1129, 0));
    assert_eq!(stream.damaged_bytes, (ends[1] - ends[0]) as u64);
    bytes.extend([0; 100]); // a hole at the end
    assert_eq!(found(&bytes).torn_bytes, 100);
}

#[test]
fn a_copy_of_the_log_inside_a_torn_record_is_no_frame() {
    let (mut bytes, ends) = log();
    let copy = bytes[HEADER_LEN..].to_vec();
    let len = bytes.len() as u64;
    let mut torn = Vec::new();
    Frames::new(HEADER.id, false).push(&mut torn, Kind::Record, 1129, 0, &copy);
    Frames::new(HEADER.id, false).push(&mut bytes, Kind::Aside, 0, 0, b"of a child");
    bytes.extend(&torn[..torn.len() - 1]);
    let stream = found(&bytes);
    assert_eq!((stream.end, stream.damaged_bytes), (1129, 0));
    assert_eq!(stream.whole_bytes, len + 16 + 10);
    assert_eq!(ends.len(), 4);
}

#[test]
fn headers_between_frames_and_kinds_of_later_releases_are_no_damage() {
    let (mut bytes, _) = log();
    let frames = Frames::new(HEADER.id, false);
    for position in [0, 1129, 5000] {
        bytes.extend(HEADER.to_bytes());
        frames.push(&mut bytes, Kind::Other(9), position, 0, b"later");
    }
    frames.push(&mut bytes, Kind::Record, 1129, 0, b"last");
    let stream = found(&bytes);
    assert_eq!((stream.end, stream.damaged_bytes), (1129 + 20, 0));
    assert_eq!(stream.torn_bytes, 0);
}
