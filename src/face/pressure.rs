//! What a policy asks a queue about its room, and how it counts a record that it refuses.

use super::queue::Queue;
use crate::actors::Shared;
use crate::ends::Cause;
use crate::memory::Mirror;
use crate::words::Error;

impl Queue {
    /// Returns the most bytes of one message, if each record is a message of its own: to a socket of
    /// packets or datagrams, a pipe in packet mode, `/dev/kmsg`, or a [sink that says
    /// so](crate::Sink::message_max). `u64::MAX` if the bound is not known. `None` for a file or a
    /// stream, and when the queue has ended. It counts the [framing](crate::Options::framing) of
    /// the record too.
    ///
    /// ```
    /// use std::os::unix::net::UnixDatagram;
    ///
    /// use alq::{Flags, Options};
    ///
    /// let (reader, writer) = UnixDatagram::pair()?;
    /// let queue = Options::new().open_fd(&writer)?;
    /// assert_eq!(queue.message_max(), Some(u64::MAX));
    /// queue.writen(b"one", Flags::WAITOK)?;
    /// queue.writen(b"two", Flags::WAITOK)?;
    /// let mut message = [0; 100];
    /// assert_eq!(reader.recv(&mut message)?, 3);
    /// assert_eq!(&message[..3], b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn message_max(&self) -> Option<u64> {
        self.current().shared().aside.sink()?.message_max()
    }

    /// Counts a record of `len` bytes that is longer than the ring, and returns the error.
    /// Async-signal-safe.
    #[cold]
    pub(crate) fn too_large(&self, len: usize) -> Error {
        self.refuse(Cause::TooLarge, len);
        Error::TooLarge {
            len,
            max: self.current().shared().len_max as usize,
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
