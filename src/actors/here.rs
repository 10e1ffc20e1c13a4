//! Whether a call may touch its queue, and why an append gets no room in the ring.
//!
//! In a child of fork(2), threads that do not exist there may hold the locks of a queue, and the
//! ring belongs to the parent. So every call first asks [`Shared::here`](super::Shared::here),
//! which gives access only in the process that created the queue.

use crate::words::Error;

/// Why an append bypasses the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// This process is a child of the process that created the queue.
    Child,
    /// The process ends: the ring is closed, and appends go directly to the sink.
    Exit,
}

/// Why an append did not get room in the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The append may bypass the ring.
    Past(Past),
    /// The queue refuses the append.
    Error(Error),
}

/// The error of a call that cannot bypass the ring.
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
