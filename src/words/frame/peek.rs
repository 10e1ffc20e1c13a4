//! What the front of a frame says before its check: for a search that looks at many places.

use super::{Frames, Kind, POSITION_BITS, POSITION_END, u32_at, u64_at};

/// What the first bytes of a frame say, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub kind: Kind,
    pub position: u64,
    /// The bytes of the whole frame.
    pub frame_len: usize,
    /// The checksum that the frame must have.
    pub check: u32,
    /// The checksum of what comes before the bytes that are checked in place.
    pub sum: u32,
    /// Where in the frame these bytes begin. They go on to its end.
    pub checked_from: usize,
}

impl Frames {
    /// Reads the head of the frame at the start of `bytes`, without a check. `None` if they are too
    /// few.
    pub fn peek(self, bytes: &[u8]) -> Option<Head> {
        let bytes = bytes.get(..self.overhead())?;
        let (length, word) = (u32_at(bytes, 0), u64_at(bytes, 8));
        Some(Head {
            kind: Kind::of((word >> POSITION_BITS) as u8),
            position: word & (POSITION_END - 1),
            frame_len: self.overhead().saturating_add(length as usize),
            check: u32_at(bytes, 4),
            sum: self.check(bytes, &[]),
            checked_from: 16,
        })
    }
}
