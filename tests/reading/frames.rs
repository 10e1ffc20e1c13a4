//! Framed logs: damage is found and named, and never becomes a record.
//!
//! The logs are written by the code of this file from docs/frames.md alone, so that an error of the
//! codec of the library cannot hide in both.

use std::fs;
use std::path::PathBuf;

use alq::read::{Cursor, End, Item, Notice, ReadOptions, Reader};
use tempfile::TempDir;

const MAGIC: [u8; 8] = *b"\x89alqlog\n";

/// CRC32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

/// The bytes of a framed file.
struct Framed {
    id: [u8; 16],
    stamps: bool,
    bytes: Vec<u8>,
    /// Where the next frame begins in the stream.
    position: u64,
    /// Each record with the offset where its frame ends.
    records: Vec<(u64, Vec<u8>, usize)>,
}

impl Framed {
    fn new(stamps: bool, position: u64) -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(u32::from(stamps).to_le_bytes());
        let id = *b"0123456789abcdef";
        bytes.extend(id);
        bytes.extend(position.to_le_bytes());
        bytes.extend(1_796_104_800_000_000_000_u64.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend(crc32c(&bytes).to_le_bytes());
        let records = Vec::new();
        Self {
            id,
            stamps,
            bytes,
            position,
            records,
        }
    }

    fn frame(&mut self, kind: u64, position: u64, payload: &[u8]) {
        let word = (kind << 60 | position).to_le_bytes();
        let length = (payload.len() as u32).to_le_bytes();
        let stamp = (1_796_104_800_000_000_000 + position * 1_000_000_000).to_le_bytes();
        let stamp = if self.stamps { &stamp[..] } else { &[] };
        let checked = [&self.id[..], &word, &length, stamp, payload].concat();
        let check = crc32c(&checked).to_le_bytes();
        self.bytes
            .extend([&length[..], &check, &word, stamp, payload].concat());
    }

    fn record(&mut self, payload: &[u8]) {
        let position = self.position;
        self.frame(0, position, payload);
        self.position += if self.stamps { 24 } else { 16 } + payload.len() as u64;
        let end = self.bytes.len();
        self.records.push((position, payload.to_vec(), end));
    }

    /// A gap of `len` positions in which `records` records were lost.
    fn gap(&mut self, len: u64, records: u64) {
        self.position += len;
        let payload = [records.to_le_bytes(), (records * 10).to_le_bytes()].concat();
        self.frame(1, self.position, &payload);
    }

    /// Records of several lengths, a gap, a note of a cut, a record without a position, an unknown
    /// kind, the header again, and a record that holds a copy of the frames before it.
    fn sample(stamps: bool) -> Self {
        let mut log = Self::new(stamps, 100);
        log.record(b"first");
        log.record(b"");
        log.gap(64, 0);
        log.record(&[0xaa; 40]);
        log.frame(3, 0, b"aside");
        let copy = log.bytes[64..].to_vec();
        log.record(&copy);
        log.frame(2, log.position, &9_u64.to_le_bytes());
        log.frame(9, 7, b"later");
        log.bytes.extend(log.bytes[..64].to_vec());
        log.record(b"last");
        log
    }
}

struct Folder {
    _dir: TempDir,
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("app.log");
        Self { _dir: dir, path }
    }
}

#[derive(Debug, Default)]
struct Found {
    /// Records with their positions.
    records: Vec<(u64, Vec<u8>)>,
    asides: Vec<Vec<u8>>,
    notices: Vec<(Notice, u64)>,
}

impl Found {
    fn faults(&self) -> usize {
        let faults = self.notices.iter().filter(|(notice, _)| notice.is_fault());
        faults.count()
    }

