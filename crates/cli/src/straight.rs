//! Input that goes into the ring as it comes.

use std::io;

use alq::{Error, Flags, Queue};
use memchr::{memchr_iter, memrchr};

use crate::input::{Found, Input};
use crate::report::Dropped;
use crate::target::CHECK_INTERVAL;

/// Reads at most this much at once. More makes no system call cheaper, and leaves the near caches.
const CHUNK_MAX: usize = 256 << 10;

/// What came of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes were read.
    Bytes(usize),
    /// Nothing now: no input, or no room.
    Nothing,
    /// There is no more to read.
    End,
    /// There is no use in reading: the close says why.
    Refused,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that ended.
    pub lines: u64,
    pub dropped: Dropped,
}

/// How much is read at once: a quarter of the ring, so that reading and writing overlap; no ring is
/// smaller than a page.
pub fn chunk(queue: &Queue) -> usize {
    (queue.capacity() / 4).min(CHUNK_MAX)
}

/// Reads straight into the ring: a record is what one read found, wherever lines end in it.
#[derive(Debug)]
pub struct Straight<'a> {
    queue: &'a Queue,
    chunk: usize,
    /// Whether the summary says how many lines there were.
    counts_lines: bool,
    tally: Tally,
    open_bytes: usize,
}

impl<'a> Straight<'a> {
    pub fn new(queue: &'a Queue, counts_lines: bool) -> Self {
        Self {
            queue,
            chunk: chunk(queue),
            counts_lines,
            tally: Tally::default(),
            open_bytes: 0,
        }
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How much was read of the line that has not ended.
    pub fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// Reads once, `len` bytes at most or as much as is good.
    pub fn read_once(&mut self, input: &Input, len: Option<usize>) -> io::Result<Taken> {
        let len = len.unwrap_or(self.chunk);
        let mut entry = match self.queue.getn_timeout(len, Flags::WAITOK, CHECK_INTERVAL) {
            Ok(entry) => entry,
            Err(Error::TimedOut) => return Ok(Taken::Nothing),
            Err(_) => return Ok(Taken::Refused),
        };
        match input.read(&mut entry)? {
            Found::End => Ok(Taken::End),
            Found::Nothing => Ok(Taken::Nothing),
            Found::Bytes(count) => {
                let bytes = &entry[..count];
                if self.counts_lines {
                    self.tally.lines += memchr_iter(b'\n', bytes).count() as u64;
                }
                self.open_bytes = match memrchr(b'\n', bytes) {
                    Some(at) => count - at - 1,
                    None => self.open_bytes + count,
                };
                entry.set_bytes_used(count);
                entry.post();
                Ok(Taken::Bytes(count))
            }
        }
    }
}
