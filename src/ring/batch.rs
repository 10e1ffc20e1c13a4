//! What one walk of the drain found: runs of posted bytes, and where the cursor stands behind them.

use crate::words::{Phase, State, next_seq};

/// Where a walk ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// At a record's end, as near below as it can be; behind the first, if that alone is longer.
    About(u32),
    /// At this very byte: where a short write ended.
    Exactly(u32),
}

impl Limit {
    pub(super) const fn bytes(self) -> u32 {
        match self {
            Self::About(bytes) | Self::Exactly(bytes) => bytes,
        }
    }
}

/// The runs handed out at once: a new run begins only behind padding, so more than one is rare.
pub(super) const RUNS_MAX: usize = 16;

/// Where the drain stands: in span `seq`, of which `taken` bytes are written, up to position `pos`.
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

/// What a walk from the cursor found, and where the cursor stands behind it.
#[derive(Debug)]
pub(super) struct Batch {
    pub runs: [Run; RUNS_MAX],
    pub count: usize,
    pub end: Cursor,
    pub bytes: u32,
    pub records: u64,
    pub padding: u64,
    pub abandoned: u64,
    /// How many of the bytes lie before the last record end that was seen; `None` if none was.
    pub whole: Option<u32>,
    pub more: bool,
}

impl Batch {
    /// An empty one.
    pub(super) fn at(cursor: Cursor) -> Self {
        Self {
            runs: [Run::default(); RUNS_MAX],
            count: 0,
            end: cursor,
            bytes: 0,
            records: 0,
            padding: 0,
            abandoned: 0,
            whole: None,
            more: true,
        }
    }

    /// Adds `len` bytes at `pos`; `false` if that would take one run too many.
    fn push(&mut self, pos: u64, len: u32) -> bool {
        if let Some(last) = self.runs[..self.count].last_mut() {
            if last.pos + u64::from(last.len) == pos {
                last.len += len;
                self.bytes += len;
                return true;
            }
        }
        if self.count == RUNS_MAX {
            return false;
        }
        self.runs[self.count] = Run { pos, len };
        self.count += 1;
        self.bytes += len;
        true
    }
}

/// Whether a span is open, and all of it is taken that is committed.
pub(super) fn is_caught_up(cursor: Cursor, state: State) -> bool {
    state.phase == Phase::Open && state.committed == cursor.taken
}

impl Batch {
    /// Takes what is committed of the span in hand, which starts at `start`; `false` when the walk
    /// ends here.
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
