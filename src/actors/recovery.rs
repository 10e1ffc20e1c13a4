//! Takes over a ring file: finds the records that are posted and not written, and how many of those
//! bytes the log already holds.
//!
//! Until [`take_over`](Inheritance::take_over), nothing in the file is changed.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;

use crate::ends::Sink;
use crate::memory::{Image, Journal, Memory};
use crate::ring::{Drain, Found, Ring, find};
#[cfg(feature = "frames")]
use crate::words::extend;
use crate::words::{
    Entries, Geometry, Head, Intent, Layout, LogNote, Mode, Oldest, Recovery,
    RingFileProblem as Problem, Tail,
};

/// The content of a ring file, before any of it is changed.
#[derive(Debug)]
pub struct Inheritance {
    entries: Entries,
    tail: Head,
    found: Found,
    /// Where the oldest record is, if it is the ring of a recorder.
    oldest: Option<Oldest>,
    /// How many bytes are posted and, by the words of the ring file, not written.
    bytes: u64,
}

impl Inheritance {
    /// Reads the ring in `memory`. `journal` is its journal.
    ///
    /// # Errors
    ///
    /// The problem with the ring.
    pub fn look<M: Memory>(memory: &M, journal: &Journal, mode: Mode) -> Result<Self, Problem> {
        let words = |slot: usize| memory.slots()[slot].words();
        let oldest = (mode == Mode::Recorder).then(|| journal.oldest());
        Self::of(memory.geometry(), journal.read(), oldest, words)
    }

    /// Reads a ring from words. `words` gives the place and the state of each slot. `oldest` is set
    /// for a recorder.
    ///
    /// # Errors
    ///
    /// The problem with the words.
    pub fn of(
        geometry: Geometry,
        entries: Entries,
        oldest: Option<Oldest>,
        words: impl Fn(usize) -> (u64, u64),
    ) -> Result<Self, Problem> {
        let (tail, mode) = match oldest {
            Some(oldest) => (Some(oldest.head()), Mode::Recorder),
            None => (entries.tail(), Mode::Queue),
        };
        let tail = tail.ok_or(Problem::Damaged {
            part: "the words of its tail",
        })?;
        let found = find(geometry, tail, mode, words);
        let bytes = found.spans.iter().map(|span| span.unwritten()).sum();
        Ok(Self {
            entries,
            tail,
            found,
            oldest,
            bytes,
        })
    }

    /// Reads the ring in `file`, which has this layout; also returns its other words. The file is
    /// not changed. Words that contradict each other are an error of the inner kind, unless the
    /// file is in use: then they may have changed between two looks.
    ///
    /// # Errors
    ///
    /// The errors of read(2).
    pub fn read(
        file: &File,
        layout: Layout,
        mode: Mode,
        in_use: bool,
    ) -> io::Result<(Image, Result<Self, Problem>)> {
        let image = Image::read(file, layout)?;
        let oldest = (mode == Mode::Recorder).then_some(image.oldest);
        let checked = match oldest {
            Some(oldest) if !in_use => oldest.check(layout.geometry, |at| image.slot(at)),
            _ => Ok(()),
        };
        let found = checked
            .and_then(|()| Self::of(layout.geometry, image.entries, oldest, |at| image.slot(at)));
        Ok((image, found))
    }

    /// Returns what there is to recover. How much of it the log holds is not known yet.
    pub fn summary(&self) -> Recovery {
        let spans = self.found.spans.iter();
        Recovery {
            bytes: self.bytes,
            spans: spans.filter(|span| span.unwritten() > 0).count() as u64,
            skipped_entries: self.found.skipped,
            damaged_slots: self.found.damaged,
            ..Recovery::default()
        }
    }

    /// Returns the spans: the distances of its sequence and of its start from the tail, and its
    /// length. Of a recorder only, where no part of a span is written.
    pub fn spans(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        let spans = self.found.spans.iter();
        spans.map(|span| (span.ahead, span.unwritten_from(), span.committed))
    }

