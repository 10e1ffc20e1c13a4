//! A change of the log that keeps every checksum right is found, and the first frame that it
//! concerns is named. The forger has everything but the key.

use std::fs;
use std::path::PathBuf;

use crate::common::WAIT;
use crate::{KEY, chained, read, read_with};
use alq::Framing;
use alq::read::{Notice, Proven, ReadOptions};
use tempfile::TempDir;

/// CRC32C, bit by bit.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = !0_u32;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

/// A header or a frame.
#[derive(Clone)]
pub struct Unit {
    pub bytes: Vec<u8>,
    is_checkpoint: bool,
}

impl Unit {
    /// Makes the checksum right, as anybody can.
    pub fn mend(&mut self, id: &[u8]) {
        let bytes = &mut self.bytes;
        if bytes.starts_with(b"\x89alqlog\n") {
            let check = crc32c(&[&bytes[..60]]).to_le_bytes();
            bytes[60..].copy_from_slice(&check);
        } else {
            let check = crc32c(&[id, &bytes[8..16], &bytes[..4], &bytes[16..]]);
            bytes[4..8].copy_from_slice(&check.to_le_bytes());
        }
    }
}

/// A log in memory.
#[derive(Clone)]
pub struct Forged {
    pub units: Vec<Unit>,
    id: Vec<u8>,
}

impl Forged {
    pub fn of(bytes: &[u8]) -> Self {
        let mut units = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let len = if rest.starts_with(b"\x89alqlog\n") {
                64
            } else {
                16 + u32::from_le_bytes(*rest.first_chunk().unwrap()) as usize
            };
            units.push(Unit {
                bytes: rest[..len].to_vec(),
                is_checkpoint: len != 64 && rest[15] >> 4 == 4,
            });
            at += len;
        }
        let id = bytes[16..32].to_vec();
        Self { units, id }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let bytes = self.units.iter().map(|unit| &unit.bytes[..]);
        bytes.collect::<Vec<_>>().concat()
    }

    /// Where a unit begins.
    fn offset(&self, unit: usize) -> u64 {
        self.units[..unit]
            .iter()
            .map(|unit| unit.bytes.len() as u64)
            .sum()
    }

    /// The number of a unit in the chain, or of the next one.
    fn number(&self, unit: usize) -> u64 {
        let before = &self.units[..unit];
        before.iter().filter(|unit| !unit.is_checkpoint).count() as u64
    }
}

struct Bench {
    folder: TempDir,
    whole: Forged,
}

impl Bench {
    /// A log of three openings, so that checkpoints of each sort are in it.
    fn new() -> Self {
        Self::with(3, 3)
    }

    fn with(openings: usize, records: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for opening in 0..openings {
            let queue = chained().open(&path).unwrap();
            for record in 0..records {
                let record = format!("record {record} of {opening}");
                queue.writen(record.as_bytes(), WAIT).unwrap();
            }
            queue.close(None).unwrap();
        }
        read(&path).assert_sound();
        let whole = Forged::of(&fs::read(&path).unwrap());
        let checkpoints = whole.units.iter().filter(|unit| unit.is_checkpoint).count();
        assert_eq!(
            checkpoints,
            1 + openings,
            "one after the header, and one at each close"
        );
        Self { folder, whole }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Puts `bytes` in place of the log. Returns the first break of the chain that is found.
    #[track_caller]
    fn found(&self, bytes: &[u8], what: &str) -> Option<(u64, u64)> {
        fs::write(self.path(), bytes).unwrap();
        let found = read(&self.path());
        assert!(!found.faults().is_empty(), "{what}: not found");
        found
            .notices
            .iter()
            .find_map(|(notice, place)| match notice {
                Notice::Broken { frame, .. } => Some((*frame, place.offset())),
                _ => None,
            })
    }
}

#[test]
fn every_flip_of_a_bit_is_found_with_every_checksum_made_right() {
    let bench = Bench::with(2, 1);
    let bytes = bench.whole.bytes();
    // The checksums find these; `frames::every_flip_of_a_bit_is_found_or_changes_no_record` has all.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        bench.found(&flipped, &format!("byte {at}"));
    }
    for unit in 0..bench.whole.units.len() {
        let len = bench.whole.units[unit].bytes.len();
        for bit in 0..len * 8 {
            let mut forged = bench.whole.clone();
            forged.units[unit].bytes[bit / 8] ^= 1 << (bit % 8);
            let id = if unit == 0 {
                forged.units[0].bytes[16..32].to_vec()
            } else {
                forged.id.clone()
            };
            forged.units[unit].mend(&id);
            if forged.bytes() == bytes {
                continue; // the checksum itself was flipped
            }
            let what = format!("bit {bit} of unit {unit}");
            let named = bench.found(&forged.bytes(), &what);
            // A payload is only in the chain, so the chain names the frame.
            if bit >= 16 * 8 && !forged.units[unit].is_checkpoint && unit > 0 {
                let expected = (forged.number(unit), forged.offset(unit));
                assert_eq!(named, Some(expected), "{what}");
            }
        }
    }
}

