//! Logs with a chain, forged in any way by a forger who has everything but the key. What a reader
//! with the key does not report must be what was written.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use alq::model::frame::chain::{Chain, ChainKey, Remarks};
use alq::model::frame::{FileHeader, Frames, HEADER_LEN, Kind, LogId};
use alq::read::{Item, Notice, Proven, ReadOptions};
use tempfile::TempDir;

use crate::bytes::Bytes;

const KEY: ChainKey = ChainKey(*b"the key of the log: 32 bytes ...");
const OTHER_KEY: ChainKey = ChainKey(*b"the key of the forger: 32 bytes.");

/// The longest record.
const RECORD_MAX: usize = 4096;

/// The most files of a forged log.
const FILES_MAX: usize = 6;

/// A header or a frame.
#[derive(Clone)]
struct Unit {
    bytes: Vec<u8>,
    /// Its number in the chain, or that of the next frame.
    number: u64,
    /// Whether the log was closed after it.
    is_close: bool,
}

/// The files of a log, the oldest one first.
struct Log {
    frames: Frames,
    files: Vec<Vec<Unit>>,
    chain: Chain,
    /// The position after the last frame.
    end: u64,
}

/// Writes a log with a chain as the input says, forges it, and reads it with the key.
pub fn chain(input: &[u8]) {
    let mut input = Bytes(input);
    let header = FileHeader {
        id: LogId(*b"the id of a log."),
        stamps: input.u8() & 1 != 0,
        first_position: 0,
        created_ns: 0,
    };
    let written = written(header, &mut input);
    let mut forged: Vec<Vec<Vec<u8>>> = (written.files.iter())
        .map(|file| file.iter().map(|unit| unit.bytes.clone()).collect())
        .collect();
    for _ in 0..input.below(5) {
        forge(&written, &mut forged, &mut input);
        forged.truncate(FILES_MAX);
    }
    let mut files: Vec<Vec<u8>> = forged.iter().map(|file| file.concat()).collect();
    for _ in 0..input.below(3) {
        damage(&mut files, &mut input);
    }
    compare(&written, &files);
}

fn written(header: FileHeader, input: &mut Bytes<'_>) -> Log {
    let mut log = Log {
        frames: header.frames(),
        files: Vec::new(),
        chain: Chain::new(KEY, &header.to_bytes()),
        end: 0,
    };
    let mut adopted = 0;
    for file in 0..=input.below(3) {
        let header = FileHeader {
            first_position: log.end,
            created_ns: file as u64,
            ..header
        };
        let bytes = header.to_bytes();
        log.files.push(Vec::new());
        log.push(bytes.to_vec(), false);
        log.chain.add_header(&bytes);
        log.checkpoint(Remarks {
            is_first_of_file: true,
            adopted,
            ..Remarks::default()
        });
        adopted = 0;
        for _ in 0..input.below(8) {
            match input.below(8) {
                // A checkpoint that covers nothing proves nothing: without it, nothing is missing.
                0 if log.chain.uncovered() == 0 => {}
                0 => {
                    let is_end = input.u8() & 1 != 0;
                    log.checkpoint(Remarks {
                        is_end,
                        adopted,
                        ..Remarks::default()
                    });
                    adopted = 0;
                }
                1 => adopted = log.chain.uncovered(), // a kill, and the next process
                2 => log.frame(Kind::Gap, &[3; 16]),
                3 => log.frame(Kind::Cut, &[3; 8]),
                amount => log.frame(Kind::Record, &vec![amount as u8; input.below(64)]),
            }
        }
    }
    log
}

impl Log {
    fn push(&mut self, bytes: Vec<u8>, is_close: bool) {
        let number = self.chain.number();
        let file = self.files.last_mut().expect("a file was begun");
        file.push(Unit {
            bytes,
            number,
            is_close,
        });
    }

    fn frame(&mut self, kind: Kind, payload: &[u8]) {
        let mut bytes = Vec::new();
        self.frames.push(&mut bytes, kind, self.end, 9, payload);
        if kind == Kind::Record {
            self.end += bytes.len() as u64;
        }
        self.push(bytes.clone(), false);
        self.chain.add(&bytes);
    }

    fn checkpoint(&mut self, remarks: Remarks) {
        let mut bytes = Vec::new();
        let (chain, frames) = (&self.chain, &self.frames);
        chain.push_checkpoint(&mut bytes, frames, 9, remarks);
        self.push(bytes, remarks.is_end);
        self.chain.covered();
    }

    /// Whether the log ends with the checkpoint of a close.
    fn is_closed(&self) -> bool {
        self.files
            .last()
            .and_then(|file| file.last())
            .is_some_and(|unit| unit.is_close)
    }
}

