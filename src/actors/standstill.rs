//! What the drain stands still behind: an open reservation, or a sink that takes nothing.

use std::time::{Duration, Instant};

use crate::ends::Stall;
use crate::primitives::sync::plain::{AtomicBool as PlainBool, AtomicU64 as PlainU64};
use crate::primitives::sync::{AtomicBool, AtomicU64, Ordering};

/// Written by the flusher alone, when it comes to stand and when it goes on; read by whoever reports it. Nothing is read
/// behind these words, so every access is Relaxed.
#[derive(Debug)]
pub struct Standstill {
    /// When the drain came to stand behind an open reservation: nanoseconds since `born`, plus 1; 0 if it does not.
    blocked_since_ns: AtomicU64,
    /// Since when the sink has taken nothing, and why: `{ since_us 52, errno 12 }`; 0 if it takes bytes.
    stall: AtomicU64,
    /// How often the sink has said that it takes nothing.
    refusals: AtomicU64,
    /// Whether this stall has lasted for the stall limit, and was told.
    is_over_limit: AtomicBool,
    /// Since when a step of the flusher is under way: nanoseconds since `born`, plus 1; 0 between two. A
    /// step that does not end is a write that does not return. The models have no time, and do not see it.
    working_since_ns: PlainU64,
    /// Whether a write that does not return was reported.
    is_hang_told: PlainBool,
    born: Instant,
}

/// The bits of an errno: the kernel has none beyond 4095.
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
            is_hang_told: PlainBool::new(false),
            born: Instant::now(),
        }
    }

    /// A step of the flusher begins, or has ended. For the flusher.
    pub fn set_working(&self, working: bool) {
        let since_ns = if working {
            self.born.elapsed().as_nanos() as u64 + 1
        } else {
            0
        };
        // Relaxed on all, see the type.
        self.working_since_ns.store(since_ns, Ordering::Relaxed);
        if !working && self.is_hang_told.load(Ordering::Relaxed) {
            self.is_hang_told.store(false, Ordering::Relaxed);
        }
    }

    /// For how long the flusher has been in one step.
    pub fn working_for(&self) -> Option<Duration> {
        // Relaxed, see the type.
        let since = self.working_since_ns.load(Ordering::Relaxed);
        let since = Duration::from_nanos(since.checked_sub(1)?);
        Some(self.born.elapsed().saturating_sub(since))
    }

    /// A write that does not return is about to be reported; `false` if it was.
    pub fn tell_hang(&self) -> bool {
        // Relaxed, see the type.
        !self.is_hang_told.swap(true, Ordering::Relaxed)
    }

    /// The drain stands behind an open reservation, or does not.
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

    /// For how long the drain has stood behind an open reservation.
    pub fn blocked_for(&self) -> Option<Duration> {
        // Relaxed, see the type.
        let since = self.blocked_since_ns.load(Ordering::Relaxed);
        let since = Duration::from_nanos(since.checked_sub(1)?);
        Some(self.born.elapsed().saturating_sub(since))
    }

    /// The sink has taken nothing, because of `errno`. It counts as one stall until the sink takes a byte, whatever it
    /// says on the way. For the flusher.
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

    /// The sink has taken bytes, or is another one. For the flusher.
    pub fn end_stall(&self) {
        // Looked at first: this comes with every write.
        if self.is_stalled() {
            // Relaxed, see the type.
            self.stall.store(0, Ordering::Relaxed);
            self.is_over_limit.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the sink takes nothing.
    pub fn is_stalled(&self) -> bool {
        // Relaxed, see the type.
        self.stall.load(Ordering::Relaxed) != 0
    }

    /// How often the sink has said so far that it takes nothing.
    pub fn refusals(&self) -> u64 {
        // Relaxed, see the type.
        self.refusals.load(Ordering::Relaxed)
    }

    /// Why the sink has no room for data, if that is what it says: a full disk, and not a reader that is only slow.
    pub fn no_room(&self) -> Option<i32> {
        // Relaxed, see the type.
        let word = self.stall.load(Ordering::Relaxed);
        let errno = (word & ERRNO_MAX) as i32;
        (word != 0 && errno != libc::EAGAIN).then_some(errno)
    }

    /// Why the sink takes nothing, and since when.
    pub fn stall(&self) -> Option<Stall> {
        // Relaxed, see the type.
        let word = self.stall.load(Ordering::Relaxed);
        let since = Duration::from_micros(word >> ERRNO_BITS);
        (word != 0).then(|| Stall {
            errno: (word & ERRNO_MAX) as i32,
            age: self.born.elapsed().saturating_sub(since),
        })
    }

    /// This stall has lasted for the stall limit; `false` if that was known. For the flusher.
    pub fn pass_limit(&self) -> bool {
        // Relaxed, see the type.
        !self.is_over_limit.swap(true, Ordering::Relaxed)
    }

    /// Whether the sink has taken nothing for the stall limit.
    pub fn is_over_limit(&self) -> bool {
        // Relaxed, see the type.
        self.is_over_limit.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::Standstill;

    #[test]
    fn a_stall_keeps_its_beginning_and_tells_the_last_cause() {
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
    fn an_errno_that_is_none_is_still_a_stall() {
        let standstill = Standstill::new();
        standstill.set_stalled(0);
        assert_eq!(standstill.stall().unwrap().errno, 1);
        standstill.set_stalled(i32::MAX);
        assert_eq!(standstill.stall().unwrap().errno, 4095);
    }
}
