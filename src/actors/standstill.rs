//! Why the drain is blocked: an open reservation, or a sink that accepts no data.
//!
//! This file owns the words that say so, and since when. It reports nothing and wakes no thread.

use std::time::{Duration, Instant};

use crate::ends::Stall;
use crate::primitives::sync::plain::{AtomicBool as PlainBool, AtomicU64 as PlainU64};
use crate::primitives::sync::{AtomicBool, AtomicU64, Ordering};

/// Only the flusher stores these words, when the drain is blocked and when it continues; other
/// threads read them to report them. (A thread that reports a hung write also sets
/// `is_hang_reported`.) No thread reads other data through these words, so every access is Relaxed.
#[derive(Debug)]
pub struct Standstill {
    /// Since when an open reservation blocks the drain: nanoseconds since `born`, plus 1; 0 if no
    /// entry does.
    blocked_since_ns: AtomicU64,
    /// Since when the sink accepts no data, and why: `{ since_us 52, errno 12 }`; 0 if it accepts
    /// data.
    stall: AtomicU64,
    /// How often the sink has refused data.
    refusals: AtomicU64,
    /// Whether this stall has lasted for the stall limit and was reported.
    is_over_limit: AtomicBool,
    /// Since when a step of the flusher is in progress: nanoseconds since `born`, plus 1; 0 between
    /// two steps. A step that does not end is a hung write. The models have no time and do not see
    /// this word.
    working_since_ns: PlainU64,
    /// Whether a hung write was reported.
    is_hang_reported: PlainBool,
    born: Instant,
}

/// The bits of an errno. The kernel has no errno above 4095.
const ERRNO_BITS: u32 = 12;
const ERRNO_MAX: u64 = (1 << ERRNO_BITS) - 1;

impl Standstill {
    pub fn new() -> Self {
        Self {
            blocked_since_ns: AtomicU64::new(0),
            stall: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            is_over_limit: AtomicBool::new(false),
            working_since_ns: PlainU64::new(0),
            is_hang_reported: PlainBool::new(false),
            born: Instant::now(),
        }
    }

    /// Notes that a step of the flusher begins or has ended. For the flusher.
    pub fn set_working(&self, working: bool) {
        let since_ns = if working {
            self.born.elapsed().as_nanos() as u64 + 1
        } else {
            0
        };
        // Relaxed on all, see the type.
        self.working_since_ns.store(since_ns, Ordering::Relaxed);
        if !working && self.is_hang_reported.load(Ordering::Relaxed) {
            self.is_hang_reported.store(false, Ordering::Relaxed);
        }
    }

    /// Returns how long the flusher has been in the current step.
    pub fn working_for(&self) -> Option<Duration> {
        // Relaxed, see the type.
        let since = self.working_since_ns.load(Ordering::Relaxed);
        let since = Duration::from_nanos(since.checked_sub(1)?);
        Some(self.born.elapsed().saturating_sub(since))
    }

    /// Notes that a hung write is about to be reported. Returns `false` if it was reported before.
    pub fn set_hang_reported(&self) -> bool {
        // Relaxed, see the type.
        !self.is_hang_reported.swap(true, Ordering::Relaxed)
    }

    /// Notes whether an open reservation blocks the drain. For the flusher.
    pub fn set_blocked(&self, blocked: bool) {
        // Relaxed on both, see the type.
        let since = self.blocked_since_ns.load(Ordering::Relaxed);
        let value = match (blocked, since) {
            (false, _) => 0,
            (true, 0) => self.born.elapsed().as_nanos() as u64 + 1,
            (true, since) => since,
        };
        self.blocked_since_ns.store(value, Ordering::Relaxed);
    }

    /// Returns how long an open reservation has blocked the drain.
    pub fn blocked_for(&self) -> Option<Duration> {
        // Relaxed, see the type.
        let since = self.blocked_since_ns.load(Ordering::Relaxed);
        let since = Duration::from_nanos(since.checked_sub(1)?);
        Some(self.born.elapsed().saturating_sub(since))
    }

