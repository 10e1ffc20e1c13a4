//! The state of an open log, which changes with each write and each rotation. `Log` keeps it under
//! one lock.

use std::fs::File;

use super::error::Reason;
use super::every::Calendar;
use super::lines::Inside;
use super::name::Key;
use crate::primitives::sync::PlainArc;
#[cfg(feature = "frames")]
use crate::words::frame;

#[derive(Debug)]
pub(super) struct State {
    pub file: PlainArc<File>,
    /// The device and inode of `file`.
    pub id: (u64, u64),
    pub size_bytes: u64,
    /// How many of these bytes are the header of a file of frames. A file with nothing else counts
    /// as empty.
    pub head_bytes: u64,
    /// The newest key of a rotated file.
    pub last: Option<Key>,
    pub period: Period,
    /// The second in which the path was last checked.
    pub looked: i64,
    /// Why the last rotation failed; `None` once one has succeeded.
    pub failure: Option<Failure>,
    /// Whether the log ends inside a record, or inside a line.
    pub inside: Inside,
    pub account: Account,
}

impl State {
    /// Returns whether the file holds no record.
    pub fn is_empty(&self) -> bool {
        self.size_bytes <= self.head_bytes
    }
}

/// How many bytes of a file [`head_len`] looks at.
pub(super) const HEAD_LEN: usize = 64 + 24;

/// Returns how many bytes of a file that begins with `first` are the header of frames, with the
/// checkpoint of a chain that follows it.
pub(super) fn head_len(first: &[u8]) -> u64 {
    #[cfg(feature = "frames")]
    if first.starts_with(&frame::MAGIC) {
        let len = frame::HEADER_LEN as u64;
        let rest = first.get(frame::HEADER_LEN..).unwrap_or_default();
        let header = frame::FileHeader::from_bytes(first).ok();
        let next = header.and_then(|header| header.frames().peek(rest));
        let checkpoint = next.filter(|next| next.kind == frame::Kind::Checkpoint);
        return len + checkpoint.map_or(0, |next| next.frame_len as u64);
    }
    let _ = first;
    0
}

/// A failed rotation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// The second in which it failed. The next try comes in a later second.
    pub second: i64,
    /// The reason with which `on_error` was called.
    pub reason: Reason,
}

/// How far the queue has accounted for writes, and what its ring file notes about the next one.
///
/// | from | a ring file is named | room is asked for | a write is noted | written | cut |
/// |---|---|---|---|---|---|
/// | `Opened` | `Unsure` | `Settled`, unpins | `Unsure` | `Written` | pins the file |
/// | `Unsure` | | | | `Written` | `Stale`, pins the file |
/// | `Stale` | | | `Unsure` | refused: `Unsure` | pins the file |
/// | `Settled` | | unpins | `Noted` | `Written` | |
/// | `Noted` | | `Settled`, unpins | | `Written` | `Stale`, pins the file |
/// | `Written` | | `Settled`, unpins | `Noted` | | |
///
/// The rotated files that are there when the log is opened are pinned, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// No queue has this log yet, and the ring file of the next one may name any file. Or a queue
    /// without a ring file has it and has not asked for room.
    Opened,
    /// The ring file may hold an older note, of another file or process. Pinned files stay pinned
    /// until something is written.
    Unsure,
    /// The noted file was cut off. The queue must note the next write anew.
    Stale,
    /// The queue has accounted for every write, and no note matters.
    Settled,
    /// The ring file notes where the next write begins.
    Noted,
    /// Bytes were written, and the queue may be killed before it accounts for them. A recovery
    /// must find them where they were written, so only the flusher may cut the log.
    Written,
}

impl Account {
    /// The queue has accounted for all writes. Returns whether it is certain that no ring file
    /// names a file that was cut off.
    pub fn settle(&mut self) -> bool {
        let is_settled = !matches!(self, Self::Unsure | Self::Stale);
        if is_settled {
            *self = Self::Settled;
        }
        is_settled
    }

    /// The queue has a ring file.
    pub fn expect_notes(&mut self) {
        if *self == Self::Opened {
            *self = Self::Unsure;
        }
    }

    /// The queue is about to note where the next write begins.
    pub fn note(&mut self) {
        *self = match self {
            Self::Opened | Self::Unsure | Self::Stale => Self::Unsure,
            Self::Settled | Self::Noted | Self::Written => Self::Noted,
        };
    }

    /// The log is cut. Returns whether a note may name the file that is cut off.
    pub fn cut(&mut self) -> bool {
        let is_noted = matches!(self, Self::Unsure | Self::Stale | Self::Noted);
        if is_noted {
            *self = Self::Stale;
        }
        is_noted || *self == Self::Opened
    }

    /// Returns whether the note of the next write is stale. The queue learns it only from this
    /// answer.
    pub fn take_stale(&mut self) -> bool {
        let is_stale = *self == Self::Stale;
        if is_stale {
            *self = Self::Unsure;
        }
        is_stale
    }
}

/// The period of the current file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Period {
    /// The end of the period, in seconds since 1970.
    end: Option<i64>,
    /// The time at which `end` was computed or checked last.
    seen: i64,
}

impl Period {
    /// The period that `now` is in.
    pub fn of(calendar: Option<&Calendar>, now: i64) -> Self {
        let end = calendar.and_then(|of| of.end_after(now));
        Self { end, seen: now }
    }

    pub fn is_over(&mut self, calendar: Option<&Calendar>, now: i64) -> bool {
        let Some(calendar) = calendar else {
            return false;
        };
        if now < self.seen {
            // The clock was set back: the end may be years away.
            let end = calendar.end_after(now);
            self.end = self.end.min(end).or(end);
        }
        self.seen = now;
        self.end.is_some_and(|end| now >= end)
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::Account::{Noted, Opened, Settled, Stale, Unsure, Written};

    #[test]
    fn a_file_that_a_note_may_name_is_pinned_until_something_is_written_elsewhere() {
        let mut account = Opened;
        assert!(account.cut() && account == Opened, "a ring file may come");
        assert!(account.settle(), "none has come");
        account = Opened;
        account.expect_notes();
        assert!(
            !account.settle(),
            "an earlier process may have noted a file"
        );
        assert!(account.cut() && account == Stale);
        assert!(account.take_stale() && account == Unsure);
        assert!(!account.take_stale(), "once");
        account = Written;
        assert!(!account.cut());
        assert!(account.settle() && account == Settled);
        account.note();
        assert_eq!(account, Noted);
        assert!(account.cut() && !account.settle());
        account.note();
        assert!(
            !account.settle(),
            "the pin stays until something is written"
        );
    }
}
