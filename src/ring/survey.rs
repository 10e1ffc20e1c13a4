//! Looks at the ring from outside the drain: where a flush ends, and what is outstanding. Any
//! thread may call these functions. They wait for neither a producer nor the drain (they take short
//! locks of the lanes and of stepped-over spans), and they change no word and no byte of the ring.

use super::accounts::Accounts;
use super::core::{Ring, SteppedOver};
use super::lanes::LaneCounts;
use crate::memory::Memory;
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::words::{Head, Phase, Place, State, Tail, extend, next_seq};

/// The content of the ring between the tail and the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Bytes of records that are posted and not written.
    pub bytes: u64,
    /// Records that are posted and not fully written. A lane's records count from the first span
    /// that is not fully written, so records before them in the same span count too.
    pub records: u64,
    /// The part of `records` that is in spans of lanes.
    pub lane_records: u64,
    /// Open reservations.
    pub held: u64,
    /// Bytes of the oldest open reservation.
    pub oldest_held_bytes: u64,
    /// Existing lanes.
    pub lanes: u64,
    /// Records ever posted in spans of lanes.
    pub lane_records_posted: u64,
}

/// Records that were posted after the drain had stepped over them. They are in no file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    pub bytes: u64,
    pub records: u64,
    /// The part of `records` that is in spans of lanes.
    pub lane_records: u64,
}

/// What a look at one slot found.
enum Span {
    /// Posted. It starts at `start` (relative to the tail, see `relative`) and has `committed`
    /// bytes.
    Posted {
        start: i64,
        committed: u32,
        phase: Phase,
    },
    /// Claimed and not posted. `start` is `None` while its place is not stored yet.
    Open { start: Option<i64> },
    /// The slot serves a later lap: everything up to this span is written.
    Recycled,
}

impl<M: Memory> Ring<M> {
    /// Returns the position after the last record posted before the call, as far as this thread can
    /// know. The drain has written all of these records once its tail has reached it.
    ///
    /// An open reservation affects the result only if something posted follows it.
    pub fn posted_end(&self) -> u64 {
        let (tail, head) = self.span_in_use();
        let mut seq = head.seq;
        while seq != tail.seq as u32 {
            seq = seq.wrapping_sub(1);
            match self.look(seq, tail) {
                Span::Posted {
                    start, committed, ..
                } if committed > 0 => {
                    let end = start + i64::from(committed);
                    return tail.pos.saturating_add_signed(end.max(0));
                }
                Span::Posted { .. } | Span::Open { .. } => {}
                // Everything up to that span is written, and the drain is past it by now.
                Span::Recycled => break,
            }
        }
        // Everything posted is written. The accounts give a tail of one moment; the two halves of
        // `self.tail()` may be from two.
        self.accounts().tail.pos
    }

    /// Returns the position at which the next claim would start. No record ends after it.
    pub fn claimed_end(&self) -> u64 {
        // The tail first, so that it is not ahead of the head.
        let tail = self.tail();
        extend(tail.pos, self.head().pos)
    }

    /// Returns what the drain has done, and what is outstanding from there on. Each span is counted
    /// as it was when this call looked at it. So the two parts together cover everything posted
    /// before the call, and nothing twice.
    pub fn outstanding(&self) -> (Accounts, Outstanding) {
        loop {
            // The lanes first: the records that they have posted by then are in the ring, where the
            // walk finds them, or are written.
            let mut lanes = self.lane_counts();
            let done = self.accounts();
            if let Some(mut counted) = self.count_from(done.tail, &mut lanes) {
                // A partly written record lies after the tail, however much of it is written.
                counted.bytes = counted.bytes.saturating_sub(u64::from(done.ahead));
                return (done, counted);
            }
        }
    }

    /// Returns how many records are written. A lane's record counts once its whole span is written.
    pub fn written_records(&self) -> u64 {
        if self.lane_counts().posted() == 0 {
            return self.accounts().records; // the drain counts them, so no walk is needed
        }
        let (done, outstanding) = self.outstanding();
        (done.records + outstanding.lane_records_posted).saturating_sub(outstanding.lane_records)
    }

    /// Returns the records that were posted after the drain had stepped over them.
    pub fn posted_too_late(&self) -> Late {
        let mut late = Late::default();
        for span in &*self.stepped_over.lock() {
            let Some((_, state)) = self.committed(span.seq) else {
                continue;
            };
            if state.committed > span.taken {
                late.bytes += u64::from(state.committed - span.taken);
                // This is one record for a lane's span too: the lane was asked for its span before
                // the drain stepped over it, so it has begun no second record.
                late.records += 1;
                late.lane_records += u64::from(state.phase.is_of_lane());
            }
        }
        late
    }

    /// Returns whether the record that ends at `pos` was posted after the drain had stepped over
    /// it.
    pub fn is_too_late(&self, pos: u64) -> bool {
        let ends_there = |span: &SteppedOver| {
            let Some((start, state)) = self.committed(span.seq) else {
                return false;
            };
            let used = (pos as u32).wrapping_sub(start);
            span.taken < used && used <= state.committed
        };
        self.stepped_over.lock().iter().any(ends_there)
    }

