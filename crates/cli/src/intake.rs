//! How input gets into the ring: as it comes, or line by line where something is done with each.

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

/// `--when-full=drop` drops nothing before FILE has taken nothing for so long: a disk may be slow.
const DROP_AFTER: Duration = Duration::from_secs(1);

/// How often it looks meanwhile.
const DROP_LOOK: Duration = Duration::from_millis(20);

/// Takes input into the ring.
#[derive(Debug)]
pub enum Intake<'a> {
    Straight(Straight<'a>),
    Copied(Box<Copied<'a>>),
}

impl<'a> Intake<'a> {
    /// For `streams` inputs.
    pub fn new(options: &Append, target: &'a Target<'a>, streams: usize) -> Result<Self, Failure> {
        let lines = &options.lines;
        let line_max = lines.line_max(target.queue().capacity())?;
        let chunk = chunk(target.queue());
        // Several processes may write to one pipe: what they write are lines.
        let is_shared = options.is_lines() && target.is_pipe();
        if lines.is_plain() && streams == 1 && !is_shared {
            return Ok(Self::Straight(Straight::new(
                target.queue(),
                !options.quiet,
            )));
        }
        let open = Stream {
            // A line that a run before has begun, and that this one ends, has its stamp.
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

    /// Reads the input once, `len` bytes at most or as much as is good.
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

    /// How much was read of the line that has not ended; of several inputs, whole lines alone are
    /// handed on.
    pub fn open_bytes(&self) -> usize {
        match self {
            Self::Straight(straight) => straight.open_bytes(),
            Self::Copied(copied) if copied.streams.len() > 1 => 0,
            Self::Copied(copied) => copied.streams[0].open_bytes,
        }
    }

    /// How much was read that the ring has not got.
    pub fn unsent_bytes(&self) -> usize {
        match self {
            Self::Straight(_) => 0,
            Self::Copied(copied) => copied.streams.iter().map(|it| it.pending.len()).sum(),
        }
    }

    /// Whether lines are dropped where there is no room.
    pub fn drops(&self) -> bool {
        matches!(self, Self::Copied(copied) if copied.drops)
    }

    /// Gives the ring what was kept back of an input: the beginning of a line that does not end any
    /// more.
    pub fn finish(&mut self, at: usize) {
        if let Self::Copied(copied) = self {
            copied.finish(at);
        }
    }
}

/// Reads into a buffer, because something is done with each line.
#[derive(Debug)]
pub struct Copied<'a> {
    target: &'a Target<'a>,
    lane: Lane,
    stamp: Option<Stamp>,
    drops: bool,
    /// Whether the beginning of a line is kept back until its end comes.
    is_whole: bool,
    /// Whether each line is a record.
    is_single: bool,
    /// Whether a last line without a newline gets one: another input goes on after it.
    ends_lines: bool,
    line_max: usize,
    buffer: Vec<u8>,
    /// The stamp of the lines that begin in the buffer.
    stamp_text: String,
    streams: Vec<Stream>,
    tally: Tally,
    /// When FILE was last seen to take something, how much it had taken then, and whether that is
    /// too long ago.
    stuck: Option<Stuck>,
}

/// What was read of one input.
#[derive(Debug, Default)]
struct Stream {
    /// How much was read of the line that has not ended.
    open_bytes: usize,
    /// What the ring has not got yet.
    pending: Vec<u8>,
    /// How much of that are whole lines.
    whole_len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Stuck {
    since: Instant,
    written_bytes: u64,
    is_over: bool,
}

/// What became of a record.
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

    /// Whether the beginning of a line is handed on because it is too long to be kept. Where others
    /// write or drop in between, the line was split into several.
    fn is_cut(&self, stream: &Stream) -> bool {
        stream.open_bytes >= self.line_max && !self.splits()
    }

    /// Whether a line that is too long becomes several: another line may follow its first half.
    fn splits(&self) -> bool {
        self.drops || self.ends_lines
    }

    /// Adds a line, or a part of one, to what is pending.
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

    /// Gives the ring the first `len` bytes of what is pending; `false` if it takes no more at all.
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
        // What the ring has got is not to be sent once more.
        stream.pending.drain(..sent);
        stream.whole_len = stream.whole_len.saturating_sub(sent);
        !is_refused
    }

    /// What of `bytes` is appended at once.
    fn record<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        if !self.is_single {
            return &bytes[..bytes.len().min(self.buffer.len())];
        }
        let len = memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        // Lines that are dropped are dropped whole, and shorter than a quarter of the ring.
        let most = if self.drops { len } else { self.buffer.len() };
        &bytes[..len.min(most)]
    }

    /// Appends a record: waits for room, or drops it where that is asked for and FILE takes
    /// nothing.
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
                self.append(record, Flags::WAITOK, limit)
            };
            match appended {
                Ok(()) => {
                    if is_to_drop {
                        self.look_whether_stuck(); // there was room: it may be over
                    }
                    return Sent::Yes;
                }
                Err(Error::WouldBlock) => return Sent::Dropped,
                Err(Error::TimedOut) if self.drops => {
                    self.look_whether_stuck();
                    let _ = self.target.is_given_up(); // it is no reason to stop, but is said
                }
                Err(Error::TimedOut) if !self.target.is_given_up() => {}
                Err(_) => return Sent::No,
            }
        }
    }

    /// On a pipe through the shared ring, which knows where each record ends.
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

    /// Whether FILE has taken nothing for so long that lines are dropped.
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
