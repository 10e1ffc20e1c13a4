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
    /// The part that the ring does not hold any more.
    freed: Count,
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
    /// Copies the next records before `until` to the end of `copied`, and frees their room. Begins
    /// with the oldest record. If `steps_over`, continues after a span that is still open: it
    /// and the records after it stay in the ring, and the next dump has them too.
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
        let oldest = recorder.begin_copy();
        ring.publish_oldest(oldest);
        if self.cursor.seq < oldest && !copied.ends.is_empty() {
            // Other threads have overwritten the records that come next. A dump has no gap, so the
            // records before them count as overwritten too.
            recorder.count_overwritten(core::mem::take(&mut copied.freed));
            copied.bytes.clear();
            copied.ends.clear();
        }
        if self.cursor.seq <= oldest {
            self.cursor.seq = oldest;
            self.cursor.pos = ring.tail().pos;
        }
        let batch = self.collect(ring, until, copied);
        for run in &ring.slices(&batch)[..batch.count] {
            copied.bytes.extend_from_slice(run);
        }
        let is_at_oldest = self.cursor.seq == oldest;
        let has_moved = batch.end.seq != self.cursor.seq;
        self.cursor = batch.end;
        recorder.end_copy(if is_at_oldest { batch.end.seq } else { oldest });
        if is_at_oldest && has_moved {
            ring.store_tail(Tail {
                seq: batch.end.seq,
                pos: batch.end.pos,
            });
            copied.freed.records += batch.records;
            copied.freed.bytes += u64::from(batch.bytes);
        }
        Ok(if has_moved {
            CopyStep::Moved
        } else if self.is_past(until) {
            CopyStep::Done
        } else if steps_over {
            copied.held += 1;
            self.cursor.seq += 1;
            CopyStep::Moved
        } else {
            let seq = self.cursor.seq as u32;
            CopyStep::Held { seq }
        })
    }
    /// Collects the posted spans before `until`, up to the size of a piece, and notes where their
    /// records end in `copied`.
    fn collect<M: Memory>(&self, ring: &Ring<M>, until: Head, copied: &mut Copied) -> Batch {
        let from = copied.bytes.len();
        let mut batch = Batch::at(self.cursor, self.runs_max());
        while batch.bytes < PIECE && batch.end.seq as u32 != until.seq {
            let Some((start, state)) = ring.span(batch.end) else {
                break;
            };
            self.check(ring, start, state, batch.end.taken);
            if state.phase != Phase::Closed || !batch.take(start, state, Limit::About(PIECE)) {
                break;
            }
            if state.committed > 0 {
                copied.ends.push(from + batch.bytes as usize);
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

    /// Ends a copy: counts it as dumped, and lets the next one begin with the oldest record again.
    /// Returns what was overwritten so far.
    pub fn end_copy<M: Memory>(&mut self, ring: &Ring<M>, copied: &mut Copied) -> Count {
        self.cursor.seq = 0;
        if let Some(recorder) = &ring.recorder {
            recorder.count_copied(core::mem::take(&mut copied.freed));
        }
        ring.recorded().0
    }
}
