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
use crate::words::{
    Entries, Geometry, Head, Intent, Layout, LogNote, Recovery, RingFileProblem as Problem,
};

/// The content of a ring file, before any of it is changed.
#[derive(Debug)]
pub struct Inheritance {
    entries: Entries,
    tail: Head,
    found: Found,
    /// How many bytes are posted and, by the words of the ring file, not written.
    bytes: u64,
}

impl Inheritance {
    /// Reads the ring in `memory`. `journal` is its journal.
    ///
    /// # Errors
    ///
    /// The problem with the ring.
    pub fn look<M: Memory>(memory: &M, journal: &Journal) -> Result<Self, Problem> {
        let words = |slot: usize| memory.slots()[slot].words();
        Self::of(memory.geometry(), journal.read(), words)
    }

    /// Reads a ring from words. `words` gives the place and the state of each slot.
    ///
    /// # Errors
    ///
    /// The problem with the words.
    pub fn of(
        geometry: Geometry,
        entries: Entries,
        words: impl Fn(usize) -> (u64, u64),
    ) -> Result<Self, Problem> {
        let tail = entries.tail().ok_or(Problem::Damaged {
            part: "the words of its tail",
        })?;
        let found = find(geometry, tail, words);
        let bytes = found.spans.iter().map(|span| span.unwritten()).sum();
        Ok(Self {
            entries,
            tail,
            found,
            bytes,
        })
    }

    /// Reads the ring in `file`, which has this layout; also returns its other words. The file is
    /// not changed. Words that contradict each other are an error of the inner kind.
    ///
    /// # Errors
    ///
    /// The errors of read(2).
    pub fn read(file: &File, layout: Layout) -> io::Result<(Image, Result<Self, Problem>)> {
        let image = Image::read(file, layout)?;
        let found = Self::of(layout.geometry, image.entries, |at| image.slot(at));
        Ok((image, found))
    }

    /// Returns what there is to recover. How much of it the log holds is not known yet.
    pub fn summary(&self) -> Recovery {
        let spans = self.found.spans.iter();
        Recovery {
            bytes: self.bytes,
            spans: spans.filter(|span| span.unwritten() > 0).count() as u64,
            skipped: self.found.skipped,
            damaged: self.found.damaged,
            ..Recovery::default()
        }
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

    /// Adds to `recovery` the outcome of the write that was in progress: how many bytes it had, and
    /// how many of them the log holds, if that is known.
    pub fn account(&self, recovery: &mut Recovery, outcome: Option<(u32, Option<u32>)>) {
        match outcome {
            Some((_, Some(written))) => recovery.already_written = u64::from(written),
            Some((bytes, None)) => recovery.possibly_repeated = u64::from(bytes),
            None if self.entries.has_damaged_intent() => {
                // A write of unknown bytes may have been in progress.
                recovery.damaged += 1;
                recovery.possibly_repeated = self.bytes;
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

    /// Continues with the ring. The drain first hands out the records that were found and that
    /// `sink` does not hold yet.
    pub fn take_over<M: Memory>(self, memory: M, sink: &dyn Sink) -> (Ring<M>, Drain, Recovery) {
        let mut recovery = self.summary();
        let (ring, mut drain) = Ring::resume(memory, self.tail, &self.found.spans);
        drain.cut_records(sink.cuts_records());
        let outcome = self.entries.intent().map(|intent| {
            let holds = |runs: &[IoSlice<'_>]| sink.holds(&intent.end, runs);
            drain.pass_written(&ring, intent.bytes, holds)
        });
        self.account(&mut recovery, outcome);
        if let Some(journal) = ring.journal() {
            journal.clear_damaged();
        }
        (ring, drain, recovery)
    }
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
