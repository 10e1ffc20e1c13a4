//! Why the drain is blocked: an open reservation, or a sink that accepts no data.
//!
//! This file owns the words that say so, and since when. It reports nothing and wakes no thread.

use std::time::{Duration, Instant};

use crate::primitives::sync::plain::{AtomicU64 as PlainU64, Mutex as PlainMutex};
use crate::primitives::sync::{AtomicBool, AtomicU64, Ordering};

/// Why and for how long the sink has accepted no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusing {
    pub errno: i32,
    pub age: Duration,
    /// Whether it is a write that has not returned.
    pub is_hung: bool,
}

/// A step of the flusher that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Worked {
    /// When it began, since `born`.
    began: Duration,
    pub time: Duration,
    /// Whether it was reported as a write that does not return.
    pub was_told: bool,
}

/// Only the flusher stores these words, when the drain is blocked and when it continues; other
/// threads read them to report them. (A thread that reports a hung write also sets a bit of
/// `working`.) No thread reads other data through these words, so every access is Relaxed.
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
    /// Since when a step of the flusher is in progress, and whether that was reported:
    /// `{ nanoseconds since born, plus 1: 63, was_told 1 }`; 0 between two steps. A step that does
    /// not end is a hung write. The models have no time and do not see this word.
    working: PlainU64,
    /// Held while a hung write is reported, so that the report of its end comes after that.
    telling: PlainMutex<()>,
    born: Instant,
}

/// The bit of `working` that says that the step was reported.
const TOLD: u64 = 1;

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
            working: PlainU64::new(0),
            telling: PlainMutex::new(()),
            born: Instant::now(),
        }
    }

    /// Notes that a step of the flusher begins. For the flusher.
    pub fn begin_work(&self) {
        let since_ns = self.born.elapsed().as_nanos() as u64 + 1;
        // Relaxed, see the type.
        self.working.store(since_ns << 1, Ordering::Relaxed);
    }

    /// Notes that the step has ended. For the flusher.
    pub fn end_work(&self) -> Worked {
        // Relaxed, see the type.
        let word = self.working.swap(0, Ordering::Relaxed);
        let began = Duration::from_nanos((word >> 1).saturating_sub(1));
        let was_told = word & TOLD != 0;
        if was_told {
            drop(self.telling.lock()); // the report is on its way
        }
        Worked {
            began,
            time: self.born.elapsed().saturating_sub(began),
            was_told,
        }
    }

    /// Returns how long the flusher has been in the current step.
    pub fn working_for(&self) -> Option<Duration> {
        // Relaxed, see the type.
        self.working_since(self.working.load(Ordering::Relaxed))
    }

    fn working_since(&self, word: u64) -> Option<Duration> {
        let since = Duration::from_nanos((word >> 1).checked_sub(1)?);
        Some(self.born.elapsed().saturating_sub(since))
    }

    /// Returns whether the current step of the flusher was reported as a hang.
    pub fn was_told(&self) -> bool {
        // Relaxed, see the type.
        self.working.load(Ordering::Relaxed) & TOLD != 0
    }

    /// Calls `tell` if the flusher has been in its current step for `limit`, once for each step.
    pub fn tell_hang(&self, limit: Duration, tell: impl FnOnce()) {
        // Relaxed, see the type.
        let word = self.working.load(Ordering::Relaxed);
        let is_hung = self.working_since(word).is_some_and(|age| age >= limit);
        if is_hung && word & TOLD == 0 {
            let _telling = self.telling.lock();
            // Relaxed on both, see the type. If it fails, the step has ended.
            let told = self.working.compare_exchange(
                word,
                word | TOLD,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if told.is_ok() {
                tell();
            }
        }
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

    /// Notes that the sink has refused data in the step `worked`, because of `errno`. For the
    /// flusher.
    ///
    /// It is one stall until the sink accepts a byte, even if the errno changes. It began with the
    /// write that was refused first.
    pub fn set_stalled(&self, errno: i32, worked: Worked) {
        if worked.was_told {
            self.pass_limit();
        }
        // Relaxed on both, see the type.
        let before = self.stall.load(Ordering::Relaxed);
        let since_us = match before {
            0 => worked.began.as_micros() as u64,
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

    /// Ends the stall: the sink has accepted bytes, or was replaced. Returns the stall if it had
    /// lasted for the stall limit. For the flusher.
    pub fn end_stall(&self) -> Option<Refusing> {
        // Look first: every write calls this.
        let stall = self.stall()?;
        // Relaxed, see the type.
        self.stall.store(0, Ordering::Relaxed);
        self.is_over_limit
            .swap(false, Ordering::Relaxed) // as above
            .then_some(stall)
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
    pub fn stall(&self) -> Option<Refusing> {
        // Relaxed, see the type.
        let word = self.stall.load(Ordering::Relaxed);
        let since = Duration::from_micros(word >> ERRNO_BITS);
        (word != 0).then(|| Refusing {
            errno: (word & ERRNO_MAX) as i32,
            age: self.born.elapsed().saturating_sub(since),
            is_hung: false,
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
    use std::time::Duration;

    use super::{Standstill, Worked};

    fn worked(standstill: &Standstill) -> Worked {
        standstill.begin_work();
        standstill.end_work()
    }

    #[test]
    fn a_stall_keeps_its_beginning_and_shows_the_last_cause() {
        let standstill = Standstill::new();
        assert_eq!(standstill.stall(), None);
        standstill.set_stalled(libc::EAGAIN, worked(&standstill));
        let before = standstill.stall().unwrap();
        assert_eq!(before.errno, libc::EAGAIN);
        standstill.set_stalled(libc::ENOSPC, worked(&standstill));
        let after = standstill.stall().unwrap();
        assert_eq!(after.errno, libc::ENOSPC);
        assert!(after.age >= before.age);
        assert!(standstill.pass_limit() && !standstill.pass_limit());
        assert_eq!(standstill.end_stall().unwrap().errno, libc::ENOSPC);
        assert_eq!(standstill.stall(), None);
        assert!(!standstill.is_over_limit());
        standstill.set_stalled(libc::EAGAIN, worked(&standstill));
        assert_eq!(standstill.end_stall(), None, "it was short");
    }

    #[test]
    fn an_errno_out_of_range_is_still_a_stall() {
        let standstill = Standstill::new();
        standstill.set_stalled(0, worked(&standstill));
        assert_eq!(standstill.stall().unwrap().errno, 1);
        standstill.set_stalled(i32::MAX, worked(&standstill));
        assert_eq!(standstill.stall().unwrap().errno, 4095);
    }

    #[test]
    fn a_step_is_told_once_and_a_stall_after_it_is_the_same_one() {
        let standstill = Standstill::new();
        let told = |limit| {
            let mut told = false;
            standstill.tell_hang(limit, || told = true);
            told
        };
        assert!(!told(Duration::ZERO), "no step is in progress");
        standstill.begin_work();
        assert!(!told(Duration::MAX));
        assert!(told(Duration::ZERO) && !told(Duration::ZERO));
        assert!(standstill.working_for().is_some());
        let hung = standstill.end_work();
        assert!(hung.was_told && standstill.working_for().is_none());
        standstill.set_stalled(libc::EAGAIN, hung);
        assert!(standstill.is_over_limit(), "it was told");
        standstill.begin_work();
        assert!(told(Duration::ZERO), "another step");
    }
}
