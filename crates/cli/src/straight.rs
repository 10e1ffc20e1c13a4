//! Moves input into the ring unchanged.

use std::io;

use alq::{Error, Flags, Queue};
use memchr::{memchr_iter, memrchr};

use crate::input::{Found, Input};
use crate::report::Dropped;
use crate::target::CHECK_INTERVAL;

/// The largest read in bytes. A larger one does not make the system call cheaper, and exceeds the
/// near caches.
const CHUNK_MAX: usize = 256 << 10;

/// The result of moving input once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// This number of bytes was read.
    Bytes(usize),
    /// No bytes were read: there is no input, or no room in the ring.
    Nothing,
    /// The input has ended.
    End,
    /// The queue accepts no more records; its close reports why.
    Refused,
}

/// The counts for the summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that ended.
    pub lines: u64,
    pub dropped: Dropped,
}

/// The size of one read: a quarter of the ring, so that reading and writing overlap. It is never 0,
/// because a ring has at least one page.
pub fn chunk(queue: &Queue) -> usize {
    (queue.capacity() / 4).min(CHUNK_MAX)
}

/// Reads straight into the ring. The bytes of one read are a record; lines do not matter.
#[derive(Debug)]
pub struct Straight<'a> {
    queue: &'a Queue,
    chunk: usize,
    /// Whether to count lines, for the summary.
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

    /// The number of bytes read since the last newline.
    pub fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// Reads once: at most `len` bytes, by default [`chunk`].
    pub fn read_once(&mut self, input: &Input, len: Option<usize>) -> io::Result<Taken> {
        let len = len.unwrap_or(self.chunk);
        let flags = Flags::WAITOK | Flags::RETRY;
        let mut entry = match self.queue.getn_timeout(len, flags, CHECK_INTERVAL) {
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
