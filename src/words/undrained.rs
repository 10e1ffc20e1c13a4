//! What a close could not write.

use core::fmt;
use std::io;

use super::Error;

/// Counts exactly what a close could not write, and says why. The error of
/// [`Queue::close`](crate::Queue::close) and [`shutdown`](crate::shutdown()).
///
/// ```
/// use std::time::Duration;
///
/// use alq::{Error, Flags, Options};
///
/// // A socket whose other end reads nothing: it accepts a few hundred KiB.
/// let (_reader, writer) = std::os::unix::net::UnixStream::pair()?;
/// let options = Options::new().stall_limit(Some(Duration::from_millis(50)));
/// let queue = options.open_fd(&writer)?;
/// queue.writen(&[b'x'; 1 << 20], Flags::WAITOK)?;
/// let left = queue.close(None).unwrap_err();
/// assert!(left.bytes > 0 && left.records == 1);
/// assert!(matches!(left.cause, Error::Stalled { errno: 11, .. })); // EAGAIN: no reader
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undrained {
    /// Bytes that were posted and not written.
    pub bytes: u64,
    /// Records that were posted and not written, or only in part.
    pub records: u64,
    /// Reservations that were still open and were stepped over.
    pub abandoned: u64,
    /// Whether all of the bytes stay in [ring files](crate::Options::ring_file), for the next queue
    /// that opens them. If not, at least some are lost.
    pub in_ring_file: bool,
    /// Why they were not written.
    pub cause: Error,
}

impl Undrained {
    /// The sum of two, with the first cause.
    pub(crate) fn with(self, other: &Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            records: self.records + other.records,
            abandoned: self.abandoned + other.abandoned,
            in_ring_file: match (self.bytes, other.bytes) {
                (0, _) => other.in_ring_file,
                (_, 0) => self.in_ring_file,
                _ => self.in_ring_file && other.in_ring_file,
            },
            cause: self.cause,
        }
    }
}

impl fmt::Display for Undrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(target) = self.cause.target() {
            write!(f, "{target}: ")?;
        }
        Left(self).fmt(f)
    }
}

/// What is left, without the target of the cause.
pub struct Left<'a>(pub &'a Undrained);

impl fmt::Display for Left<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Undrained {
            bytes,
            records,
            abandoned,
            in_ring_file,
            cause,
        } = self.0;
        let cause = cause.fact();
        let fate = match (*in_ring_file, *bytes) {
            (true, _) => " (they stay in the ring file)",
            (false, 0) => "",
            (false, _) => " and lost",
        };
        write!(
            f,
            "{bytes} bytes in {records} records not written{fate}, \
             {abandoned} open reservations stepped over: {cause}"
        )
    }
}

/// As `Display`, after `alq: `, for a `main` that returns it.
impl fmt::Debug for Undrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alq: {self}")
    }
}

impl core::error::Error for Undrained {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl From<Undrained> for io::Error {
    fn from(undrained: Undrained) -> Self {
        let kind = Self::from(undrained.cause.clone()).kind();
        Self::new(kind, undrained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Target;

    #[test]
    fn the_message_names_the_numbers() {
        let undrained = Undrained {
            bytes: 10,
            records: 2,
            abandoned: 1,
            in_ring_file: false,
            cause: Error::TimedOut,
        };
        assert!(undrained.to_string().contains("10 bytes in 2 records"));
    }

    #[test]
    fn the_message_after_the_end_promises_no_retry() {
        let undrained = |in_ring_file| Undrained {
            bytes: 10,
            records: 2,
            abandoned: 0,
            in_ring_file,
            cause: Error::Stalled {
                errno: libc::ENOSPC,
                target: Target::descriptor(1),
            },
        };
        assert_eq!(
            undrained(false).to_string(),
            "descriptor 1: 10 bytes in 2 records not written and lost, \
             0 open reservations stepped over: \
             accepts no data: No space left on device (os error 28)"
        );
        let kept = undrained(true).to_string();
        assert!(kept.contains("not written (they stay in the ring file), 0 open"));
        assert!(!kept.contains("retries"));
    }
}
