//! How lines get from standard input into the ring: as they come, or with stamps, or dropped where there is no room.

use std::io;
use std::mem;

use alq::{Error, Flags, Lane, Queue};
use jiff::Timestamp;
use memchr::{memchr_iter, memrchr};

use crate::catch_args::WhenFull;
use crate::input::{Found, Input};
use crate::stamp::Stamp;
use crate::target::{CHECK_INTERVAL, Target};

/// What came of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes were read.
    Bytes(usize),
    /// Nothing now: no input, or no room.
    Nothing,
    /// There is no more to read, or no use in reading: the close tells why.
    End,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that ended.
    pub lines: u64,
    /// How much was read of the line that has not ended.
    pub open_bytes: usize,
    pub dropped_lines: u64,
    pub dropped_bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: &[u8], counts_lines: bool) {
        if counts_lines {
            self.lines += memchr_iter(b'\n', bytes).count() as u64;
        }
        self.open_bytes = match memrchr(b'\n', bytes) {
            Some(at) => bytes.len() - at - 1,
            None => self.open_bytes + bytes.len(),
        };
    }
}

/// Takes input into the ring.
#[derive(Debug)]
pub enum Intake<'a> {
    Straight(Straight<'a>),
    Copied(Box<Copied<'a>>),
}

impl Intake<'_> {
    /// Reads once, `len` bytes at most or as much as is good.
    pub fn read_once(&mut self, input: &Input, len: Option<usize>) -> io::Result<Taken> {
        match self {
            Self::Straight(straight) => straight.read_once(input, len),
            Self::Copied(copied) => copied.read_once(input, len),
        }
    }

    pub fn tally(&self) -> &Tally {
        match self {
            Self::Straight(straight) => &straight.tally,
            Self::Copied(copied) => &copied.tally,
        }
    }

    /// How much was read that the ring has not got.
    pub fn unsent_bytes(&self) -> usize {
        match self {
            Self::Straight(_) => 0,
            Self::Copied(copied) => copied.pending.len(),
        }
    }

    /// Whether lines are dropped where there is no room.
    pub fn drops(&self) -> bool {
        matches!(self, Self::Copied(copied) if copied.when_full == WhenFull::Drop)
    }

    /// Gives the ring what was kept back: the beginning of a line that does not end any more.
    pub fn finish(&mut self) {
        if let Self::Copied(copied) = self {
            copied.send_rest();
        }
    }
}

/// Reads straight into the ring: a record is what one read found, wherever lines end in it.
#[derive(Debug)]
pub struct Straight<'a> {
    queue: &'a Queue,
    chunk: usize,
    /// Whether anybody wants to know how many lines there were.
    counts_lines: bool,
    tally: Tally,
}

impl<'a> Straight<'a> {
    pub fn new(queue: &'a Queue, chunk: usize, counts_lines: bool) -> Self {
        Self {
            queue,
            chunk,
            counts_lines,
            tally: Tally::default(),
        }
    }

    fn read_once(&mut self, input: &Input, len: Option<usize>) -> io::Result<Taken> {
        let len = len.unwrap_or(self.chunk);
        let mut entry = match self.queue.getn_timeout(len, Flags::WAITOK, CHECK_INTERVAL) {
            Ok(entry) => entry,
            Err(Error::TimedOut) => return Ok(Taken::Nothing),
            Err(_) => return Ok(Taken::End),
        };
        match input.read(&mut entry)? {
            Found::End => Ok(Taken::End),
            Found::Nothing => Ok(Taken::Nothing),
            Found::Bytes(count) => {
                self.tally.add(&entry[..count], self.counts_lines);
                entry.set_bytes_used(count);
                entry.post();
                Ok(Taken::Bytes(count))
            }
        }
    }
}

/// Reads into a buffer, because something is done with each line.
#[derive(Debug)]
pub struct Copied<'a> {
    target: &'a Target<'a>,
    lane: Lane,
    stamp: Option<Stamp>,
    when_full: WhenFull,
    line_max: usize,
    buffer: Vec<u8>,
    /// The stamp of the lines that begin in the buffer.
    stamp_text: String,
    /// What the ring has not got yet.
    pending: Vec<u8>,
    /// How much of that are whole lines.
    whole_len: usize,
    tally: Tally,
}

