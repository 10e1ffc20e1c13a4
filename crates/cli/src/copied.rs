//! Reads input into a buffer, in order to process each line or each record.
//!
//! A record that is appended whole stays in `pending` until it ends. If FILE has a framing, each
//! line, or each so many bytes, is one record.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use alq::{Error, Flags, Framing, Lane};
use jiff::Timestamp;
use memchr::{memchr, memchr_iter};

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::input::{Found, Input};
use crate::report::Failure;
use crate::stamp::{Stamp, room_of_line};
use crate::straight::{Taken, Tally, chunk};
use crate::target::{CHECK_INTERVAL, Target};

/// `--when-full=drop` drops lines only after FILE has accepted no data for this time: a disk may be
/// slow.
const DROP_AFTER: Duration = Duration::from_secs(1);

/// The time between two looks at FILE until then.
const DROP_LOOK: Duration = Duration::from_millis(20);

/// Reads into a buffer, in order to process each line.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each is an option of its own, not a state
pub struct Copied<'a> {
    target: &'a Target<'a>,
    lane: Lane,
    stamp: Option<Stamp>,
    drops: bool,
    /// True if the beginning of a line is held back until its end is read.
    is_whole: bool,
    /// True if each line is a record.
    is_single: bool,
    /// True if a last line without a newline gets one, because another input continues after it.
    ends_lines: bool,
    /// Whether FILE takes each line as a message.
    is_message: bool,
    /// What a record is, if FILE has a framing.
    unit: Option<Unit>,
    line_max: usize,
    buffer: Vec<u8>,
    /// The stamp of the lines that begin in the buffer.
    stamp_text: String,
    streams: Vec<Stream>,
    tally: Tally,
    /// Since when FILE has accepted no data; `None` if this has not been checked.
    stuck: Option<Stuck>,
}

/// What one record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// A line. A line that is too long becomes several lines.
    Line,
    /// A line, with its newline. A line that is too long becomes several records.
    Piece,
    /// This number of bytes.
    Bytes(usize),
}

/// The state of one input.
#[derive(Debug, Default)]
struct Stream {
    /// The number of bytes of the current line, or record, that were read.
    open_bytes: usize,
    /// Bytes that are not in the ring yet.
    pending: Vec<u8>,
    /// The length of the whole lines in `pending`.
    whole_len: usize,
    /// The lengths of the whole records in `pending`, if FILE has a framing.
    records: VecDeque<usize>,
}

/// How long FILE has accepted no data.
#[derive(Clone, Copy, Debug)]
struct Stuck {
    since: Instant,
    written_bytes: u64,
    /// True if this has lasted for [`DROP_AFTER`].
    is_over: bool,
}

/// The result for a record.
enum Sent {
    Yes,
    Dropped,
    No,
}

