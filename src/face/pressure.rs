//! What a policy asks a queue about its room, and how it counts a record that it refuses.

use super::queue::Queue;
use crate::actors::Shared;
use crate::ends::Cause;
use crate::memory::Mirror;
use crate::words::Error;

impl Queue {
    /// Counts a record of `len` bytes that is longer than the ring, and returns the error.
    /// Async-signal-safe.
    #[cold]
    pub(crate) fn too_large(&self, len: usize) -> Error {
        self.refuse(Cause::TooLarge, len);
        Error::TooLarge {
            len,
            max: self.capacity(),
        }
    }

    fn refuse(&self, cause: Cause, len: usize) {
        refuse(self.current().shared(), cause, len);
    }
}

/// Counts a record of `len` bytes that was refused before it came to the ring. Async-signal-safe.
#[cold]
pub(super) fn refuse(shared: &Shared<Mirror>, cause: Cause, len: usize) {
    match shared.here() {
        Ok(intake) => intake.refuse(cause, len as u64),
        Err(_) => shared.aside.refused.add(cause, len as u64),
    }
}

#[cfg(any(feature = "log", feature = "tracing"))]
impl Queue {
    /// Returns how much of the stream is written, if this process created the queue.
    pub(crate) fn drained_bytes(&self) -> Option<u64> {
        let intake = self.current().shared().here().ok()?;
        Some(intake.ring.tail().pos)
    }

    /// Returns whether at most `percent` of the ring is in use with a record of `len` bytes more.
    /// If not, counts the record as refused.
    pub(crate) fn keeps_headroom(&self, len: usize, percent: u8) -> bool {
        let Ok(intake) = self.current().shared().here() else {
            return true; // a child of fork(2) writes without the ring
        };
        let keeps = intake.fits_below(len as u64, percent);
        if !keeps {
            self.refuse(Cause::Headroom, len);
            intake.schedule(); // the records in the ring may be quiet
        }
        keeps
    }
}
