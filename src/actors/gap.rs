//! Lines in the log that report losses: where records were refused, a line says how many.
//!
//! A caller that is refused counts the loss, also in a signal handler. The flusher writes the line
//! when the drain reaches the place. The line is not part of the ring.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

#[cfg(feature = "frames")]
use crate::ends::Amount;
use crate::ends::{RefusalCounters, Refusals};
use crate::primitives::sync::{AtomicU64, Ordering, PlainArc, unless_mutant};
#[cfg(feature = "frames")]
use crate::words::frame::Kind;

/// Makes the bytes of a line.
type Format = dyn Fn(&Refusals) -> Vec<u8> + Send + Sync;

/// How losses are reported in the log.
#[derive(Clone)]
pub struct LossLines {
    /// The shortest time between two lines.
    every: Duration,
    /// `None` for plain text.
    format: Option<PlainArc<Format>>,
}

impl LossLines {
    pub fn plain(every: Duration) -> Self {
        Self {
            every,
            format: None,
        }
    }

    pub fn with<B: Into<Vec<u8>>>(
        every: Duration,
        format: impl Fn(&Refusals) -> B + Send + Sync + 'static,
    ) -> Self {
        Self {
            every,
            format: Some(PlainArc::new(move |lost: &Refusals| format(lost).into())),
        }
    }

    /// Returns the line for these losses. If the formatter of the program panics, it is the plain
    /// one: a panic must not fail the queue.
    fn line(&self, lost: &Refusals) -> Vec<u8> {
        let plain = || format!("{lost}\n").into_bytes();
        match &self.format {
            None => plain(),
            Some(format) => {
                let formatted = catch_unwind(AssertUnwindSafe(|| format(lost)));
                formatted.unwrap_or_else(|payload| {
                    core::mem::forget(payload); // its drop might panic again
                    plain()
                })
            }
        }
    }
}

impl fmt::Debug for LossLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("LossLines");
        out.field("every", &self.every).finish_non_exhaustive()
    }
}

/// Where records were refused since the last line.
#[derive(Debug)]
pub struct Gaps {
    /// `None` for a log without such lines.
    lines: Option<LossLines>,
    /// The position after which the first record was refused, plus 1; 0 if no record was.
    at: AtomicU64,
}

impl Gaps {
    pub fn new(lines: Option<LossLines>) -> Self {
        Self {
            lines,
            at: AtomicU64::new(0),
        }
    }

    /// Notes that a record was refused, after it was counted. `position` gives the place, and is
    /// called only for the first record of a line. Returns whether a line is now due.
    /// Async-signal-safe.
    pub fn note(&self, position: impl FnOnce() -> u64) -> bool {
        // Relaxed: if the flusher takes the line after this load and misses this record, the line
        // of the next loss includes it.
        if self.lines.is_none() || self.at.load(Ordering::Relaxed) != 0 {
            return false;
        }
        // [gap.note] Release, pairs with [gap.take]: the counts are visible to the flusher.
        let place = position() + 1;
        let order = unless_mutant("gap.note", Ordering::Release);
        self.at
            .compare_exchange(0, place, order, Ordering::Relaxed)
            .is_ok()
    }

    /// Returns where records are missing that no line has reported yet.
    pub fn position(&self) -> Option<u64> {
        // Relaxed: `take` loads it again.
        self.at.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Takes what the line that is due reports, if there is one: what `counters` show and
    /// `reported` does not, and its text. For the flusher.
    fn take(&self, counters: &RefusalCounters, reported: &mut Refusals) -> Option<Loss> {
        // [gap.take] Acquire, pairs with [gap.note].
        let order = unless_mutant("gap.take", Ordering::Acquire);
        if self.at.swap(0, order) == 0 {
            return None;
        }
        // A record that is counted at the same time is in this line or in the next one.
        let now = counters.now();
        let lost = now.since(reported);
        *reported = now;
        let text = self.lines.as_ref()?.line(&lost);
        let total = lost.total();
        (total.records > 0).then_some(Loss {
            #[cfg(feature = "frames")]
            total,
            text,
        })
    }
}

/// What one line reports.
pub(super) struct Loss {
    #[cfg(feature = "frames")]
    pub total: Amount,
    /// The line, without the framing of the log.
    pub text: Vec<u8>,
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
    /// What the lines so far have reported.
    reported: Refusals,
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

