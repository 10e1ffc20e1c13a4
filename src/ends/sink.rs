//! What the flusher writes to.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::primitives::sync::sleep;
use crate::words::{LogEnd, SyncOp};

/// The far end of a queue, for [`Options::to_sink`](crate::Options::to_sink).
///
/// The flusher thread calls `write` and `wait_ready`, one at a time; the sync thread calls `sync`, beside them. (Once the
/// process [ends](crate::Queue#exit), those that append call the first two, one at a time.) A sink
/// that calls into its own queue is on the flusher thread: there `WAITOK` acts as `NOWAIT`, and every wait returns
/// [`Error::WouldDeadlock`](crate::Error::WouldDeadlock). A panic fails the queue.
///
/// ```
/// use std::io::{self, IoSlice};
/// use std::sync::{Arc, Mutex};
///
/// use alq::{Flags, Options, Sink, SyncOp};
///
/// struct Memory(Arc<Mutex<Vec<u8>>>);
///
/// impl Sink for Memory {
///     fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
///         let mut bytes = self.0.lock().unwrap();
///         runs.iter().for_each(|run| bytes.extend_from_slice(run));
///         Ok(runs.iter().map(|run| run.len()).sum())
///     }
///
///     fn sync(&self, _: SyncOp) -> io::Result<()> {
///         Ok(()) // nothing outlives the process here
///     }
/// }
///
/// let bytes = Arc::default();
/// let queue = Options::new().to_sink(Memory(Arc::clone(&bytes)))?;
/// queue.writen(b"one record", Flags::WAITOK)?;
/// queue.flush()?;
/// assert_eq!(*bytes.lock().unwrap(), b"one record");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink: Send + Sync {
    /// Appends the runs, in order, and says how many bytes it took: at least 1. They end where a record ends; if it
    /// takes fewer, the next call goes on at the very byte.
    ///
    /// # Errors
    ///
    /// `Interrupted` is tried again at once, `WouldBlock` after [`wait_ready`](Sink::wait_ready), and `ENOSPC` and `EDQUOT`
    /// (as well as 0 bytes taken) after a while. With any other error the queue fails, until it is
    /// [reopened](crate::Queue::reopen).
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// How many bytes the next write is to have at most, as far as records allow: one that is longer comes alone. (Of a
    /// [lane](crate::Lane), what was posted by the time it is looked at counts as one.) Asked by the flusher before each write, when the ones before have
    /// been accounted for; by default there is no bound.
    fn room(&self) -> u64 {
        u64::MAX
    }

    /// Blocks until the sink may take bytes again, for `limit` at most. By default it sleeps for some milliseconds.
    ///
    /// # Errors
    ///
    /// With any error the queue fails.
    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        sleep(limit.min(Duration::from_millis(5)));
        Ok(())
    }

    /// Whether [`sync`](Sink::sync) can mean anything: if not, `fsync` is refused with
    /// [`Error::NotSyncable`](crate::Error::NotSyncable).
    fn can_sync(&self) -> bool {
        true
    }

    /// The descriptor that the bytes end in, if they go there as they are. In a child of fork(2) records are appended
    /// to it with write(2), past the sink; where there is none, a child cannot append.
    ///
    /// It must not lock, wait or allocate: in a child, nobody would give a lock back.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Makes durable all that `write` has taken before the call. Called on another thread than `write`, beside it.
    ///
    /// # Errors
    ///
    /// `Interrupted` is tried again; any other error is final: what was written by then is never durable.
    fn sync(&self, op: SyncOp) -> io::Result<()>;

    /// What tells the file behind it from others, if there is one: its device and inode. A
    /// [reopen](crate::Queue::reopen) on the same file goes on at the very byte; by default none is the same.
    fn file_id(&self) -> Option<(u64, u64)> {
        None
    }

    /// Where the next write begins, in which file, if it begins at the end of a regular file. A queue with a
    /// [ring file](crate::Options::ring_file) notes it before each write; without it, a write that was under way when the
    /// process was killed is done once more.
    fn end(&self) -> Option<LogEnd> {
        None
    }

    /// How many of the bytes of `runs` stand in the file behind `end`, which an earlier process has noted before it wrote
    /// them: all that there is behind it must be their beginning, or all of them. `None` if it cannot be told, as when the
    /// file is another, or shorter than it was, or holds other bytes.
    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        let _ = (end, runs);
        None
    }

    /// Where the file is, for messages, and to tell one log from another.
    fn path(&self) -> Option<PathBuf> {
        None
    }
}

impl<T: Sink + ?Sized> Sink for Arc<T> {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).write(runs)
    }

    fn room(&self) -> u64 {
        (**self).room()
    }

    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        (**self).wait_ready(limit)
    }

    fn can_sync(&self) -> bool {
        (**self).can_sync()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (**self).descriptor()
    }

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        (**self).sync(op)
    }

    fn file_id(&self) -> Option<(u64, u64)> {
        (**self).file_id()
    }

    fn end(&self) -> Option<LogEnd> {
        (**self).end()
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        (**self).holds(end, runs)
    }

    fn path(&self) -> Option<PathBuf> {
        (**self).path()
    }
}