    fn take(&mut self, item: &Item<'_>) {
        match item {
            Item::Record(record) => {
                assert_eq!(
                    record.end(),
                    End::Whole,
                    "a frame is whole, or it is no record"
                );
                match record.position() {
                    Some(position) => self.records.push((position, record.bytes().to_vec())),
                    None => self.asides.push(record.bytes().to_vec()),
                }
            }
            Item::Notice(notice, place) => self.notices.push((notice.clone(), place.offset())),
            _ => unreachable!(),
        }
    }

    /// Everything from here to the end, as `alq check` reads it.
    fn rest(mut reader: Reader) -> Self {
        let mut found = Self::default();
        while let Some(item) = reader.next().unwrap() {
            found.take(&item);
        }
        while let Some(item) = reader.finish() {
            found.take(&item);
        }
        found
    }
}

/// Reads a file with these bytes.
fn read(folder: &Folder, bytes: &[u8]) -> Found {
    fs::write(&folder.path, bytes).unwrap();
    let reader = ReadOptions::new().record_max(1 << 20).open(&folder.path);
    Found::rest(reader.unwrap())
}

fn expected(log: &Framed) -> Vec<(u64, Vec<u8>)> {
    let records = log.records.iter();
    let records = records.map(|(position, payload, _)| (*position, payload.clone()));
    records.collect()
}

#[test]
fn records_come_with_positions_and_stamps_and_notes_as_notices() {
    for stamps in [false, true] {
        let folder = Folder::new();
        let log = Framed::sample(stamps);
        let found = read(&folder, &log.bytes);
        assert_eq!(found.records, expected(&log));
        assert_eq!(found.asides, [b"aside"]);
        assert_eq!(found.notices.len(), 1, "{:?}", found.notices);
        assert_eq!(found.notices[0].0, Notice::Cut { bytes: 9 });
        let mut reader = Reader::open(&folder.path).unwrap();
        let Some(Item::Record(record)) = reader.next().unwrap() else {
            panic!("no record");
        };
        let stamp = 1_796_104_800_000_000_000 + 100 * 1_000_000_000;
        assert_eq!(record.stamp_ns(), stamps.then_some(stamp));
        assert_eq!(record.raw().len(), if stamps { 29 } else { 21 });
        let mut lost = Framed::new(stamps, 0);
        lost.gap(10, 3);
        let notice = Notice::Lost {
            records: 3,
            bytes: 30,
        };
        assert_eq!(read(&folder, &lost.bytes).notices, [(notice, 64)]);
    }
}

/// The records that are found are records of the log, in order, each at most once.
fn is_part(found: &[(u64, Vec<u8>)], all: &[(u64, Vec<u8>)]) -> bool {
    let mut rest = all.iter();
    found.iter().all(|one| rest.any(|other| other == one))
}

#[test]
fn every_flip_of_a_bit_is_found_or_changes_no_record() {
    for stamps in [false, true] {
        let folder = Folder::new();
        let log = Framed::sample(stamps);
        let all = expected(&log);
        let (mut silent, mut missing) = (0, 0);
        for at in 0..log.bytes.len() {
            for bit in 0..8 {
                let mut bytes = log.bytes.clone();
                bytes[at] ^= 1 << bit;
                let found = read(&folder, &bytes);
                let context = format!("byte {at}, bit {bit}: {found:?}");
                assert!(is_part(&found.records, &all), "{context}");
                assert!(found.asides.iter().all(|one| one == b"aside"), "{context}");
                assert!(found.faults() > 0, "{context}");
                silent += usize::from(found.records.len() == all.len());
                // One flip takes one record, unless it takes the header, or the frame before an
                // aside: those could be copies.
                missing += usize::from(found.records.len() + 1 < all.len());
                assert!(found.records.len() + 1 >= all.len() || at < 64, "{context}");
            }
        }
        println!("{silent} flips cost no record, {missing} of the header all of them");
    }
}