#[test]
fn every_removal_insertion_and_swap_is_found_and_the_first_frame_is_named() {
    let bench = Bench::new();
    let whole = &bench.whole;
    let count = whole.units.len();
    for unit in 0..count {
        let mut forged = whole.clone();
        forged.units.remove(unit);
        if unit == 0 {
            continue; // then it is a log of lines, and `NoChain` is found below
        }
        let named = bench.found(&forged.bytes(), &format!("without unit {unit}"));
        // Without the last checkpoint, the end is missing, and nothing is known to be broken.
        if unit < count - 1 && !whole.units[unit].is_checkpoint {
            assert_eq!(named.unwrap().0, whole.number(unit), "without unit {unit}");
        }
        for to in 1..=count {
            let mut forged = whole.clone();
            forged.units.insert(to, whole.units[unit].clone());
            if forged.bytes() != whole.bytes() {
                bench.found(&forged.bytes(), &format!("a copy of unit {unit} at {to}"));
            }
        }
        for other in unit + 1..count {
            let mut forged = whole.clone();
            forged.units.swap(unit, other);
            bench.found(
                &forged.bytes(),
                &format!("units {unit} and {other} swapped"),
            );
        }
    }
}

#[test]
fn a_frame_that_takes_the_place_of_another_is_found_by_the_chain_alone() {
    let bench = Bench::new();
    for unit in 1..bench.whole.units.len() {
        let old = &bench.whole.units[unit];
        if old.is_checkpoint {
            continue;
        }
        // A note that no record is here, up to where this one ends.
        let word = u64::from_le_bytes(*old.bytes[8..].first_chunk().unwrap());
        let word = (word + old.bytes.len() as u64) | (1 << 60);
        let mut note = 16_u32.to_le_bytes().to_vec();
        note.extend([0; 4]);
        note.extend(word.to_le_bytes());
        note.extend([0; 16]);
        let mut forged = bench.whole.clone();
        forged.units[unit].bytes = note;
        forged.units[unit].mend(&bench.whole.id);
        fs::write(bench.path(), forged.bytes()).unwrap();
        let found = read(&bench.path());
        let broken = Notice::Broken {
            frame: forged.number(unit),
            found: 3 + u64::from(unit < 2),
            written: 3 + u64::from(unit < 2),
        };
        assert_eq!(found.faults(), [&broken], "unit {unit}");
        assert_eq!(found.notices[0].1.offset(), forged.offset(unit));
        // Without the key, nothing is wrong.
        let blind = read_with(ReadOptions::new(), &bench.path());
        assert!(blind.notices.is_empty());
    }
}

