//! How far a record has come, and how far it is to be brought.

use super::Error;

/// What `fsync` makes durable. Source: `aio_fsync(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncOp {
    /// The data, and what is needed to read it back, as `fdatasync(2)` (`O_DSYNC`).
    Data,
    /// All of the file's metadata too, as `fsync(2)` (`O_SYNC`).
    Full,
}

/// How far a record is to have come when a completion is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The descriptor has taken it: it survives this process.
    Written,
    /// It is on disk, as far as the system can tell: it survives the kernel and the power.
    Durable,
}

/// What has become of a completion. Source: `aio_error(3)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not yet (`EINPROGRESS`).
    InProgress,
    /// Done, or failed; it stays that way.
    Done(Result<(), Error>),
}