    /// Leaves out the spans after the one at this distance from the tail; all, without one.
    pub fn up_to(mut self, last: Option<u32>) -> Self {
        let spans = &mut self.found.spans;
        spans.retain(|span| last.is_some_and(|last| span.ahead <= last));
        self
    }

    /// Returns whether a lane has posted any of the unwritten bytes. Its records have no boundaries.
    pub fn has_lanes(&self) -> bool {
        let mut spans = self.found.spans.iter();
        spans.any(|span| span.unwritten() > 0 && span.phase.is_of_lane())
    }

    /// Returns the bytes from the tail to the end of the last span.
    pub fn fill_bytes(&self) -> u64 {
        let last = self.found.spans.last();
        last.map_or(0, |span| span.end().max(0).unsigned_abs())
    }

    /// Returns the write that was in progress, if there was one: its intent, and the position and
    /// length of each of its runs.
    pub fn under_way(&self) -> Option<(Intent, Vec<(u32, u32)>)> {
        let intent = self.entries.intent()?;
        let mut left = u64::from(intent.bytes);
        let runs = self.found.spans.iter().map(|span| {
            let len = span.unwritten().min(left);
            left -= len;
            let pos = self.tail.pos.wrapping_add(span.unwritten_from());
            (pos, len as u32)
        });
        Some((intent, runs.filter(|run| run.1 > 0).collect()))
    }

    /// Returns the tail.
    #[cfg(feature = "frames")]
    pub fn tail(&self) -> Head {
        self.tail
    }

    /// Returns where the unwritten bytes of each span are: their distance from the tail, and their
    /// number.
    #[cfg(feature = "frames")]
    pub fn unwritten(&self) -> impl Iterator<Item = (u32, u32)> {
        let spans = self.found.spans.iter();
        let runs = spans.map(|span| (span.unwritten_from(), span.unwritten() as u32));
        runs.filter(|run| run.1 > 0)
    }

    /// Returns the 64-bit position of the tail according to the last noted write.
    #[cfg(feature = "frames")]
    pub fn noted_position(&self) -> Option<u64> {
        let Intent { high, start, .. } = self.entries.newest()?;
        Some(extend(
            u64::from(high) << 32 | u64::from(start.pos),
            self.tail.pos,
        ))
    }

    /// Returns whether the first span begins further before the tail than `position` is.
    #[cfg(feature = "frames")]
    pub fn begins_before_zero(&self, position: u64) -> bool {
        let first = self.found.spans.first();
        first.is_some_and(|first| position.checked_add_signed(first.start).is_none())
    }

    /// Adds to `recovery` the outcome of the write that was in progress: how many bytes it had, and
    /// how many of them the log holds, if that is known.
    pub fn account(&self, recovery: &mut Recovery, outcome: Option<(u32, Option<u32>)>) {
        match outcome {
            Some((_, Some(written))) => recovery.already_written_bytes = u64::from(written),
            Some((bytes, None)) => recovery.possibly_repeated_bytes = u64::from(bytes),
            None if self.entries.has_damaged_intent() => {
                // A write of unknown bytes may have been in progress.
                recovery.damaged_slots += 1;
                recovery.possibly_repeated_bytes = self.bytes;
            }
            None => {}
        }
    }

