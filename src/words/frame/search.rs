//! The search for the next good frame, byte for byte, after damage.
//!
//! Every offset may begin a frame, and a damaged length may be anything. So a plain search would
//! compute checksums of as many bytes as all these lengths together. The search keeps checksums of
//! the beginnings of the bytes instead. From two of them follows the checksum of what lies between.

use super::{Frames, Head};

/// Frames of at most this many bytes are checked directly.
const SHORT: usize = 4096;

/// The distance between the beginnings whose checksums are kept.
const STEP: usize = 4096;

/// What a good frame must look like.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    frames: Frames,
    /// No position of a good frame is smaller.
    end: Option<u64>,
    /// The longest payload.
    max: usize,
}

/// A place where a frame may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub at: usize,
    /// The length of the frame.
    pub needed: usize,
    /// False if the bytes end before the frame does.
    pub is_good: bool,
}

impl Search {
    pub const fn new(frames: Frames, end: Option<u64>, max: usize) -> Self {
        Self { frames, end, max }
    }

    /// Returns the first good frame that begins at `from` or later. If more bytes follow
    /// (`is_open`), also the first place where a frame may begin that these bytes do not hold to
    /// its end.
    pub fn first(&self, bytes: &[u8], from: usize, is_open: bool) -> Option<Candidate> {
        let mut sums = Sums::default();
        for at in from..bytes.len() {
            let head = self.frames.peek(&bytes[at..])?;
            let needed = head.frame_len;
            let is_long = needed > self.max.saturating_add(self.frames.overhead());
            if is_long || !self.may_follow(&head) {
                continue;
            }
            let Some(frame) = bytes.get(at..at + needed) else {
                if is_open {
                    let is_good = false;
                    return Some(Candidate {
                        at,
                        needed,
                        is_good,
                    });
                }
                continue;
            };
            let is_good = if needed <= SHORT {
                self.frames.read(frame).is_ok()
            } else {
                let rest = at + head.checked_from..at + needed;
                let before = sums.up_to(bytes, rest.start);
                let all = sums.up_to(bytes, rest.end);
                all ^ crc32c::crc32c_combine(head.sum ^ before, 0, rest.len()) == head.check
            };
            if is_good {
                return Some(Candidate {
                    at,
                    needed,
                    is_good,
                });
            }
        }
        None
    }

    /// Whether such a frame may be the next one. A record without a position may not: it could be
    /// a copy inside a record.
    fn may_follow(&self, head: &Head) -> bool {
        head.kind.has_place() && self.end.is_none_or(|end| head.position >= end)
    }
}

/// Checksums of the beginnings of some bytes.
#[derive(Debug, Default)]
struct Sums {
    /// The checksum of the first `n * STEP` bytes, for each `n` so far.
    sums: Vec<u32>,
}

impl Sums {
    fn up_to(&mut self, bytes: &[u8], len: usize) -> u32 {
        let n = len / STEP;
        if self.sums.is_empty() {
            self.sums.push(0);
        }
        while self.sums.len() <= n {
            let from = (self.sums.len() - 1) * STEP;
            let last = self.sums[self.sums.len() - 1];
            let next = crc32c::crc32c_append(last, &bytes[from..from + STEP]);
            self.sums.push(next);
        }
        crc32c::crc32c_append(self.sums[n], &bytes[n * STEP..len])
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::{Frames, Search};
    use crate::words::frame::{Kind, LogId};

    #[test]
    fn a_long_frame_is_found_by_checksums_of_beginnings() {
        for stamps in [false, true] {
            let frames = Frames::new(LogId([7; 16]), stamps);
            let mut bytes = vec![0x5a; 10_001];
            let payload: Vec<u8> = (0..50_000_u32).map(|at| (at / 3) as u8).collect();
            frames.push(&mut bytes, Kind::Record, 5000, 9, &payload);
            bytes.extend([1; 100]);
            let search = Search::new(frames, Some(5000), 1 << 20);
            let found = search.first(&bytes, 0, false).unwrap();
            let needed = payload.len() + frames.overhead();
            assert_eq!(
                (found.at, found.needed, found.is_good),
                (10_001, needed, true)
            );
            let later = Search::new(frames, Some(5001), 1 << 20);
            assert_eq!(later.first(&bytes, 0, false), None);
            let shorter = Search::new(frames, Some(5000), 40_000);
            assert_eq!(shorter.first(&bytes, 0, false), None);
            for at in [10_001, 20_000, 60_000] {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1;
                assert_eq!(search.first(&bytes, 0, false), None, "{at}");
            }
        }
    }
}