    /// Begins the line that is due, which `framed` puts into the framing of the log.
    pub(super) fn begin(
        &mut self,
        gaps: &Gaps,
        counters: &RefusalCounters,
        framed: impl FnOnce(Loss) -> Vec<u8>,
    ) {
        let loss = gaps.take(counters, &mut self.reported);
        self.set(&loss.map(framed).unwrap_or_default());
        self.may_come = false;
        let every = gaps.lines.as_ref().map(|lines| lines.every);
        self.next = every.and_then(|every| Instant::now().checked_add(every));
    }

    /// Sets other bytes that are written as a line is.
    pub(super) fn set(&mut self, bytes: &[u8]) {
        self.text = bytes.to_vec();
        (self.taken, self.head_len) = (0, 0);
    }

    /// Says that the line is the header of the file, and that the sink has accepted `taken` bytes of
    /// it.
    pub(super) fn continue_head(&mut self, taken: usize) {
        self.head_len = self.text.len();
        self.taken = taken;
    }

    /// Adds `bytes` to what is to be written, of which nothing is written yet.
    #[cfg(feature = "frames")]
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// Puts `head` before the line, in the place of another one. Nothing is written of it yet.
    #[cfg(any(test, feature = "frames"))]
    pub(super) fn put_first(&mut self, head: &[u8]) {
        self.text.splice(..self.head_len, head.iter().copied());
        self.head_len = head.len();
    }

    /// Returns the kind of the frame that is written as the line, if there is one.
    #[cfg(feature = "frames")]
    pub(super) fn note_kind(&self) -> Option<Kind> {
        let note = &self.text[self.head_len..];
        note.get(15).map(|last| Kind::of_last(*last))
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
            self.text.clear();
            (self.taken, self.head_len) = (0, 0);
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

    use super::{GapLine, Gaps, LossLines};
    use crate::ends::{Cause, RefusalCounters};
    #[test]
    fn a_line_sums_up_and_the_next_one_waits() {
        let gaps = Gaps::new(Some(LossLines::plain(Duration::from_secs(3600))));
        let counters = RefusalCounters::default();
        let mut line = GapLine::default();
        assert_eq!(line.wait_for_turn(&gaps), None);
        counters.add(Cause::Full, 10);
        assert!(gaps.note(|| 7));
        counters.add(Cause::Full, 20);
        assert!(!gaps.note(|| 9));
        assert_eq!(line.wait_for_turn(&gaps), Some(Duration::ZERO));
        assert_eq!(line.place(&gaps, false), Some(7));
        line.begin(&gaps, &counters, |loss| loss.text);
        let text = "alq: 2 records, 30 bytes dropped: queue full\n";
        assert_eq!(line.rest(), text.as_bytes());
        line.put_first(b"head ");
        line.put_first(b"another head ");
        assert_eq!(line.rest(), format!("another head {text}").as_bytes());
        line.put_first(b"");
        line.advance(5);
        assert!(line.is_torn());
        assert_eq!(line.rest(), &text.as_bytes()[5..]);
        line.restart();
        line.advance(line.rest().len());
        assert!(line.rest().is_empty());
        counters.add(Cause::Full, 1);
        assert!(gaps.note(|| 11));
        assert!(line.wait_for_turn(&gaps).unwrap() > Duration::from_secs(3000));
        assert_eq!(line.place(&gaps, false), None);
        assert_eq!(line.place(&gaps, true), Some(11));
        line.begin(&gaps, &counters, |loss| loss.text);
        assert_eq!(line.rest(), b"alq: 1 record, 1 bytes dropped: queue full\n");
    }

    #[test]
    fn a_log_without_lines_counts_nothing() {
        let gaps = Gaps::new(None);
        assert!(!gaps.note(|| unreachable!("no position is needed")));
        assert_eq!(gaps.position(), None);
    }
}
