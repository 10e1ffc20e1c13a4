//! The sizes of a ring and the arithmetic that follows from them.

use core::ops::Range;

use super::{Head, Phase, Tag};

/// How far the drain has come. Both halves count from the start of the queue and only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The next span to drain; every slot before it is free.
    pub seq: u64,
    /// Everything before this position is written or padding; those bytes are free.
    pub pos: u64,
}

impl Tail {
    /// Bytes in use from here to `head`. More than any capacity if `head` is older than this tail.
    #[inline]
    pub const fn bytes_to(self, head: Head) -> u32 {
        head.pos.wrapping_sub(self.pos as u32)
    }

    /// The positions in use from here to `head`, at most `capacity` bytes. Empty if `head` is older
    /// than this tail.
    #[inline]
    pub const fn until(self, head: Head, capacity: u32) -> Range<u64> {
        let used = self.bytes_to(head);
        let used = if used > capacity { 0 } else { used };
        self.pos..self.pos + used as u64
    }
}

/// The slots of one cache line. A lane stores to its slot with every record, so it takes the rest
/// of a line for itself: two lanes on one line would take it from each other each time.
pub const SLOTS_PER_LINE: u32 = 4;

/// How many slots a claim takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One slot.
    Slot,
    /// The slots from the next one to the end of its line, at least two. The first describes the
    /// span; the second holds the lane's note.
    Line,
}

impl Width {
    /// The sequence after a claim at `seq`.
    #[inline]
    pub const fn after(self, seq: u32) -> u32 {
        match self {
            Self::Slot => seq.wrapping_add(1),
            Self::Line => (seq.wrapping_add(1) | (SLOTS_PER_LINE - 1)).wrapping_add(1),
        }
    }

    /// How many slots a claim at `seq` takes.
    #[inline]
    const fn count(self, seq: u32) -> u32 {
        self.after(seq).wrapping_sub(seq)
    }
}

/// The sequence of the span after the one at `seq`, which is in `phase`.
#[inline]
pub const fn next_seq(seq: u64, phase: Phase) -> u64 {
    if phase.is_of_lane() {
        ((seq + 1) | (SLOTS_PER_LINE - 1) as u64) + 1
    } else {
        seq + 1
    }
}

/// What is free in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that one claim may take.
    pub bytes: u32,
    /// The number of claims that may succeed.
    pub spans: u32,
}

/// The sizes of one ring: `capacity` bytes and `slots` slots, both powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    capacity: u32,
    slots: u32,
    slot_bits: u32,
    spans_max: u32,
    /// `capacity - 1` and `slots - 1`, for the hot path.
    offset_mask: u32,
    slot_mask: u32,
    /// A power of two near a quarter of `spans_max`, minus 1.
    span_mark_mask: u32,
}

impl Geometry {
    /// The largest capacity, 2 GiB. A used length then never exceeds half of the 32-bit position
    /// space, so a head that lags behind the tail cannot be mistaken for one that is ahead of it.
    pub const MAX_CAPACITY: u64 = 1 << 31;

    /// The largest capacity of a recorder, 1 GiB. Its oldest record may be two laps behind a head
    /// that another thread moves, and 32 bits must tell the two apart.
    pub const RECORDER_MAX: u32 = 1 << 30;

    /// The fewest slots for which a tag of 30 bits suffices.
    pub const MIN_SLOTS: u32 = 4;

    /// The most slots. The head of a ring that was closed while full is two laps ahead of the tail.
    /// Two laps must be less than all 32-bit sequences, or the ring would look empty.
    pub const MAX_SLOTS: u32 = 1 << 30;

    /// A ring of `capacity` bytes with `slots` slots.
    ///
    /// # Panics
    ///
    /// If either is not a power of two or is out of range. Callers round and check first.
    pub const fn new(capacity: u32, slots: u32) -> Self {
        assert!(capacity.is_power_of_two() && capacity as u64 <= Self::MAX_CAPACITY);
        assert!(slots.is_power_of_two());
        assert!(slots >= Self::MIN_SLOTS && slots <= Self::MAX_SLOTS);
        Self {
            capacity,
            slots,
            slot_bits: slots.trailing_zeros(),
            spans_max: slots,
            offset_mask: capacity - 1,
            slot_mask: slots - 1,
            span_mark_mask: mark_mask(slots),
        }
    }

    /// The same sizes, but at most `spans_max` spans at once.
    ///
    /// # Panics
    ///
    /// If `spans_max` is 0 or more than the number of slots.
    #[must_use]
    pub const fn with_spans_max(self, spans_max: u32) -> Self {
        assert!(spans_max > 0 && spans_max <= self.slots);
        Self {
            spans_max,
            span_mark_mask: mark_mask(spans_max),
            ..self
        }
    }

    /// The number of bytes of the ring.
    #[inline]
    pub const fn capacity(self) -> u32 {
        self.capacity
    }

    /// The number of slots of the ring.
    #[inline]
    pub const fn slots(self) -> u32 {
        self.slots
    }

    /// The number of spans that may exist at once.
    #[inline]
    pub const fn spans_max(self) -> u32 {
        self.spans_max
    }

    /// The offset of byte position `pos` in the ring.
    #[inline]
    pub const fn offset(self, pos: u32) -> usize {
        (pos & self.offset_mask) as usize
    }

    /// The index of the slot of sequence `seq`.
    #[inline]
    pub const fn slot(self, seq: u32) -> usize {
        (seq & self.slot_mask) as usize
    }

