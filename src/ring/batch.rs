//! The result of one walk of the drain: runs of posted bytes, and the cursor after them.
//!
//! This file owns the arithmetic of a walk. It reads neither slots nor bytes, and moves nothing.

use crate::words::{Phase, State, next_seq};

/// Where a walk ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// At the last record end within this many bytes. If the first record alone is longer, after
    /// it.
    About(u32),
    /// At exactly this byte, where a short write ended.
    Exactly(u32),
}

impl Limit {
    pub(super) const fn bytes(self) -> u32 {
        match self {
            Self::About(bytes) | Self::Exactly(bytes) => bytes,
        }
    }
}

/// The number of runs that are handed out at once. A new run begins only after padding, so more
/// than one run is rare.
pub(super) const RUNS_MAX: usize = 16;

/// The drain's place: in span `seq`, of which `taken` bytes are written, up to position `pos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub seq: u64,
    pub pos: u64,
    pub taken: u32,
}

/// Contiguous bytes of records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub pos: u64,
    pub len: u32,
}

/// The result of a walk from the cursor, and the cursor after it.
#[derive(Debug)]
pub(super) struct Batch {
    pub runs: [Run; RUNS_MAX],
    pub count: usize,
    runs_max: usize,
    pub end: Cursor,
    pub bytes: u32,
    pub records: u64,
    pub padding: u64,
    pub abandoned: u64,
    /// How many of the bytes lie before the last end of a record; `None` if the walk saw no end.
    pub whole: Option<u32>,
    /// Whether a record that was found activates the queue.
    pub activates: bool,
    pub more: bool,
}

impl Batch {
    /// Creates an empty batch, which takes at most `runs_max` runs.
    pub(super) fn at(cursor: Cursor, runs_max: usize) -> Self {
        Self {
            runs: [Run::default(); RUNS_MAX],
            count: 0,
            runs_max,
            end: cursor,
            bytes: 0,
            records: 0,
            padding: 0,
            abandoned: 0,
            whole: None,
            activates: false,
            more: true,
        }
    }

    /// Adds `len` bytes at `pos`. Returns `false` if that needs a run more than there may be.
    fn push(&mut self, pos: u64, len: u32) -> bool {
        if let Some(last) = self.runs[..self.count].last_mut() {
            if last.pos + u64::from(last.len) == pos {
                last.len += len;
                self.bytes += len;
                return true;
            }
        }
        if self.count == self.runs_max {
            return false;
        }
        self.runs[self.count] = Run { pos, len };
        self.count += 1;
        self.bytes += len;
        true
    }
}

/// Returns whether a span is open and all of its committed bytes are taken.
pub(super) fn is_caught_up(cursor: Cursor, state: State) -> bool {
    state.phase == Phase::Open && state.committed == cursor.taken
}

impl Batch {
    /// Takes the committed bytes of the span at the cursor, which starts at `start`. Returns
    /// `false` if the walk ends here.
    pub(super) fn take(&mut self, start: u64, state: State, limit: Limit) -> bool {
        let from = start + u64::from(self.end.taken);
        let ready = state.committed - self.end.taken;
        let free = limit.bytes() - self.bytes;
        let len = match limit {
            Limit::Exactly(_) => ready.min(free),
            Limit::About(_) if ready > free && self.bytes > 0 => return false,
            Limit::About(_) => ready,
        };
        if len > 0 && !self.push(from, len) {
            return false;
        }
        self.padding += from - self.end.pos;
        self.end.pos = from + u64::from(len);
        self.end.taken += len;
        if len == ready {
            self.whole = Some(self.bytes); // committed bytes end where a record ends
        }
        let whole = state.phase.is_final() && len == ready;
        self.more = whole || len < ready;
        if whole {
            self.records += u64::from(state.phase == Phase::Closed && state.committed > 0);
            self.end.seq = next_seq(self.end.seq, state.phase);
            self.end.taken = 0;
        }
        whole
    }
}
