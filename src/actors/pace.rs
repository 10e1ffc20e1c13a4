//! When the flusher looks again: short naps while there is traffic, none when there is none.

use std::time::Duration;

/// What the flusher does when it has nothing to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Sleep for this long; posts wake it only when the ring fills up.
    Nap(Duration),
    /// Sleep until a post wakes it.
    Park,
}

/// The policy. A nap costs the callers nothing, a parked flusher costs the next one a wake-up, and every look
/// at fresh descriptors takes lines from the cores that write them; so naps get longer while they find little,
/// and the flusher parks only after a row of naps that found nothing.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    nap: Duration,
    idle_naps: u32,
    idle_naps_max: u32,
    much: u32,
}

impl Pace {
    const NAP_MIN: Duration = Duration::from_micros(50);
    /// A post that finds the flusher napping is on its way within this time.
    const NAP_MAX: Duration = Duration::from_millis(2);
    const IDLE_NAPS_MAX: u32 = 16;

    /// The policy for a ring of `capacity` bytes.
    pub const fn new(capacity: u32) -> Self {
        Self::parking_after(capacity, Self::IDLE_NAPS_MAX)
    }

    /// The same, parking after `idle_naps_max` naps that found nothing; 0 never naps.
    pub const fn parking_after(capacity: u32, idle_naps_max: u32) -> Self {
        Self {
            nap: Self::NAP_MIN,
            idle_naps: 0,
            idle_naps_max,
            much: capacity / 4,
        }
    }

    /// A step has written `bytes`, and there was no more.
    pub fn after_write(&mut self, bytes: u32) -> Rest {
        self.idle_naps = 0;
        if bytes >= self.much {
            self.nap = (self.nap / 2).max(Self::NAP_MIN);
        } else if bytes < self.much / 8 {
            self.nap = (self.nap * 2).min(Self::NAP_MAX);
        }
        self.rest()
    }

    /// A step has found nothing to write.
    pub fn after_nothing(&mut self) -> Rest {
        self.nap = (self.nap * 2).min(Self::NAP_MAX);
        let rest = self.rest();
        self.idle_naps = self.idle_naps.saturating_add(1);
        rest
    }

    const fn rest(&self) -> Rest {
        if self.idle_naps < self.idle_naps_max {
            Rest::Nap(self.nap)
        } else {
            Rest::Park
        }
    }
}

/// How long the flusher leaves a full disk alone: a little longer each time.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    pause: Duration,
}

impl BackOff {
    const PAUSE_MIN: Duration = Duration::from_millis(2);
    /// Room is found within this time, at a few system calls a second.
    const PAUSE_MAX: Duration = Duration::from_millis(500);

    pub const fn new() -> Self {
        Self {
            pause: Self::PAUSE_MIN,
        }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(Self::PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::{BackOff, Pace, Rest};

    #[test]
    fn it_parks_only_after_a_row_of_vain_naps() {
        let mut pace = Pace::new(1 << 20);
        for _ in 0..Pace::IDLE_NAPS_MAX {
            assert!(matches!(pace.after_nothing(), Rest::Nap(_)));
        }
        assert_eq!(pace.after_nothing(), Rest::Park);
        assert!(matches!(pace.after_write(10), Rest::Nap(_)));
    }

    #[test]
    fn naps_grow_while_little_is_found_and_shrink_when_it_is_much() {
        let mut pace = Pace::new(1 << 20);
        for _ in 0..10 {
            pace.after_write(1);
        }
        assert_eq!(pace.after_write(1), Rest::Nap(Pace::NAP_MAX));
        for _ in 0..10 {
            pace.after_write(1 << 19);
        }
        assert_eq!(pace.after_write(1 << 19), Rest::Nap(Pace::NAP_MIN));
    }

    #[test]
    fn without_naps_it_parks_at_once() {
        let mut pace = Pace::parking_after(64, 0);
        assert_eq!(pace.after_nothing(), Rest::Park);
        assert_eq!(pace.after_write(1), Rest::Park);
    }

    #[test]
    fn a_full_disk_is_asked_less_and_less_often_but_never_given_up() {
        let mut back_off = BackOff::new();
        let pauses: Vec<_> = (0..20).map(|_| back_off.pause()).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses[0], BackOff::PAUSE_MIN);
        assert_eq!(pauses[19], BackOff::PAUSE_MAX);
    }
}
