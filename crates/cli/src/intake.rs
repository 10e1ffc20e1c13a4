//! Moves input into the ring: unchanged, or line by line.
//!
//! [`Straight`] reads into the ring itself. [`Copied`] reads into a buffer, because it adds stamps,
//! drops lines, or keeps lines whole. A line that is kept whole stays in `pending` until it ends.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use alq::{Error, Flags, Lane};
use jiff::Timestamp;
use memchr::{memchr, memchr_iter};

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::input::{Found, Input};
use crate::report::Failure;
use crate::stamp::Stamp;
use crate::straight::{Straight, Taken, Tally, chunk};
use crate::target::{CHECK_INTERVAL, Target};

/// `--when-full=drop` drops lines only after FILE has accepted no data for this time: a disk may be
/// slow.
const DROP_AFTER: Duration = Duration::from_secs(1);

/// The time between two looks at FILE until then.
const DROP_LOOK: Duration = Duration::from_millis(20);

/// Moves input into the ring.
#[derive(Debug)]
pub enum Intake<'a> {
    Straight(Straight<'a>),
    Copied(Box<Copied<'a>>),
}

impl<'a> Intake<'a> {
    /// Creates an intake for `streams` inputs.
    pub fn new(options: &Append, target: &'a Target<'a>, streams: usize) -> Result<Self, Failure> {
        let lines = &options.lines;
        let line_max = lines.line_max(target.queue().capacity())?;
        let chunk = chunk(target.queue());
        // Several processes may write lines to one pipe.
        let is_shared = options.is_lines() && target.kind().is_pipe();
        if lines.is_plain() && streams == 1 && !is_shared {
            return Ok(Self::Straight(Straight::new(
                target.queue(),
                !options.quiet,
            )));
        }
        let open = Stream {
            // If an earlier run has begun a line, this run ends it: the line already has its stamp.
            open_bytes: usize::from(target.ends_inside_line()),
            ..Stream::default()
        };
        let mut all = vec![open];
        all.resize_with(streams, Stream::default);
        let drops = lines.when_full == WhenFull::Drop;
        Ok(Self::Copied(Box::new(Copied {
            target,
            lane: target.queue().lane(),
            stamp: lines.timestamp.clone().map(Stamp::new),
            drops,
            is_whole: drops || is_shared || streams > 1,
            is_single: drops || is_shared,
            ends_lines: streams > 1,
            line_max,
            buffer: vec![0; chunk],
            stamp_text: String::new(),
            streams: all,
            tally: Tally::default(),
            stuck: None,
        })))
    }

    /// Reads the input at index `at` once: at most `len` bytes, by default [`chunk`].
    pub fn read_once(
        &mut self,
        (input, at): (&Input, usize),
        len: Option<usize>,
    ) -> io::Result<Taken> {
        match self {
            Self::Straight(straight) => straight.read_once(input, len),
            Self::Copied(copied) => copied.read_once(input, at, len),
        }
    }

    pub fn tally(&self) -> &Tally {
        match self {
            Self::Straight(straight) => straight.tally(),
            Self::Copied(copied) => &copied.tally,
        }
    }

    /// The number of bytes of the current line that were read; 0 for several inputs, of which only
    /// whole lines reach the ring.
    pub fn open_bytes(&self) -> usize {
        match self {
            Self::Straight(straight) => straight.open_bytes(),
            Self::Copied(copied) if copied.streams.len() > 1 => 0,
            Self::Copied(copied) => copied.streams[0].open_bytes,
        }
    }

    /// The number of bytes that were read and are not in the ring.
    pub fn unsent_bytes(&self) -> usize {
        match self {
            Self::Straight(_) => 0,
            Self::Copied(copied) => copied.streams.iter().map(|it| it.pending.len()).sum(),
        }
    }

    /// Returns true if lines are dropped when there is no room.
    pub fn drops(&self) -> bool {
        matches!(self, Self::Copied(copied) if copied.drops)
    }

    /// Moves the rest of an input into the ring: the beginning of a line that will not end.
    pub fn finish(&mut self, at: usize) {
        if let Self::Copied(copied) = self {
            copied.finish(at);
        }
    }
}

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
    line_max: usize,
    buffer: Vec<u8>,
    /// The stamp of the lines that begin in the buffer.
    stamp_text: String,
    streams: Vec<Stream>,
    tally: Tally,
    /// Since when FILE has accepted no data; `None` if this has not been checked.
    stuck: Option<Stuck>,
}

