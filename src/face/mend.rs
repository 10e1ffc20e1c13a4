//! What a queue does with a torn record at the end of the log that it opens.
//!
//! This file decides; `ends::tail` reads the log and shortens it. All of it runs before the queue
//! has a flusher, so nothing else of this queue writes to the log.

use std::io::{self, IoSlice};

use super::found::Found;
use super::opening::Opening;
#[cfg(any(feature = "log", feature = "tracing"))]
use super::queue::Queue;
#[cfg(feature = "chain")]
use crate::actors::ChainStart;
use crate::actors::{Flusher, Standing};
#[cfg(feature = "frames")]
#[cfg(feature = "chain")]
use crate::ends::stream;
use crate::ends::tail;
use crate::ends::{FileSink, Sink};
#[cfg(feature = "frames")]
use crate::memory::FileLock;
use crate::memory::Memory;
#[cfg(feature = "frames")]
use crate::primitives::os;
#[cfg(any(feature = "log", feature = "tracing"))]
use crate::words::Flags;
#[cfg(feature = "frames")]
use crate::words::frame::{Cut, FileHeader, Frames, HEADER_LEN, Kind, LogId};
use crate::words::{Error, Framing, FramingProblem, Operation, Target, Wrap};

/// How a ring file and the log go together.
pub(super) struct Plan {
    /// How the records are framed.
    pub wrap: Wrap,
    /// The end of the log.
    pub found: Found,
    /// Where the ring stands in the stream of a log of frames.
    pub standing: Option<Standing>,
    /// Where that stream ends in the log; `None` if the log does not say.
    pub end: Option<u64>,
    /// Whether the bytes at the end of the log are of the ring, if that holds a part of a record
    /// more. Otherwise they are cut off.
    pub is_end_ours: bool,
}

/// The end of a log after it was put right.
#[derive(Debug, Default)]
pub(super) struct Mended {
    /// The framing of the records, as the log has it.
    pub wrap: Wrap,
    /// How many bytes the torn record had.
    pub torn_bytes: u64,
    /// How many bytes of the log are in no frame.
    pub damaged_bytes: u64,
    /// What the flusher must write before the first record.
    pub owed: Vec<u8>,
    /// How many bytes of a header of frames the log has, if the rest is owed.
    pub head_taken: usize,
    /// Whether the log has a header of frames, or a part of the one that is owed.
    pub has_head: bool,
    /// Where the chain of the log continues.
    #[cfg(feature = "chain")]
    pub chain: Option<ChainStart>,
}

#[cfg_attr(
    not(feature = "chain"),
    expect(clippy::unused_self, reason = "for chains")
)]
impl Mended {
    /// Whether the log has a chain.
    pub const fn is_chained(&self) -> bool {
        #[cfg(feature = "chain")]
        return self.chain.is_some();
        #[cfg(not(feature = "chain"))]
        false
    }
}

impl Mended {
    /// Has `flusher` go on here.
    pub fn go_on<M: Memory>(&self, flusher: &mut Flusher<M>) {
        flusher.owe(&self.owed, self.head_taken, self.has_head);
        #[cfg(feature = "chain")]
        if let Some(start) = self.chain.clone() {
            flusher.chain(start);
        }
    }
}

#[cfg(any(feature = "log", feature = "tracing"))]
impl Queue {
    /// Ends a line that the log ends inside of, for a writer of lines on a queue without a framing.
    /// Does nothing if the options say what to do with such a line, or if the queue has appended
    /// something.
    pub(crate) fn begin_a_line(&self) {
        let Ok(here) = self.here() else { return };
        let opening = here.options().opening;
        let is_raw = opening.framing == Framing::Raw && here.entry_len().is_none();
        if !is_raw || opening.end_torn_line.is_some() || here.stats().posted_bytes > 0 {
            return;
        }
        let Some(sink) = here.shared().aside.sink() else {
            return;
        };
        // A log that cannot be read is left as it is, as it would be without this.
        if let Ok(Ok(Some(tail::Tail {
            torn_bytes: 1.., ..
        }))) = tail::look(&*sink, Framing::Lines)
        {
            let _ = here.writen(b"\n", Flags::NOWAIT); // refused only by a queue that has ended
        }
    }
}

