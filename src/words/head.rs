//! The head word, written `{ seq, pos }` in comments.

use super::Width;

/// Where the next claim starts: `{ seq, pos }`, packed into one 64-bit word so that one
/// compare-and-swap claims a slot and a byte range together.
///
/// ```text
///  63            32 31             0
/// +----------------+----------------+
/// |      seq       |      pos       |
/// +----------------+----------------+
/// ```
///
/// Both halves count modulo 2^32. The same word returns only after exactly 2^32 claims whose
/// lengths add up to a multiple of 2^32; docs/ring.md works out what that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The sequence of the next claim.
    pub seq: u32,
    /// The byte position at which the next claim starts.
    pub pos: u32,
}

impl Head {
    /// Unpacks a head.
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            seq: (bits >> 32) as u32,
            pos: bits as u32,
        }
    }

    /// Packs this head.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        (self.seq as u64) << 32 | self.pos as u64
    }

    /// The head after a claim of `width` slots and `len` bytes.
    #[inline]
    #[must_use]
    pub const fn claimed(self, width: Width, len: u32) -> Self {
        Self {
            seq: width.after(self.seq),
            pos: self.pos.wrapping_add(len),
        }
    }

    /// The head moved forward by `slots` sequences: every later claim finds no free slot.
    ///
    /// This one step closes a ring. A claim before it is part of the queue; no claim succeeds after
    /// it.
    #[inline]
    #[must_use]
    pub const fn closed(self, slots: u32) -> Self {
        Self {
            seq: self.seq.wrapping_add(slots),
            pos: self.pos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, Width};

    #[test]
    fn bits_round_trip_at_the_corners() {
        for seq in [0, 1, 7, u32::MAX - 1, u32::MAX] {
            for pos in [0, 1, 1 << 31, u32::MAX] {
                let head = Head { seq, pos };
                assert_eq!(Head::from_bits(head.to_bits()), head);
            }
        }
    }

    #[test]
    fn a_claim_wraps_each_half_alone() {
        let head = Head {
            seq: u32::MAX,
            pos: u32::MAX - 3,
        };
        assert_eq!(head.claimed(Width::Slot, 10), Head { seq: 0, pos: 6 });
    }
}