    /// The tag in the slot of sequence `seq` once the span exists.
    #[inline]
    pub const fn tag(self, seq: u32) -> Tag {
        Tag::of_lap(seq >> self.slot_bits)
    }

    /// Whether the span `seq` over `[start, end)` is one of the few in a lap whose post checks the
    /// fill: the spans that cross into a new quarter of the bytes or begin a quarter of the spans.
    #[inline]
    pub const fn is_at_mark(self, seq: u32, start: u64, end: u64) -> bool {
        (start ^ end) >= (self.capacity / 4) as u64 || seq & self.span_mark_mask == 0
    }

    /// What is free between `head` and `tail`. Everything, if the head is older than the tail.
    pub const fn room(self, head: Head, tail: Tail) -> Room {
        let used = tail.bytes_to(head);
        let spans = head.seq.wrapping_sub(tail.seq as u32);
        let is_older = used > self.capacity;
        Room {
            bytes: if is_older {
                self.capacity
            } else {
                self.capacity - used
            },
            spans: if is_older {
                self.spans_max
            } else {
                self.spans_max.saturating_sub(spans)
            },
        }
    }

    /// Whether a claim of `len` bytes and `width` slots at `head` fits without touching anything
    /// from `tail` on.
    ///
    /// Also `false` for a head that is older than `tail`: the caller reads the head again before it
    /// refuses.
    #[inline]
    pub const fn has_room(self, head: Head, tail: Tail, len: u32, width: Width) -> bool {
        let used = tail.bytes_to(head);
        let spans = head.seq.wrapping_sub(tail.seq as u32);
        used <= self.capacity
            && len <= self.capacity - used
            && spans < self.spans_max
            && width.count(head.seq) <= self.spans_max - spans
    }
}

const fn mark_mask(spans: u32) -> u32 {
    (spans / 4).next_power_of_two() - 1
}

/// The smallest 64-bit value at or above `base` whose low half is `low`.
#[inline]
pub const fn extend(base: u64, low: u32) -> u64 {
    base + low.wrapping_sub(base as u32) as u64
}

#[cfg(test)]
mod tests {
    use super::{Geometry, Tail, Width, extend, next_seq};
    use crate::words::{Head, Phase};

    const SIZES: Geometry = Geometry::new(64, 4);

    fn room(head: (u32, u32), tail: (u64, u64), len: u32) -> bool {
        let (seq, pos) = head;
        let tail = Tail {
            seq: tail.0,
            pos: tail.1,
        };
        SIZES.has_room(Head { seq, pos }, tail, len, Width::Slot)
    }

    #[test]
    fn an_empty_ring_takes_all_of_its_capacity_wherever_it_stands() {
        for pos in [0_u32, 1, 63, u32::MAX - 10] {
            assert!(room((4, pos), (4, u64::from(pos)), 64));
            assert!(!room((4, pos), (4, u64::from(pos)), 65));
        }
    }

    #[test]
    fn room_is_bounded_by_bytes_and_by_slots() {
        assert!(room((7, 60), (4, 0), 4));
        assert!(!room((7, 60), (4, 0), 5));
        assert!(!room((8, 4), (4, 0), 1), "all four slots are taken");
    }

    #[test]
    fn a_head_older_than_the_tail_has_no_room() {
        assert!(!room((4, 0), (6, 20), 1));
        assert!(!room((u32::MAX, u32::MAX), (1 << 32 | 1, 1 << 32 | 9), 1));
    }

    #[test]
    fn a_closed_head_has_no_room_even_in_an_empty_ring() {
        let head = Head { seq: 9, pos: 9 }.closed(SIZES.slots());
        assert!(!SIZES.has_room(head, Tail { seq: 9, pos: 9 }, 1, Width::Slot));
    }

    #[test]
    fn a_full_ring_of_the_most_slots_has_no_room_once_it_is_closed() {
        let sizes = Geometry::new(64, Geometry::MAX_SLOTS);
        let head = Head {
            seq: Geometry::MAX_SLOTS,
            pos: 0,
        };
        let closed = head.closed(sizes.slots());
        assert!(!sizes.has_room(closed, Tail { seq: 0, pos: 0 }, 1, Width::Slot));
    }

    #[test]
    fn a_lane_takes_the_rest_of_its_line_and_fits_where_that_does() {
        let after = |seq| Width::Line.after(seq);
        assert_eq!([4, 5, 6, 7, 8].map(after), [8, 8, 8, 12, 12]);
        assert_eq!([u32::MAX - 1, u32::MAX].map(after), [0, 4]);
        assert_eq!(next_seq(5, Phase::Closed), 6);
        assert_eq!(next_seq(5, Phase::Open), 8);
        assert_eq!(next_seq(8, Phase::Sealed), 12);
        assert_eq!(next_seq(7, Phase::Open), 12);
        let fits = |seq| {
            let tail = Tail { seq: 4, pos: 0 };
            SIZES.has_room(Head { seq, pos: 0 }, tail, 1, Width::Line)
        };
        assert!(fits(4) && fits(6));
        assert!(!fits(7), "it takes at least two");
        assert!(!fits(8), "all four slots are taken");
    }

    #[test]
    fn positions_extend_over_the_wrap() {
        assert_eq!(extend(5, 5), 5);
        assert_eq!(extend((1 << 32) - 2, 3), (1 << 32) + 3);
        assert_eq!(extend(7 << 32 | 0xa, 0xc), 7 << 32 | 0xc);
    }
}