    /// Checks that the log of `note` may get the records: it is the noted log, or no record waits.
    ///
    /// # Errors
    ///
    /// [`Problem::OtherLog`], with the log that the records are for.
    pub fn check_log(&self, noted: Option<LogNote>, note: &LogNote) -> Result<(), Problem> {
        match noted {
            Some(noted) if self.bytes > 0 && !noted.is_same_log(note) => Err(Problem::OtherLog {
                log: noted
                    .place
                    .map(PathBuf::from)
                    .or(noted.path)
                    .unwrap_or_else(|| "one without a path".into()),
                bytes: self.bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Continues with the ring. The drain first hands out the records that were found and that the
    /// log does not hold yet: according to `at`, or else to the intents and `sink`.
    pub fn take_over<M: Memory>(
        mut self,
        memory: M,
        sink: &dyn Sink,
        at: Option<Standing>,
    ) -> (Ring<M>, Drain, Recovery) {
        let mut recovery = self.summary();
        if at.is_some_and(|at| at.is_empty) {
            self.found.spans.clear();
        }
        // One lap of 2^32 later, so that everything before it has a number too.
        let pos = 1 << 32 | u64::from(self.tail.pos);
        let origin = Tail {
            seq: 1 << 32 | u64::from(self.tail.seq),
            pos: at.map_or(pos, |at| at.position),
        };
        let (ring, mut drain) = Ring::resume(memory, origin, &self.found.spans);
        drain.cut_records(sink.cuts_records());
        if let Some(written) = at.and_then(|at| at.written) {
            drain.pass_written(&ring, written, |_| Some(written as usize));
            recovery.already_written_bytes = u64::from(written);
            tell_within(&ring, &mut drain, sink);
        } else {
            let outcome = self.pass_held(&ring, &mut drain, sink);
            self.account(&mut recovery, outcome);
        }
        if let Some(journal) = ring.journal() {
            journal.clear_damaged();
            journal.advance(drain.tail(), 0, drain.ahead());
        }
        (ring, drain, recovery)
    }

    /// Continues with the ring of a recorder, which has all records that were found.
    pub fn take_over_recorder<M: Memory>(self, memory: M) -> (Ring<M>, Drain, Recovery) {
        let recovery = self.summary();
        let oldest = self.oldest.expect("it is the ring of a recorder");
        let (ring, drain) = Ring::resume(memory, oldest.tail, &self.found.spans);
        (ring, drain, recovery)
    }

    /// Moves the drain past the part of the write in progress that `sink` holds. Returns the
    /// outcome of that write.
    fn pass_held<M: Memory>(
        &self,
        ring: &Ring<M>,
        drain: &mut Drain,
        sink: &dyn Sink,
    ) -> Option<(u32, Option<u32>)> {
        let intent = self.entries.intent()?;
        let holds = |runs: &[IoSlice<'_>]| {
            let held = sink.holds(&intent.end, runs);
            if sink.is_in_doubt() {
                // The rest may arrive later, and the next write may have less of it.
                if let Some(journal) = ring.journal() {
                    journal.doubt(intent.bytes);
                }
            }
            held
        };
        Some(drain.pass_written(ring, intent.bytes, holds))
    }
}

/// Has the sink learn, from a comparison, that its file ends inside a record: it may not begin
/// another file there.
fn tell_within<M: Memory>(ring: &Ring<M>, drain: &mut Drain, sink: &dyn Sink) {
    let ahead = drain.ahead();
    if let Some(mut end) = sink.end().filter(|_| ahead > 0) {
        end.size_bytes = end.size_bytes.saturating_sub(u64::from(ahead));
        drain.pass_written(ring, ahead + 1, |runs| {
            sink.holds(&end, runs);
            None // nothing more is passed
        });
    }
}

/// Where the ring of a log of frames stands in the stream of the log.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The position of the tail; its low half is the tail's own, unless the ring is empty.
    pub position: u64,
    /// How many of the first bytes the log holds; `None` if only the intents say so.
    pub written: Option<u32>,
    /// No record is in the ring, so it begins at any position.
    pub is_empty: bool,
}

/// Returns the note that names the log of `sink`.
pub fn note_of(sink: &dyn Sink) -> LogNote {
    let place = sink.place();
    let place = place.filter(|place| place.len() <= LogNote::NAME_MAX);
    LogNote {
        end: sink.end().unwrap_or_default(),
        path: sink.path().filter(|_| place.is_none()),
        place,
    }
}
