//! Code shared by the test files: waiting, records that identify themselves, logs, pipes.
#![allow(dead_code, reason = "no test file uses all of it")]

pub mod child;
pub mod disk;
pub mod exit;
pub mod far;
pub mod fork;
pub mod frames;
pub mod load;
pub mod sink;
pub mod task;
pub mod torture;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use alq::{Entry, Flags, Options, Queue, Stats};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use tempfile::TempDir;

/// The longest wait of a test. Only a failing test waits that long.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// A stall limit that no healthy queue reaches.
pub const NEVER_STALLS: Duration = Duration::from_secs(300);

/// A stall limit for tests that reach it. It is long enough for the flusher to look once before.
pub const STALLS_SOON: Duration = Duration::from_millis(250);

pub const WAIT: Flags = Flags::WAITOK;
pub const TRY: Flags = Flags::NOWAIT;

/// Flags of posts that are not written before a flush, a close or the end.
pub const LATER: Flags = TRY.union(Flags::NOACTIVATE);

/// Waits until `condition` holds.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "this never came: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A thread that must end: [`join`](Watched::join) panics where a plain join would hang.
pub struct Watched<T>(JoinHandle<T>);

pub fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Watched<T> {
    Watched(thread::spawn(body))
}

impl<T> Watched<T> {
    pub fn join(self) -> T {
        wait_for("the end of a call that must return", || {
            self.0.is_finished()
        });
        self.0
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    pub fn is_running(&self) -> bool {
        !self.0.is_finished()
    }
}

/// When the file at `path` was created, in nanoseconds since 1970. 0 if its disk does not say.
pub fn born_ns(path: &Path) -> u64 {
    // The standard library does not know it with every C library.
    let time = statx(CWD, path, AtFlags::empty(), StatxFlags::BTIME).unwrap();
    let time = time.stx_btime;
    time.tv_sec.unsigned_abs() * 1_000_000_000 + u64::from(time.tv_nsec)
}

/// Options of the smallest ring: 4096 bytes, 64 slots.
pub fn small() -> Options {
    Options::new()
        .capacity(4096)
        .stall_limit(Some(NEVER_STALLS))
}

/// A log in a temporary folder.
pub struct Log {
    dir: TempDir,
}

impl Log {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("test.log")
    }

    pub fn open(&self, options: Options) -> Queue {
        options.open(self.path()).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

/// Waits until the flusher is parked: its count of wake-ups no longer changes.
pub fn wait_until_parked(queue: &Queue) {
    // An idle flusher naps for some milliseconds at most before it parks.
    let quiet = Duration::from_millis(150);
    let mut wakeups = queue.stats().wakeups;
    let mut since = Instant::now();
    wait_for("the flusher parks", || {
        let now = queue.stats().wakeups;
        if now != wakeups {
            (wakeups, since) = (now, Instant::now());
        }
        since.elapsed() >= quiet
    });
}

/// A file in append mode, created if need be.
pub fn append_to(path: impl AsRef<Path>) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}

/// A pipe: the end that reads, and the end that writes.
pub fn pipe() -> io::Result<(File, File)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((reader.into(), writer.into()))
}

/// Opens the same end of a pipe or terminal again, in non-blocking mode.
pub fn nonblocking(fd: impl AsFd) -> File {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .unwrap()
}

/// Fills a pipe until it takes no byte, and returns how many it took.
pub fn fill_up(fd: impl AsFd) -> usize {
    let mut pipe = nonblocking(fd);
    let mut taken = 0;
    for piece in [4096, 1] {
        loop {
            match io::Write::write(&mut pipe, &vec![b'#'; piece]) {
                Ok(some) => taken += some,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    taken
}

/// Reads to the end on another thread.
pub fn read_all(mut reader: impl Read + Send + 'static) -> Watched<Vec<u8>> {
    spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// A record that contains its writer, its number and its length. The rest of its bytes follows from
/// these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub writer: usize,
    pub seq: u32,
    pub len: usize,
}

impl Record {
    /// Room for the header and the end of line.
    pub const MIN_LEN: usize = 20;

    pub fn text(self) -> String {
        let mut text = String::new();
        self.write_to(&mut text).unwrap();
        text
    }

    /// Makes a record without an allocation, for signal handlers.
    pub fn write_to(self, out: &mut impl fmt::Write) -> fmt::Result {
        let Self { writer, seq, len } = self;
        assert!(len >= Self::MIN_LEN);
        write!(out, "{writer}:{seq}:{len}:")?;
        let digits = |number: usize| number.max(1).ilog10() as usize + 1;
        let header = digits(writer) + digits(seq as usize) + digits(len) + 3;
        for i in header..len - 1 {
            let letter = (writer * 7 + seq as usize * 13 + i * 3) % 26;
            out.write_char((b'a' + letter as u8) as char)?;
        }
        out.write_char('\n')
    }

    /// Returns the record of a whole and undamaged line, which is given without its end.
    pub fn of_line(line: &str) -> Option<Self> {
        Self::parse(line).filter(|record| record.text().trim_end_matches('\n') == line)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, ':');
        let record = Self {
            writer: fields.next()?.parse().ok()?,
            seq: fields.next()?.parse().ok()?,
            len: fields.next()?.parse().ok()?,
        };
        (record.len == line.len() + 1).then_some(record)
    }
}

/// Returns the records in `bytes`. Every byte must belong to a whole record.
pub fn parse(bytes: &[u8]) -> Vec<Record> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last record is cut"
    );
    let record = |line: &str| {
        let record = Record::parse(line).unwrap_or_else(|| panic!("no record: {line:?}"));
        assert_eq!(record.text().trim_end_matches('\n'), line);
        record
    };
    text.lines().map(record).collect()
}

/// Checks that the records `0..counts[writer]` of each writer are there once, in order, and no
/// others.
pub fn assert_complete(records: &[Record], counts: &[u32]) {
    let mut next = vec![0; counts.len()];
    for record in records {
        assert_eq!(
            record.seq, next[record.writer],
            "the next of writer {}",
            record.writer
        );
        next[record.writer] += 1;
    }
    assert_eq!(next, counts);
}

/// Checks that every posted byte is written or undrained.
pub fn assert_accounts(queue: &Queue, posted: u64, undrained: u64) {
    let stats = queue.stats();
    assert_eq!(stats.posted_bytes, posted);
    assert_eq!(stats.written_bytes + undrained, posted);
    assert_eq!(stats.held, 0);
}

/// An entry of `len` bytes, filled with `letter`.
pub fn filled(queue: &Queue, len: usize, letter: u8) -> Entry<'_> {
    let mut entry = queue.getn(len, TRY).unwrap();
    entry.fill(letter);
    entry
}

/// Pseudo-random numbers that are the same in every run.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: usize) -> Self {
        Self(seed as u64 ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// The number of appends of any kind that had to wait for room.
pub fn room_waits(stats: &Stats) -> u64 {
    stats.waits.writen_room + stats.waits.getn_room
}