    /// Notes that the sink has refused data, because of `errno`. For the flusher.
    ///
    /// It is one stall until the sink accepts a byte, even if the errno changes.
    pub fn set_stalled(&self, errno: i32) {
        // Relaxed on both, see the type.
        let before = self.stall.load(Ordering::Relaxed);
        let since_us = match before {
            0 => self.born.elapsed().as_micros() as u64,
            since => since >> ERRNO_BITS,
        };
        let errno = u64::from(errno.unsigned_abs()).clamp(1, ERRNO_MAX);
        let word = since_us << ERRNO_BITS | errno;
        let refusals = self.refusals.load(Ordering::Relaxed); // on both, see the type
        self.refusals.store(refusals + 1, Ordering::Relaxed);
        if word != before {
            self.stall.store(word, Ordering::Relaxed);
        }
    }

    /// Ends the stall: the sink has accepted bytes, or was replaced. For the flusher.
    pub fn end_stall(&self) {
        // Load first: every write calls this.
        if self.is_stalled() {
            // Relaxed, see the type.
            self.stall.store(0, Ordering::Relaxed);
            self.is_over_limit.store(false, Ordering::Relaxed);
        }
    }

    /// Returns whether the sink accepts no data.
    pub fn is_stalled(&self) -> bool {
        // Relaxed, see the type.
        self.stall.load(Ordering::Relaxed) != 0
    }

    /// Returns how often the sink has refused data.
    pub fn refusals(&self) -> u64 {
        // Relaxed, see the type.
        self.refusals.load(Ordering::Relaxed)
    }

    /// Returns the errno if the sink has no room for data, as on a full disk. A reader that is only
    /// slow does not count.
    pub fn no_room(&self) -> Option<i32> {
        // Relaxed, see the type.
        let word = self.stall.load(Ordering::Relaxed);
        let errno = (word & ERRNO_MAX) as i32;
        (word != 0 && errno != libc::EAGAIN).then_some(errno)
    }

    /// Returns why the sink accepts no data, and since when.
    pub fn stall(&self) -> Option<Stall> {
        // Relaxed, see the type.
        let word = self.stall.load(Ordering::Relaxed);
        let since = Duration::from_micros(word >> ERRNO_BITS);
        (word != 0).then(|| Stall {
            errno: (word & ERRNO_MAX) as i32,
            age: self.born.elapsed().saturating_sub(since),
        })
    }

    /// Notes that this stall has lasted for the stall limit. Returns `false` if that was noted
    /// before. For the flusher.
    pub fn pass_limit(&self) -> bool {
        // Relaxed, see the type.
        !self.is_over_limit.swap(true, Ordering::Relaxed)
    }

    /// Returns whether the sink has accepted no data for the stall limit.
    pub fn is_over_limit(&self) -> bool {
        // Relaxed, see the type.
        self.is_over_limit.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::Standstill;

    #[test]
    fn a_stall_keeps_its_beginning_and_shows_the_last_cause() {
        let standstill = Standstill::new();
        assert_eq!(standstill.stall(), None);
        standstill.set_stalled(libc::EAGAIN);
        let before = standstill.stall().unwrap();
        assert_eq!(before.errno, libc::EAGAIN);
        standstill.set_stalled(libc::ENOSPC);
        let after = standstill.stall().unwrap();
        assert_eq!(after.errno, libc::ENOSPC);
        assert!(after.age >= before.age);
        assert!(standstill.pass_limit() && !standstill.pass_limit());
        standstill.end_stall();
        assert_eq!(standstill.stall(), None);
        assert!(!standstill.is_over_limit());
    }

    #[test]
    fn an_errno_out_of_range_is_still_a_stall() {
        let standstill = Standstill::new();
        standstill.set_stalled(0);
        assert_eq!(standstill.stall().unwrap().errno, 1);
        standstill.set_stalled(i32::MAX);
        assert_eq!(standstill.stall().unwrap().errno, 4095);
    }
}
