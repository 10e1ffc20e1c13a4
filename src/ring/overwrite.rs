//! A ring that keeps the newest records: a claim that finds no room overwrites the oldest ones.
//!
//! ```text
//!           tail                                            head
//!            |    oldest records: a claim takes their room   |
//!   free     v                                               v     free
//!  ..........[======|====|=======|==========|====|===========]..........
//!             ------------> copied out by the flusher for a dump, from the oldest on
//! ```
//!
//! This file owns the walk over the oldest spans, and the tail of such a ring. All spans there are
//! closed ones, with one record or nothing: a lane has no spans.

use super::claims::{Refusal, Wish};
use super::core::Ring;
use super::recorder::{Count, Recorder};
use crate::memory::{Memory, Slot};
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::words::{Geometry, Head, Phase, Place, SLOTS_PER_LINE, State, Tail, extend};

/// Each time that there is no room, at most this part of the ring more is overwritten than the
/// record needs, so that not every record has to look.
const AHEAD: u32 = 64;

/// What a claim needs: the least that must be overwritten, and the most that may be.
struct Goal {
    /// Bytes from the base on that must become free, and that may.
    bytes: u32,
    bytes_max: u32,
    /// Spans that must become free, and that may.
    spans: u32,
    spans_max: u32,
}

impl Goal {
    /// Returns the goal of a claim at `head`, with the tail as the base. `None` if the claim has
    /// room, or if the head is older than the tail: then the claim looks again.
    fn of(geometry: Geometry, tail: Tail, head: Head, wish: Wish) -> Option<Self> {
        let (used, capacity) = (tail.bytes_to(head), geometry.capacity());
        if used > capacity || geometry.has_room(head, tail, wish.len, wish.width) {
            return None;
        }
        let spans = head.seq.wrapping_sub(tail.seq as u32);
        let bytes = (used + wish.len).saturating_sub(capacity);
        let spans = (spans + 1).saturating_sub(geometry.spans_max());
        Some(Self {
            bytes,
            bytes_max: bytes + capacity / AHEAD,
            spans,
            spans_max: spans + geometry.spans_max() / AHEAD,
        })
    }
}

/// The oldest spans, as far as they may be overwritten.
#[derive(Debug, Default)]
struct Oldest {
    spans: u32,
    /// The end of the last record, from the base on.
    end: u32,
    count: Count,
}

#[inline]
fn state_of(slot: &Slot) -> u64 {
    // [oldest.state] Acquire, pairs with [post.state]: its owner has finished writing.
    slot.state
        .load(unless_mutant("oldest.state", Ordering::Acquire))
}

