//! How far a record has come, and how far it is to be brought.

use super::Error;

/// What `fsync` makes durable. Source: `aio_fsync(3)`.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
/// queue.fsync(alq::SyncOp::Data)?.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncOp {
    /// The data, and what is needed to read it back, as `fdatasync(2)` (`O_DSYNC`).
    Data,
    /// All of the file's metadata too, as `fsync(2)` (`O_SYNC`).
    Full,
}

/// How far a record is to have come when a completion is done.
///
/// ```
/// use alq::{Flags, Level, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("app.log"))?;
/// let position = queue.writen(b"a record\n", Flags::WAITOK)?;
/// queue.completion(position, Level::Written).wait()?; // `kill -9` does not take it away now
/// queue.completion(position, Level::Durable).wait()?; // nor does the power
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The descriptor has taken it: it survives this process.
    Written,
    /// It is on disk, as far as the system can tell: it survives the kernel and the power.
    Durable,
}

/// What has become of a completion. Source: `aio_error(3)`.
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
    /// Done, or failed; it stays that way.
    Done(Result<(), Error>),
}
