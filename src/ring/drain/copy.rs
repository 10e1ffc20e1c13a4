//! Copies records out of a ring that overwrites its oldest ones, for a dump.

use std::collections::TryReserveError;

use super::super::batch::{Batch, Limit};
use super::super::core::Ring;
use super::super::recorder::Count;
use super::Drain;
use crate::memory::Memory;
use crate::words::{Head, Phase, Tail};

/// Records that were copied out of a ring: neighbours, in order.
#[derive(Debug, Default)]
pub struct Copied {
    pub bytes: Vec<u8>,
    /// Where each record ends in `bytes`.
    pub ends: Vec<usize>,
    /// Spans that were still open, and were stepped over.
    pub held: u64,
    /// What was overwritten since the ring was made, without the records of this copy.
    pub overwritten: Count,
    /// The first span that was copied; 0 before that.
    first: u64,
    /// The spans without a record.
    empty: Vec<u64>,
    /// The end of the spans whose room becomes free: the first one that was still open, or the end
    /// of the copy.
    free_to: Option<Tail>,
}

impl Copied {
    /// Discards everything, and begins again with the span `first`.
    fn restart(&mut self, first: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.empty.clear();
        (self.held, self.first, self.free_to) = (0, first, None);
    }

    /// Counts the copied records of the spans before `seq`.
    fn before(&self, seq: u64) -> Count {
        let spans = seq.saturating_sub(self.first);
        let empty = self.empty.partition_point(|empty| *empty < seq) as u64;
        let records = spans.saturating_sub(empty);
        let bytes = (records as usize)
            .checked_sub(1)
            .map_or(0, |last| self.ends[last]);
        Count {
            records,
            bytes: bytes as u64,
        }
    }
}

/// The result of one step of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// There is more to copy.
    Moved,
    /// The next span is still open.
    Held {
        /// The sequence of that span.
        seq: u32,
    },
    /// Everything is copied.
    Done,
}

/// The most bytes that are copied at once, unless one record is longer. An append that needs the
/// room of these bytes waits for the copy, less than a microsecond.
const PIECE: u32 = 1 << 12;

impl Drain {
    /// Copies the next records before `until` to the end of `copied`. Begins with the oldest record.
    /// If `steps_over`, continues after a span that is still open: the next copy has it and the
    /// records after it again. Frees no room: claims may overwrite what is copied, and
    /// [`free`](Drain::free) frees the rest.
    ///
    /// # Errors
    ///
    /// If there is no memory for the copy. Nothing is copied then.
    pub fn copy<M: Memory>(
        &mut self,
        ring: &Ring<M>,
        until: Head,
        steps_over: bool,
        copied: &mut Copied,
    ) -> Result<CopyStep, TryReserveError> {
        let Some(recorder) = &ring.recorder else {
            return Ok(CopyStep::Done);
        };
        // Not during the copy, when appends wait.
        copied.bytes.try_reserve(PIECE as usize)?;
        copied.ends.try_reserve(PIECE as usize)?;
        copied.empty.try_reserve(PIECE as usize)?;
        let oldest = recorder.begin_copy();
        ring.publish_oldest(oldest);
        if copied.first == 0 || self.cursor.seq < oldest {
            // A new copy; or other threads have overwritten the records that come next. A dump has
            // no gap, so the records before them count as overwritten too.
            copied.restart(oldest);
            self.cursor.seq = oldest;
            self.cursor.pos = ring.tail().pos;
        }
        let batch = self.collect(ring, until, copied);
        for run in &ring.slices(&batch)[..batch.count] {
            copied.bytes.extend_from_slice(run);
        }
        let has_moved = batch.end.seq != self.cursor.seq;
        if !has_moved {
            // Nothing is overwritten at this moment.
            let gone = copied.before(oldest);
            copied.overwritten = recorder.counts().0.minus(gone);
        }
        recorder.end_copy(oldest);
        self.cursor = batch.end;
        Ok(if has_moved {
            CopyStep::Moved
        } else if self.is_past(until) {
            let end = self.end_of_copy();
            copied.free_to.get_or_insert(end);
            CopyStep::Done
        } else if steps_over {
            let end = self.end_of_copy();
            copied.free_to.get_or_insert(end);
            copied.held += 1;
            self.cursor.seq += 1;
            CopyStep::Moved
        } else {
            let seq = self.cursor.seq as u32;
            CopyStep::Held { seq }
        })
    }

    fn end_of_copy(&self) -> Tail {
        Tail {
            seq: self.cursor.seq,
            pos: self.cursor.pos,
        }
    }

    /// Collects the posted spans before `until`, up to the size of a piece, and notes where their
    /// records end in `copied`.
    fn collect<M: Memory>(&self, ring: &Ring<M>, until: Head, copied: &mut Copied) -> Batch {
        let from = copied.bytes.len();
        let mut batch = Batch::at(self.cursor, self.runs_max());
        let mut spans = 0;
        while batch.bytes < PIECE && spans < PIECE && batch.end.seq as u32 != until.seq {
            let seq = batch.end.seq;
            let Some((start, state)) = ring.span(batch.end) else {
                break;
            };
            self.check(ring, start, state, batch.end.taken);
            if state.phase != Phase::Closed || !batch.take(start, state, Limit::About(PIECE)) {
                break;
            }
            spans += 1;
            if state.committed > 0 {
                copied.ends.push(from + batch.bytes as usize);
            } else if copied.free_to.is_none() {
                copied.empty.push(seq);
            }
        }
        batch
    }

    /// Returns whether the cursor has reached `until`, or has passed it.
    fn is_past(&self, until: Head) -> bool {
        until
            .seq
            .wrapping_sub(self.cursor.seq as u32)
            .wrapping_sub(1)
            >= 1 << 31
    }

    /// Frees the room of what was copied, and counts it as dumped, also the part that claims have
    /// overwritten since.
    pub fn free<M: Memory>(&self, ring: &Ring<M>, copied: &Copied) {
        debug_assert_eq!(self.ring, ring.identity(), "a drain empties its own ring");
        let (Some(recorder), Some(to)) = (&ring.recorder, copied.free_to) else {
            return;
        };
        loop {
            let word = recorder.look();
            let oldest = word >> 1;
            let is_overwritten = oldest >= to.seq;
            if !is_overwritten && !recorder.take(word, to.seq) {
                continue; // a claim has just overwritten a part
            }
            recorder.count_copied(copied.before(to.seq));
            recorder.count_kept(copied.before(oldest.min(to.seq)));
            if !is_overwritten {
                ring.store_tail(to);
            }
            return;
        }
    }
}
