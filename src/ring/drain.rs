//! The drain's side: collect what is posted as contiguous runs, hand it out, free it.

use std::io::IoSlice;

use super::accounts::Accounts;
use super::batch::{Batch, Cursor, Limit, is_caught_up};
use super::core::{Ring, SteppedOver};
use super::seal::{Seals, Wanted};
use crate::memory::Memory;
use crate::words::{Head, Phase, State, Tail, extend, next_seq};

/// What the drain does at a span that is not posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holes {
    /// Stops: its bytes come before all that is behind it.
    Wait,
    /// Goes on behind it. Only in a ring that has ended: no byte of it is handed out again, so its
    /// owner may write there for as long as it likes.
    StepOver,
}

/// What one look at the ring came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The tail has moved, or a span was sealed so that it can.
    Moved {
        /// Bytes of records that were written.
        bytes: u32,
        /// Whether more was posted than was handed out or taken.
        more: bool,
    },
    /// The next span is claimed, and not posted; or it is a lane's, and its owner is at work in it.
    Blocked {
        /// Its sequence.
        seq: u32,
    },
    /// Nothing is claimed beyond the tail, or beyond the open span of a lane that it has caught up
    /// with.
    Empty,
}

/// The one reader of a ring. It is made with the ring, and cannot be made again.
#[derive(Debug)]
pub struct Drain {
    ring: usize,
    cursor: Cursor,
    done: Accounts,
    seals: Seals,
    /// The room of all spans before this sequence is wanted.
    wanted_before: u64,
    /// Whether what was taken of a record is done with.
    cuts_records: bool,
    /// Whether the last byte that was taken is not the last of a record.
    is_within: bool,
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
                padding: 0,
                abandoned: 0,
                ahead: 0,
            },
            seals: Seals::default(),
            wanted_before: 0,
            cuts_records: false,
            is_within: false,
        }
    }

    /// The position up to which everything is written: where a record ends, unless they are cut.
    pub fn position(&self) -> u64 {
        self.cursor.pos
    }

    /// How many bytes of the record in hand are written. The ring keeps it until all of it is.
    pub fn ahead(&self) -> u32 {
        self.done.ahead
    }

    /// Whether the tail goes to the very byte up to which was taken, be it inside of a record: for
    /// a sink that may have the rest of it in another file. Otherwise the ring keeps a record until
    /// all of it is written.
    pub fn cut_records(&mut self, cuts: bool) {
        self.cuts_records = cuts;
    }

    /// Whether the last write has ended inside of a record. (Of what an earlier process has cut,
    /// that is not known.)
    pub fn is_within(&self) -> bool {
        self.is_within
    }

    /// Begins the record in hand anew, for another file that is to have it whole; says how many
    /// bytes that gets once more.
    pub fn restart<M: Memory>(&mut self, ring: &Ring<M>) -> u32 {
        let ahead = core::mem::take(&mut self.done.ahead);
        self.is_within &= self.cuts_records; // what was cut goes on where that was
        if ahead > 0 {
            self.done.bytes -= u64::from(ahead);
            ring.drained.publish(&self.done);
        }
        ahead
    }

    /// Where the drain stands, as one word.
    pub fn tail(&self) -> Head {
        Head {
            seq: self.cursor.seq as u32,
            pos: self.cursor.pos as u32,
        }
    }

    /// Hands some `limit` bytes of posted records to `write`, in order, and frees the records of
    /// which it says that it took the last byte. What it is handed goes on where the last write
    /// ended, and ends where a record ends: one that is longer than `limit` comes alone. It is not
    /// called when there are none.
    ///
    /// # Errors
    ///
    /// Those of `write`; nothing is freed then.
    ///
    /// # Panics
    ///
    /// If `ring` is not the one that this drain was made with, or if `write` says that it took more
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
        let mut taken = 0;
        let moved = if batch.bytes > 0 {
            taken = self.hand_out(ring, &batch, write)?;
            let ahead = self.done.ahead + taken;
            if ahead < batch.bytes {
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

    /// Goes past what a process has written that did not live to say so: of the next `bytes`, as
    /// many as `written` says. Says how many were looked at, and how many were written.
    pub fn pass_written<M: Memory>(
        &mut self,
        ring: &Ring<M>,
        bytes: u32,
        written: impl FnOnce(&[IoSlice<'_>]) -> Option<usize>,
    ) -> (u32, Option<u32>) {
        let batch = self.walk(ring, Limit::Exactly(bytes), Holes::Wait);
        let written = written(&ring.slices(&batch)[..batch.count]);
        let written = written.map(|written| batch.bytes.min(written as u32));
        if let Some(written @ 1..) = written {
            self.take(ring, written, Holes::Wait);
        }
        (batch.bytes, written)
    }

    /// Hands out what has not been written of `batch`; says how many bytes were taken.
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

    /// Goes to where the last record ends of the first `bytes` from the cursor on; what lies behind
    /// it of them is ahead. (If records are cut, it goes to the last of the bytes.)
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

    /// Collects what is posted from the cursor on, up to `limit`, without moving anything.
    fn walk<M: Memory>(&self, ring: &Ring<M>, limit: Limit, holes: Holes) -> Batch {
        let end = match holes {
            Holes::Wait => None,
            Holes::StepOver => ring.ended(),
        };
        let mut batch = Batch::at(self.cursor);
        while batch.bytes < limit.bytes() {
            let seq = batch.end.seq as u32;
            let span = ring.span(batch.end);
            let is_hole = end.is_some_and(|end| end.seq != seq)
                && span.is_none_or(|(_, state)| self.is_held(batch.end, state));
            match span {
                // A batch holds open reservations or bytes, never both: its owner may post at any
                // moment, and a second walk (after a short write) must not find bytes where the
                // first found none.
                _ if is_hole && batch.bytes > 0 => break,
                _ if is_hole => {
                    let phase = span.map_or(Phase::Closed, |(_, state)| state.phase);
                    batch.abandoned += 1;
                    batch.end.seq = next_seq(batch.end.seq, phase);
                    batch.end.taken = 0;
                }
                Some((start, state)) => {
                    self.check(ring, start, state, batch.end.taken);
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

    /// Nothing that this process stores can contradict it; but a ring file is mapped by whoever may
    /// open it, and the bytes are handed out by these words.
    ///
    /// # Panics
    ///
    /// If the span is not within the ring, which fails the queue.
    fn check<M: Memory>(&self, ring: &Ring<M>, start: u64, state: State, taken: u32) {
        let end = start + u64::from(state.committed);
        let is_inside = end <= self.cursor.pos + u64::from(ring.geometry.capacity());
        assert!(
            is_inside && state.committed >= taken,
            "somebody else has written to the descriptors of the ring"
        );
    }

    /// Whether the span at `cursor` is a lane's whose owner has been at work since it was asked for
    /// it.
    fn is_held(&self, cursor: Cursor, state: State) -> bool {
        is_caught_up(cursor, state)
            && self.seals.is_out(cursor.seq)
            && !self.seals.is_due(cursor.seq)
    }

    /// Moves the cursor and the tail to the end of `batch`, behind which `ahead` bytes are written;
    /// says whether there is more, if that was any way.
    fn commit<M: Memory>(&mut self, ring: &Ring<M>, batch: &Batch, ahead: u32) -> Option<bool> {
        if batch.end == self.cursor && ahead == self.done.ahead {
            return None;
        }
        if batch.abandoned > 0 {
            // Nothing but open reservations lies between the two: see `walk`.
            let seqs = self.cursor.seq..batch.end.seq;
            let mut taken = self.cursor.taken;
            let stepped_over = seqs.map(|seq| SteppedOver {
                seq: seq as u32,
                taken: core::mem::take(&mut taken),
            });
            ring.stepped_over.lock().extend(stepped_over);
        }
        self.cursor = batch.end;
        // What the last span of an ended ring has not used, nothing lies behind.
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
        };
        if let Some(journal) = ring.journal() {
            // Before the room is anybody's again.
            journal.advance(self.tail(), batch.bytes, ahead);
        }
        ring.drained.publish(&self.done);
        Some(batch.more)
    }

    /// Seals the open span of a lane that the drain has caught up with, if something lies behind
    /// it, or if its room is wanted; says whether the drain can go on. While the owner is at work
    /// it cannot, and nobody waits for that here.
    fn seal<M: Memory>(&mut self, ring: &Ring<M>) -> bool {
        let Some((_, state)) = ring.span(self.cursor) else {
            return false;
        };
        if !is_caught_up(self.cursor, state) {
            return false; // it is known already that there is more
        }
        let is_wanted = ring.lanes().take_wanted();
        // Read after it: what was open when room was wanted lies before this head.
        let head = ring.head();
        if is_wanted {
            self.wanted_before = extend(self.cursor.seq, head.seq);
        }
        let wanted = if self.cursor.seq < self.wanted_before || ring.ended().is_some() {
            Wanted::All
        } else if self.is_newest(head) && !self.seals.is_out(self.cursor.seq) {
            return false;
        } else {
            Wanted::Behind
        };
        self.seals.seal(ring, self.cursor.seq, head, wanted);
        self.is_posted(ring)
    }

    /// Why nothing has moved.
    fn standstill<M: Memory>(&self, ring: &Ring<M>) -> Drained {
        if self.is_behind(ring) {
            let seq = self.cursor.seq as u32;
            Drained::Blocked { seq }
        } else {
            Drained::Empty
        }
    }

    /// Whether a step would take something of the span that the drain waits for, or go past it, or
    /// ask for it.
    pub fn is_posted<M: Memory>(&self, ring: &Ring<M>) -> bool {
        let Some((_, state)) = ring.span(self.cursor) else {
            return false;
        };
        if !is_caught_up(self.cursor, state) {
            true
        } else if self.seals.is_out(self.cursor.seq) {
            self.seals.is_due(self.cursor.seq)
        } else {
            !self.is_newest(ring.head())
        }
    }

    /// Whether anything has been claimed beyond the cursor, and beyond the open span of a lane in
    /// which it stands.
    pub fn is_behind<M: Memory>(&self, ring: &Ring<M>) -> bool {
        let head = ring.head();
        if self.has_reached(head) {
            return false;
        }
        let span = ring.span(self.cursor);
        let is_all_taken = span.is_some_and(|(_, state)| is_caught_up(self.cursor, state));
        let is_idle = is_all_taken && self.is_newest(head) && !self.seals.is_out(self.cursor.seq);
        !is_idle || ring.ended().is_some()
    }

    /// Whether the span in hand, of a lane, is the last before `head`.
    fn is_newest(&self, head: Head) -> bool {
        next_seq(self.cursor.seq, Phase::Open) as u32 == head.seq
    }

    /// Whether everything before `end` has been taken or stepped over.
    pub fn has_reached(&self, end: Head) -> bool {
        self.cursor.seq as u32 == end.seq
    }
}
