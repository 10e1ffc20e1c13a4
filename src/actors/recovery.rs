//! Taking over a ring file: what is posted there and not written, and how much of it the log holds after all.

use std::fs::File;
use std::io::{self, IoSlice};

use crate::ends::Sink;
use crate::memory::{Image, Journal, Memory};
use crate::ring::{Drain, Found, Ring, find};
use crate::words::{
    Entries, Geometry, Head, Intent, Layout, LogNote, Recovery, RingFileProblem as Problem,
};

/// What a ring file holds, before anything of it is changed.
#[derive(Debug)]
pub struct Inheritance {
    entries: Entries,
    tail: Head,
    found: Found,
    /// How many bytes are posted and, as far as the ring file knows, not written.
    bytes: u64,
}

impl Inheritance {
    /// Looks at the ring in `memory`, of which `journal` is the journal.
    ///
    /// # Errors
    ///
    /// The problem with it.
    pub fn look<M: Memory>(memory: &M, journal: &Journal) -> Result<Self, Problem> {
        let words = |slot: usize| memory.slots()[slot].words();
        Self::of(memory.geometry(), journal.read(), words)
    }

    /// The same for words that were read in another way: the place and the state of each descriptor.
    ///
    /// # Errors
    ///
    /// The problem with them.
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

    /// The same for `file`, which has this layout and is only read; also what else stands there. Words that
    /// contradict each other are an error of the inner kind.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub fn read(file: &File, layout: Layout) -> io::Result<(Image, Result<Self, Problem>)> {
        let image = Image::read(file, layout)?;
        let found = Self::of(layout.geometry, image.entries, |at| image.slot(at));
        Ok((image, found))
    }

    /// What there is to recover; how much of it is in the log is not known yet.
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

    /// Bytes of the ring from the tail to the end of the last span.
    pub fn fill_bytes(&self) -> u64 {
        let last = self.found.spans.last();
        last.map_or(0, |span| span.end().max(0).unsigned_abs())
    }

    /// The write that was under way, if one was, as the positions and lengths of its runs.
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

    /// Adds to `recovery` what came of the write that was under way: how many bytes of it there were, and how many of them the
    /// log holds, if that can be told.
    pub fn account(&self, recovery: &mut Recovery, outcome: Option<(u32, Option<u32>)>) {
        match outcome {
            Some((_, Some(written))) => recovery.already_written = u64::from(written),
            Some((bytes, None)) => recovery.possibly_repeated = u64::from(bytes),
            None if self.entries.has_damaged_intent() => {
                // One may have been under way, of nobody knows what.
                recovery.damaged += 1;
                recovery.possibly_repeated = self.bytes;
            }
            None => {}
        }
    }

    /// Whether the log that is noted may get what there is: it is that of `note`, or nothing waits for it.
    ///
    /// # Errors
    ///
    /// The log that it is for.
    pub fn check_log(&self, noted: Option<LogNote>, note: &LogNote) -> Result<(), Problem> {
        match noted {
            Some(noted) if self.bytes > 0 && !noted.is_same_log(note) => Err(Problem::OtherLog {
                log: noted.path.unwrap_or_else(|| "one without a path".into()),
                bytes: self.bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Goes on with the ring: the drain hands out first what was found and `sink` does not hold yet.
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

/// The note of a log.
pub fn note_of(sink: &dyn Sink) -> LogNote {
    LogNote {
        end: sink.end().unwrap_or_default(),
        path: sink.path(),
    }
}
