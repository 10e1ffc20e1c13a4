//! The drain: collects posted bytes as contiguous runs, hands them out, and frees their room.
//!
//! This file owns the cursor and moves the tail. It never waits for an owner.

mod copy;
mod quiet;
mod stop;
mod stream;

pub use copy::{Copied, CopyStep};

use std::io::IoSlice;

use super::accounts::Accounts;
use super::batch::{Batch, Cursor, Limit};
use super::core::{Ring, SteppedOver};
use super::seal::Seals;
use crate::memory::Memory;
use crate::words::{Head, Phase, State, Tail, next_seq};

/// What the drain does at a span that is not posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holes {
    /// Stops: the bytes of this span come before everything after it.
    Wait,
    /// Continues after it. Only in a ring that has ended: no other claim gets the bytes, so the
    /// owner may still write there.
    StepOver,
}

/// The result of one step of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The tail has moved, or a span was sealed so that the tail can move.
    Moved {
        /// Bytes of records that were written.
        bytes: u32,
        /// Whether posted bytes remain that were not handed out or not taken.
        more: bool,
    },
    /// The next span is not posted, or it is a lane's span in which the owner is at work.
    Blocked {
        /// The sequence of that span.
        seq: u32,
    },
    /// The next bytes start at this position, which does not [follow](Drain::follow) the last ones.
    Apart(u64),
    /// The next bytes wait until something activates the queue.
    Quiet,
    /// Nothing is claimed after the tail, or after the open span of a lane in which the drain has
    /// taken all committed bytes.
    Empty,
}

/// The one reader of a ring. It is created with the ring; there is never a second one.
#[derive(Debug)]
pub struct Drain {
    ring: usize,
    cursor: Cursor,
    done: Accounts,
    seals: Seals,
    /// A caller wants the room of all spans before this sequence.
    wanted_before: u64,
    /// Whether the tail may stop inside a record: see [`cut_records`](Drain::cut_records).
    cuts_records: bool,
    /// Whether the last byte that the sink took lies inside a record.
    is_within: bool,
    /// Up to here everything is activated, by records that the drain has found.
    activated: u64,
    /// Where the next run must start: see [`follow`](Drain::follow).
    follows: Option<u64>,
}

impl Drain {
    pub(super) fn new(ring: usize, origin: Tail, taken: u32) -> Self {
        Self {
            ring,
            cursor: Cursor {
                seq: origin.seq,
                pos: origin.pos,
                taken,
            },
            done: Accounts {
                tail: origin,
                bytes: 0,
                records: 0,
                lost_bytes: 0,
                lost_records: 0,
                padding: 0,
                abandoned: 0,
                ahead: 0,
            },
            seals: Seals::default(),
            wanted_before: 0,
            cuts_records: false,
            is_within: false,
            activated: 0,
            follows: None,
        }
    }

    /// Returns the position up to which everything is written: a record's end, unless records are
    /// cut.
    pub fn position(&self) -> u64 {
        self.cursor.pos
    }

    /// Returns how many bytes of the next record are written. The ring still holds that record.
    pub fn ahead(&self) -> u32 {
        self.done.ahead
    }

    /// Sets whether the tail may stop inside a record, where the sink stopped: the rest may go into
    /// another file. Otherwise the ring keeps each record until all of it is written.
    pub fn cut_records(&mut self, cuts: bool) {
        self.cuts_records = cuts;
    }

    /// Returns whether the last write ended inside a record. Does not see cuts by an earlier
    /// process.
    pub fn is_within(&self) -> bool {
        self.is_within
    }

    /// Returns the drain's place as one word.
    pub fn tail(&self) -> Head {
        Head {
            seq: self.cursor.seq as u32,
            pos: self.cursor.pos as u32,
        }
    }

