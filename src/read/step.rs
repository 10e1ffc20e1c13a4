//! The words between the reader and the code that finds records: what follows, what was found.

use core::ops::Range;

use super::End;
use super::notice::Notice;

/// What may follow the bytes that the reader has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// More bytes of the file, which were not read yet.
    Open,
    /// Nothing now; the file may still grow.
    Now,
    /// Nothing: the file is complete.
    Closed,
}

/// What the bytes begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Record(Piece),
    /// Bytes without a record, of which the caller learns nothing.
    Skip(usize),
    /// A notice that is about the first `len` bytes and the `back` bytes that were skipped before.
    Notice {
        len: usize,
        back: u64,
        notice: Notice,
    },
    /// It takes this many bytes to say more.
    More(usize),
    /// Nothing, for now.
    End,
    /// Nothing that can be read, up to the end of the file.
    Unreadable(String),
}

/// A record, as ranges of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The length of all of it.
    pub len: usize,
    pub payload: Range<usize>,
    pub position: Option<u64>,
    pub stamp_ns: Option<u64>,
    pub end: End,
}

impl Piece {
    pub const fn plain(len: usize, payload: Range<usize>, end: End) -> Self {
        Self {
            len,
            payload,
            position: None,
            stamp_ns: None,
            end,
        }
    }
}

/// The step for `bytes` that end inside a unit of `needed` bytes.
pub(super) fn unfinished(needed: usize, bytes: &[u8], tail: Tail) -> Step {
    match tail {
        Tail::Open => Step::More(needed),
        Tail::Closed if !bytes.is_empty() => Step::Notice {
            len: bytes.len(),
            back: 0,
            notice: Notice::Torn {
                bytes: bytes.len() as u64,
            },
        },
        Tail::Now | Tail::Closed => Step::End,
    }
}