/// Changes headers and frames, and makes each checksum right.
fn forge(log: &Log, files: &mut Vec<Vec<Vec<u8>>>, input: &mut Bytes<'_>) {
    if files.is_empty() {
        return;
    }
    let file = input.below(files.len());
    let other = input.below(files.len());
    let choice = input.below(12);
    match choice {
        0 => drop(files.remove(file)),
        1 => files.swap(file, other),
        2 => files.insert(other, files[file].clone()),
        3 => {
            let rest = {
                let file = &mut files[file];
                let at = input.below(file.len() + 1);
                file.split_off(at)
            };
            files.insert(file + 1, rest);
        }
        4 => files[file].truncate(input.u8().into()),
        5 => files[other].push(frame_of_forger(log, input)),
        _ if files[file].is_empty() => {}
        6 => {
            let unit = input.below(files[file].len());
            let at = input.u8();
            let bytes = &mut files[file][unit];
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= 1 << input.below(8);
            mend(log, bytes);
        }
        7 => {
            let unit = input.below(files[file].len());
            files[file].remove(unit);
        }
        8 => {
            let from = input.below(files[file].len());
            let unit = files[file][from].clone();
            let to = input.below(files[other].len() + 1);
            files[other].insert(to, unit);
        }
        9 => {
            let at = input.below(files[file].len());
            files[file].insert(at, frame_of_forger(log, input));
        }
        10 => {
            let at = input.below(files[file].len());
            let mut with = frame_of_forger(log, input);
            core::mem::swap(&mut files[file][at], &mut with);
        }
        _ => {
            let (a, b) = (input.below(files[file].len()), input.below(16));
            if b < files[other].len() {
                let unit = files[file][a].clone();
                let unit = core::mem::replace(&mut files[other][b], unit);
                files[file][a] = unit;
            }
        }
    }
}

/// Makes the checksum of a header or a frame right, as anybody can.
fn mend(log: &Log, bytes: &mut [u8]) {
    if bytes.starts_with(b"\x89alqlog\n") && bytes.len() == HEADER_LEN {
        if let Some(mended) = mended_header(bytes) {
            bytes.copy_from_slice(&mended);
        }
    } else if bytes.len() >= log.frames.overhead() {
        let word = u64::from_le_bytes(*bytes[8..].first_chunk().expect("8 bytes"));
        let kind = Kind::of_last(bytes[15]);
        let stamp = bytes[16..]
            .first_chunk()
            .map_or(0, |s| u64::from_le_bytes(*s));
        log.frames.seal(bytes, kind, word & ((1 << 60) - 1), stamp);
    }
}

/// The same header with the right checksum, if it can be one.
fn mended_header(bytes: &[u8]) -> Option<[u8; HEADER_LEN]> {
    let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let header = FileHeader {
        id: LogId(*bytes.get(16..)?.first_chunk()?),
        stamps: bytes[12] & 1 != 0,
        first_position: number(32)?,
        created_ns: number(40)?,
    };
    Some(header.to_bytes())
}

/// A frame, a checkpoint or a header that the forger has made.
fn frame_of_forger(log: &Log, input: &mut Bytes<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let position = log.end.min(input.u8().into());
    let kind = match input.below(7) {
        0 => Kind::Aside,
        1 => Kind::Other(7),
        2 => Kind::Gap,
        3 => {
            let header = FileHeader {
                id: LogId([input.u8(); 16]),
                stamps: log.frames.has_stamps(),
                first_position: position,
                created_ns: 0,
            };
            return header.to_bytes().to_vec();
        }
        4 => {
            let header = log.frames.header(position, 0).to_bytes();
            let mut chain = Chain::new(OTHER_KEY, &header);
            chain.add_header(&header);
            let remarks = Remarks {
                is_first_of_file: input.u8() & 1 != 0,
                is_end: input.u8() & 1 != 0,
                ..Remarks::default()
            };
            chain.push_checkpoint(&mut bytes, &log.frames, 9, remarks);
            return bytes;
        }
        5 => return b"a line\n".to_vec(),
        _ => Kind::Record,
    };
    let payload = vec![input.u8(); input.below(20)];
    log.frames.push(&mut bytes, kind, position, 9, &payload);
    bytes
}

/// Changes bytes, and leaves the checksums as they are.
fn damage(files: &mut [Vec<u8>], input: &mut Bytes<'_>) {
    let Some(file) = files.len().checked_sub(1).map(|_| input.below(files.len())) else {
        return;
    };
    let bytes = &mut files[file];
    let at = (input.u32() & 0xffff) as usize % bytes.len().max(1);
    let len = usize::from(input.u8()).min(bytes.len() - at);
    match input.below(4) {
        _ if bytes.is_empty() => {}
        0 => bytes[at] ^= 1 << input.below(8),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..at + len)),
        _ => bytes[at..at + len].fill(0),
    }
}

/// What a reader has found.
#[derive(Default)]
struct Found {
    faults: Vec<Notice>,
    /// What was proved before the first of them.
    before: Option<(u64, Proven)>,
    records: Vec<Vec<u8>>,
    proven: Option<(u64, Proven)>,
}

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Puts the files where a rotation would have put them, and returns the path of the log.
fn put(files: &[Vec<u8>]) -> PathBuf {
    FOLDER.with_borrow_mut(|folder| {
        let new = || tempfile::tempdir_in("/dev/shm").expect("a folder");
        let folder = folder.get_or_insert_with(new);
        let path = folder.path().join("log");
        let name = |number: usize| {
            let name = format!("log.20261201T060000Z-{number:06}");
            folder.path().join(name)
        };
        let (last, older) = files
            .split_last()
            .map_or((&[][..], files), |(last, older)| (last, older));
        fs::write(&path, last).expect("a written file");
        for (number, bytes) in older.iter().enumerate() {
            fs::write(name(number), bytes).expect("a written file");
        }
        for number in older.len()..FILES_MAX {
            let _ = fs::remove_file(name(number)); // of the log before
        }
        path
    })
}

