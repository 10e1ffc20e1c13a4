//! The bell: how a post wakes the drain, and how a post knows that the drain needs no wake-up.
//!
//! This file owns two words: the interest, which posts read, and the signal, on which the drain
//! sleeps. It does not know what a post or a reservation is.

use std::time::Duration;

use super::fence::Fences;
use super::sync::{AtomicU64, Futex, Ordering, is_mutant, unless_mutant};

/// What the drain waits for: `{ kind, seq }` packed into one word that posts read.
///
/// | interest | state of the drain | which post rings |
/// |---|---|---|
/// | `Nothing` | awake | no post: the drain looks again before it sleeps |
/// | `Mark` | naps, for a limited time | a post that finds the ring filled beyond the mark |
/// | `Any` | parked, the ring was empty | any activating post |
/// | `Sequence(k)` | parked at the open reservation `k` | only the post of `k` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Nothing,
    Mark,
    Any,
    Sequence(u32),
}

impl Interest {
    const NOTHING: u64 = 0;
    const MARK: u64 = 1;
    const ANY: u64 = 2;
    const SEQUENCE: u64 = 3;

    #[inline]
    const fn from_bits(bits: u64) -> Self {
        match bits >> 32 {
            Self::NOTHING => Self::Nothing,
            Self::MARK => Self::Mark,
            Self::ANY => Self::Any,
            _ => Self::Sequence(bits as u32),
        }
    }

    const fn to_bits(self) -> u64 {
        match self {
            Self::Nothing => Self::NOTHING << 32,
            Self::Mark => Self::MARK << 32,
            Self::Any => Self::ANY << 32,
            Self::Sequence(seq) => Self::SEQUENCE << 32 | seq as u64,
        }
    }
}

/// The bell. A post reads the interest and rings if it matches; the drain sleeps on the signal.
#[derive(Debug)]
pub struct Doorbell {
    interest: AtomicU64,
    signal: Futex,
    fences: Fences,
}

/// States of the signal. A ring that comes before the sleep is kept, so no ring is lost.
const SILENT: u32 = 0;
const ASLEEP: u32 = 1;
const RUNG: u32 = 2;

impl Doorbell {
    pub fn new() -> Self {
        Self {
            interest: AtomicU64::new(Interest::Nothing.to_bits()),
            signal: Futex::new(SILENT),
            fences: Fences::detect(),
        }
    }

    /// Returns what the drain waits for. Call it after a publication. Every post calls it.
    #[inline]
    pub fn interest_after_publication(&self) -> Interest {
        // [post.fence] Light, pairs with [park.fence]: either the drain's last look sees the
        // publication, or this load sees the drain's interest.
        self.fences.light_at("post.fence");
        // Relaxed: the fences order it, and the word carries only its own value.
        Interest::from_bits(self.interest.load(Ordering::Relaxed))
    }

    /// Rings for `interest`. If several posts saw the same interest, only the first one rings.
    #[cold]
    pub fn ring_for(&self, interest: Interest) {
        let seen = interest.to_bits();
        let awake = Interest::Nothing.to_bits();
        // Relaxed: it only elects the post that rings. The swap in `ring` carries the
        // synchronisation. On failure another post has rung, or the drain woke by itself and will
        // look before it sleeps again.
        let elected =
            self.interest
                .compare_exchange(seen, awake, Ordering::Relaxed, Ordering::Relaxed);
        if elected.is_ok() {
            self.ring();
        }
    }

    /// Wakes the drain, or makes its next sleep return at once. Any thread may call it; it never
    /// blocks.
    pub fn ring(&self) {
        // [bell.ring] Release, pairs with [bell.taken]: after its wake-up the drain sees what the
        // ringing thread did before. RMW: a drain that falls asleep never overwrites a ring.
        let before = self
            .signal
            .swap(RUNG, unless_mutant("bell.ring", Ordering::Release));
        if before == ASLEEP {
            self.signal.wake_all();
        }
    }

    /// Announces that the drain is parked at an empty ring. Call it before any post can come. The
    /// drain then begins with [`await_first`](Doorbell::await_first).
    pub fn begin_parked(&self) {
        // Relaxed: the step that gives the queue to other threads also carries this value to them.
        self.interest
            .store(Interest::Any.to_bits(), Ordering::Relaxed);
    }

