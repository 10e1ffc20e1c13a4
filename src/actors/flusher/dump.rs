//! The flusher of a recorder: it writes nothing but dumps.
//!
//! A dump copies the records out of the ring first and writes the copy then. So no append waits for
//! the sink, and a dump has no gap. The records stay in the ring until the copy is written, unless
//! appends overwrite them: a ring file has them if the process is killed meanwhile.

use core::mem::take;
use std::collections::TryReserveError;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::write::write;
use super::{Flusher, Step};
use crate::actors::config::Last;
use crate::actors::dumps::Order;
use crate::memory::{Journal, Memory};
use crate::primitives::Interest;
use crate::ring::{Copied, CopyStep, Count};
use crate::words::{Dump, Error, Head, Operation};

/// The dump in progress, and what the dumps before it have counted.
#[derive(Debug, Default)]
pub(super) struct Dumping {
    job: Option<Job>,
    /// What was overwritten and is counted in the dumps so far.
    overwritten: Count,
    /// What earlier processes have overwritten in the ring file and counted in no dump.
    before: Count,
}

/// One dump.
#[derive(Debug)]
struct Job {
    order: Order,
    /// Where the copy ends.
    until: Head,
    copied: Copied,
    /// When the copy steps over an open entry.
    patience: Option<Instant>,
    steps_over: bool,
    /// What is being written, once everything is copied.
    text: Option<Text>,
}

/// The line of a dump and its records, as they are written.
#[derive(Debug)]
struct Text {
    dump: Dump,
    line: Vec<u8>,
    records: Copied,
    /// How many bytes the sink has accepted, the line first.
    taken: usize,
}

/// How long a dump waits for an entry that is open, before it steps over it. A thread that is
/// copying its record needs less than a microsecond. One that panics with an entry open may be
/// waiting for this dump.
const PATIENCE: Duration = Duration::from_millis(100);

/// The most bytes of one write. The records of a dump should stand together in a file to which
/// others append too.
const WRITE_MAX: usize = 1 << 24;

impl<M: Memory> Flusher<M> {
    /// One step of the flusher of a recorder.
    pub(super) fn step_of_recorder(&mut self) -> Step {
        if self.dumping.job.is_none() {
            let Some(order) = self.outcome().dumps.take() else {
                let ring = &self.intake().ring;
                if ring.ended().is_none() {
                    return Step::Empty;
                }
                ring.discard();
                return Step::Finished;
            };
            self.dumping.job = Some(Job {
                order,
                until: self.intake().ring.head(),
                copied: Copied::default(),
                patience: None,
                steps_over: false,
                text: None,
            });
        }
        let has_text = |job: &Job| job.text.is_some();
        if self.dumping.job.as_ref().is_some_and(has_text) {
            return self.write_dump();
        }
        match self.copy_for_dump() {
            Ok(Some(blocked)) => blocked,
            Ok(None) => Step::Again,
            Err(_) => {
                let no_memory = Error::Io {
                    operation: Operation::Map,
                    errno: libc::ENOMEM,
                    target: self.intake().trouble.reporter.target(),
                };
                self.end_dump(Err(no_memory))
            }
        }
    }

    /// Begins the dump of what a killed process has left in the ring file. For the thread that opens
    /// the queue, before any append.
    ///
    /// # Errors
    ///
    /// If there is no memory for the copy. Nothing is changed then.
    pub fn dump_what_was_left(&mut self) -> Result<(), Error> {
        let (_, request) = self.outcome().dumps.ask(Dump::KILLED);
        let _ = self.step_of_recorder();
        request.result().map_or(Ok(()), |result| result.map(drop))
    }

    /// Copies the records of the dump. Returns the step if an open entry blocks it.
    fn copy_for_dump(&mut self) -> Result<Option<Step>, TryReserveError> {
        let ring = &self.shared.intake.ring;
        let Dumping {
            job,
            overwritten,
            before: earlier,
        } = &mut self.dumping;
        let job = job.as_mut().expect("a dump is in progress");
        if job.copied.bytes.is_empty() {
            job.copied.bytes.try_reserve_exact(ring.fill() as usize)?;
        }
        loop {
            let (until, steps_over) = (job.until, job.steps_over);
            match self.drain.copy(ring, until, steps_over, &mut job.copied)? {
                CopyStep::Moved => {}
                CopyStep::Held { seq } => return Ok(Some(Step::Blocked { seq })),
                CopyStep::Done => break,
            }
        }
        let records = take(&mut job.copied);
        let before = *overwritten;
        *overwritten = records.overwritten;
        let earlier = take(earlier);
        let since = overwritten.minus(before).plus(earlier);
        let dump = Dump {
            records: records.ends.len() as u64,
            bytes: records.bytes.len() as u64,
            overwritten_records: since.records,
            overwritten_bytes: since.bytes,
            held: records.held,
            reason: take(&mut job.order.reason),
        };
        let dumps = &self.shared.outcome.dumps;
        dumps.set_left(dump.bytes, dump.records);
        let line = dumps.line(&dump);
        job.text = Some(Text {
            dump,
            line: self.shared.wrap.around(&line),
            records,
            taken: 0,
        });
        Ok(None)
    }

