//! How long the flusher sleeps: short naps while there is traffic, no naps when there is none.
//!
//! This is a pure policy. It has no clock and does not sleep.

use std::time::Duration;

use crate::words::Idle;

/// What the flusher does when it has nothing to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Sleep for this long; posts wake it only when the ring fills up.
    Nap(Duration),
    /// Sleep until a post wakes it.
    Park,
    /// Look again, without a sleep.
    Spin,
}

/// The policy for naps.
///
/// A nap costs the callers nothing, but a parked flusher costs the next caller a wake-up. Each look
/// at new slots takes cache lines from the cores that write them. So naps grow while they
/// find little, and the flusher parks only after a row of naps that found nothing.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    nap: Duration,
    /// The longest nap, and so the longest time that a post waits for a napping flusher.
    nap_max: Duration,
    idle: Idle,
    idle_naps: u32,
    idle_naps_max: u32,
    much: u32,
}

impl Pace {
    const NAP_MIN: Duration = Duration::from_micros(50);
    pub(super) const IDLE_NAPS_MAX: u32 = 16;

    /// Creates the policy for a ring of `capacity` bytes. `nap_max` is the longest nap.
    pub fn new(capacity: u32, nap_max: Duration, idle: Idle) -> Self {
        Self {
            nap: Self::NAP_MIN.min(nap_max),
            nap_max,
            idle,
            idle_naps: 0,
            idle_naps_max: Self::IDLE_NAPS_MAX,
            much: capacity / 4,
        }
    }

    /// The same without naps: the flusher parks at once.
    #[cfg(any(test, alq_model))]
    pub fn parking(capacity: u32) -> Self {
        Self {
            idle_naps_max: 0,
            ..Self::new(capacity, Self::NAP_MIN, Idle::Park)
        }
    }

    /// Returns whether a post must wake the flusher of a queue that is idle.
    pub fn parks(&self) -> bool {
        self.idle == Idle::Park
    }

    /// Returns how to rest after a step that wrote `bytes` and left nothing.
    pub fn after_write(&mut self, bytes: u32) -> Rest {
        self.idle_naps = 0;
        if bytes >= self.much {
            self.nap = (self.nap / 2).max(Self::NAP_MIN).min(self.nap_max);
        } else if bytes < self.much / 8 {
            self.nap = self.longer();
        }
        self.rest()
    }

    /// Returns how to rest after a step that found nothing to write.
    pub fn after_nothing(&mut self) -> Rest {
        self.nap = self.longer();
        let rest = self.rest();
        self.idle_naps = self.idle_naps.saturating_add(1);
        rest
    }

    fn longer(&self) -> Duration {
        self.nap.saturating_mul(2).min(self.nap_max)
    }

    const fn rest(&self) -> Rest {
        match self.idle {
            Idle::Park if self.idle_naps >= self.idle_naps_max => Rest::Park,
            Idle::Park | Idle::Nap => Rest::Nap(self.nap),
            Idle::Spin => Rest::Spin,
        }
    }
}

/// How long the flusher waits before it tries a full disk again: each pause is longer, up to a
/// limit.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    pause: Duration,
}

impl BackOff {
    const PAUSE_MIN: Duration = Duration::from_millis(2);
    /// New room on the disk is found within this time, at a cost of a few system calls per second.
    const PAUSE_MAX: Duration = Duration::from_millis(500);

    pub const fn new() -> Self {
        Self {
            pause: Self::PAUSE_MIN,
        }
    }

    /// Returns the next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(Self::PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BackOff, Pace, Rest};
    use crate::words::Idle;

    const NAP_MAX: Duration = Duration::from_millis(2);

    #[test]
    fn the_flusher_parks_only_after_a_row_of_naps_that_found_nothing() {
        let mut pace = Pace::new(1 << 20, NAP_MAX, Idle::Park);
        for _ in 0..Pace::IDLE_NAPS_MAX {
            assert!(matches!(pace.after_nothing(), Rest::Nap(_)));
        }
        assert_eq!(pace.after_nothing(), Rest::Park);
        assert!(matches!(pace.after_write(10), Rest::Nap(_)));
    }

    #[test]
    fn a_flusher_that_is_not_to_park_naps_or_looks_on() {
        let mut naps = Pace::new(1 << 20, NAP_MAX, Idle::Nap);
        let mut spins = Pace::new(1 << 20, NAP_MAX, Idle::Spin);
        for _ in 0..2 * Pace::IDLE_NAPS_MAX {
            assert!(matches!(naps.after_nothing(), Rest::Nap(_)));
            assert_eq!(spins.after_nothing(), Rest::Spin);
        }
        assert_eq!(naps.after_nothing(), Rest::Nap(NAP_MAX));
        assert_eq!(spins.after_write(10), Rest::Spin);
    }

    #[test]
    fn naps_grow_while_they_find_little_and_shrink_when_they_find_much() {
        let mut pace = Pace::new(1 << 20, NAP_MAX, Idle::Park);
        for _ in 0..10 {
            pace.after_write(1);
        }
        assert_eq!(pace.after_write(1), Rest::Nap(NAP_MAX));
        for _ in 0..10 {
            pace.after_write(1 << 19);
        }
        assert_eq!(pace.after_write(1 << 19), Rest::Nap(Pace::NAP_MIN));
    }

    #[test]
    fn no_nap_is_longer_than_the_bound() {
        for nap_max in [Duration::ZERO, Duration::from_nanos(1)] {
            let mut pace = Pace::new(1 << 20, nap_max, Idle::Park);
            assert_eq!(pace.after_nothing(), Rest::Nap(nap_max));
            assert_eq!(pace.after_write(1 << 19), Rest::Nap(nap_max));
        }
    }

    #[test]
    fn without_naps_the_flusher_parks_at_once() {
        let mut pace = Pace::parking(64);
        assert_eq!(pace.after_nothing(), Rest::Park);
        assert_eq!(pace.after_write(1), Rest::Park);
    }

    #[test]
    fn a_full_disk_is_tried_less_and_less_often_but_never_given_up() {
        let mut back_off = BackOff::new();
        let pauses: Vec<_> = (0..20).map(|_| back_off.pause()).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses[0], BackOff::PAUSE_MIN);
        assert_eq!(pauses[19], BackOff::PAUSE_MAX);
    }
}
