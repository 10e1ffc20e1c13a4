//! Logs of checked frames, damaged in any way. The queue that opens such a log and the reader must
//! agree about it, and no record may come out that did not go in.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use alq::model::frame::{FileHeader, Frames, HEADER_LEN, Kind, LogId, Next};
use alq::model::{FileSink, stream};
use alq::read::{Item, Notice, ReadOptions};
use tempfile::TempDir;

use crate::bytes::Bytes;

/// Logs are shorter.
const LOG_MAX: usize = 4096;

/// The log, and what it holds.
#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    /// Positions and payloads.
    records: Vec<(u64, Vec<u8>)>,
    asides: Vec<Vec<u8>>,
}

/// Writes a log as the input says, damages it, and reads it. The last bytes of the input are also
/// read as a frame.
pub fn frames(input: &[u8]) {
    let mut input = Bytes(input);
    let choice = input.u8();
    let header = FileHeader {
        id: LogId(*b"the id of a log."),
        stamps: choice & 1 != 0,
        first_position: u64::from(input.u8()),
        created_ns: 0,
    };
    let mut log = written(header, &mut input);
    let faults = input.below(4);
    for _ in 0..faults {
        damage(&mut log.bytes, &mut input);
    }
    codec(header.frames(), input.0);
    log.bytes.truncate(LOG_MAX);
    compare(&log);
}

fn written(header: FileHeader, input: &mut Bytes<'_>) -> Log {
    let frames = header.frames();
    let mut log = Log {
        bytes: header.to_bytes().to_vec(),
        ..Log::default()
    };
    let mut end = header.first_position;
    for _ in 0..input.below(12) {
        let (kind, amount) = (input.below(8), usize::from(input.u8()));
        let payload: Vec<u8> = match amount {
            // A copy of what the log holds so far: its frames are not those of the log.
            250.. => log.bytes.clone(),
            _ => (0..amount % 60).map(|at| (at * 7 + amount) as u8).collect(),
        };
        if kind == 7 {
            log.bytes.extend(header.to_bytes());
            continue;
        }
        let (kind, position) = match kind {
            0..=2 => (Kind::Record, end),
            3 => (Kind::Gap, end + u64::from(input.u8())),
            4 => (Kind::Cut, end),
            5 => (Kind::Aside, 0),
            _ => (Kind::Other(4 + input.u8() % 12), input.u64() >> 4),
        };
        let from = log.bytes.len();
        frames.push(&mut log.bytes, kind, position, 9, &payload);
        match kind {
            Kind::Record => {
                end += (log.bytes.len() - from) as u64;
                log.records.push((position, payload));
            }
            Kind::Aside => log.asides.push(payload),
            _ if kind.has_place() => end = position,
            _ => {}
        }
    }
    log
}

fn damage(bytes: &mut Vec<u8>, input: &mut Bytes<'_>) {
    let at = (input.u32() & 0xffff) as usize % bytes.len().max(1);
    let len = usize::from(input.u8()).min(bytes.len() - at);
    match input.below(7) {
        _ if bytes.is_empty() => {}
        0 => bytes[at] ^= 1 << input.below(8),
        1 => bytes[at] = input.u8(),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + len)),
        4 => bytes[at..at + len].fill(0),
        5 => {
            let part = bytes[at..at + len].to_vec();
            let to = usize::from(input.u8()) * bytes.len() / 256;
            bytes.splice(to..to, part);
        }
        _ => {
            let part = input.u64().to_le_bytes();
            bytes.splice(at..at, part);
        }
    }
}

/// Any bytes are read without a panic; what is a frame is the same when it is written again.
fn codec(frames: Frames, bytes: &[u8]) {
    let _ = FileHeader::from_bytes(bytes);
    for at in 0..bytes.len().min(64) {
        if let Ok(Next::Frame(frame, end)) = frames.next(&bytes[at..], 0) {
            let mut again = Vec::new();
            let stamp = frame.stamp_ns.unwrap_or(0);
            frames.push(&mut again, frame.kind, frame.position, stamp, frame.payload);
            assert_eq!(again, bytes[at..at + frame.len]);
            assert!(end >= frame.position || !frame.kind.has_place());
        }
    }
}

/// The file of the logs, which each of them overwrites.
struct Place {
    _folder: TempDir,
    path: PathBuf,
    file: File,
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

fn compare(log: &Log) {
    PLACE.with_borrow_mut(|place| {
        let place = place.get_or_insert_with(|| {
            let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
            let path = folder.path().join("log");
            let file = File::options().append(true).create(true).open(&path);
            let file = file.expect("a file");
            Place {
                _folder: folder,
                path,
                file,
            }
        });
        place.file.set_len(0).expect("an empty file");
        place.file.write_all(&log.bytes).expect("a written file");
        let file = place.file.try_clone().expect("a descriptor");
        let sink = FileSink::new(file.into()).expect("a sink");
        let found = stream::look(&sink, u64::MAX, &mut |_, _| {}).expect("no error of the system");
        let options = ReadOptions::new().record_max(LOG_MAX);
        let mut reader = options.open(&place.path).expect("a log");
        let mut read = Read::default();
        while let Some(item) = reader.next().expect("no error of the system") {
            read.take(&item, log);
        }
        let end = position(&reader.cursor().to_string());
        while let Some(item) = reader.finish() {
            read.take(&item, log);
        }
        let whole = log.bytes.get(..HEADER_LEN);
        let is_whole = whole.is_some_and(|header| FileHeader::from_bytes(header).is_ok());
        let Ok(Some(found)) = found else {
            assert!(!is_whole, "the queue refuses a good header");
            return;
        };
        if !is_whole {
            return; // a header that was not written to its end
        }
        assert_eq!(found.damaged_bytes + found.torn_bytes, read.bad_bytes);
        assert_eq!(Some(found.end), end, "where the stream ends");
        assert_eq!(found.whole_bytes + found.torn_bytes, log.bytes.len() as u64);
    });
}

/// What the reader returned.
#[derive(Default)]
struct Read {
    /// How many of the records came, or were passed.
    passed: usize,
    bad_bytes: u64,
}

impl Read {
    fn take(&mut self, item: &Item<'_>, log: &Log) {
        match item {
            Item::Record(record) if record.position().is_none() => {
                let is_lines = !log.bytes.starts_with(b"\x89alqlog\n");
                let is_one = log.asides.iter().any(|one| one == record.bytes());
                assert!(is_one || is_lines, "a record that was not written");
            }
            Item::Record(record) => {
                let rest = &log.records[self.passed..];
                let is_it = |(position, payload): &(u64, Vec<u8>)| {
                    Some(*position) == record.position() && payload == record.bytes()
                };
                let at = rest.iter().position(is_it);
                self.passed += at.expect("a record that was written, in order") + 1;
            }
            Item::Notice(Notice::Damaged { bytes } | Notice::Torn { bytes }, _) => {
                self.bad_bytes += bytes;
            }
            _ => {}
        }
    }
}

/// The position in a cursor.
fn position(cursor: &str) -> Option<u64> {
    let word = cursor
        .split(' ')
        .find_map(|word| word.strip_prefix("position="));
    word.and_then(|digits| digits.parse().ok())
}