    /// Writes as much of the dump as the sink takes.
    fn write_dump(&mut self) -> Step {
        let room = self.sink.room();
        let sink = &*self.sink;
        let text = self.dumping.text().expect("everything is copied");
        let (line, records) = text.next(usize::try_from(room).unwrap_or(usize::MAX));
        if line.len() + records.len() == 0 {
            let ring = &self.shared.intake.ring;
            self.drain.free(ring, &text.records);
            if let Some(journal) = ring.journal() {
                let Dump {
                    overwritten_records,
                    overwritten_bytes,
                    ..
                } = text.dump;
                journal.report_overwritten([overwritten_records, overwritten_bytes]);
            }
            return self.end_dump(Ok(()));
        }
        let runs = [IoSlice::new(line), IoSlice::new(records)];
        let written = match (line, records) {
            ([], _) => write(sink, &runs[1..]),
            (_, []) => write(sink, &runs[..1]),
            _ => write(sink, &runs),
        };
        let line_len = line.len();
        let standstill = &self.shared.intake.trouble.standstill;
        standstill.set_blocked(false);
        match written {
            Ok(taken) => {
                text.taken += taken;
                let (bytes, records) = text.left();
                let outcome = &self.shared.outcome;
                outcome.dumps.set_left(bytes, records);
                self.shared.intake.trouble.end_stall();
                outcome.count_drain();
                let of_line = taken.min(line_len) as u64;
                outcome.counts.loss_line_bytes.add_alone(of_line);
                Step::Again
            }
            Err(error) => self.refused(&error),
        }
    }

    /// Returns whether the sink has accepted only a part of a line, or of a record of a dump.
    pub(super) fn is_torn(&self) -> bool {
        self.gap_line.is_torn() || self.dumping.is_torn()
    }

    /// Ends the dump in progress, and answers the callers that wait for it.
    fn end_dump(&mut self, result: Result<(), Error>) -> Step {
        if let Some(job) = self.dumping.job.take() {
            let dump = job.text.map(|text| text.dump).unwrap_or_default();
            self.outcome()
                .dumps
                .meet(&job.order, &result.map(|()| dump));
            self.shared.settle();
        }
        Step::Again
    }

    /// Waits for a post of the span `seq`, which the dump has reached, but not for long. For the
    /// loop of the flusher, which has a clock.
    pub(in super::super) fn wait_for_entry(&mut self, seq: u32) {
        let interest = Interest::Sequence(seq);
        let Some(job) = &mut self.dumping.job else {
            return;
        };
        let now = Instant::now();
        let patience = *job.patience.get_or_insert(now + PATIENCE);
        job.steps_over = patience <= now || self.shared.outcome.last() != Last::Drain;
        if !job.steps_over {
            let bell = &self.shared.intake.bell;
            bell.park(interest, Some(patience - now), || self.is_due(interest));
        }
    }
}

impl Dumping {
    /// Begins with what earlier processes have overwritten, if there is a ring file.
    pub fn after(journal: Option<&Journal>) -> Self {
        let before = journal.map(|journal| Count::from_words(journal.oldest().overwritten));
        Self {
            before: before.unwrap_or_default(),
            ..Self::default()
        }
    }

    fn text(&mut self) -> Option<&mut Text> {
        self.job.as_mut()?.text.as_mut()
    }

    /// Returns whether the sink has accepted only a part of a record.
    pub fn is_torn(&self) -> bool {
        let text = self.job.as_ref().and_then(|job| job.text.as_ref());
        text.is_some_and(|text| text.boundary() != text.taken)
    }

    /// Starts the record again of which the sink has accepted a part, since another file must get
    /// all of it. Returns how many bytes are then written twice.
    pub fn restart(&mut self) -> u32 {
        self.text().map_or(0, |text| {
            let before = text.taken;
            text.taken = text.boundary();
            (before - text.taken) as u32
        })
    }
}

impl Text {
    /// Returns the rest of the line, and as many whole records as fit into `room`; one at least,
    /// unless the line comes alone.
    fn next(&self, room: usize) -> (&[u8], &[u8]) {
        let line = &self.line[self.taken.min(self.line.len())..];
        let from = self.taken.saturating_sub(self.line.len());
        let room = room.min(WRITE_MAX).saturating_sub(line.len());
        let limit = from.saturating_add(room);
        let ends = &self.records.ends;
        let last = ends[..ends.partition_point(|end| *end <= limit)].last();
        let to = match last.copied() {
            Some(end) if end > from => end,
            _ if !line.is_empty() => from,
            _ => ends.iter().copied().find(|end| *end > from).unwrap_or(from),
        };
        (line, &self.records.bytes[from..to])
    }

    /// Returns the end of the last record, or of the line, that the sink has accepted whole.
    fn boundary(&self) -> usize {
        let Some(taken) = self.taken.checked_sub(self.line.len()) else {
            return 0;
        };
        let ends = &self.records.ends;
        let whole = ends.partition_point(|end| *end <= taken);
        self.line.len() + whole.checked_sub(1).map_or(0, |last| ends[last])
    }

    /// Returns how many bytes of records, and how many records, are not written yet.
    fn left(&self) -> (u64, u64) {
        let taken = self.taken.saturating_sub(self.line.len());
        let ends = &self.records.ends;
        let whole = ends.partition_point(|end| *end <= taken);
        (
            (self.records.bytes.len() - taken) as u64,
            (ends.len() - whole) as u64,
        )
    }
}