    /// Sleeps until the bell rings; returns at once if it has rung since
    /// [`begin_parked`](Doorbell::begin_parked). Only a post that rings changes the interest until
    /// then, so no last look is needed. Only the drain may call it.
    pub fn await_first(&self) {
        self.sleep(None);
    }

    /// Sleeps for at most `duration`. Posts ring only beyond the fill mark. Only the drain may call
    /// it.
    pub fn nap(&self, duration: Duration) {
        // Relaxed: a post that does not see it does not ring, and the nap ends by itself.
        self.interest
            .store(Interest::Mark.to_bits(), Ordering::Relaxed);
        self.sleep(Some(duration));
    }

    /// Sleeps until the bell rings for `interest`, or for at most `limit`. `is_due` is the last
    /// look, after the interest has been announced. Only the drain may call it.
    pub fn park(&self, interest: Interest, limit: Option<Duration>, is_due: impl FnOnce() -> bool) {
        // Relaxed: the heavy fence orders it before the last look.
        self.interest.store(interest.to_bits(), Ordering::Relaxed);
        // [park.fence] Heavy, pairs with [post.fence].
        self.fences.heavy_at("park.fence");
        // [park.look] A post that published before it could see the drain's interest does not ring,
        // so the drain must look for its record here.
        if !is_mutant("park.look") && is_due() {
            self.awake();
        } else {
            self.sleep(limit);
        }
    }

    /// Returns whether the bell has rung since the last sleep or call, and takes that ring away. For
    /// a drain that does not sleep.
    pub fn take_ring(&self) -> bool {
        // Relaxed: `awake` takes the ring with what it carries.
        let is_rung = self.signal.load(Ordering::Relaxed) == RUNG;
        if is_rung {
            self.awake();
        }
        is_rung
    }

    fn sleep(&self, duration: Option<Duration>) {
        // Relaxed on both: this thread itself has stored `SILENT`, and a ring that came first is
        // kept until `awake` takes it.
        let found =
            self.signal
                .compare_exchange(SILENT, ASLEEP, Ordering::Relaxed, Ordering::Relaxed);
        if found.is_ok() {
            self.signal.wait(ASLEEP, duration);
        }
        self.awake();
    }

    fn awake(&self) {
        // [bell.taken] Acquire, pairs with [bell.ring], whose ring this takes away.
        self.signal
            .swap(SILENT, unless_mutant("bell.taken", Ordering::Acquire));
        // Relaxed: a post that still sees the old interest rings without need, which is harmless.
        self.interest
            .store(Interest::Nothing.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Doorbell, Interest};
    use std::time::Duration;

    #[test]
    fn interests_round_trip() {
        for interest in [
            Interest::Nothing,
            Interest::Mark,
            Interest::Any,
            Interest::Sequence(0),
            Interest::Sequence(u32::MAX),
        ] {
            assert_eq!(Interest::from_bits(interest.to_bits()), interest);
        }
    }

    #[test]
    fn a_ring_before_the_sleep_is_kept_and_spent_once() {
        let bell = Doorbell::new();
        bell.ring();
        bell.park(Interest::Any, None, || false); // would hang if the ring were lost
        bell.park(Interest::Any, Some(Duration::from_millis(1)), || false);
        assert_eq!(bell.interest_after_publication(), Interest::Nothing);
    }

    #[test]
    fn a_drain_that_begins_parked_wakes_for_the_first_post_that_activates() {
        let bell = Doorbell::new();
        bell.begin_parked();
        assert_eq!(bell.interest_after_publication(), Interest::Any);
        bell.ring_for(Interest::Any); // before the drain sleeps
        bell.await_first(); // would hang if the ring were lost
        assert_eq!(bell.interest_after_publication(), Interest::Nothing);
    }

    #[test]
    fn a_due_look_does_not_sleep() {
        let bell = Doorbell::new();
        bell.park(Interest::Any, None, || true);
        assert_eq!(bell.interest_after_publication(), Interest::Nothing);
    }

    #[test]
    fn only_the_first_post_that_saw_an_interest_rings() {
        let bell = Doorbell::new();
        // the drain is awake: no ringer is elected and no ring is kept
        bell.ring_for(Interest::Any);
        bell.park(Interest::Any, Some(Duration::from_millis(1)), || false);
    }
}