fn read(path: &PathBuf, options: ReadOptions) -> Found {
    let options = options.record_max(RECORD_MAX).chain(KEY.0);
    let mut reader = options.open(path).expect("a log");
    let mut found = Found::default();
    let take = |found: &mut Found, item: Item<'_>| match item {
        Item::Record(record) => found.records.push(record.bytes().to_vec()),
        Item::Notice(notice, _) if notice.is_fault() => found.faults.push(notice),
        _ => {}
    };
    let mut before = None;
    while let Some(item) = reader.next().expect("no error of the system") {
        take(&mut found, item);
        if found.faults.is_empty() {
            before = reader.proven();
        }
    }
    while let Some(item) = reader.finish() {
        take(&mut found, item);
    }
    found.before = before;
    found.proven = reader.proven();
    found
}

fn compare(log: &Log, files: &[Vec<u8>]) {
    let files: Vec<Vec<u8>> = files
        .iter()
        .filter(|file| !file.is_empty())
        .cloned()
        .collect();
    let path = put(&files);
    let found = read(&path, ReadOptions::new());
    let written: Vec<Vec<u8>> = (log.files.iter())
        .map(|file| file.iter().flat_map(|unit| unit.bytes.clone()).collect())
        .collect();
    if files == written {
        let expected = if log.is_closed() { 0 } else { 1 };
        assert_eq!(found.faults.len(), expected, "{:?}", found.faults);
        let (first, proven) = found.proven.expect("a first checkpoint");
        assert_eq!(first, 0);
        let uncovered = log.chain.uncovered();
        assert_eq!(proven.frames(), log.chain.number() - uncovered);
        return;
    }
    assert_same_before(log, &files, &found);
    if found.faults.is_empty() {
        assert_cut(log, &files, &written, &found);
        let (_, least) = read_whole(log, &written);
        let path = put(&files);
        let again = read(&path, ReadOptions::new().proven(least));
        let is_shorter = found
            .proven
            .is_some_and(|(_, proven)| proven.frames() < least.frames());
        assert_eq!(!again.faults.is_empty(), is_shorter, "{:?}", again.faults);
    }
}

/// Checks that everything is as it was written that was proved before the first fault.
fn assert_same_before(log: &Log, files: &[Vec<u8>], found: &Found) {
    let Some((begins_at, proven)) = found.before else {
        return;
    };
    let first = log
        .files
        .iter()
        .position(|file| file[0].number == begins_at);
    let first = first.expect("the first file that is left");
    for (at, units) in log.files[first..].iter().enumerate() {
        let proved = units.iter().filter(|unit| unit.number < proven.frames());
        let bytes: Vec<u8> = proved.flat_map(|unit| unit.bytes.clone()).collect();
        let is_same = files
            .get(at)
            .map_or(&[][..], |file| file)
            .starts_with(&bytes);
        assert!(is_same, "file {at} was changed, and {proven} was proved");
    }
}

/// What the key proves of the log as it was written.
fn read_whole(log: &Log, written: &[Vec<u8>]) -> (u64, Proven) {
    let path = put(written);
    let found = read(&path, ReadOptions::new());
    assert!(found.faults.len() <= usize::from(!log.is_closed()));
    found.proven.expect("a first checkpoint")
}

/// Checks that the log is one that was written: without its oldest files, and without what follows
/// a close.
fn assert_cut(log: &Log, files: &[Vec<u8>], written: &[Vec<u8>], found: &Found) {
    let (last, before) = files
        .split_last()
        .expect("a log without a file has no chain");
    let is_one = (0..written.len()).find(|first| {
        let rest = &written[*first..];
        let Some(whole) = rest.get(before.len()) else {
            return false;
        };
        let closes = log.files[first + before.len()].iter().scan(0, |at, unit| {
            *at += unit.bytes.len();
            Some(unit.is_close.then_some(*at))
        });
        rest.starts_with(before)
            && whole.starts_with(last)
            && closes.flatten().any(|at| at == last.len())
    });
    let first = is_one.expect("a log that was not written, and no fault was reported");
    let (begins_at, _) = found.proven.expect("a checkpoint");
    assert_eq!(begins_at, log.files[first][0].number);
    let records = (files.iter().zip(&log.files[first..])).map(|(bytes, units)| {
        let mut end = 0;
        let units = units.iter().take_while(|unit| {
            end += unit.bytes.len();
            end <= bytes.len()
        });
        units.filter(|unit| is_record(unit)).count()
    });
    assert_eq!(found.records.len(), records.sum::<usize>());
}

fn is_record(unit: &Unit) -> bool {
    !unit.bytes.starts_with(b"\x89alqlog\n") && Kind::of_last(unit.bytes[15]) == Kind::Record
}
