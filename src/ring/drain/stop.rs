//! Where the drain stops: at the open span of a lane, which it may seal, and at an open reservation.
//! Nothing here hands out bytes.

use super::super::batch::{Cursor, is_caught_up};
use super::super::core::Ring;
use super::super::seal::Wanted;
use super::{Drain, Drained};
use crate::memory::Memory;
use crate::words::{Head, Phase, State, extend, next_seq};

impl Drain {
    /// Returns whether a lane's owner has been at work in the span at `cursor` since the request.
    pub(super) fn is_held(&self, cursor: Cursor, state: State) -> bool {
        is_caught_up(cursor, state)
            && self.seals.is_out(cursor.seq)
            && !self.seals.is_due(cursor.seq)
    }

    /// Seals the open span of a lane if the drain has caught up with it, and another span follows
    /// it or a caller wants its room. Returns whether the drain can continue. It cannot while the
    /// owner is at work, and this call does not wait for the owner.
    pub(super) fn seal<M: Memory>(&mut self, ring: &Ring<M>) -> bool {
        let Some((_, state)) = ring.span(self.cursor) else {
            return false;
        };
        if !is_caught_up(self.cursor, state) {
            return false; // the walk has already found that there is more
        }
        let is_wanted = ring.lanes().take_wanted();
        // Read after `take_wanted`: the spans that were open when room was wanted lie before this
        // head.
        let head = ring.head();
        if is_wanted {
            self.wanted_before = extend(self.cursor.seq, head.seq);
        }
        let wanted = if self.cursor.seq < self.wanted_before || ring.ended().is_some() {
            Wanted::All
        } else if self.is_newest(head) && !self.seals.is_out(self.cursor.seq) {
            return false;
        } else {
            Wanted::Followed
        };
        self.seals.seal(ring, self.cursor.seq, head, wanted);
        self.is_posted(ring)
    }

    /// Returns whether a step would take bytes of the drain's next span, pass it, or ask for it.
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

    /// Returns why nothing has moved: [`Empty`](Drained::Empty) if nothing is claimed after the
    /// cursor, apart from the open span of a lane in which the cursor stands.
    pub fn standstill<M: Memory>(&self, ring: &Ring<M>) -> Drained {
        let head = ring.head();
        if self.has_reached(head) {
            return Drained::Empty;
        }
        let span = ring.span(self.cursor);
        if span.is_some_and(|span| self.is_quiet(ring, span)) {
            return Drained::Quiet;
        }
        let is_all_taken = span.is_some_and(|(_, state)| is_caught_up(self.cursor, state));
        let is_idle = is_all_taken && self.is_newest(head) && !self.seals.is_out(self.cursor.seq);
        if is_idle && ring.ended().is_none() {
            Drained::Empty
        } else {
            let seq = self.cursor.seq as u32;
            Drained::Blocked { seq }
        }
    }

    /// Returns whether the lane's span at the cursor is the last before `head`.
    fn is_newest(&self, head: Head) -> bool {
        next_seq(self.cursor.seq, Phase::Open) as u32 == head.seq
    }

    /// Returns whether everything before `end` was taken or stepped over.
    pub fn has_reached(&self, end: Head) -> bool {
        self.cursor.seq as u32 == end.seq
    }
}
