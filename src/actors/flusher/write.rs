//! One write of the flusher: what the sink gets, and what the ring file notes about it. A sink that
//! takes messages gets one record, and a record that is too long for it is lost alone.

use std::io::{self, IoSlice};

use super::{Flusher, Step};
use crate::ends::{Records, Sink};
use crate::memory::{Journal, Memory};
use crate::ring::{Drained, Holes};
use crate::words::{Error, Framing, Head, Intent, LogEnd, Operation, errno_of};

/// What the flusher knows about a sink that takes one record a message.
#[derive(Debug, Default)]
pub(super) struct Messages {
    are_on: bool,
    /// The length of the record that was written last.
    len: u32,
    /// Whether it was reported that a record is too long.
    was_told: bool,
}

impl Messages {
    pub fn of(sink: &dyn Sink) -> Self {
        Self {
            are_on: sink.message_max().is_some(),
            ..Self::default()
        }
    }

    pub const fn are_on(&self) -> bool {
        self.are_on
    }
}

impl<M: Memory> Flusher<M> {
    /// Has the drain write at most `limit` bytes, unless the first record is longer.
    pub(super) fn drain_once(&mut self, limit: u32, holes: Holes) -> io::Result<Drained> {
        let intake = &self.shared.intake;
        let (sink, wrap, head) = (&*self.sink, self.shared.wrap, &mut self.head);
        let (start, ahead) = (self.drain.position(), self.drain.ahead());
        let start = (self.drain.tail(), (start >> 32) as u32);
        let (messages, chain) = (&mut self.messages, &mut self.chain);
        self.drain.step(&intake.ring, limit, holes, |runs| {
            intake.trouble.standstill.set_blocked(false); // the flusher now waits for the sink
            let journal = intake.ring.journal();
            // Asked once: with a second answer, the sink may take a file for noted that has come
            // since, and has no header.
            let is_asked = wrap.is_checked() || journal.is_some();
            let end = is_asked.then(|| sink.end()).flatten();
            if head.is_missing(wrap, end.as_ref()) {
                head.is_due = true;
                return Err(io::ErrorKind::Interrupted.into());
            }
            let first;
            let runs = if messages.are_on {
                first = [IoSlice::new(first_of(wrap.framing(), runs))];
                &first
            } else {
                runs
            };
            let given: usize = runs.iter().map(|run| run.len()).sum();
            messages.len = given as u32;
            let Some(journal) = journal else {
                return chain.took(runs, write(sink, runs));
            };
            let all = ahead + given as u32;
            intend(journal, end.unwrap_or_default(), start, ahead, all);
            journal.write_begins();
            let taken = chain.took(runs, write(sink, runs));
            if taken.as_ref().ok() != Some(&given) && sink.is_in_doubt() {
                journal.doubt(all);
            } else if taken.as_ref().is_err_and(took_nothing) && ahead == 0 {
                journal.withdraw(); // other processes may write to the log before the next try
            }
            taken
        })
    }

    /// Returns whether a write has failed because one message is too long.
    pub(super) fn is_misfit(&self, error: &io::Error) -> bool {
        self.messages.are_on && errno_of(error) == libc::EMSGSIZE
    }

    /// Moves past the record that was too long.
    pub(super) fn lose_record(&mut self, holes: Holes) -> Step {
        let (ring, discards) = (&self.shared.intake.ring, &self.shared.outcome.discards);
        // Before the tail moves, as for a reopen that discards.
        discards.begin(self.drain.position(), self.misfit());
        self.drain.lose(ring, self.messages.len, holes);
        discards.end(self.drain.position());
        self.tell_misfit();
        self.moved(0, true)
    }

    /// Gives up the line that reports a loss, which is too long itself.
    pub(super) fn lose_gap_line(&mut self) -> Step {
        let len = self.gap_line.rest().len();
        self.gap_line.advance(len);
        self.tell_misfit();
        Step::Again
    }

    /// Reports that a record is too long, once for each sink.
    fn tell_misfit(&mut self) {
        let reporter = &self.shared.intake.trouble.reporter;
        self.shared.intake.trouble.end_stall(); // the sink has answered
        if !core::mem::replace(&mut self.messages.was_told, true) {
            reporter.report(self.misfit());
        }
    }

    /// Returns the error of a record that is too long.
    fn misfit(&self) -> Error {
        Error::Io {
            operation: Operation::Write,
            errno: libc::EMSGSIZE,
            target: self.shared.intake.trouble.reporter.target(),
        }
    }
}

/// Returns the first record of `runs`, with its framing. Only a lane has several records in a run.
fn first_of<'a>(framing: Framing, runs: &'a [IoSlice<'_>]) -> &'a [u8] {
    let first = runs.first().map_or(&[][..], |run| run);
    let len = match Records::new(framing, runs).next() {
        Some(record) => record.framed_len,
        None => 0,
    };
    &first[..len.min(first.len())]
}

/// Notes in the ring file what the next write will append, in case the process is killed during the
/// write: `bytes` from `start` on, of which the log, which ends at `end`, holds `ahead`.
fn intend(journal: &Journal, end: LogEnd, (start, high): (Head, u32), ahead: u32, bytes: u32) {
    journal.intend(Intent {
        generation: 0,
        start,
        bytes,
        high,
        end: LogEnd {
            size_bytes: end.size_bytes.saturating_sub(u64::from(ahead)),
            ..end
        },
    });
}

/// Returns whether an error of a sink that knows what it took means that it took nothing.
fn took_nothing(error: &io::Error) -> bool {
    let errno = errno_of(error);
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    ) || matches!(errno, libc::ENOSPC | libc::EDQUOT | libc::EMSGSIZE)
}

/// Writes once. A sink that takes 0 bytes is an error.
pub(super) fn write(sink: &dyn Sink, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    match sink.write(runs)? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        taken => Ok(taken),
    }
}
