//! Points in the stream of a queue.

use core::cmp::Ordering;
use core::fmt;

/// A point in the stream of one queue: the bytes claimed since it was opened, up to the end of a
/// record.
///
/// A position is final when a post returns it. Positions grow with every record: of two records of
/// the same queue, the one that was claimed later has the larger position. Positions count padding,
/// so they are *not* offsets in the file. Use them to compare and to wait.
///
/// Positions of different queues have no order:
///
/// ```
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("a.log"))?;
/// let first = queue.writen(b"one\n", Flags::WAITOK)?;
/// let second = queue.writen(b"two\n", Flags::WAITOK)?;
/// assert!(first < second);
///
/// let other = Options::new().open(dir.path().join("b.log"))?;
/// let elsewhere = other.writen(b"one\n", Flags::WAITOK)?;
/// assert_eq!(first.partial_cmp(&elsewhere), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    bytes: u64,
    queue: u64,
}

impl Position {
    /// The point `bytes` into the stream of the queue with number `queue`.
    #[inline]
    pub(crate) const fn new(queue: u64, bytes: u64) -> Self {
        Self { bytes, queue }
    }

    /// Whether it is a point of the queue with number `queue`.
    pub(crate) const fn is_of(self, queue: u64) -> bool {
        self.queue == queue
    }

    /// The bytes claimed since the queue was opened, up to this point, padding included.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().open(dir.path().join("a.log"))?;
    /// let position = queue.writen(b"12345", alq::Flags::WAITOK)?;
    /// assert_eq!(position.bytes(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.queue == other.queue).then(|| self.bytes.cmp(&other.bytes))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} of queue {}", self.bytes, self.queue)
    }
}
