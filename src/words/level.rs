//! How far a record has come: written, durable, and the state of a completion.

use super::Error;

/// Selects what [`fsync`](crate::Queue::fsync) makes durable. Source: `aio_fsync(3)`.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
/// queue.fsync(alq::SyncOp::Data)?.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncOp {
    /// The data, and the metadata needed to read it back: `fdatasync(2)` (`O_DSYNC`).
    Data,
    /// The data and all metadata of the file: `fsync(2)` (`O_SYNC`).
    Full,
}

/// Selects what a [completion](crate::Queue::completion) waits for.
///
/// ```
/// use alq::{Flags, Level, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("app.log"))?;
/// let position = queue.writen(b"a record\n", Flags::WAITOK)?;
/// queue.completion(position, Level::Written).wait()?; // it survives `kill -9` now
/// queue.completion(position, Level::Durable).wait()?; // and a power failure
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The sink has accepted the record: it survives this process.
    Written,
    /// The record is on disk, as far as the system can tell: it survives a crash of the kernel and
    /// a power failure.
    Durable,
}

/// The state of a [`Completion`](crate::Completion). Source: `aio_error(3)`.
///
/// ```
/// use alq::{Options, Status, SyncOp};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("app.log"))?;
/// let completion = queue.fsync(SyncOp::Data)?;
/// match completion.status() {
///     Status::InProgress => println!("not yet"),
///     Status::Done(Ok(())) => println!("on disk"),
///     Status::Done(Err(error)) => eprintln!("not on disk: {error}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not yet (`EINPROGRESS`).
    InProgress,
    /// Done or failed. This state is final.
    Done(Result<(), Error>),
}
