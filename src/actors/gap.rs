//! Lines in the log that report losses: where records were refused, a line says how many.
//!
//! A caller that is refused counts the loss, also in a signal handler. The flusher writes the line
//! when the drain reaches the place. The line is not part of the ring.

use std::time::{Duration, Instant};

use crate::primitives::sync::{AtomicU64, Ordering};

/// The records that were refused since the last line, and where.
#[derive(Debug)]
pub struct Gaps {
    /// The shortest time between two lines; `None` for a log without such lines.
    every: Option<Duration>,
    /// The position after which the first record was refused, plus 1; 0 if no record was.
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

    /// Counts a refused record of `len` bytes. `position` gives the place, and is called only for
    /// the first record of a line. Async-signal-safe.
    pub fn note(&self, len: u32, position: impl FnOnce() -> u64) {
        if self.every.is_none() {
            return;
        }
        // Relaxed on both: the Release below orders them.
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(u64::from(len), Ordering::Relaxed);
        // Relaxed: if the flusher takes the line after this load and misses this record, the line
        // of the next loss includes it.
        if self.at.load(Ordering::Relaxed) == 0 {
            // [gap.note] Release, pairs with [gap.take]: the counts above are visible to the
            // flusher.
            let place = position() + 1;
            let _ = self
                .at
                .compare_exchange(0, place, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// Returns where records are missing that no line has reported yet.
    pub fn position(&self) -> Option<u64> {
        // Relaxed: `take` loads it again.
        self.at.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Takes what the line that is due reports, if there is one: records and bytes. For the flusher.
    fn take(&self) -> Option<(u64, u64)> {
        // [gap.take] Acquire, pairs with [gap.note].
        if self.at.swap(0, Ordering::Acquire) == 0 {
            return None;
        }
        // Relaxed on both: ordered by `at`. A record that is counted at the same time is in this
        // line or in the next one.
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        let records = self.records.swap(0, Ordering::Relaxed);
        (records > 0).then_some((records, bytes))
    }
}

/// The flusher's half: the line that is being written, and when the next one may follow.
#[derive(Debug, Default)]
pub(super) struct GapLine {
    text: Vec<u8>,
    /// How many bytes at the start of the text are the header of the file.
    head_len: usize,
    /// How many bytes of the line the sink has accepted.
    taken: usize,
    may_come: bool,
    next: Option<Instant>,
}

impl GapLine {
    /// Returns how long the line that is due must wait, since the previous line is too recent;
    /// `None` if no line is due.
    ///
    /// The loop of the flusher calls this before each step and before it sleeps, since the step has
    /// no clock.
    pub(super) fn wait_for_turn(&mut self, gaps: &Gaps) -> Option<Duration> {
        gaps.position()?;
        let now = Instant::now();
        let left = self
            .next
            .map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        self.may_come = left.is_zero();
        Some(left)
    }

    /// Returns the place of the line that may be written now. At the end of a queue a line need not
    /// wait.
    pub(super) fn place(&self, gaps: &Gaps, is_last: bool) -> Option<u64> {
        gaps.position().filter(|_| self.may_come || is_last)
    }

    /// Begins the line that is due, which `line` makes of the numbers of records and bytes.
    pub(super) fn begin(&mut self, gaps: &Gaps, line: impl FnOnce(u64, u64) -> Vec<u8>) {
        let loss = gaps.take();
        self.set(&loss.map_or(Vec::new(), |(records, bytes)| line(records, bytes)));
        self.may_come = false;
        self.next = gaps
            .every
            .and_then(|every| Instant::now().checked_add(every));
    }

    /// Sets other bytes that are written as a line is.
    pub(super) fn set(&mut self, bytes: &[u8]) {
        self.text = bytes.to_vec();
        (self.taken, self.head_len) = (0, 0);
    }

    /// Puts `head` before the line, in the place of another one. Nothing is written of it yet.
    #[cfg(any(test, feature = "frames"))]
    pub(super) fn put_first(&mut self, head: &[u8]) {
        self.text.splice(..self.head_len, head.iter().copied());
        self.head_len = head.len();
    }

    /// Returns the part of the line that the sink has not accepted yet; empty if no line is being
    /// written.
    pub(super) fn rest(&self) -> &[u8] {
        &self.text[self.taken..]
    }

    /// Notes that the sink has accepted `taken` more bytes of the line.
    pub(super) fn advance(&mut self, taken: usize) {
        self.taken += taken;
        if self.rest().is_empty() {
            *self = Self {
                next: self.next,
                ..Self::default()
            };
        }
    }

    /// Returns whether the sink has accepted only a part of the line.
    pub(super) fn is_torn(&self) -> bool {
        self.taken > 0
    }

    /// Starts the line again, since another file must get all of it.
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
        let text = |records, bytes| format!("{records} of {bytes}\n").into_bytes();
        assert_eq!(line.wait_for_turn(&gaps), None);
        gaps.note(10, || 7);
        gaps.note(20, || 9);
        assert_eq!(line.wait_for_turn(&gaps), Some(Duration::ZERO));
        assert_eq!(line.place(&gaps, false), Some(7));
        line.begin(&gaps, text);
        assert_eq!(line.rest(), b"2 of 30\n");
        line.put_first(b"head ");
        line.put_first(b"another head ");
        assert_eq!(line.rest(), b"another head 2 of 30\n");
        line.put_first(b"");
        line.advance(5);
        assert!(line.is_torn());
        assert_eq!(line.rest(), b"30\n");
        line.restart();
        line.advance(line.rest().len());
        assert!(line.rest().is_empty());
        gaps.note(1, || 11);
        assert!(line.wait_for_turn(&gaps).unwrap() > Duration::from_secs(3000));
        assert_eq!(line.place(&gaps, false), None);
        assert_eq!(line.place(&gaps, true), Some(11));
        line.begin(&gaps, text);
        assert_eq!(line.rest(), b"1 of 1\n");
    }

    #[test]
    fn a_log_without_lines_counts_nothing() {
        let gaps = Gaps::new(None);
        gaps.note(10, || unreachable!("no position is needed"));
        assert_eq!(gaps.position(), None);
    }
}
