//! How a post wakes the drain, and how it knows that it need not.

use std::time::Duration;

use super::fence::Fences;
use super::sync::{AtomicU64, Futex, Ordering, is_mutant, unless_mutant};

/// What the drain wants to be woken for, `{ kind, seq }` packed into one word that posts read.
///
/// | interest | the drain | who rings |
/// |---|---|---|
/// | `Nothing` | is awake | nobody: it looks again before it sleeps |
/// | `Mark` | naps, for a bounded time | a post that finds the ring filled beyond the mark |
/// | `Any` | is parked, the ring was empty | any activating post |
/// | `Sequence(k)` | is parked behind the open reservation `k` | the post of `k`, and no other |
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

/// The bell: posts look at the interest, whoever must ring it does, and the drain sleeps on it.
#[derive(Debug)]
pub struct Doorbell {
    interest: AtomicU64,
    signal: Futex,
    fences: Fences,
}

/// States of the signal: a ring that comes before the sleep is kept, so none is lost.
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

    /// What the drain wants to hear of, read after a publication. On the hot path of every post.
    #[inline]
    pub fn interest_after_publication(&self) -> Interest {
        // [post.fence] Light, pairs with [park.fence]: either the drain's last look sees the publication, or this
        // load sees its interest.
        self.fences.light_at("post.fence");
        // Relaxed: ordered by the fences; the word carries nothing but itself.
        Interest::from_bits(self.interest.load(Ordering::Relaxed))
    }

    /// Rings for `interest`; of several posts that saw the same one, only the first pays for the wake-up.
    #[cold]
    pub fn ring_for(&self, interest: Interest) {
        let seen = interest.to_bits();
        let awake = Interest::Nothing.to_bits();
        // Relaxed: it only elects the ringer. The swap in `ring` carries the synchronisation. Failure means
        // that somebody else rang, or that the drain woke by itself and will look before it sleeps again.
        let elected =
            self.interest
                .compare_exchange(seen, awake, Ordering::Relaxed, Ordering::Relaxed);
        if elected.is_ok() {
            self.ring();
        }
    }

    /// Wakes the drain, or lets its next sleep return at once. Any thread; never blocks.
    pub fn ring(&self) {
        // [bell.ring] Release, pairs with [bell.taken]: what the ringer did before is seen by the step that follows
        // the wake-up. RMW: a ring is never overwritten by the drain falling asleep.
        let before = self
            .signal
            .swap(RUNG, unless_mutant("bell.ring", Ordering::Release));
        if before == ASLEEP {
            self.signal.wake_all();
        }
    }

    /// Announces that the drain is parked in front of an empty ring, before any post can come. The drain
    /// begins with [`await_first`](Doorbell::await_first).
    pub fn begin_parked(&self) {
        // Relaxed: whatever hands the queue out carries it to those that post.
        self.interest
            .store(Interest::Any.to_bits(), Ordering::Relaxed);
    }

    /// Sleeps until the bell rings, or has rung, since [`begin_parked`](Doorbell::begin_parked). Until then
    /// only a post that rings changes the interest, so no last look is needed. For the drain only.
    pub fn await_first(&self) {
        self.sleep(None);
    }

    /// Sleeps for `duration` at most; posts ring only beyond the fill mark. For the drain only.
    pub fn nap(&self, duration: Duration) {
        // Relaxed: a post that misses it does not ring, and the nap ends by itself.
        self.interest
            .store(Interest::Mark.to_bits(), Ordering::Relaxed);
        self.sleep(Some(duration));
    }

    /// Sleeps until the bell rings for `interest`, or for `limit`; `is_due` is the last look, after the
    /// interest has been announced. For the drain only.
    pub fn park(&self, interest: Interest, limit: Option<Duration>, is_due: impl FnOnce() -> bool) {
        // Relaxed: the heavy fence orders it before the last look.
        self.interest.store(interest.to_bits(), Ordering::Relaxed);
        // [park.fence] Heavy, pairs with [post.fence].
        self.fences.heavy_at("park.fence");
        // [park.look] What was published before this drain was seen to park rings nobody.
        if !is_mutant("park.look") && is_due() {
            self.awake();
        } else {
            self.sleep(limit);
        }
    }

    fn sleep(&self, duration: Option<Duration>) {
        // Relaxed on both: silent is what this thread has made it, and a ring that came first is kept, and taken by
        // `awake`.
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
        // Relaxed: a post that still sees the old interest rings in vain.
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
    fn only_the_first_who_saw_an_interest_rings() {
        let bell = Doorbell::new();
        bell.ring_for(Interest::Any); // the drain is awake: nobody is elected, nothing is kept
        bell.park(Interest::Any, Some(Duration::from_millis(1)), || false);
    }
}