#[test]
fn every_cut_is_found() {
    let bench = Bench::new();
    let bytes = bench.whole.bytes();
    let borders: Vec<u64> = (0..bench.whole.units.len())
        .map(|unit| bench.whole.offset(unit))
        .collect();
    let closes = bench.whole.units.iter().enumerate();
    let closes = closes.filter(|(_, unit)| unit.is_checkpoint).skip(1);
    let closes: Vec<u64> = closes
        .map(|(unit, _)| bench.whole.offset(unit + 1))
        .collect();
    fs::write(bench.path(), &bytes).unwrap();
    let (_, proven) = read(&bench.path()).proven.unwrap();
    for len in 0..bytes.len() {
        fs::write(bench.path(), &bytes[..len]).unwrap();
        let found = read(&bench.path());
        if closes.contains(&(len as u64)) {
            // What an earlier close has left. Only who remembers more can know.
            assert!(found.faults().is_empty(), "{len}");
            let earlier = ReadOptions::new().chain(KEY);
            for proven in [proven, Proven::frames_only(proven.frames())] {
                let found = read_with(earlier.proven(proven), &bench.path());
                let frames = proven.frames();
                assert_eq!(found.faults(), [&Notice::OtherPast { frames }]);
            }
        } else {
            assert!(!found.faults().is_empty(), "{len}");
            let last = found.faults().into_iter().next_back().unwrap();
            let is_at_border = borders.contains(&(len as u64));
            if is_at_border && len > 64 {
                assert!(matches!(last, Notice::NotClosed { .. }), "{len}: {last:?}");
            }
        }
    }
}

#[test]
fn another_past_of_the_same_length_is_found_by_who_remembers_a_value() {
    let proven = |past: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let first = Forged::of(&{
            chained()
                .open(&path)
                .unwrap()
                .writen(b"first", WAIT)
                .unwrap();
            fs::read(&path).unwrap()
        });
        let queue = chained().open(&path).unwrap();
        queue.writen(past.as_bytes(), WAIT).unwrap();
        queue.close(None).unwrap();
        let (_, proven) = read(&path).assert_sound().proven.unwrap();
        // Cut back to the first close, and continued by the queue, which has the key.
        fs::write(&path, first.bytes()).unwrap();
        let queue = chained().open(&path).unwrap();
        queue.writen(b"another past", WAIT).unwrap();
        queue.close(None).unwrap();
        let options = ReadOptions::new().chain(KEY).proven(proven);
        let text = proven.to_string().parse().unwrap();
        assert_eq!(proven, text);
        let faults: Vec<Notice> = read_with(options, &path)
            .faults()
            .into_iter()
            .cloned()
            .collect();
        faults
    };
    assert_eq!(proven("a past"), [Notice::OtherPast { frames: 3 }]);
    // The id of the log is the same, and all else, so the value is.
    assert_eq!(proven("another past"), []);
}

#[test]
fn another_key_and_no_chain_are_told_apart_from_damage() {
    let bench = Bench::new();
    fs::write(bench.path(), bench.whole.bytes()).unwrap();
    let found = read_with(ReadOptions::new().chain([1; 32]), &bench.path());
    assert_eq!(found.faults(), [&Notice::OtherKey]);
    assert_eq!(found.records.len(), 9);
    let plain = bench.folder.path().join("plain");
    let queue = alq::Options::new()
        .framing(Framing::Checked)
        .open(&plain)
        .unwrap();
    queue.writen(b"a record", WAIT).unwrap();
    queue.close(None).unwrap();
    assert_eq!(read(&plain).faults(), [&Notice::NoChain]);
    fs::write(&plain, "a line\n").unwrap();
    let found = read(&plain);
    assert_eq!(
        found.faults(),
        [&Notice::Torn { bytes: 7 }, &Notice::NoChain]
    );
    assert!(found.records.is_empty());
    fs::write(&plain, "").unwrap();
    assert_eq!(read(&plain).faults(), [&Notice::NoChain]);
    let mut reader = ReadOptions::new().chain(KEY).open(bench.path()).unwrap();
    assert!(
        reader.seek_last(1).is_err(),
        "a proof begins with the oldest file"
    );
}