    /// Hands about `limit` bytes of posted records to `write`, in order. Frees each record once
    /// `write` has taken its last byte, according to the result of `write`. The bytes begin where
    /// the last write ended, and end at the end of a record; a record that is longer than `limit`
    /// comes alone. `write` is not called if there are no bytes.
    ///
    /// # Errors
    ///
    /// The errors of `write`; nothing is freed then.
    ///
    /// # Panics
    ///
    /// If `ring` is not the ring that this drain was created with, or if `write` reports more bytes
    /// than it was given.
    pub fn step<M: Memory, E>(
        &mut self,
        ring: &Ring<M>,
        limit: u32,
        holes: Holes,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<Drained, E> {
        assert_eq!(self.ring, ring.identity(), "a drain empties its own ring");
        let batch = self.walk(ring, Limit::About(limit), holes);
        self.note_activated(ring, &batch);
        if let Some(apart) = self.apart(&batch) {
            return Ok(Drained::Apart(apart));
        }
        let mut taken = 0;
        let moved = if batch.bytes > 0 {
            taken = self.hand_out(ring, &batch, write)?;
            let ahead = self.done.ahead + taken;
            self.followed(&batch, ahead);
            if ahead < batch.bytes {
                // The rest of a quiet record must be permitted again.
                self.activated = self.activated.max(batch.end.pos);
                self.take(ring, ahead, holes);
                Some(true)
            } else {
                self.is_within = false;
                self.commit(ring, &batch, 0)
            }
        } else {
            self.commit(ring, &batch, 0)
        };
        let is_due = self.seal(ring);
        Ok(match moved {
            Some(more) => Drained::Moved {
                bytes: taken,
                more: more || is_due,
            },
            None if is_due => Drained::Moved {
                bytes: 0,
                more: true,
            },
            None => self.standstill(ring),
        })
    }

    /// Hands the unwritten bytes of `batch` to `write`. Returns how many it took.
    fn hand_out<M: Memory, E>(
        &self,
        ring: &Ring<M>,
        batch: &Batch,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<u32, E> {
        let mut slices = ring.slices(batch);
        let mut runs = &mut slices[..batch.count];
        IoSlice::advance_slices(&mut runs, self.done.ahead as usize);
        let taken = write(runs)?;
        let rest = batch.bytes - self.done.ahead;
        assert!(taken <= rest as usize, "a sink took more than it got");
        Ok(taken as u32)
    }

    /// Moves to the end of the last record that ends within the first `bytes` after the cursor; the
    /// rest of them is `ahead`. If records are cut, it moves to the last of the bytes.
    fn take<M: Memory>(&mut self, ring: &Ring<M>, bytes: u32, holes: Holes) {
        let walked = self.walk(ring, Limit::Exactly(bytes), holes);
        let whole = walked.whole.unwrap_or(0);
        self.is_within = whole < bytes;
        if self.cuts_records {
            self.commit(ring, &walked, 0);
            return;
        }
        let batch = self.walk(ring, Limit::Exactly(whole), holes);
        self.commit(ring, &batch, bytes - whole);
    }

    /// Collects posted bytes from the cursor on, up to `limit`, or to a quiet record that nothing
    /// has activated. Moves nothing.
    fn walk<M: Memory>(&self, ring: &Ring<M>, limit: Limit, holes: Holes) -> Batch {
        let end = match holes {
            Holes::Wait => None,
            Holes::StepOver => ring.ended(),
        };
        let mut batch = Batch::at(self.cursor, self.runs_max());
        while batch.bytes < limit.bytes() {
            let seq = batch.end.seq as u32;
            let span = ring.span(batch.end);
            let is_hole = end.is_some_and(|end| end.seq != seq)
                && span.is_none_or(|(_, state)| self.is_held(batch.end, state));
            match span {
                // A batch holds open reservations or bytes, never both. An owner may post at any
                // moment, and a second walk (after a short write) must not find bytes that the
                // first did not find.
                _ if is_hole && batch.bytes > 0 => break,
                _ if is_hole => {
                    let phase = span.map_or(Phase::Closed, |(_, state)| state.phase);
                    batch.abandoned += 1;
                    batch.end.seq = next_seq(batch.end.seq, phase);
                    batch.end.taken = 0;
                }
                Some((start, state)) => {
                    self.check(ring, start, state, batch.end.taken);
                    // A short write has taken only what was permitted before.
                    let state = match limit {
                        Limit::Exactly(_) => state,
                        Limit::About(_) => {
                            let (span, end) = ((start, state), batch.end);
                            self.permitted(ring, end, span, &mut batch.activates)
                        }
                    };
                    if batch.abandoned > 0 || !batch.take(start, state, limit) {
                        break;
                    }
                }
                None => {
                    batch.more = false;
                    break;
                }
            }
        }
        batch
    }

    /// Checks that a span lies within the ring. This process never stores other words, but any
    /// process that may open a ring file can map it, and these words decide which bytes are handed
    /// out.
    ///
    /// # Panics
    ///
    /// If the span is not within the ring. The panic fails the queue.
    fn check<M: Memory>(&self, ring: &Ring<M>, start: u64, state: State, taken: u32) {
        let end = start + u64::from(state.committed);
        let is_inside = end <= self.cursor.pos + u64::from(ring.geometry.capacity());
        assert!(
            is_inside && state.committed >= taken,
            "another process has written to the slots of the ring"
        );
    }

    /// Moves the cursor and the tail to the end of `batch`, after which `ahead` more bytes are
    /// written. Returns `None` if nothing moved, otherwise whether more is ready.
    fn commit<M: Memory>(&mut self, ring: &Ring<M>, batch: &Batch, ahead: u32) -> Option<bool> {
        if batch.end == self.cursor && ahead == self.done.ahead {
            return None;
        }
        if batch.abandoned > 0 {
            // Only open reservations lie between the two: see `walk`.
            let seqs = self.cursor.seq..batch.end.seq;
            let mut taken = self.cursor.taken;
            let stepped_over = seqs.map(|seq| SteppedOver {
                seq: seq as u32,
                taken: core::mem::take(&mut taken),
            });
            ring.stepped_over.lock().extend(stepped_over);
        }
        self.cursor = batch.end;
        // No span follows the last span of an ended ring, so its unused bytes are padding.
        let end = ring.ended().filter(|end| self.has_reached(*end));
        let unused = end.map_or(0, |end| end.pos.wrapping_sub(self.cursor.pos as u32));
        self.cursor.pos += u64::from(unused);
        self.done = Accounts {
            tail: Tail {
                seq: self.cursor.seq,
                pos: self.cursor.pos,
            },
            bytes: self.done.bytes - u64::from(self.done.ahead) + u64::from(batch.bytes + ahead),
            records: self.done.records + batch.records,
            padding: self.done.padding + batch.padding + u64::from(unused),
            abandoned: self.done.abandoned + batch.abandoned,
            ahead,
            ..self.done
        };
        if let Some(journal) = ring.journal() {
            // Before another claim can take the room.
            journal.advance(self.tail(), batch.bytes, ahead);
        }
        ring.drained.publish(&self.done);
        Some(batch.more)
    }
}