impl<'a> Copied<'a> {
    pub fn new(
        target: &'a Target<'a>,
        chunk: usize,
        stamp: Option<Stamp>,
        when_full: WhenFull,
        line_max: usize,
    ) -> Self {
        Self {
            target,
            lane: target.queue().lane(),
            stamp,
            when_full,
            line_max,
            buffer: vec![0; chunk],
            stamp_text: String::new(),
            pending: Vec::new(),
            whole_len: 0,
            tally: Tally {
                // A line that a run before has begun, and that this one ends, has its stamp.
                open_bytes: usize::from(target.ends_inside_line()),
                ..Tally::default()
            },
        }
    }

    fn read_once(&mut self, input: &Input, len: Option<usize>) -> io::Result<Taken> {
        let len = len.unwrap_or(self.buffer.len());
        let count = match input.read(&mut self.buffer[..len])? {
            Found::End => return Ok(Taken::End),
            Found::Nothing => return Ok(Taken::Nothing),
            Found::Bytes(count) => count,
        };
        if let Some(stamp) = &self.stamp {
            stamp.write(Timestamp::now(), &mut self.stamp_text);
        }
        let buffer = mem::take(&mut self.buffer);
        let mut from = 0;
        for at in memchr_iter(b'\n', &buffer[..count]) {
            self.add(&buffer[from..=at]);
            from = at + 1;
        }
        self.add(&buffer[from..count]);
        self.buffer = buffer;
        let sent = match self.when_full {
            WhenFull::Block => self.send_rest(),
            WhenFull::Drop => self.send_lines(),
        };
        Ok(if sent {
            Taken::Bytes(count)
        } else {
            Taken::End
        })
    }

    /// Adds a line, or a part of one, to what is pending. Where lines are dropped, a line that is too long becomes several: nothing
    /// could tell of its other half.
    fn add(&mut self, mut part: &[u8]) {
        while self.when_full == WhenFull::Drop {
            let room = self.line_max - self.tally.open_bytes.min(self.line_max);
            if part.len() <= room || part[room] == b'\n' {
                break;
            }
            let (head, rest) = part.split_at(room);
            self.add_part(head);
            self.add_part(b"\n");
            part = rest;
        }
        self.add_part(part);
    }

    fn add_part(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        if self.tally.open_bytes == 0 {
            self.pending.extend_from_slice(self.stamp_text.as_bytes());
        }
        self.pending.extend_from_slice(part);
        if part.ends_with(b"\n") {
            self.tally.lines += 1;
            self.tally.open_bytes = 0;
            self.whole_len = self.pending.len();
        } else {
            self.tally.open_bytes += part.len();
        }
    }

    /// Waits until the ring has all that is pending; `false` if it cannot.
    fn send_rest(&mut self) -> bool {
        let record_max = self.buffer.len();
        let mut sent = 0;
        while sent < self.pending.len() {
            let rest = &self.pending[sent..];
            let record = &rest[..rest.len().min(record_max)];
            match self
                .lane
                .writen_timeout(record, Flags::WAITOK, CHECK_INTERVAL)
            {
                Ok(_) => sent += record.len(),
                Err(Error::TimedOut) if !self.target.is_given_up() => {}
                Err(_) => break,
            }
        }
        self.has_sent(sent)
    }

    /// The ring has got so much of what is pending, which is not to be sent once more; says whether that was all.
    fn has_sent(&mut self, len: usize) -> bool {
        self.pending.drain(..len);
        self.whole_len = self.whole_len.saturating_sub(len);
        self.pending.is_empty()
    }

    /// Gives the ring the whole lines that it has room for, each a record; `false` if it takes no more at all.
    fn send_lines(&mut self) -> bool {
        let mut from = 0;
        for at in memchr_iter(b'\n', &self.pending[..self.whole_len]) {
            let line = &self.pending[from..=at];
            match self.lane.writen(line, Flags::NOWAIT) {
                Ok(_) => {}
                Err(Error::WouldBlock) => {
                    self.tally.dropped_lines += 1;
                    self.tally.dropped_bytes += line.len() as u64;
                }
                Err(_) => break,
            }
            from = at + 1;
        }
        self.has_sent(from);
        self.whole_len == 0
    }
}