impl Opening {
    /// Keeps other queues from the log, if it can have one writer only.
    ///
    /// # Errors
    ///
    /// [`Error::Framing`] if another queue has it open; [`Error::Io`].
    #[cfg_attr(
        not(feature = "frames"),
        expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "for frames")
    )]
    pub(super) fn lock(self, sink: FileSink) -> Result<FileSink, Error> {
        #[cfg(feature = "frames")]
        if let (Framing::Checked, Some(fd)) = (self.framing, sink.descriptor()) {
            if !os::file::is_regular(fd) {
                return Ok(sink);
            }
            let lock = FileLock::take(|| os::file::reader_of(fd));
            let lock = lock.map_err(|error| Error::io(Operation::Open, &error))?;
            let lock = lock.ok_or_else(|| Error::framing(FramingProblem::InUse))?;
            return Ok(sink.locked(lock));
        }
        Ok(sink)
    }

    /// Looks at the end of the log.
    ///
    /// # Errors
    ///
    /// [`Error::Framing`] if the log cannot be continued; [`Error::Io`].
    pub(super) fn look(self, sink: &dyn Sink) -> Result<Found, Error> {
        self.look_for(sink, u64::MAX)
    }

    /// Looks at the end of the log, and for the position `mark` in a log of frames.
    ///
    /// # Errors
    ///
    /// As [`look`](Opening::look).
    #[cfg_attr(
        not(feature = "frames"),
        expect(unused_variables, reason = "for frames")
    )]
    pub(super) fn look_for(self, sink: &dyn Sink, mark: u64) -> Result<Found, Error> {
        let is_cut_anywhere = !matches!(self.framing, Framing::Raw | Framing::Lines);
        if is_cut_anywhere && sink.cuts_records() {
            return Err(Error::framing(FramingProblem::CutsRecords));
        }
        let failed = |error: io::Error| Error::io(Operation::Open, &error);
        #[cfg(feature = "frames")]
        if self.framing == Framing::Checked {
            if sink.message_max().is_some() {
                return Err(Error::framing(FramingProblem::Messages));
            }
            return self.look_at_frames(sink, mark);
        }
        let framing = match self.framing {
            Framing::Raw | Framing::Lines if self.ends_torn_line() => Framing::Lines,
            Framing::Raw | Framing::Lines => Framing::Raw,
            framing => framing,
        };
        let tail = tail::look(sink, framing).map_err(failed)?;
        Ok(Found::of_tail(tail.map_err(Error::framing)?))
    }

    /// Returns the framing of the records in a log that ends as `found`: frames get the id and the
    /// flags of its header, or of a new one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for a length out of range; [`Error::Io`] if no id can be made.
    #[cfg_attr(
        not(feature = "frames"),
        expect(unused_variables, reason = "for frames")
    )]
    pub(super) fn wrap(self, found: &Found) -> Result<Wrap, Error> {
        #[cfg(feature = "frames")]
        if self.framing == Framing::Checked {
            if let Some(earlier) = found.earlier {
                return Ok(Wrap::Checked(earlier.frames));
            }
            if let Some(header) = found.stream.and_then(|stream| stream.header) {
                return Ok(Wrap::Checked(header.frames()));
            }
            let id = os::random().map_err(|error| Error::io(Operation::Open, &error))?;
            return Ok(Wrap::Checked(Frames::new(LogId(id), self.stamps)));
        }
        Wrap::plain(self.framing)
    }

    fn ends_torn_line(self) -> bool {
        self.end_torn_line.unwrap_or(self.framing == Framing::Lines)
    }

    /// Ends a torn line, or removes a torn record. If `is_continued`, the ring holds the rest of
    /// it, and the flusher goes on there. The stream of a log of frames continues at `position`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    #[cfg_attr(
        not(feature = "frames"),
        expect(unused_variables, reason = "for frames")
    )]
    pub(super) fn mend(
        self,
        sink: &dyn Sink,
        found: &Found,
        (wrap, position): (Wrap, u64),
        is_continued: bool,
    ) -> Result<Mended, Error> {
        #[cfg(feature = "frames")]
        if let Wrap::Checked(frames) = wrap {
            let header = frames.header(position, os::now_ns());
            return self.mend_frames(sink, found, header, is_continued);
        }
        let torn_bytes = found.tail.map_or(0, |tail| tail.torn_bytes);
        if torn_bytes == 0 || is_continued {
            return Ok(Mended {
                wrap,
                ..Mended::default()
            });
        }
        let mut owed = Vec::new();
        if matches!(self.framing, Framing::Raw | Framing::Lines) {
            // If the log has no room now, the queue opens in spite of that.
            if sink.write(&[IoSlice::new(b"\n")]).ok() != Some(1) {
                owed.push(b'\n');
            }
        } else if let Some(tail) = found.tail {
            self.cut(sink, tail.whole_bytes)?;
        }
        Ok(Mended {
            wrap,
            torn_bytes,
            owed,
            ..Mended::default()
        })
    }

    /// Puts the end of a file right in which a queue continues. A file with frames is refused: they
    /// would come before older ones of this log, or be those of another log.
    ///
    /// # Errors
    ///
    /// [`Error::Framing`]; [`Error::Io`].
    pub(super) fn mend_next(self, sink: &dyn Sink, found: &Found) -> Result<(), Error> {
        #[cfg(feature = "frames")]
        if let Some(stream) = found.stream {
            if stream.header.is_some() {
                return Err(Error::framing(FramingProblem::OtherLog));
            }
            // A part of a header goes; the flusher writes a whole one.
            return self.cut(sink, stream.whole_bytes);
        }
        let wrap = Wrap::plain(self.framing)?;
        if wrap.is_checked() {
            return Ok(()); // the flusher writes the header
        }
        self.mend(sink, found, (wrap, 0), false).map(drop)
    }

    /// Removes a torn frame, and notes that, or writes `header` to a log that has none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    #[cfg(feature = "frames")]
    fn mend_frames(
        self,
        sink: &dyn Sink,
        found: &Found,
        header: FileHeader,
        is_continued: bool,
    ) -> Result<Mended, Error> {
        let stream = found.stream;
        let mut mended = Mended {
            wrap: Wrap::Checked(header.frames()),
            has_head: true,
            ..Mended::default()
        };
        if let Some(stream) = stream {
            mended.damaged_bytes = stream.damaged_bytes;
            if stream.torn_bytes > 0 && !is_continued {
                mended.torn_bytes = stream.torn_bytes;
                self.cut(sink, stream.whole_bytes)?;
                let note = Cut {
                    bytes: stream.torn_bytes,
                };
                let (kind, now) = (Kind::Cut, os::now_ns());
                let frames = header.frames();
                frames.push(&mut mended.owed, kind, stream.end, now, &note.to_bytes());
            }
        }
        #[cfg(feature = "chain")]
        if let Some(start) = &found.chain {
            let mut start = start.clone();
            if let Some(stream) = stream.filter(|_| is_continued) {
                let torn = stream::bytes_from(sink, stream.whole_bytes);
                start.torn = torn.map_err(|error| Error::io(Operation::Open, &error))?;
            }
            mended.chain = Some(start);
            if stream.is_none_or(|stream| stream.header.is_none()) {
                // The flusher writes the header, and a checkpoint after it.
                mended.has_head = false;
                mended.owed.clear();
                return Ok(mended);
            }
        }
        if stream.is_none_or(|stream| stream.header.is_none()) {
            // If the log has no room now, the flusher writes the rest.
            let header = header.to_bytes();
            let written = sink.write(&[IoSlice::new(&header)]).unwrap_or(0);
            mended.has_head = written > 0;
            if (1..HEADER_LEN).contains(&written) {
                mended.owed = header.to_vec();
                mended.head_taken = written;
            } else {
                mended.owed.clear(); // the flusher finds a header that is missing
            }
        }
        Ok(mended)
    }

    /// Removes everything after the first `whole_bytes` of the log, and first sets it aside if
    /// asked to.
    fn cut(self, sink: &dyn Sink, whole_bytes: u64) -> Result<(), Error> {
        let failed = |error: io::Error| Error::io(Operation::Open, &error);
        if self.keep_torn {
            let Some(path) = tail::aside_of(sink) else {
                return Err(failed(io::ErrorKind::NotFound.into()));
            };
            let kept = tail::set_aside(sink, whole_bytes, &path);
            kept.map_err(|error| failed(error).about(&Target::from(&*path)))?;
        }
        tail::cut(sink, whole_bytes).map_err(failed)
    }
}
