//! What the flusher writes to: the trait [`Sink`], which users may implement.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::primitives::sync::sleep;
use crate::words::{LogEnd, RingId, SyncOp};

/// Receives the bytes of a queue, in place of a file or a descriptor. Pass it to
/// [`Options::open_sink`](crate::Options::open_sink). Only [`write`](Sink::write) is required; a
/// sink that wraps another one also implements [`inner`](Sink::inner).
///
/// The flusher thread calls `write`, `is_in_doubt` and `wait_ready`, one at a time. The sync thread
/// calls `sync`, possibly at the same time. Once the process [ends](crate::Queue#exit), the
/// appending threads call them, one at a time. A sink that calls into its own queue does so on the
/// flusher thread: there `WAITOK` acts as `NOWAIT`, and every wait returns
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
/// let queue = Options::new().open_sink(Memory(Arc::clone(&bytes)))?;
/// queue.writen(b"one record", Flags::WAITOK)?;
/// queue.flush()?;
/// assert_eq!(*bytes.lock().unwrap(), b"one record");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink: Send + Sync {
    /// Appends the runs, in order, and returns how many bytes it took: at least 1. The runs end
    /// where a record ends, and [`Records`](crate::Records) finds the records in them. If the sink
    /// takes fewer bytes, the next call begins with the first byte that it did not take.
    ///
    /// # Errors
    ///
    /// | error | the flusher |
    /// |---|---|
    /// | `Interrupted` | calls again at once |
    /// | `WouldBlock` | calls again after [`wait_ready`](Sink::wait_ready) |
    /// | `ENOSPC`, `EDQUOT`, or `Ok(0)` | calls again after a while |
    /// | `EMSGSIZE`, of a sink that takes [messages](Sink::message_max) | loses this record, and goes on |
    /// | any other, or a panic | fails the queue |
    ///
    /// An error means that the sink has taken nothing, or that it [does not
    /// know](Sink::is_in_doubt). If the sink knows that it has taken some bytes before the error,
    /// it must return their number, and return the error from the next call.
    ///
    /// After one of the first three errors the sink gets the same bytes again, from the same byte
    /// on. The next call may have more of them, or fewer if [`room`](Sink::room) says so. After any
    /// other error the queue has failed until it is [reopened](crate::Queue::reopen) (after a
    /// panic, for good). A queue with a [ring file](crate::Options::ring_file) asks
    /// [`holds`](Sink::holds) how many bytes arrived; any other queue keeps all of them.
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Returns whether bytes may have arrived that the last [`write`](Sink::write) did not report.
    /// The flusher asks after each write that took fewer bytes than it was given, or none. A recovery
    /// asks after [`holds`](Sink::holds): bytes of the killed process may arrive after that answer.
    ///
    /// `true` by default: a sink that sends its bytes to another program may get no answer, and the
    /// bytes have arrived all the same. Return `false` if the last call knew how many bytes it
    /// took, as write(2) does. A sink with an [`inner`](Sink::inner) sink asks that one.
    ///
    /// The bytes of a call in doubt are repeated, in this process and in the next one. After a
    /// kill, [`Recovery::possibly_repeated_bytes`](crate::Recovery::possibly_repeated_bytes) counts
    /// them.
    ///
    /// ```
    /// use std::io::{self, IoSlice, Read, Write};
    /// use std::net::TcpStream;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// /// Sends bytes, and waits for a byte that confirms them.
    /// struct Confirmed(TcpStream, AtomicBool);
    ///
    /// impl alq::Sink for Confirmed {
    ///     fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    ///         let (mut far, in_doubt) = (&self.0, &self.1);
    ///         in_doubt.store(false, Ordering::Relaxed);
    ///         let sent = far.write_vectored(runs)?; // an error: nothing was sent
    ///         in_doubt.store(true, Ordering::Relaxed);
    ///         far.read_exact(&mut [0])?; // an error: it may have arrived
    ///         in_doubt.store(false, Ordering::Relaxed);
    ///         Ok(sent)
    ///     }
    ///
    ///     fn is_in_doubt(&self) -> bool {
    ///         self.1.load(Ordering::Relaxed)
    ///     }
    /// }
    /// ```
    fn is_in_doubt(&self) -> bool {
        self.inner().is_none_or(Sink::is_in_doubt)
    }

    /// Returns why the sink accepts no data now, in a few words: `no quorum: 1 of 3 nodes`. It is
    /// asked when [`write`](Sink::write) has not returned for the
    /// [stall limit](crate::Options::stall_limit), and during any other stall.
    /// [`Stall::reason`](crate::Stall::reason) and [`Report::reason`](crate::Report::reason) have
    /// the answer. `None` by default: they then say that a write has not returned, or what the
    /// errno means. A [ring file](crate::Options::ring_file) has the first 488 bytes of the answer,
    /// and `alq stat` shows them.
    ///
    /// Any thread may call it, also while another one is in `write`. It must not wait for that
    /// write.
    fn stall_reason(&self) -> Option<String> {
        self.inner().and_then(Sink::stall_reason)
    }

    /// Returns the sink to which this one passes its bytes unchanged. Each method below calls that
    /// sink unless it is overridden, so a wrapper needs only `write` and `inner`. `None` by
    /// default: this sink is the last one.
    ///
    /// It must return the same sink every time, and must not lock, wait or allocate.
    fn inner(&self) -> Option<&dyn Sink> {
        None
    }

    /// Returns the most bytes that the next write should have. A longer record comes in a write
    /// without other records. The flusher asks before each write, after it has accounted for the
    /// earlier ones. No bound by default.
    ///
    /// All that a [lane](crate::Lane) has posted in one span by then comes in one write. If the
    /// sink is no file (it has no [`path`](Sink::path)), these spans are at most as long as `room`
    /// says when the queue is opened.
    fn room(&self) -> u64 {
        self.inner().map_or(u64::MAX, Sink::room)
    }

    /// Returns the most bytes of one message, if the sink passes each write on as a message of its
    /// own: a datagram, a row. [`write`](Sink::write) then gets one run, which is one record, with
    /// its framing. `u64::MAX` if the bound is not known. `None` by default: the sink takes a
    /// stream. It must return the same value every time.
    ///
    /// A longer record is refused with [`Error::TooLarge`](crate::Error::TooLarge). If `write`
    /// finds a record too long, it returns `EMSGSIZE`. That record is lost alone:
    /// [`Stats::too_long_records`](crate::Stats::too_long_records) counts it, its completion fails,
    /// and [`on_error`](crate::Options::on_error) is called once.
    ///
    /// ```
    /// use std::io::{self, IoSlice};
    /// use std::os::unix::net::UnixDatagram;
    ///
    /// /// Sends each record as a datagram.
    /// struct Datagrams(UnixDatagram);
    ///
    /// impl alq::Sink for Datagrams {
    ///     fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    ///         self.0.send(&runs[0])
    ///     }
    ///
    ///     fn message_max(&self) -> Option<u64> {
    ///         Some(1200)
    ///     }
    /// }
    /// ```
    fn message_max(&self) -> Option<u64> {
        self.inner().and_then(Sink::message_max)
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

    /// Returns the place of a log that is no file, as a URI, such as `nats://host#stream/subject`.
    /// `None` by default. It must not contain a password: the [ring
    /// file](crate::Options::ring_file) notes it, and `alq stat` shows it.
    ///
    /// Records in a ring file go only to a sink with the same place (see
    /// [`other_log`](crate::Options::other_log)). A place longer than 4056 bytes is not noted.
    fn place(&self) -> Option<String> {
        self.inner().and_then(Sink::place)
    }

    /// Tells the sink which [ring file](crate::Options::ring_file) its queue has. Called while the
    /// queue is opened, before the first [`holds`](Sink::holds) and [`write`](Sink::write), and
    /// possibly again with the same id. Not called without a ring file. May block. By default it
    /// asks the [`inner`](Sink::inner) sink, and otherwise accepts every ring.
    ///
    /// One process at a time has a ring file open, and the id of a ring file survives kills. So the
    /// log has one writer if the sink stores the id of the first ring at the far end, and refuses
    /// any other: a second process with a copy of the configuration has another ring file.
    ///
    /// ```
    /// use std::io::{self, IoSlice};
    /// use std::sync::Mutex;
    ///
    /// use alq::{Options, RingId, Sink};
    ///
    /// /// A log with one writer. `OWNER` stands for a place at the far end.
    /// struct Owned;
    ///
    /// static OWNER: Mutex<Option<RingId>> = Mutex::new(None);
    ///
    /// impl Sink for Owned {
    ///     fn opened(&self, ring: RingId) -> io::Result<()> {
    ///         match *OWNER.lock().unwrap().get_or_insert(ring) {
    ///             owner if owner == ring => Ok(()),
    ///             owner => Err(io::Error::other(format!("{owner} writes here, not {ring}"))),
    ///         }
    ///     }
    ///
    ///     fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    ///         Ok(runs.iter().map(|run| run.len()).sum())
    ///     }
    /// }
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let ring = |name| Options::new().ring_file(dir.path().join(name));
    /// drop(ring("first").open_sink(Owned)?);
    /// drop(ring("first").open_sink(Owned)?);
    /// let error = ring("second").open_sink(Owned).unwrap_err();
    /// assert!(error.to_string().contains("writes here"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Any error: the queue does not open, and returns
    /// [`Error::SinkRefused`](crate::Error::SinkRefused) with its text. The records stay in the
    /// ring file.
    fn opened(&self, ring: RingId) -> io::Result<()> {
        self.inner().map_or(Ok(()), |inner| inner.opened(ring))
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
