//! The words of a ring file that say where the oldest record of a recorder is.

use super::RingFileProblem as Problem;
use super::{Geometry, Head, Place, State, Tail};

/// Where the oldest record of a recorder is, and what was overwritten before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Every span before this sequence is free. No byte after this position and the capacity is in
    /// use; the span may begin later than here.
    pub tail: Tail,
    /// The records that were overwritten and are counted in no dump, and their bytes.
    pub overwritten: [u64; 2],
}

impl Oldest {
    /// The number of words.
    pub const WORDS: usize = 4;

    /// Returns where the ring of a new file begins.
    pub const fn of_new(geometry: Geometry) -> Self {
        Self {
            tail: Tail {
                seq: geometry.slots() as u64, // no tag of the first lap is 0
                pos: 0,
            },
            overwritten: [0; 2],
        }
    }

    /// Packs these words.
    pub const fn to_words(self) -> [u64; Self::WORDS] {
        let [records, bytes] = self.overwritten;
        [self.tail.seq, self.tail.pos, records, bytes]
    }

    /// Unpacks them.
    pub const fn from_words([seq, pos, records, bytes]: [u64; Self::WORDS]) -> Self {
        Self {
            tail: Tail { seq, pos },
            overwritten: [records, bytes],
        }
    }

    /// Returns the low halves.
    pub const fn head(self) -> Head {
        Head {
            seq: self.tail.seq as u32,
            pos: self.tail.pos as u32,
        }
    }

    /// Checks these words. `words` gives the place and the state of each slot: no posted span is a
    /// lap ahead of the oldest one, and the newest is not more than a lap behind it. (The last
    /// claims of a queue may never have been posted.)
    ///
    /// # Errors
    ///
    /// [`Problem::Damaged`].
    pub fn check(
        self,
        geometry: Geometry,
        words: impl Fn(usize) -> (u64, u64),
    ) -> Result<(), Problem> {
        /// A queue that posts a record each nanosecond needs centuries to get there.
        const MOST: u64 = 1 << 62;
        /// What stands for the sequence of the oldest span. Smaller numbers are behind it.
        const SAME: u32 = 1 << 31;
        let slots = geometry.slots();
        let posted = (0..slots as usize).filter_map(|index| {
            let (place, state) = words(index);
            let Place { seq, .. } = Place::from_bits(place);
            let is_one = geometry.slot(seq) == index;
            State::of_lap(state, geometry.tag(seq)).filter(|_| is_one)?;
            Some(seq.wrapping_sub(self.tail.seq as u32).wrapping_add(SAME))
        });
        let near = SAME - slots..SAME + slots;
        let is_near = posted.max().is_none_or(|newest| near.contains(&newest));
        let is_sane = (u64::from(slots)..MOST).contains(&self.tail.seq) && self.tail.pos < MOST;
        if is_near && is_sane {
            return Ok(());
        }
        Err(Problem::Damaged {
            part: "the words that say where its oldest record is",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Geometry, Oldest, Place, Problem, State, Tail};

    /// Four slots, whose newest span is 102.
    fn words(geometry: Geometry) -> impl Fn(usize) -> (u64, u64) {
        move |index| {
            let seq = (99..=102).find(|seq| geometry.slot(*seq) == index).unwrap();
            let state = State::closed(geometry.tag(seq), 8);
            (Place { seq, start: 0 }.to_bits(), state.to_bits())
        }
    }

    #[test]
    fn an_oldest_record_outside_of_the_lap_of_the_slots_is_damage() {
        let geometry = Geometry::new(4096, 4);
        let check = |seq, pos| {
            let tail = Tail { seq, pos };
            let oldest = Oldest {
                tail,
                overwritten: [1, 2],
            };
            assert_eq!(Oldest::from_words(oldest.to_words()), oldest);
            oldest.check(geometry, words(geometry)).is_ok()
        };
        for seq in 99..=106 {
            assert!(check(seq, 5), "{seq}");
            assert!(check((1 << 40) + seq, 1 << 40), "{seq}");
        }
        for (seq, pos) in [
            (98, 5),
            (107, 5),
            (3, 5),
            ((1 << 62) + 99, 5),
            (99, 1 << 62),
        ] {
            assert!(!check(seq, pos), "{seq}");
        }
        for bit in 3..64 {
            assert!(
                !check(0x63 ^ 1 << bit, 5) || (32..62).contains(&bit),
                "{bit}"
            );
        }
        let new = Oldest::of_new(geometry);
        assert_eq!(new.check(geometry, |_| (0, 0)), Ok(()));
        let late = Oldest::from_words([0, 0, 0, 0]).check(geometry, |_| (0, 0));
        assert!(matches!(late, Err(Problem::Damaged { .. })));
    }
}
