//! What the flusher writes to.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
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
    /// Appends the runs, in order, and returns how many bytes it took: at least 1. They end where a
    /// record ends; if it takes fewer, the next call goes on at the very byte.
    ///
    /// # Errors
    ///
    /// | error | the sink has taken | the flusher |
    /// |---|---|---|
    /// | `Interrupted` | nothing | calls again at once |
    /// | `WouldBlock` | nothing | calls again after [`wait_ready`](Sink::wait_ready) |
    /// | `ENOSPC`, `EDQUOT`, or `Ok(0)` | nothing | calls again after a while |
    /// | any other, or a panic | an unknown part | fails the queue until it is [reopened](crate::Queue::reopen) |
    ///
    /// A sink that returns one of the first three after it took some bytes gets them twice: it must
    /// return how many it took, and the error from the next call. After any other error the bytes of
    /// the call are in doubt: a queue with a [ring file](crate::Options::ring_file) asks
    /// [`holds`](Sink::holds) how many arrived, and any other keeps all of them.
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// The sink that this one passes its bytes on to, as they are. Every method below asks that sink
    /// unless it is overridden, so a wrapper needs only `write` and `inner`. `None` by default: the
    /// bytes end here.
    ///
    /// It must always be the same sink, and must not lock, wait or allocate.
    fn inner(&self) -> Option<&dyn Sink> {
        None
    }

    /// How many bytes the next write is to have at most, as far as records allow: a longer record
    /// comes alone. (What a [lane](crate::Lane) posted by the time of the look counts as one record.)
    /// The flusher asks before each write, after it has accounted for the ones before. No bound by
    /// default.
    fn room(&self) -> u64 {
        self.inner().map_or(u64::MAX, Sink::room)
    }

    /// Whether it cuts records where it likes: what it takes of one is written then, and the rest may
    /// go to another file. By default it does not, and a queue keeps each record until all of it is
    /// taken: another sink, or the next process, can have it whole. It must always be the same.
    fn cuts_records(&self) -> bool {
        self.inner().is_some_and(Sink::cuts_records)
    }

    /// Blocks until the sink may take bytes again, for `limit` at most. By default it sleeps for up to
    /// 5 milliseconds.
    ///
    /// # Errors
    ///
    /// With any error the queue fails.
    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        match self.inner() {
            Some(inner) => inner.wait_ready(limit),
            None => {
                sleep(limit.min(Duration::from_millis(5)));
                Ok(())
            }
        }
    }

    /// Whether [`sync`](Sink::sync) can mean anything: if not, `fsync` is refused with
    /// [`Error::NotSyncable`](crate::Error::NotSyncable). `true` by default.
    fn can_sync(&self) -> bool {
        self.inner().is_none_or(Sink::can_sync)
    }

    /// The descriptor that the bytes end in, if they go there as they are. In a child of fork(2)
    /// records are appended to it with write(2), past the sink; without one, a child cannot append.
    ///
    /// It must not lock, wait or allocate: in a child, no thread would give a lock back.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner().and_then(Sink::descriptor)
    }

    /// In a child of fork(2), a descriptor for one append, which is closed after it; `None` if
    /// [`descriptor`](Sink::descriptor) is to be used. For a sink that changes its file while
    /// children live.
    ///
    /// It must not lock, wait for a thread, or allocate, as `descriptor`.
    fn open_in_child(&self) -> Option<io::Result<OwnedFd>> {
        self.inner().and_then(Sink::open_in_child)
    }

    /// Makes durable all that `write` took before the call. Called on another thread than `write`,
    /// possibly at the same time.
    ///
    /// # Errors
    ///
    /// `Interrupted` is tried again; any other error is final: what was written by then is never
    /// durable. By default, without an [`inner`](Sink::inner) sink, it is `Unsupported`.
    fn sync(&self, op: SyncOp) -> io::Result<()> {
        match self.inner() {
            Some(inner) => inner.sync(op),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The device and inode of the file that the bytes end in, if there is one. A
    /// [reopen](crate::Queue::reopen) on the same file goes on at the very byte; without a file it is
    /// never the same.
    fn file_id(&self) -> Option<(u64, u64)> {
        self.inner().and_then(Sink::file_id)
    }

    /// Where the next write begins, in which file, if it begins at the end of a regular file. A queue
    /// with a [ring file](crate::Options::ring_file) notes it before each write; without it, a write
    /// that was under way when the process was killed is done once more.
    fn end(&self) -> Option<LogEnd> {
        self.inner().and_then(Sink::end)
    }

    /// How many of the bytes of `runs` the file holds after `end`, which an earlier process noted
    /// before it wrote them: what the file has there must be their beginning, or all of them. `None`
    /// if that is unknown: the file is another one, or shorter, or holds other bytes.
    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        self.inner().and_then(|inner| inner.holds(end, runs))
    }

    /// The path of the file, for messages, and to tell one log from another.
    fn path(&self) -> Option<PathBuf> {
        self.inner().and_then(Sink::path)
    }
}

impl<T: Sink> Sink for Arc<T> {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).write(runs)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&**self)
    }
}

impl Sink for Arc<dyn Sink> {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).write(runs)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&**self)
    }
}
