//! What the flusher writes to: the trait [`Sink`], which users may implement.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::primitives::sync::sleep;
use crate::words::{LogEnd, SyncOp};

/// Receives the bytes of a queue, in place of a file or a descriptor. Pass it to
/// [`Options::to_sink`](crate::Options::to_sink). Only [`write`](Sink::write) is required; a sink
/// that wraps another one also implements [`inner`](Sink::inner).
///
/// The flusher thread calls `write` and `wait_ready`, one at a time. The sync thread calls `sync`,
/// possibly at the same time. Once the process [ends](crate::Queue#exit), the appending threads
/// call `write` and `wait_ready`, one at a time. A sink that calls into its own queue does so on
/// the flusher thread: there `WAITOK` acts as `NOWAIT`, and every wait returns
/// [`Error::WouldDeadlock`](crate::Error::WouldDeadlock). A panic of the sink fails the queue.
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
    /// Appends the runs, in order, and returns how many bytes it took: at least 1. The runs end
    /// where a record ends. If the sink takes fewer bytes, the next call begins with the first byte
    /// that it did not take.
    ///
    /// # Errors
    ///
    /// | error | the sink has taken | the flusher |
    /// |---|---|---|
    /// | `Interrupted` | nothing | calls again at once |
    /// | `WouldBlock` | nothing | calls again after [`wait_ready`](Sink::wait_ready) |
    /// | `ENOSPC`, `EDQUOT`, or `Ok(0)` | nothing | calls again after a while |
    /// | any other, or a panic | an unknown part | fails the queue |
    ///
    /// If the sink has taken some bytes before the error, it must return their number, and return
    /// the error from the next call. Otherwise, after one of the first three errors, it gets the
    /// same bytes again. After any other error the queue has failed until it is
    /// [reopened](crate::Queue::reopen) (after a panic, for good), and it is unknown which bytes of
    /// the call arrived. A queue
    /// with a [ring file](crate::Options::ring_file) asks [`holds`](Sink::holds) how many did; any
    /// other queue keeps all of them.
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Returns the sink to which this one passes its bytes unchanged. Each method below calls that
    /// sink unless it is overridden, so a wrapper needs only `write` and `inner`. `None` by
    /// default: this sink is the last one.
    ///
    /// It must return the same sink every time, and must not lock, wait or allocate.
    fn inner(&self) -> Option<&dyn Sink> {
        None
    }

    /// Returns the most bytes that the next write should have. A longer record comes in a write
    /// without other records. (All that a [lane](crate::Lane) has posted in one span by then counts
    /// as one record.) The flusher asks before each write, after it has accounted for the earlier
    /// ones. No bound by default.
    fn room(&self) -> u64 {
        self.inner().map_or(u64::MAX, Sink::room)
    }

    /// Returns whether this sink may cut a record at any byte, so that the rest goes to another
    /// file. Then the bytes that it took count as written. `false` by default: a queue keeps each
    /// record until the sink has taken all of it, so that another sink, or the next process, can
    /// write it whole. It must return the same value every time.
    fn cuts_records(&self) -> bool {
        self.inner().is_some_and(Sink::cuts_records)
    }

    /// Blocks until the sink may take bytes again, at most for `limit`. By default it sleeps for up
    /// to 5 milliseconds.
    ///
    /// # Errors
    ///
    /// Any error fails the queue.
    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        if let Some(inner) = self.inner() {
            inner.wait_ready(limit)
        } else {
            sleep(limit.min(Duration::from_millis(5)));
            Ok(())
        }
    }

    /// Returns whether [`sync`](Sink::sync) makes data durable. If `false`, `fsync` returns
    /// [`Error::NotSyncable`](crate::Error::NotSyncable). `true` by default.
    fn can_sync(&self) -> bool {
        self.inner().is_none_or(Sink::can_sync)
    }

    /// Returns the descriptor to which the bytes go unchanged, if there is one. A child of fork(2)
    /// appends records to it with write(2), without calling the sink. Without a descriptor, a child
    /// cannot append.
    ///
    /// It must not lock, wait or allocate: in a child, the thread that holds a lock does not exist.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner().and_then(Sink::descriptor)
    }

    /// Opens a descriptor for one append in a child of fork(2); the queue closes it afterwards.
    /// `None`, the default, means: use [`descriptor`](Sink::descriptor). Implement it for a sink
    /// that continues in other files, as a rotation does.
    ///
    /// Like `descriptor`, it must not lock, wait for a thread, or allocate.
    fn open_in_child(&self) -> Option<io::Result<OwnedFd>> {
        self.inner().and_then(Sink::open_in_child)
    }

    /// Makes durable all bytes that `write` took before the call. The sync thread calls it, and the
    /// flusher may call `write` at the same time.
    ///
    /// # Errors
    ///
    /// After `Interrupted` it is called again. Any other error is final: bytes that are written and
    /// not yet durable then never count as durable. By default, without an [`inner`](Sink::inner)
    /// sink, it returns `Unsupported`.
    fn sync(&self, op: SyncOp) -> io::Result<()> {
        match self.inner() {
            Some(inner) => inner.sync(op),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Returns the device and inode of the file to which the bytes go, if there is one. A
    /// [reopen](crate::Queue::reopen) on the same file continues with the first byte not written.
    /// Two sinks without a file never count as the same file.
    fn file_id(&self) -> Option<(u64, u64)> {
        self.inner().and_then(Sink::file_id)
    }

    /// Returns the file and the offset at which the next write begins, if that is the end of a
    /// regular file. A queue with a [ring file](crate::Options::ring_file) notes it before each
    /// write. Without it, a write that was in progress when the process was killed is repeated.
    fn end(&self) -> Option<LogEnd> {
        self.inner().and_then(Sink::end)
    }

    /// Returns how many bytes of `runs` the file holds after `end`, which an earlier process noted
    /// before it wrote them. The bytes of the file there must be the beginning of `runs`, or all of
    /// them. `None` if the number is unknown: it is another file, or it is shorter than `end`, or
    /// it holds other bytes.
    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        self.inner().and_then(|inner| inner.holds(end, runs))
    }

    /// Returns the path of the file, for messages and to distinguish logs.
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
