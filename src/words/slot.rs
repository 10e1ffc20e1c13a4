//! The two words of a slot: `place` `{ seq, start }` and `state` `{ tag, phase, committed }`.

/// The lap of the ring of slots that a state word belongs to, modulo 2^30.
///
/// Sequences start at one whole lap, so tag 0 does not occur before the tags have wrapped once, and
/// a zeroed slot is never valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    const BITS: u32 = 30;

    /// The tag of `lap`, modulo 2^30.
    #[inline]
    pub const fn of_lap(lap: u32) -> Self {
        Self(lap & ((1 << Self::BITS) - 1))
    }
}

/// What may still happen to a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The owner may append more records to the span: its committed length may grow.
    Open,
    /// The committed length is final: one record, or nothing. The rest of the span is padding.
    Closed,
    /// A lane's span whose committed length is final: any number of records, which its owner has
    /// counted.
    Sealed,
}

impl Phase {
    /// Whether the committed length can no longer grow.
    #[inline]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Open)
    }

    /// Whether the span belongs to a lane. Such a span has the rest of its line of slots to itself.
    #[inline]
    pub const fn is_of_lane(self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// Where a span starts: `{ seq, start }`, stored by the claimer right after the claim.
///
/// ```text
///  63            32 31             0
/// +----------------+----------------+
/// |      seq       |     start      |
/// +----------------+----------------+
/// ```
///
/// No word stores the length of a span: it ends where its successor starts, or at the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The whole sequence of the span: a place of another lap has another one.
    pub seq: u32,
    /// The byte position of its first byte.
    pub start: u32,
}

impl Place {
    /// Unpacks a place.
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            seq: (bits >> 32) as u32,
            start: bits as u32,
        }
    }

    /// Packs this place.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        (self.seq as u64) << 32 | self.start as u64
    }

    /// A word for the slot of `seq` that is not the place of a span: it names a sequence that no
    /// lap has at this slot. `value` is free for the owner's use.
    #[inline]
    pub const fn of_none(seq: u32, value: u32) -> u64 {
        Self {
            seq: seq ^ 1,
            start: value,
        }
        .to_bits()
    }
}

/// How far a span has come: `{ tag, phase, quiet, committed }`, published with Release by its
/// owner.
///
/// ```text
///  63          34 33  32  31   30        0
/// +--------------+------+-----+-----------+
/// |     tag      | phase|quiet| committed |
/// +--------------+------+-----+-----------+
/// ```
///
/// phase: 1 open, 2 closed, 3 sealed; 0 is not valid. quiet: the last record in the span was posted
/// with `NOACTIVATE`. A span of 2^31 bytes, the largest capacity, needs bit 31 for its length: bit
/// 31 alone is that length, and such a span is never quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The lap that this word belongs to.
    pub tag: Tag,
    /// Whether `committed` may still grow.
    pub phase: Phase,
    /// Whether the last record of the span waits for an activation.
    pub is_quiet: bool,
    /// How many bytes from the start of the span are records. Always the end of a record.
    pub committed: u32,
}

impl State {
    const OPEN: u64 = 1;
    const CLOSED: u64 = 2;
    const SEALED: u64 = 3;

    /// The bit of a span whose last record is quiet.
    pub const QUIET: u32 = 1 << 31;

    /// A closed span with `committed` bytes of records.
    #[inline]
    pub const fn closed(tag: Tag, committed: u32) -> Self {
        Self {
            tag,
            phase: Phase::Closed,
            is_quiet: false,
            committed,
        }
    }

    /// A lane's span with `committed` bytes of records so far.
    #[inline]
    pub const fn open(tag: Tag, committed: u32) -> Self {
        Self {
            tag,
            phase: Phase::Open,
            is_quiet: false,
            committed,
        }
    }

    /// The same span, quiet, if a span of this length can be: one without records cannot.
    #[inline]
    #[must_use]
    pub const fn quiet(self) -> Self {
        Self {
            is_quiet: self.committed > 0 && self.committed < Self::QUIET,
            ..self
        }
    }

    /// The same span, sealed.
    #[inline]
    #[must_use]
    pub const fn sealed(self) -> Self {
        Self {
            phase: Phase::Sealed,
            ..self
        }
    }

    /// The state word of the second slot of a lane's span: the number of the lane, no phase, so it
    /// is not the state of a span, and, if the span is quiet, how many of its bytes are not. (That
    /// slot's place holds the number of records that the lane had posted before the span, modulo
    /// 2^32: see [`Place::of_none`].)
    #[inline]
    pub const fn note(lane: u32, activated: u32) -> u64 {
        (lane as u64) << 34 | activated as u64
    }

    /// Whether `bits` is the note of `lane`.
    #[inline]
    pub const fn is_note(bits: u64, lane: u32) -> bool {
        bits >> 32 == Self::note(lane, 0) >> 32
    }

    /// How many bytes of a quiet span of a lane are activated, which its note says.
    #[inline]
    pub const fn activated_in_note(bits: u64) -> u32 {
        bits as u32
    }