impl<M: Memory> Ring<M> {
    /// The same ring, which from now on overwrites its oldest records instead of refusing claims.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.recorder = Some(Recorder::new(self.tail()).into());
        self
    }

    /// Returns whether the ring overwrites its oldest records.
    pub fn is_recorder(&self) -> bool {
        self.recorder.is_some()
    }

    /// Returns what was overwritten so far, and what was copied out for dumps.
    pub fn recorded(&self) -> (Count, Count) {
        let recorder = self.recorder.as_ref();
        recorder.map_or_else(Default::default, |recorder| recorder.counts())
    }

    /// Discards what is in the ring file: a queue that was closed leaves only what a dump should
    /// have written.
    pub fn discard(&self) {
        let (tail, head) = (self.tail(), self.head());
        if let Some(journal) = self.journal() {
            journal.free_to(Tail {
                seq: extend(tail.seq, head.seq),
                pos: extend(tail.pos, head.pos),
            });
            journal.report_overwritten([u64::MAX; 2]);
        }
    }

    /// Overwrites the oldest records, so that a claim finds room that found none at `head`. After
    /// `Ok` the claim looks again.
    ///
    /// # Errors
    ///
    /// [`Refusal::Held`] if the oldest span is still open; [`Refusal::Copying`].
    #[cold]
    pub(super) fn overwrite(
        &self,
        recorder: &Recorder,
        head: Head,
        wish: Wish,
    ) -> Result<(), Refusal> {
        let word = recorder.settled()?;
        let seq = word >> 1;
        let tail = self.drained.tail.load();
        if tail.seq != seq {
            // The thread that has moved the word has not yet stored the tail, or `word` is old.
            self.publish_oldest(seq);
            return Ok(());
        }
        let Some(goal) = Goal::of(self.geometry, tail, head, wish) else {
            return Ok(());
        };
        let found = self.walk_oldest(seq, tail.pos as u32, &goal);
        if found.spans == 0 {
            return if recorder.is_still(word) {
                Err(Refusal::Held)
            } else {
                Ok(()) // its slot may serve another span by now
            };
        }
        let to = seq + u64::from(found.spans);
        if recorder.take(word, to) {
            recorder.count_overwritten(found.count);
            if let Some(journal) = self.journal() {
                journal.count_overwritten(found.count.to_words());
            }
            self.store_tail(Tail {
                seq: to,
                pos: tail.pos + u64::from(found.end),
            });
        }
        Ok(())
    }

    /// Walks from the span `seq` on until `goal` is reached, or a span is still open. `base` is
    /// where the tail is.
    fn walk_oldest(&self, seq: u64, base: u32, goal: &Goal) -> Oldest {
        let mut oldest = Oldest::default();
        loop {
            let is_enough = oldest.end >= goal.bytes && oldest.spans >= goal.spans;
            if is_enough {
                self.walk_lines(seq, base, goal, &mut oldest);
            }
            let Some((start, committed)) = self.closed_span(seq, oldest.spans) else {
                return oldest;
            };
            let end = start.wrapping_sub(base).wrapping_add(committed);
            if is_enough && (end > goal.bytes_max || oldest.spans >= goal.spans_max) {
                return oldest;
            }
            oldest.spans += 1;
            oldest.end = end;
            oldest.count.records += u64::from(committed > 0);
            oldest.count.bytes += u64::from(committed);
        }
    }

    /// Returns the start and the length of the span that is `ahead` spans after `seq`, if it is
    /// posted.
    fn closed_span(&self, seq: u64, ahead: u32) -> Option<(u32, u32)> {
        let seq = (seq as u32).wrapping_add(ahead);
        let slot = self.slot(seq);
        let state = State::of_lap(state_of(slot), self.geometry.tag(seq))?;
        // Relaxed: the state orders it. It may be a newer one, if the slot was just claimed again.
        let place = Place::from_bits(slot.place.load(Ordering::Relaxed));
        let is_closed = state.phase == Phase::Closed && place.seq == seq;
        is_closed.then_some((place.start, state.committed))
    }

    /// Walks on over whole lines of slots, while all of their spans hold records and fit into the
    /// goal. As [`closed_span`](Ring::closed_span) span by span, at a third of the cost.
    fn walk_lines(&self, seq: u64, base: u32, goal: &Goal, oldest: &mut Oldest) {
        const LINE: usize = SLOTS_PER_LINE as usize;
        let first = (seq as u32).wrapping_add(oldest.spans);
        let index = self.geometry.slot(first);
        if index % LINE != 0 {
            return;
        }
        let left = goal.spans_max.saturating_sub(oldest.spans) as usize;
        let lines = self.memory.slots()[index..].chunks_exact(LINE); // one lap, so one tag
        let tag = self.geometry.tag(first);
        for line in lines.take(left / LINE) {
            let states = [0, 1, 2, 3].map(|i| state_of(&line[i]));
            let Some(bytes) = State::closed_bytes(states, tag) else {
                return;
            };
            // Relaxed: the state orders it.
            let last = Place::from_bits(line[LINE - 1].place.load(Ordering::Relaxed));
            let committed = states[LINE - 1] as u32;
            let end = last.start.wrapping_sub(base).wrapping_add(committed);
            if end > goal.bytes_max {
                return;
            }
            oldest.spans += SLOTS_PER_LINE;
            oldest.end = end;
            oldest.count.records += u64::from(SLOTS_PER_LINE);
            oldest.count.bytes += bytes;
        }
    }

    /// Stores the tail for the span `seq`, to which another thread has moved the word.
    pub(super) fn publish_oldest(&self, seq: u64) {
        let tail = self.drained.tail.load();
        if tail.seq >= seq {
            return;
        }
        // Until the tail is stored, no claim gets the slot of the last span before it.
        if let Some((start, committed)) = self.closed_span(seq - 1, 0) {
            let end = start.wrapping_sub(tail.pos as u32).wrapping_add(committed);
            self.store_tail(Tail {
                seq,
                pos: tail.pos + u64::from(end),
            });
        }
    }

    /// Stores the tail, unless another thread has stored a later one.
    pub(super) fn store_tail(&self, tail: Tail) {
        if let Some(journal) = self.journal() {
            journal.free_to(tail); // before another claim can take the room
        }
        self.drained.tail.raise(tail);
        self.claims.see(tail);
    }
}
