//! Whether a call may touch its queue, and why an append does not get room in the ring.
//!
//! In a child of fork(2) the locks of a queue may be held by threads that do not exist, and its ring
//! is its parent's. So every call asks [`Shared::here`] first, and gets the queue only at home.

use super::shared::Shared;
use crate::words::Error;

/// Why an append goes past the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// This process is a child of the one that made the queue.
    Child,
    /// The process ends: the ring is closed, and the queue goes on without it.
    Exit,
}

/// Why an append did not get room in the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It may go past the ring.
    Past(Past),
    /// The queue does not take it.
    Error(Error),
}

impl<M> Shared<M> {
    /// This queue, if the calling process has made it. On the path of every append.
    ///
    /// # Errors
    ///
    /// [`Past::Child`] in any other process.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a load and a compare on the path of every append"
    )]
    pub fn here(&self) -> Result<&Self, Past> {
        if self.home.is_here() {
            Ok(self)
        } else {
            Err(Past::Child)
        }
    }
}

/// What a call that cannot go past the ring returns.
impl From<Past> for Error {
    fn from(past: Past) -> Self {
        match past {
            Past::Child => Self::Forked,
            Past::Exit => Self::Closed,
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Past(past) => past.into(),
            Refused::Error(error) => error,
        }
    }
}

impl From<Past> for Refused {
    fn from(past: Past) -> Self {
        Self::Past(past)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}
