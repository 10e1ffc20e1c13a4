//! Looking at the ring from outside: where a flush ends, and what is outstanding. Any thread, never
//! blocks.

use super::accounts::Accounts;
use super::core::{Ring, SteppedOver};
use super::lanes::LaneCounts;
use crate::memory::Memory;
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::words::{Head, Phase, Place, State, Tail, extend, next_seq};

/// What lies between the tail and the head, span by span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Bytes of records that are posted and not written.
    pub bytes: u64,
    /// Records that are posted and not wholly written. A lane's count from the first span on that
    /// is not: so those in front of it in the same span count, too.
    pub records: u64,
    /// Those of them that are in spans of lanes.
    pub lane_records: u64,
    /// Reservations that are open.
    pub held: u64,
    /// Bytes of the oldest of them.
    pub oldest_held_bytes: u64,
    /// Lanes that are there.
    pub lanes: u64,
    /// Records that were ever posted in spans of lanes.
    pub lane_records_posted: u64,
}

/// What was posted after the drain had gone past it: it is in no file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    pub bytes: u64,
    pub records: u64,
    /// Those of the records that are in spans of lanes.
    pub lane_records: u64,
}

/// What a look at one descriptor found.
enum Span {
    /// Posted: it starts at `start` (relative to the tail, see `relative`) and has `committed`
    /// bytes.
    Posted {
        start: i64,
        committed: u32,
        phase: Phase,
    },
    /// Claimed, not posted; it starts at `start` if that is known yet.
    Open { start: Option<i64> },
    /// The descriptor serves a later lap: everything up to this span is written.
    Recycled,
}

impl<M: Memory> Ring<M> {
    /// The position behind the last record that was posted before the call, as far as this thread
    /// can know: the drain has written all of them once its tail has reached it.
    ///
    /// It depends on open reservations that lie before something posted, and on no others.
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
                // Everything up to there is written, and the drain is beyond it by now.
                Span::Recycled => break,
            }
        }
        // All that was posted is written. As of one moment: the two halves of a tail may be of two.
        self.accounts().tail.pos
    }

    /// The position at which the next claim would start: no record ends beyond it.
    pub fn claimed_end(&self) -> u64 {
        // The tail first: it is then not ahead of the head.
        let tail = self.tail();
        extend(tail.pos, self.head().pos)
    }

    /// What the drain has done, and what is outstanding from there on. Each span is counted as it
    /// was when it was looked at, so the two together are all that was posted before the call, and
    /// none of it twice.
    pub fn outstanding(&self) -> (Accounts, Outstanding) {
        loop {
            // The lanes first: what they have posted by then, the walk finds in the ring, or it is
            // written.
            let mut lanes = self.lane_counts();
            let done = self.accounts();
            if let Some(mut counted) = self.count_from(done.tail, &mut lanes) {
                // The record in hand lies behind the tail, whatever is written of it.
                counted.bytes = counted.bytes.saturating_sub(u64::from(done.ahead));
                return (done, counted);
            }
        }
    }

    /// Records written. Those of a lane count once all of the span is written that they are in.
    pub fn written_records(&self) -> u64 {
        if self.lane_counts().posted() == 0 {
            return self.accounts().records; // the drain counts them, and nothing need be walked
        }
        let (done, outstanding) = self.outstanding();
        (done.records + outstanding.lane_records_posted).saturating_sub(outstanding.lane_records)
    }

    /// What was posted after the drain had gone past it.
    pub fn posted_too_late(&self) -> Late {
        let mut late = Late::default();
        for span in &*self.stepped_over.lock() {
            let Some((_, state)) = self.committed(span.seq) else {
                continue;
            };
            if state.committed > span.taken {
                late.bytes += u64::from(state.committed - span.taken);
                // Of a lane, too: it was asked for its span before the drain went past, so it has
                // begun no other.
                late.records += 1;
                late.lane_records += u64::from(state.phase.is_of_lane());
            }
        }
        late
    }

    /// Whether the record that ends at `pos` was posted after the drain had gone past it.
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

    /// Where the span `seq` starts and how far it has come, if its descriptor serves this lap.
    fn committed(&self, seq: u32) -> Option<(u32, State)> {
        let slot = self.slot(seq);
        // [survey.late] Acquire, pairs with [post.state] and [lane.commit]: the place is seen, too.
        let bits = slot
            .state
            .load(unless_mutant("survey.late", Ordering::Acquire));
        let state = State::of_lap(bits, self.geometry.tag(seq))?;
        // Relaxed: ordered by the state.
        let place = Place::from_bits(slot.place.load(Ordering::Relaxed));
        Some((place.start, state))
    }

    /// The count from `tail` on; `None` if the ring has moved on by so much that descriptors were
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

    /// How many records the lane of span `seq` has posted from there on, if it has not been counted
    /// yet.
    fn lane_records_from(&self, seq: u32, lanes: &mut LaneCounts) -> u64 {
        let note = self.slot(seq.wrapping_add(1));
        // Relaxed on both: ordered by the state of the span, which was read with Acquire.
        let state = note.state.load(Ordering::Relaxed);
        let before = Place::from_bits(note.place.load(Ordering::Relaxed)).start;
        lanes.take_records(state, before)
    }

    /// A tail and a head that were true together, or nearly: no more than the capacity apart, so
    /// that every position between them is ahead of the tail.
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
        // Relaxed: ordered by the state, or checked by its sequence.
        let start = start_of(slot.place.load(Ordering::Relaxed));
        match (state, start) {
            (Some(state), Some(start)) => Span::Posted {
                start,
                committed: state.committed,
                phase: state.phase,
            },
            // Of another lap: not posted yet, or reused since. The drain goes past a span before
            // its descriptor is reused, and whoever sees the reuse (Acquire above) sees that too.
            (None, start) if self.is_current(seq) => Span::Open { start },
            // Reused: it was posted, and is written.
            _ => Span::Recycled,
        }
    }

    /// Whether the drain has not gone past `seq`.
    fn is_current(&self, seq: u32) -> bool {
        let ahead = seq.wrapping_sub(self.tail().seq as u32);
        ahead < 1 << 31
    }

    /// `pos`, of a span between the tail and a head that is at most the capacity ahead of it, as a
    /// distance from the tail. It may be behind: the tail's position can be newer than its
    /// sequence, and the span in hand half written.
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
    /// Counts an open reservation that begins at `start`, if that is known.
    fn hold(&mut self, open_from: &mut Option<i64>, start: Option<i64>) {
        self.held += 1;
        if self.held == 1 {
            *open_from = start;
        }
    }

    /// The oldest open reservation ends where its successor starts.
    fn close_oldest(&mut self, open_from: &mut Option<i64>, end: i64) {
        if let Some(start) = open_from.take() {
            self.oldest_held_bytes = end.saturating_sub(start).unsigned_abs();
        }
    }
}