    /// Unpacks the state of lap `tag`. `None` if the slot still holds an earlier lap, or nothing
    /// valid.
    #[inline]
    pub const fn of_lap(bits: u64, tag: Tag) -> Option<Self> {
        let phase = match (bits >> 32) & 0b11 {
            Self::OPEN => Phase::Open,
            Self::CLOSED => Phase::Closed,
            Self::SEALED => Phase::Sealed,
            _ => return None,
        };
        if (bits >> 34) as u32 != tag.0 {
            return None;
        }
        let len = bits as u32;
        let is_quiet = len > Self::QUIET;
        Some(Self {
            tag,
            phase,
            is_quiet,
            committed: if is_quiet { len - Self::QUIET } else { len },
        })
    }

    /// Returns the sum of the bytes of four spans, if each is closed, of lap `tag`, and not empty.
    #[inline]
    pub fn closed_bytes(states: [u64; 4], tag: Tag) -> Option<u64> {
        let one = Self::closed(tag, 1).to_bits();
        // The bytes of each span, less one. Any other word gives a number of more than 32 bits.
        let less = states.map(|bits| bits.wrapping_sub(one));
        let [a, b, c, d] = less;
        let are_closed = (a | b | c | d) >> 32 == 0;
        are_closed.then(|| a + b + c + d + 4)
    }

    /// Packs this state.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        let phase = match self.phase {
            Phase::Open => Self::OPEN,
            Phase::Closed => Self::CLOSED,
            Phase::Sealed => Self::SEALED,
        };
        let quiet = if self.is_quiet { Self::QUIET } else { 0 };
        (self.tag.0 as u64) << 34 | phase << 32 | (quiet | self.committed) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, Place, State, Tag};

    #[test]
    fn words_round_trip_at_the_corners() {
        for a in [0, 1, 1 << 30, u32::MAX] {
            for b in [0, 1, 1 << 31, u32::MAX] {
                let place = Place { seq: a, start: b };
                assert_eq!(Place::from_bits(place.to_bits()), place);
            }
        }
    }

    #[test]
    fn states_round_trip_at_the_corners() {
        for lap in [0, 1, 1 << 30, u32::MAX] {
            for committed in [0, 1, (1 << 31) - 1, 1 << 31] {
                for phase in [Phase::Open, Phase::Closed, Phase::Sealed] {
                    let tag = Tag::of_lap(lap);
                    let state = State {
                        tag,
                        phase,
                        is_quiet: false,
                        committed,
                    };
                    assert_eq!(State::of_lap(state.to_bits(), tag), Some(state));
                    let quiet = state.quiet();
                    assert_eq!(State::of_lap(quiet.to_bits(), tag), Some(quiet));
                    assert_eq!(quiet.is_quiet, committed > 0 && committed < 1 << 31);
                }
            }
        }
    }

    #[test]
    fn four_closed_records_are_told_from_anything_else() {
        for tag in [1, 7, (1 << 30) - 1].map(Tag::of_lap) {
            let closed = |bytes| State::closed(tag, bytes).to_bits();
            let line = [1, 2, 1 << 31, 5].map(closed);
            assert_eq!(State::closed_bytes(line, tag), Some((1 << 31) + 8));
            let other = Tag::of_lap(8);
            let odd = [
                closed(0),
                State::closed(other, 3).to_bits(),
                State::open(tag, 3).to_bits(),
                State::open(tag, 3).sealed().to_bits(),
                State::note(3, 0),
                0,
                u64::MAX,
            ];
            for (i, odd) in odd.into_iter().enumerate() {
                let mut line = line;
                line[i % 4] = odd;
                assert_eq!(State::closed_bytes(line, tag), None, "{i}");
            }
        }
    }

    #[test]
    fn phases_say_what_may_still_happen() {
        let all = [Phase::Open, Phase::Closed, Phase::Sealed];
        assert_eq!(all.map(Phase::is_final), [false, true, true]);
        assert_eq!(all.map(Phase::is_of_lane), [true, false, true]);
        let open = State::open(Tag::of_lap(7), 12);
        let phase = Phase::Sealed;
        assert_eq!(open.sealed(), State { phase, ..open });
    }

    #[test]
    fn a_note_names_one_lane() {
        assert_eq!(State::note(3, 0), 3 << 34);
        let note = State::note(3, 1 << 31);
        assert!(State::is_note(note, 3) && !State::is_note(note, 4));
        assert_eq!(State::activated_in_note(note), 1 << 31);
    }

    #[test]
    fn another_lap_and_a_zeroed_word_do_not_exist() {
        let bits = State::closed(Tag::of_lap(7), 12).to_bits();
        assert_eq!(State::of_lap(bits, Tag::of_lap(8)), None);
        assert_eq!(State::of_lap(0, Tag::of_lap(1)), None);
        assert_eq!(State::of_lap(0, Tag::of_lap(0)), None);
        for lane in [0, 7, u32::MAX] {
            let note = State::note(lane, u32::MAX);
            assert!(State::is_note(note, lane));
            assert_eq!(State::of_lap(note, Tag::of_lap(lane)), None);
        }
        assert_eq!(State::of_lap(bits & !(0b11 << 32), Tag::of_lap(7)), None);
    }
}
