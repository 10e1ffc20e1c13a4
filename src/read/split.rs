//! Finds the records in the bytes of one file. Nothing here reads a file: the reader brings bytes,
//! and says whether more may follow.

use memchr::memchr;

use super::End;
use super::frames::FrameWalk;
use super::step::{Piece, Step, Tail, unfinished};

/// How the records of one file are separated.
#[derive(Clone, Debug)]
pub(super) enum Splitter {
    /// Lines. The first `searched` bytes have no newline.
    Lines {
        searched: usize,
    },
    Fixed(usize),
    Lengths,
    Frames(FrameWalk),
}

impl Splitter {
    /// Says what `bytes` begin with. No record is longer than `max` bytes.
    pub fn step(&mut self, bytes: &[u8], tail: Tail, max: usize) -> Step {
        match self {
            Self::Lines { searched } => line(searched, bytes, tail, max),
            Self::Fixed(len) => fixed(*len, bytes, tail),
            Self::Lengths => lengths(bytes, tail, max),
            Self::Frames(frames) => frames.step(bytes, tail, max),
        }
    }

    /// Forgets what it knows about bytes that it has seen, after a step to another place.
    pub const fn restart(&mut self) {
        if let Self::Lines { searched } = self {
            *searched = 0;
        }
    }
}

fn line(searched: &mut usize, bytes: &[u8], tail: Tail, max: usize) -> Step {
    let from = core::mem::take(searched);
    let limit = bytes.len().min(max.saturating_add(1));
    let found = memchr(b'\n', &bytes[from.min(limit)..limit]);
    if let Some(at) = found {
        let end = from + at;
        return Step::Record(Piece::plain(end + 1, 0..end, End::Whole));
    }
    if bytes.len() > max {
        return Step::Record(Piece::plain(max, 0..max, End::Continues));
    }
    match tail {
        Tail::Closed if !bytes.is_empty() => {
            Step::Record(Piece::plain(bytes.len(), 0..bytes.len(), End::Torn))
        }
        Tail::Open => {
            *searched = bytes.len();
            Step::More(bytes.len() + 1)
        }
        Tail::Now => {
            *searched = bytes.len();
            Step::End
        }
        Tail::Closed => Step::End,
    }
}

fn fixed(len: usize, bytes: &[u8], tail: Tail) -> Step {
    if bytes.len() >= len {
        return Step::Record(Piece::plain(len, 0..len, End::Whole));
    }
    unfinished(len, bytes, tail)
}

fn lengths(bytes: &[u8], tail: Tail, max: usize) -> Step {
    const HEAD_LEN: usize = 4;
    let Some(head) = bytes.first_chunk::<HEAD_LEN>() else {
        return unfinished(HEAD_LEN, bytes, tail);
    };
    let len = u32::from_le_bytes(*head) as usize;
    if len > max {
        let reason = format!("a record of {len} bytes is longer than the limit of {max} bytes");
        return Step::Unreadable(reason);
    }
    let end = HEAD_LEN.saturating_add(len); // does not overflow with 32 bits either
    if bytes.len() >= end {
        return Step::Record(Piece::plain(end, HEAD_LEN..end, End::Whole));
    }
    unfinished(end, bytes, tail)
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::{End, Piece, Splitter, Step, Tail};
    use crate::read::Notice;

    fn plain(len: usize, payload: core::ops::Range<usize>, end: End) -> Step {
        Step::Record(Piece::plain(len, payload, end))
    }

    #[test]
    fn lines_end_at_newlines_at_the_limit_and_where_the_file_ends() {
        let mut lines = Splitter::Lines { searched: 0 };
        let mut step = |bytes: &[u8], tail| lines.step(bytes, tail, 5);
        assert_eq!(step(b"ab\ncd", Tail::Open), plain(3, 0..2, End::Whole));
        assert_eq!(step(b"\n", Tail::Open), plain(1, 0..0, End::Whole));
        assert_eq!(step(b"cd", Tail::Open), Step::More(3));
        assert_eq!(step(b"cdef\n", Tail::Open), plain(5, 0..4, End::Whole));
        assert_eq!(step(b"cd", Tail::Now), Step::End);
        assert_eq!(step(b"cd", Tail::Closed), plain(2, 0..2, End::Torn));
        assert_eq!(step(b"", Tail::Closed), Step::End);
        assert_eq!(step(b"abcde\n", Tail::Open), plain(6, 0..5, End::Whole));
        assert_eq!(
            step(b"abcdef\n", Tail::Open),
            plain(5, 0..5, End::Continues)
        );
        assert_eq!(step(b"abcde", Tail::Open), Step::More(6));
    }

    #[test]
    fn a_length_that_is_too_large_ends_the_file_and_a_record_that_is_cut_off_is_torn() {
        let mut lengths = Splitter::Lengths;
        let bytes = [2, 0, 0, 0, b'a', b'b', 9];
        let whole = plain(6, 4..6, End::Whole);
        assert_eq!(lengths.step(&bytes, Tail::Open, 9), whole);
        assert_eq!(lengths.step(&bytes[..5], Tail::Open, 9), Step::More(6));
        assert_eq!(lengths.step(&bytes[..5], Tail::Now, 9), Step::End);
        let torn = |bytes| Step::Notice {
            len: bytes,
            back: 0,
            notice: Notice::Torn {
                bytes: bytes as u64,
            },
        };
        assert_eq!(lengths.step(&bytes[..5], Tail::Closed, 9), torn(5));
        assert_eq!(lengths.step(&bytes[..3], Tail::Closed, 9), torn(3));
        let huge = lengths.step(&[255; 8], Tail::Open, 9);
        assert!(matches!(huge, Step::Unreadable(_)), "{huge:?}");
        let mut fixed = Splitter::Fixed(3);
        let whole = plain(3, 0..3, End::Whole);
        assert_eq!(fixed.step(b"abcd", Tail::Open, 9), whole);
        assert_eq!(fixed.step(b"d", Tail::Closed, 9), torn(1));
    }
}