/// The state of one input.
#[derive(Debug, Default)]
struct Stream {
    /// The number of bytes of the current line that were read.
    open_bytes: usize,
    /// Bytes that are not in the ring yet.
    pending: Vec<u8>,
    /// The length of the whole lines in `pending`.
    whole_len: usize,
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

impl Copied<'_> {
    fn read_once(&mut self, input: &Input, at: usize, len: Option<usize>) -> io::Result<Taken> {
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
        for end in memchr_iter(b'\n', &buffer[..count]) {
            self.add(at, &buffer[from..=end]);
            from = end + 1;
        }
        self.add(at, &buffer[from..count]);
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
    /// first part.
    fn splits(&self) -> bool {
        self.drops || self.ends_lines
    }

    /// Adds a line, or a part of one, to the pending bytes, and splits it if it is too long.
    fn add(&mut self, at: usize, mut part: &[u8]) {
        while self.splits() {
            let open_bytes = self.streams[at].open_bytes;
            let room = self.line_max - open_bytes.min(self.line_max);
            if part.len() <= room || part[room] == b'\n' {
                break;
            }
            let (head, rest) = part.split_at(room);
            self.add_part(at, head);
            self.add_part(at, b"\n");
            part = rest;
        }
        self.add_part(at, part);
    }

    fn add_part(&mut self, at: usize, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        let stream = &mut self.streams[at];
        if stream.open_bytes == 0 {
            stream.pending.extend_from_slice(self.stamp_text.as_bytes());
        }
        stream.pending.extend_from_slice(part);
        if part.ends_with(b"\n") {
            self.tally.lines += 1;
            stream.open_bytes = 0;
            stream.whole_len = stream.pending.len();
        } else {
            stream.open_bytes += part.len();
        }
    }

    fn finish(&mut self, at: usize) {
        if self.ends_lines && self.streams[at].open_bytes > 0 {
            self.add_part(at, b"\n");
        }
        self.send(at, self.streams[at].pending.len());
    }

    /// Moves the first `len` pending bytes into the ring. Returns false if the ring accepts no
    /// more.
    fn send(&mut self, at: usize, len: usize) -> bool {
        let pending = mem::take(&mut self.streams[at].pending);
        let mut sent = 0;
        let mut is_refused = false;
        while sent < len && !is_refused {
            let record = self.record(&pending[sent..len]);
            match self.put(record) {
                Sent::Yes => {}
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
        }
        let stream = &mut self.streams[at];
        stream.pending = pending;
        // Bytes that are in the ring must not be sent again.
        stream.pending.drain(..sent);
        stream.whole_len = stream.whole_len.saturating_sub(sent);
        !is_refused
    }

    /// The part of `bytes` that is appended as one record.
    fn record<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        if !self.is_single {
            return &bytes[..bytes.len().min(self.buffer.len())];
        }
        let len = memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        // Lines are dropped whole; they are shorter than a quarter of the ring.
        let most = if self.drops { len } else { self.buffer.len() };
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
                Err(Error::WouldBlock) => return Sent::Dropped,
                Err(Error::TimedOut) if self.drops => {
                    self.look_whether_stuck();
                    let _ = self.target.is_given_up(); // only to report the stall
                }
                Err(Error::TimedOut) if !self.target.is_given_up() => {}
                Err(_) => return Sent::No,
            }
        }
    }

    /// Appends a record through the lane. If lines of several processes may mix in FILE, appends it
    /// through the shared path, where the ring knows the end of each record.
    fn append(&mut self, record: &[u8], flags: Flags, limit: Duration) -> Result<(), Error> {
        let queue = self.target.queue();
        let is_shared = self.is_single && !self.drops;
        if flags == Flags::NOWAIT {
            self.lane.writen(record, flags)?;
        } else if is_shared {
            queue.writen_timeout(record, flags, limit)?;
        } else {
            self.lane.writen_timeout(record, flags, limit)?;
        }
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
