//! The flags of an append, as in alq(9).

use super::Error;

bitflags::bitflags! {
    /// Says what an append does when the ring is full: exactly one of [`WAITOK`](Flags::WAITOK) and
    /// [`NOWAIT`](Flags::NOWAIT). [`NOACTIVATE`](Flags::NOACTIVATE) and [`RETRY`](Flags::RETRY) may
    /// be added.
    ///
    /// The names and values are those of
    /// [alq(9)](https://man.freebsd.org/cgi/man.cgi?query=alq&sektion=9).
    ///
    /// ```
    /// use alq::Flags;
    ///
    /// let flags = Flags::NOWAIT | Flags::NOACTIVATE;
    /// assert!(flags.contains(Flags::NOWAIT));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Flags: u32 {
        /// Fail with [`Error::WouldBlock`] if there is no room; never sleep. (A store to a [ring
        /// file](crate::Options::ring_file) on a disk may wait for that disk. A ring in memory, or
        /// in a file on tmpfs, never waits.)
        const NOWAIT = 0x1;
        /// Sleep until there is room, even as long as the disk is full (unless
        /// [`refuse_when_stalled`](crate::Options::refuse_when_stalled) is set). If an open entry
        /// blocks the drain for the stall limit, fail with [`Error::Held`].
        const WAITOK = 0x2;
        /// Leave the record in the ring, and do not wake the flusher, until something activates the
        /// queue: the next post without this flag; [`activate`](crate::Queue::activate), `flush`,
        /// `fsync`, a completion, `reopen` or `close`; the end of the process; or a caller that
        /// finds no room. Then the flusher writes everything that is posted by then, in order. (If
        /// the process is killed, a [ring file](crate::Options::ring_file) keeps the record, and
        /// the next queue writes it.) A child of fork(2) writes its records at once.
        const NOACTIVATE = 0x4;
        /// The caller tries again if this call gives up its wait, so [`Error::TimedOut`] and
        /// [`Error::Held`] are no loss: they are not counted in
        /// [`Stats::refused`](crate::Stats::refused). (Not in alq(9), which has no time limits.)
        const RETRY = 0x100;
    }
}

/// What an append does when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Fail at once.
    Refuse,
    /// Sleep until there is room.
    Wait,
}

/// The order in which waiting writers get room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Any order: a writer that arrives when there is room takes it. Waiting writers are woken in
    /// order of arrival, as many as the room suffices for.
    Any,
    /// Strictly the order of arrival: no writer overtakes another. Source: `ALQ_ORDERED`.
    Arrival,
}

impl Flags {
    /// Which of the two waiting flags is set.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidFlags`] if both or neither are set, or an unknown bit.
    #[inline]
    pub(crate) const fn when_full(self) -> Result<WhenFull, Error> {
        const NOWAIT: u32 = Flags::NOWAIT.bits();
        const WAITOK: u32 = Flags::WAITOK.bits();
        match self.bits() & !Self::NOACTIVATE.union(Self::RETRY).bits() {
            NOWAIT => Ok(WhenFull::Refuse),
            WAITOK => Ok(WhenFull::Wait),
            _ => Err(Error::InvalidFlags { flags: self }),
        }
    }

    /// Whether the post schedules the drain.
    #[inline]
    pub(crate) const fn activates(self) -> bool {
        !self.contains(Self::NOACTIVATE)
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, WhenFull};
    use crate::words::Error;

    #[test]
    fn exactly_one_waiting_flag_is_valid() {
        let quiet = Flags::NOACTIVATE;
        assert_eq!(Flags::NOWAIT.when_full(), Ok(WhenFull::Refuse));
        let retries = Flags::WAITOK | quiet | Flags::RETRY;
        assert_eq!(retries.when_full(), Ok(WhenFull::Wait));
        let unnamed = Flags::from_bits_retain(0x42);
        for flags in [
            Flags::empty(),
            quiet,
            Flags::NOWAIT | Flags::WAITOK,
            unnamed,
        ] {
            assert_eq!(flags.when_full(), Err(Error::InvalidFlags { flags }));
        }
    }
}
