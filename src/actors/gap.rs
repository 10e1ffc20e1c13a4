//! Losses that the log itself tells of: where records were refused, a line says how many.
//!
//! Callers that are refused note it, also from a signal handler; the flusher writes the line when it comes to the place.

use std::time::{Duration, Instant};

use crate::primitives::sync::{AtomicU64, Ordering};

/// What was refused since the last line, and where.
#[derive(Debug)]
pub struct Gaps {
    /// The least time between two lines; `None` for a log that has none.
    every: Option<Duration>,
    /// The position behind which the first record was refused, plus 1; 0 if there is none.
    at: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Gaps {
    pub fn new(every: Option<Duration>) -> Self {
        Self {
            every,
            at: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// A record of `len` bytes was refused, behind what `position` says. Async-signal-safe.
    pub fn note(&self, len: u32, position: impl FnOnce() -> u64) {
        if self.every.is_none() {
            return;
        }
        // Relaxed on both: Release below.
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(u64::from(len), Ordering::Relaxed);
        // Relaxed: a line that comes between this look and the next loss leaves this record to that one's line.
        if self.at.load(Ordering::Relaxed) == 0 {
            // [gap.note] Release, pairs with [gap.take]: what was counted before is seen.
            let place = position() + 1;
            let _ = self
                .at
                .compare_exchange(0, place, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// Where records are missing that no line has told of.
    pub fn position(&self) -> Option<u64> {
        // Relaxed: `take` looks again.
        self.at.load(Ordering::Relaxed).checked_sub(1)
    }

    /// The line that is to be written now, if there is one. For the flusher.
    fn take(&self) -> Option<String> {
        // [gap.take] Acquire, pairs with [gap.note].
        if self.at.swap(0, Ordering::Acquire) == 0 {
            return None;
        }
        // Relaxed on both: ordered by `at`; what is counted meanwhile is told by this line or the next.
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        let records = self.records.swap(0, Ordering::Relaxed);
        let unit = if records == 1 { "record" } else { "records" };
        let line = || format!("alq: {records} {unit}, {bytes} bytes dropped: queue full\n");
        (records > 0).then(line)
    }
}

/// The flusher's side: the line in hand, and when the next one may come.
#[derive(Debug, Default)]
pub(super) struct GapLine {
    text: String,
    /// How much of it the sink has taken.
    taken: usize,
    may_come: bool,
    next: Option<Instant>,
}

impl GapLine {
    /// How long the line that is due must wait for the last one; `None` if no line is due. The driver asks before each
    /// step and before it sleeps, since the step has no clock.
    pub(super) fn wait_for_turn(&mut self, gaps: &Gaps) -> Option<Duration> {
        gaps.position()?;
        let now = Instant::now();
        let left = self
            .next
            .map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        self.may_come = left.is_zero();
        Some(left)
    }

    /// Where the line that may come now has its place; at the end of a queue each may.
    pub(super) fn place(&self, gaps: &Gaps, is_last: bool) -> Option<u64> {
        gaps.position().filter(|_| self.may_come || is_last)
    }

    /// Takes the line in hand.
    pub(super) fn begin(&mut self, gaps: &Gaps) {
        self.text = gaps.take().unwrap_or_default();
        self.taken = 0;
        self.may_come = false;
        self.next = gaps
            .every
            .and_then(|every| Instant::now().checked_add(every));
    }

    /// What the sink has yet to take of the line in hand; empty if there is none.
    pub(super) fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.taken..]
    }

    /// The sink has taken that much more.
    pub(super) fn advance(&mut self, taken: usize) {
        self.taken += taken;
        if self.rest().is_empty() {
            *self = Self {
                next: self.next,
                ..Self::default()
            };
        }
    }

    /// Whether the sink has taken a part of the line in hand.
    pub(super) fn is_torn(&self) -> bool {
        self.taken > 0
    }

    /// Another file is to have the line whole.
    pub(super) fn restart(&mut self) {
        self.taken = 0;
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use std::time::Duration;

    use super::{GapLine, Gaps};

    #[test]
    fn a_line_sums_up_and_the_next_one_waits() {
        let gaps = Gaps::new(Some(Duration::from_secs(3600)));
        let mut line = GapLine::default();
        assert_eq!(line.wait_for_turn(&gaps), None);
        gaps.note(10, || 7);
        gaps.note(20, || 9);
        assert_eq!(line.wait_for_turn(&gaps), Some(Duration::ZERO));
        assert_eq!(line.place(&gaps, false), Some(7));
        line.begin(&gaps);
        assert_eq!(
            line.rest(),
            b"alq: 2 records, 30 bytes dropped: queue full\n"
        );
        line.advance(5);
        assert!(line.is_torn());
        assert_eq!(line.rest()[..2], *b"2 ");
        line.restart();
        line.advance(line.rest().len());
        assert!(line.rest().is_empty());
        gaps.note(1, || 11);
        assert!(line.wait_for_turn(&gaps).unwrap() > Duration::from_secs(3000));
        assert_eq!(line.place(&gaps, false), None);
        assert_eq!(line.place(&gaps, true), Some(11));
        line.begin(&gaps);
        assert_eq!(line.rest(), b"alq: 1 record, 1 bytes dropped: queue full\n");
    }

    #[test]
    fn a_log_without_lines_counts_nothing() {
        let gaps = Gaps::new(None);
        gaps.note(10, || unreachable!("nobody asks"));
        assert_eq!(gaps.position(), None);
    }
}