#[test]
fn every_truncation_is_found_or_the_records_are_a_prefix() {
    for stamps in [false, true] {
        let folder = Folder::new();
        let log = Framed::sample(stamps);
        let all = expected(&log);
        for len in 0..log.bytes.len() {
            let found = read(&folder, &log.bytes[..len]);
            let whole = log.records.iter().filter(|(_, _, end)| *end <= len).count();
            assert_eq!(found.records, all[..whole], "{len}");
            let is_torn = |(notice, _): &(Notice, u64)| matches!(notice, Notice::Torn { .. });
            let torn = found.notices.iter().filter(|one| is_torn(one)).count();
            assert_eq!(found.faults(), torn, "{len}: {found:?}");
            assert!(torn <= 1, "{len}: {found:?}");
        }
    }
}

#[test]
fn damage_is_named_with_its_place_and_what_is_missing() {
    let folder = Folder::new();
    let mut log = Framed::new(false, 0);
    (0..5).for_each(|n: u8| log.record(&[n; 100]));
    let mut bytes = log.bytes.clone();
    bytes[64 + 116 + 50] ^= 1; // in the second record
    let found = read(&folder, &bytes);
    let damaged = (Notice::Damaged { bytes: 116 }, 64 + 116);
    let missing = (Notice::Missing { from: 116, to: 232 }, 64 + 232);
    assert_eq!(found.notices, [damaged, missing]);
    let positions: Vec<u64> = found
        .records
        .iter()
        .map(|(position, _)| *position)
        .collect();
    assert_eq!(positions, [0, 232, 348, 464]);
    bytes.drain(64 + 116..64 + 232); // removed: nothing is damaged
    let found = read(&folder, &bytes);
    let missing = (Notice::Missing { from: 116, to: 232 }, 64 + 116);
    assert_eq!(found.notices, [missing]);
    let mut swapped = log.bytes.clone();
    let (second, third) = (log.bytes[180..296].to_vec(), log.bytes[296..412].to_vec());
    swapped[180..412].copy_from_slice(&[third, second].concat());
    let found = read(&folder, &swapped);
    assert!(
        is_part(&found.records, &expected(&log)),
        "order is kept: {found:?}"
    );
    assert_eq!(found.faults(), 2, "{found:?}");
}

#[test]
fn a_huge_length_takes_no_memory_and_costs_no_record_after_it() {
    let folder = Folder::new();
    let mut log = Framed::new(false, 0);
    log.record(b"one");
    let at = log.bytes.len();
    log.record(b"two");
    log.record(&vec![b'x'; 100_000]);
    for length in [u32::MAX, 1 << 31, 1 << 20, 200_000, 100_000, 17] {
        let mut bytes = log.bytes.clone();
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        let found = read(&folder, &bytes);
        let lengths: Vec<usize> = found.records.iter().map(|(_, one)| one.len()).collect();
        assert_eq!(lengths, [3, 100_000], "{length}");
        assert_eq!(found.faults(), 2, "{length}: {:?}", found.notices);
    }
}

#[test]
fn frames_of_another_log_do_not_pass_and_another_file_of_one_is_named() {
    let folder = Folder::new();
    let mut log = Framed::new(false, 0);
    log.record(b"one");
    let mut other = Framed::new(false, 0);
    other.id = *b"another log's id";
    other.record(b"first");
    let at = log.bytes.len() as u64;
    log.bytes.extend(&other.bytes[64..]);
    let found = read(&folder, &log.bytes);
    assert_eq!(found.records, expected(&log));
    assert_eq!(found.notices, [(Notice::Damaged { bytes: 21 }, at)]);
    let rotated = folder
        .path
        .with_file_name("app.log.20261201T060000Z-000000");
    let mut log = Framed::new(false, 0);
    log.record(b"one");
    fs::write(rotated, &log.bytes).unwrap();
    let mut bytes = Framed::new(false, 0).bytes;
    bytes[16..32].copy_from_slice(&other.id);
    let check = crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&check.to_le_bytes());
    bytes.extend(&other.bytes[64..]);
    let found = read(&folder, &bytes);
    assert_eq!(found.notices, [(Notice::OtherLog, 0)]);
    assert_eq!(
        found.records,
        [(0, b"one".to_vec()), (0, b"first".to_vec())]
    );
}