impl<'a> Copied<'a> {
    /// `is_shared` says that lines of several processes may mix in FILE.
    pub fn new(
        options: &Append,
        target: &'a Target<'a>,
        streams: usize,
        is_shared: bool,
    ) -> Result<Self, Failure> {
        let lines = &options.lines;
        let queue = target.queue();
        let unit = match options.framing.framing {
            Framing::Raw => None,
            Framing::Lines => Some(Unit::Line),
            Framing::Fixed(len) => Some(Unit::Bytes(len)),
            _ => Some(Unit::Piece),
        };
        let open = Stream {
            // If an earlier run has begun a line, this run ends it: the line already has its stamp.
            open_bytes: usize::from(target.ends_inside_line()),
            ..Stream::default()
        };
        let mut all = vec![open];
        all.resize_with(streams, Stream::default);
        let drops = lines.when_full == WhenFull::Drop;
        let stamp = lines.timestamp.clone().map(Stamp::new);
        let mut line_max = options.line_max(queue.capacity())?;
        let message_max = queue.message_max();
        if let (Some(max), true) = (message_max, options.is_lines()) {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            line_max = line_max.min(room_of_line(max.min(queue.capacity() / 4), stamp.as_ref()));
        }
        Ok(Self {
            target,
            lane: queue.lane(),
            stamp,
            drops,
            is_whole: drops || is_shared || streams > 1 || unit.is_some(),
            is_single: drops || is_shared || unit.is_some(),
            ends_lines: (streams > 1 || message_max.is_some()) && unit != Some(Unit::Piece),
            is_message: message_max.is_some(),
            unit,
            line_max,
            buffer: vec![0; chunk(queue)],
            stamp_text: String::new(),
            streams: all,
            tally: Tally::default(),
            stuck: None,
        })
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub fn drops(&self) -> bool {
        self.drops
    }

    pub fn open_bytes(&self) -> usize {
        match &self.streams[..] {
            [only] => only.open_bytes,
            _ => 0,
        }
    }

    pub fn unsent_bytes(&self) -> usize {
        self.streams.iter().map(|it| it.pending.len()).sum()
    }

    pub fn read_once(&mut self, input: &Input, at: usize, len: Option<usize>) -> io::Result<Taken> {
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
        match self.unit {
            Some(Unit::Bytes(len)) => self.add_blocks(at, &buffer[..count], len),
            _ => self.add_lines(at, &buffer[..count]),
        }
        self.buffer = buffer;
        let stream = &self.streams[at];
        let is_whole = self.is_whole && !self.is_cut(stream);
        let len = if is_whole {
            stream.whole_len
        } else {
            stream.pending.len()
        };
        Ok(if self.send(at, len) {
            Taken::Bytes(count)
        } else {
            Taken::Refused
        })
    }

    /// Returns true if the beginning of a line goes into the ring because it is too long to hold
    /// back. If such lines are split instead, this is never true.
    fn is_cut(&self, stream: &Stream) -> bool {
        stream.open_bytes >= self.line_max && !self.splits()
    }

    /// Returns true if a line that is too long becomes several, because another line may follow its
    /// first part, or several records.
    fn splits(&self) -> bool {
        self.drops || self.ends_lines || self.unit.is_some()
    }

    /// Adds records of `len` bytes to the pending bytes.
    fn add_blocks(&mut self, at: usize, mut bytes: &[u8], len: usize) {
        while !bytes.is_empty() {
            let left = len - self.streams[at].open_bytes;
            let (part, rest) = bytes.split_at(left.min(bytes.len()));
            self.add_part(at, part, part.len() == left);
            bytes = rest;
        }
    }

    fn add_lines(&mut self, at: usize, bytes: &[u8]) {
        let mut from = 0;
        for end in memchr_iter(b'\n', bytes) {
            self.add_line(at, &bytes[from..=end]);
            from = end + 1;
        }
        self.add_line(at, &bytes[from..]);
    }

    /// Adds a line, or a part of one, to the pending bytes, and splits it if it is too long.
    fn add_line(&mut self, at: usize, mut part: &[u8]) {
        while self.splits() {
            let open_bytes = self.streams[at].open_bytes;
            let room = self.line_max - open_bytes.min(self.line_max);
            if part.len() <= room || part[room] == b'\n' {
                break;
            }
            let (head, rest) = part.split_at(room);
            let is_piece = self.unit == Some(Unit::Piece);
            self.add_part(at, head, is_piece);
            if !is_piece {
                self.add_part(at, b"\n", true);
            }
            part = rest;
        }
        self.add_part(at, part, part.ends_with(b"\n"));
    }

    fn add_part(&mut self, at: usize, part: &[u8], is_end: bool) {
        if part.is_empty() && !is_end {
            return;
        }
        let stream = &mut self.streams[at];
        if stream.open_bytes == 0 {
            stream.pending.extend_from_slice(self.stamp_text.as_bytes());
        }
        stream.pending.extend_from_slice(part);
        if is_end {
            self.tally.lines += 1;
            stream.open_bytes = 0;
            if self.unit.is_some() {
                let len = stream.pending.len() - stream.whole_len;
                stream.records.push_back(len);
            }
            stream.whole_len = stream.pending.len();
        } else {
            stream.open_bytes += part.len();
        }
    }

    /// Moves the rest of an input into the ring: the beginning of a line that will not end. The
    /// beginning of a record of a fixed length stays.
    pub fn finish(&mut self, at: usize) {
        if self.ends_lines && self.streams[at].open_bytes > 0 {
            self.add_part(at, b"\n", true);
        }
        let stream = &self.streams[at];
        let len = match self.unit {
            Some(Unit::Bytes(_)) => stream.whole_len,
            _ => stream.pending.len(),
        };
        self.send(at, len);
    }

    /// Moves the first `len` pending bytes into the ring. Returns false if the ring accepts no
    /// more.
    fn send(&mut self, at: usize, len: usize) -> bool {
        let pending = mem::take(&mut self.streams[at].pending);
        let mut sent = 0;
        let mut is_refused = false;
        while sent < len && !is_refused {
            let record = self.record(at, &pending[sent..len]);
            match self.put(record) {
                Sent::Yes => self.target.look_at(record),
                Sent::Dropped => {
                    self.tally.dropped.lines += 1;
                    self.tally.dropped.bytes += record.len() as u64;
                }
                Sent::No => {
                    is_refused = true;
                    continue;
                }
            }
            sent += record.len();
            self.streams[at].records.pop_front();
        }
        let stream = &mut self.streams[at];
        stream.pending = pending;
        // Bytes that are in the ring must not be sent again.
        stream.pending.drain(..sent);
        stream.whole_len = stream.whole_len.saturating_sub(sent);
        !is_refused
    }

    /// The part of the pending `bytes` that is appended as one record.
    fn record<'b>(&self, at: usize, bytes: &'b [u8]) -> &'b [u8] {
        if self.unit.is_some() {
            let len = self.streams[at].records.front().copied();
            return &bytes[..len.unwrap_or(bytes.len())];
        }
        if !self.is_single {
            return &bytes[..bytes.len().min(self.buffer.len())];
        }
        let len = memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        // Lines that are dropped, or are messages, are whole. They are shorter than a quarter of
        // the ring.
        let most = if self.drops || self.is_message {
            len
        } else {
            self.buffer.len()
        };
        &bytes[..len.min(most)]
    }

    /// Appends a record. Waits for room, or, with `--when-full=drop`, drops it if FILE accepts no
    /// data.
    fn put(&mut self, record: &[u8]) -> Sent {
        loop {
            let is_to_drop = self.drops && self.stuck.is_some_and(|stuck| stuck.is_over);
            let appended = if is_to_drop {
                self.append(record, Flags::NOWAIT, Duration::ZERO)
            } else {
                let limit = if self.drops {
                    DROP_LOOK
                } else {
                    CHECK_INTERVAL
                };
                self.append(record, Flags::WAITOK | Flags::RETRY, limit)
            };
            match appended {
                Ok(()) => {
                    if is_to_drop {
                        self.look_whether_stuck(); // there was room: FILE may accept data again
                    }
                    return Sent::Yes;
                }
                // A dump is copying the room that it needs.
                Err(Error::WouldBlock) if self.target.recorder().is_some() => thread::yield_now(),
                Err(Error::WouldBlock | Error::TooLarge { .. }) => return Sent::Dropped,
                Err(Error::TimedOut) if self.drops => {
                    self.look_whether_stuck();
                    let _ = self.target.is_given_up(); // only to report the stall
                }
                Err(Error::TimedOut) if !self.target.is_given_up() => {}
                Err(_) => return Sent::No,
            }
        }
    }

    /// Appends a record through the lane. If lines of several processes may mix in FILE, or if FILE
    /// has a framing, appends it through the shared path, where the ring knows the end of each
    /// record.
    fn append(&mut self, record: &[u8], flags: Flags, limit: Duration) -> Result<(), Error> {
        let queue = self.target.queue();
        let is_shared = self.unit.is_some() || self.is_single && !self.drops;
        match (is_shared, flags) {
            (true, Flags::NOWAIT) => queue.writen(record, flags)?,
            (true, _) => queue.writen_timeout(record, flags, limit)?,
            (false, Flags::NOWAIT) => self.lane.writen(record, flags)?,
            (false, _) => self.lane.writen_timeout(record, flags, limit)?,
        };
        Ok(())
    }

    /// Updates `stuck`: whether FILE has accepted no data for so long that lines are dropped.
    fn look_whether_stuck(&mut self) {
        let written_bytes = self.target.queue().stats().written_bytes;
        let now = Instant::now();
        let before = self
            .stuck
            .filter(|stuck| stuck.written_bytes == written_bytes);
        let since = before.map_or(now, |stuck| stuck.since);
        self.stuck = Some(Stuck {
            since,
            written_bytes,
            is_over: now - since >= DROP_AFTER,
        });
    }
}
