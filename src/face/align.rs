//! How the frames in a ring file and the log go together: which of them the log holds, and where
//! its stream continues.
//!
//! This file compares both and changes neither. The positions in the frames say what the log holds,
//! so nothing here depends on the notes of writes in progress, except in a log without a header.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::mend::Plan;
use super::opening::Opening;
use crate::actors::{Inheritance, Standing};
use crate::ends::Sink;
use crate::ends::stream::{self, Stream};
use crate::memory::RingFile;
use crate::words::frame::{FileHeader, Frames, Kind, LogId};
use crate::words::{
    Error, LogNote, Operation, RingFileProblem as Problem, RingFraming, Wrap, extend,
};

/// A ring file, and what was found in it.
pub(super) struct Ring<'r> {
    pub path: &'r Path,
    pub file: &'r RingFile,
    pub found: &'r Inheritance,
    /// Whether it is the ring of this log.
    pub is_of_log: bool,
    /// The log of the queue.
    pub note: &'r LogNote,
}

impl Opening {
    /// Compares the frames in `ring` with the log of `sink`.
    ///
    /// # Errors
    ///
    /// [`Error::Framing`] if the log cannot be continued; [`Error::RingFile`] if the records cannot
    /// go to it; [`Error::Io`].
    pub(super) fn align(self, ring: &Ring<'_>, sink: &dyn Sink) -> Result<Plan, Error> {
        let system =
            |error: io::Error| Error::io(Operation::RingFile, &error).about(&ring.path.into());
        let bytes = ring.found.summary().bytes;
        let noted = ring.frames().filter(|_| ring.is_of_log || bytes > 0);
        let tail = match noted {
            Some(frames) => ring.position(frames).map_err(system)?,
            None => None,
        };
        let first = ring.found.unwritten().next();
        let mark = match (tail, first) {
            (Some(tail), Some((ahead, _))) => tail + u64::from(ahead),
            _ => u64::MAX,
        };
        let found = self.look_for(sink, mark)?;
        let log = found.stream().filter(|stream| stream.header.is_some());
        let wrap = match (self.wrap(&found)?, noted) {
            (Wrap::Checked(frames), Some(noted))
                if log.is_some() && bytes > 0 && frames != noted =>
            {
                let log = ring.note.path.clone().unwrap_or_default();
                let problem = Problem::OtherFrames { log, bytes };
                return Err(Error::ring_file(ring.path, problem));
            }
            (_, Some(noted)) if log.is_none() && (tail.is_some() || bytes > 0) => {
                Wrap::Checked(noted)
            }
            (wrap, _) => wrap,
        };
        // An empty file continues after the older ones, or where the records of the ring are.
        let earlier = found.earlier.filter(|_| bytes == 0);
        let end = log
            .map(|stream| stream.end)
            .or(earlier.map(|earlier| earlier.end));
        // Of damaged frames only the low half of the position is known.
        let tail_pos = ring.found.tail().pos;
        let tail = tail.or((bytes > 0).then(|| extend(end.unwrap_or(0), tail_pos)));
        let (written, is_end_ours) = match (log, tail) {
            (Some(log), Some(tail)) if bytes > 0 => ring.written(log, tail, sink)?,
            _ => (None, true),
        };
        let last = tail.map(|tail| tail + ring.found.fill_bytes());
        let position = match tail {
            Some(tail) if bytes > 0 => tail,
            _ => end.max(last).unwrap_or(0),
        };
        if ring.found.begins_before_zero(position) {
            let part = "the words of its first record";
            return Err(Error::ring_file(ring.path, Problem::Damaged { part }));
        }
        let standing = Standing {
            position,
            written,
            is_empty: bytes == 0,
        };
        Ok(Plan {
            wrap,
            found,
            standing: Some(standing),
            end,
            is_end_ours,
        })
    }
}

impl Ring<'_> {
    /// Returns the frames that the ring file notes.
    fn frames(&self) -> Option<Frames> {
        match self.file.identity.framing {
            RingFraming::Checked { log, flags } => FileHeader::frames_of(LogId(log), flags),
            _ => None,
        }
    }

    /// Returns the 64-bit position of the tail: from the first good frame, or else from the last
    /// write.
    fn position(&self, frames: Frames) -> io::Result<Option<u64>> {
        let tail = self.found.tail().pos;
        for (ahead, len) in self.found.unwritten() {
            let bytes = self.bytes(ahead, len)?;
            if let Ok(frame) = frames.read(&bytes) {
                let position = frame.position.checked_sub(u64::from(ahead));
                let fits = |position: &u64| *position as u32 == tail && frame.kind == Kind::Record;
                if let Some(position) = position.filter(fits) {
                    return Ok(Some(position));
                }
            }
        }
        Ok(self.found.noted_position())
    }

    /// Returns how many of the first unwritten bytes the log holds, and whether it ends with them.
    /// `tail` is the position of the tail.
    fn written(
        &self,
        log: Stream,
        tail: u64,
        sink: &dyn Sink,
    ) -> Result<(Option<u32>, bool), Error> {
        let failed = |error: io::Error| Error::io(Operation::RingFile, &error);
        let mut left = self.found.unwritten().peekable();
        let Some(&(first, _)) = left.peek() else {
            return Ok((Some(0), false));
        };
        let Some(whole) = log.end.checked_sub(tail + u64::from(first)) else {
            return Ok((Some(0), false)); // the log ends before the first record
        };
        let mut next = first;
        let equal = stream::equal_bytes(sink, log.marked_at, || {
            let Some((ahead, len)) = left.next_if(|run| run.0 == next) else {
                return Ok(Vec::new());
            };
            next = ahead + len;
            self.bytes(ahead, len)
        })
        .map_err(failed)?;
        let bytes = self.found.summary().bytes;
        let len = log.whole_bytes + log.torn_bytes;
        if equal < whole && equal < bytes {
            let problem = Problem::LogWentOn { bytes };
            return Err(Error::ring_file(self.path, problem));
        }
        let is_end_ours = log.marked_at + equal == len;
        let written = if is_end_ours { equal } else { whole.min(equal) };
        Ok((Some(written as u32), is_end_ours))
    }

    /// Reads bytes of the ring. `ahead` is their distance from the tail.
    fn bytes(&self, ahead: u32, len: u32) -> io::Result<Vec<u8>> {
        let layout = self.file.layout;
        let start = layout
            .geometry
            .offset(self.found.tail().pos.wrapping_add(ahead));
        let to_end = layout.geometry.capacity() as usize - start;
        let mut bytes = vec![0; len as usize];
        let (first, second) = bytes.split_at_mut(to_end.min(len as usize));
        let at = layout.bytes_at();
        self.file.file.read_exact_at(first, (at + start) as u64)?;
        self.file.file.read_exact_at(second, at as u64)?;
        Ok(bytes)
    }
}