#[test]
fn a_later_version_is_named_and_not_guessed() {
    let folder = Folder::new();
    let log = Framed::sample(false);
    let mut bytes = log.bytes.clone();
    bytes[8] = 2;
    let check = crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&check.to_le_bytes());
    let found = read(&folder, &bytes);
    assert!(found.records.is_empty());
    let reason = "its frames have version 2".to_owned();
    assert_eq!(found.notices, [(Notice::Unreadable { reason }, 0)]);
}

/// A log of three files, one of them packed: the header of each has its first position.
fn three_files(folder: &Folder) -> Vec<(u64, Vec<u8>)> {
    let mut records = Vec::new();
    let mut position = 0;
    for (n, name) in [
        "app.log.20261201T060000Z-000000",
        "app.log.20261201T060001Z-000000.gz",
        "app.log",
    ]
    .into_iter()
    .enumerate()
    {
        let mut file = Framed::new(true, position);
        (0..10).for_each(|k| file.record(format!("record {n} {k}").as_bytes()));
        position = file.position;
        records.extend(expected(&file));
        let path = folder.path.with_file_name(name);
        if path.extension().is_some_and(|extension| extension == "gz") {
            let packed = fs::File::create(path).unwrap();
            let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
            std::io::Write::write_all(&mut packer, &file.bytes).unwrap();
            packer.finish().unwrap();
        } else {
            fs::write(path, &file.bytes).unwrap();
        }
    }
    records
}

#[test]
fn a_position_is_found_in_its_file() {
    let folder = Folder::new();
    let all = three_files(&folder);
    for (n, (position, _)) in all.iter().enumerate() {
        for (position, first) in [(*position, n), (*position + 1, n + 1)] {
            let mut reader = Reader::open(&folder.path).unwrap();
            reader.seek_position(position).unwrap();
            let found = Found::rest(reader);
            assert_eq!(found.records, all[first..], "{position}");
            assert!(found.notices.is_empty(), "{position}: {:?}", found.notices);
        }
    }
}

#[test]
fn a_cursor_knows_the_position_that_comes_next() {
    let folder = Folder::new();
    let all = three_files(&folder);
    for taken in 0..=all.len() {
        let mut reader = Reader::open(&folder.path).unwrap();
        for _ in 0..taken {
            reader.next().unwrap().unwrap();
        }
        let cursor: Cursor = reader.cursor().to_string().parse().unwrap();
        let mut reader = Reader::open(&folder.path).unwrap();
        reader.resume(&cursor).unwrap();
        let found = Found::rest(reader);
        assert_eq!(found.records, all[taken..], "{cursor}");
        assert!(found.notices.is_empty(), "{cursor}: {:?}", found.notices);
        let mut reader = Reader::open(&folder.path).unwrap();
        reader.seek_last(taken as u64).unwrap();
        assert_eq!(Found::rest(reader).records, all[all.len() - taken..]);
    }
}

#[test]
fn a_frame_that_is_still_being_written_is_waited_for() {
    let folder = Folder::new();
    let log = Framed::sample(false);
    let mut reader = ReadOptions::new()
        .may_be_missing(true)
        .open(&folder.path)
        .unwrap();
    let mut found = Found::default();
    for len in 0..=log.bytes.len() {
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&folder.path)
            .and_then(|mut file| {
                let from = len.saturating_sub(1);
                std::io::Write::write_all(&mut file, &log.bytes[from..len])
            })
            .unwrap();
        while let Some(item) = reader.next().unwrap() {
            found.take(&item);
        }
    }
    assert_eq!(found.records, expected(&log));
    assert_eq!((found.faults(), found.asides.len()), (0, 1), "{found:?}");
}