    /// Returns where the span `seq` starts and how much of it is committed, if its slot
    /// serves this lap.
    fn committed(&self, seq: u32) -> Option<(u32, State)> {
        let slot = self.slot(seq);
        // [survey.late] Acquire, pairs with [post.state] and [lane.commit]: the place is seen, too.
        let bits = slot
            .state
            .load(unless_mutant("survey.late", Ordering::Acquire));
        let state = State::of_lap(bits, self.geometry.tag(seq))?;
        // Relaxed: the state orders it.
        let place = Place::from_bits(slot.place.load(Ordering::Relaxed));
        Some((place.start, state))
    }

    /// Counts from `tail` on. Returns `None` if the ring has moved on so far that slots were
    /// reused.
    fn count_from(&self, tail: Tail, lanes: &mut LaneCounts) -> Option<Outstanding> {
        let mut counted = Outstanding {
            lanes: lanes.present(),
            lane_records_posted: lanes.posted(),
            ..Outstanding::default()
        };
        let head = self.head();
        if tail.bytes_to(head) > self.geometry.capacity() {
            return None; // the head is newer than the tail by more than a lap
        }
        let mut open_from = None;
        let mut seq = tail.seq as u32;
        while seq != head.seq {
            match self.look(seq, tail) {
                Span::Recycled => return None,
                Span::Open { start } => {
                    if let Some(start) = start {
                        counted.close_oldest(&mut open_from, start);
                    }
                    counted.hold(&mut open_from, start);
                    seq = seq.wrapping_add(1);
                }
                Span::Posted {
                    start,
                    committed,
                    phase,
                } => {
                    counted.close_oldest(&mut open_from, start);
                    let end = start + i64::from(committed);
                    let unwritten = end.clamp(0, i64::from(committed));
                    counted.bytes += unwritten.unsigned_abs();
                    if unwritten > 0 && phase.is_of_lane() {
                        counted.lane_records += self.lane_records_from(seq, lanes);
                    } else {
                        counted.records += u64::from(unwritten > 0);
                    }
                    if phase == Phase::Open && lanes.is_busy(seq) {
                        counted.hold(&mut open_from, Some(end));
                    }
                    seq = next_seq(u64::from(seq), phase) as u32;
                }
            }
        }
        counted.close_oldest(&mut open_from, self.relative(head.pos, tail));
        counted.records += counted.lane_records;
        Some(counted)
    }

    /// Returns how many records the lane of span `seq` has posted from there on; 0 if they are
    /// counted already.
    fn lane_records_from(&self, seq: u32, lanes: &mut LaneCounts) -> u64 {
        let note = self.slot(seq.wrapping_add(1));
        // Relaxed on both: the state of the span, which was read with Acquire, orders them.
        let state = note.state.load(Ordering::Relaxed);
        let before = Place::from_bits(note.place.load(Ordering::Relaxed)).start;
        lanes.take_records(state, before)
    }

    /// Returns a tail and a head of nearly the same moment: they are at most the capacity apart, so
    /// every position between them is ahead of the tail.
    fn span_in_use(&self) -> (Tail, Head) {
        loop {
            let tail = self.tail();
            let head = self.head();
            if tail.bytes_to(head) <= self.geometry.capacity() {
                return (tail, head);
            }
        }
    }

    fn look(&self, seq: u32, tail: Tail) -> Span {
        let slot = self.slot(seq);
        let tag = self.geometry.tag(seq);
        let start_of = |bits: u64| {
            let place = Place::from_bits(bits);
            (place.seq == seq).then(|| self.relative(place.start, tail))
        };
        // [survey.look] Acquire, pairs with [post.state], [lane.opened] and [lane.seal]: the place
        // is seen, too.
        let bits = slot
            .state
            .load(unless_mutant("survey.look", Ordering::Acquire));
        let state = State::of_lap(bits, tag);
        // Relaxed: the state orders it, or the check of its sequence detects an older one.
        let start = start_of(slot.place.load(Ordering::Relaxed));
        match (state, start) {
            (Some(state), Some(start)) => Span::Posted {
                start,
                committed: state.committed,
                phase: state.phase,
            },
            // The state is of another lap: not posted yet, or reused since. The drain moves past a
            // span before its slot is reused, and a thread that sees the reuse (Acquire
            // above) sees that move too.
            (None, start) if self.is_current(seq) => Span::Open { start },
            // Reused: the span was posted and is written.
            _ => Span::Recycled,
        }
    }

    /// Returns whether the drain has not yet moved past `seq`.
    fn is_current(&self, seq: u32) -> bool {
        let ahead = seq.wrapping_sub(self.tail().seq as u32);
        ahead < 1 << 31
    }

    /// Returns `pos` as a distance from the tail, for a span between the tail and a head that is at
    /// most the capacity ahead. The distance is negative if `pos` is before the tail: the tail's
    /// position can be newer than its sequence, and the first span can be half written.
    fn relative(&self, pos: u32, tail: Tail) -> i64 {
        let ahead = pos.wrapping_sub(tail.pos as u32);
        if ahead <= self.geometry.capacity() {
            i64::from(ahead)
        } else {
            i64::from(ahead) - (1 << 32)
        }
    }
}

impl Outstanding {
    /// Counts an open reservation that starts at `start`, if that is known.
    fn hold(&mut self, open_from: &mut Option<i64>, start: Option<i64>) {
        self.held += 1;
        if self.held == 1 {
            *open_from = start;
        }
    }

    /// Ends the oldest open reservation at `end`, where its successor starts.
    fn close_oldest(&mut self, open_from: &mut Option<i64>, end: i64) {
        if let Some(start) = open_from.take() {
            self.oldest_held_bytes = end.saturating_sub(start).unsigned_abs();
        }
    }
}
