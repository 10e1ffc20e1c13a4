//! How a queue is made.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use super::exit;
use super::queue::Queue;
use super::registry::registry;
use super::reopen::Opening;
use crate::actors::{Config, Flusher, Reporter, Shared, start};
use crate::ends::Sink;
use crate::memory::Mirror;
use crate::primitives::sync::{Arc, PlainArc};
use crate::words::{Error, Geometry, Operation, Order};

/// The options of a [`Queue`], and the ways to open one.
///
/// ```
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = Options::new().capacity(1 << 16).mode(0o640).open(&path)?;
/// queue.writen(b"hello\n", Flags::WAITOK)?;
/// queue.close(None)?;
/// assert_eq!(std::fs::read(&path)?, b"hello\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `open` or `from_fd`"]
pub struct Options {
    capacity_bytes: usize,
    opening: Opening,
    stall_limit: Option<Duration>,
    order: Order,
    outstanding_max: usize,
    reporter: Reporter,
    lane_span_bytes: usize,
    max_delay: Duration,
    /// `entry_len` and `count`.
    fixed: Option<(usize, usize)>,
}

/// One page: the smallest unit that can be mapped twice.
const CAPACITY_MIN: u64 = 4096;

/// One descriptor for so many bytes: rings of records shorter than this fill up by number, not by bytes.
const BYTES_PER_SLOT: u32 = 64;

/// The most entries of a fixed queue: 1 GiB of descriptors.
const COUNT_MAX: usize = 1 << 26;

impl Options {
    /// The defaults: 1 MiB of ring, files of mode 0600, symbolic links refused, a stall limit of 5 seconds.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.capacity(), 1 << 20);
    /// # Ok::<(), alq::Error>(())
    /// # .map_err(|e| -> Box<dyn std::error::Error> { e.into() })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self {
            capacity_bytes: 1 << 20,
            opening: Opening::default(),
            stall_limit: Some(Duration::from_secs(5)),
            order: Order::Any,
            outstanding_max: 1 << 16,
            reporter: Reporter::default(),
            lane_span_bytes: 1 << 14,
            max_delay: Duration::from_millis(10),
            fixed: None,
        }
    }

    /// How many bytes the ring holds: 1 to 2 GiB, rounded up to a power of two and at least one page of 4096.
    /// [`Queue::capacity`] tells the result. Checked when the queue is opened.
    ///
    /// All of it is allocated and touched at once, so that no append ever pays for a page fault. Descriptors take a
    /// quarter more; beyond 4 MiB of those (a capacity of 16 MiB) they are brought in as they are used.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().capacity(5000).open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.capacity(), 8192);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity_bytes = bytes;
        self
    }

    /// A queue of fixed records: exactly `count` entries of `entry_len` bytes may be outstanding, and
    /// [`write_fixed`](Queue::write_fixed) and [`get`](Queue::get) take the place of `writen` and `getn`. With a `count`
    /// of 0 it is a variable queue of `entry_len` bytes. Source: `alq_open` in alq(9).
    ///
    /// Replaces [`capacity`](Options::capacity). Checked when the queue is opened: `count * entry_len` is 1 byte to
    /// 2 GiB, and `count` at most 2^26.
    ///
    /// ```
    /// use alq::{Error, Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let queue = Options::new().fixed(16, 2).open(dir.path().join("trace"))?;
    /// let first = queue.get(Flags::NOWAIT)?;
    /// let second = queue.get(Flags::NOWAIT)?;
    /// assert_eq!(queue.get(Flags::NOWAIT).unwrap_err(), Error::WouldBlock);
    /// # drop((first, second));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fixed(mut self, entry_len: usize, count: usize) -> Self {
        self.fixed = (count > 0).then_some((entry_len, count));
        self.capacity_bytes = entry_len;
        self
    }

    /// Whether waiting writers get room strictly in the order in which they came; off by default. While somebody waits,
    /// nobody overtakes: `NOWAIT` is refused even if its record would fit. Source: `ALQ_ORDERED` in alq(9).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().ordered(true).open(dir.path().join("app.log"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.order = if ordered { Order::Arrival } else { Order::Any };
        self
    }

    /// The permissions of a log that [`open`](Options::open) creates, 0 to 0o7777, less the process's umask.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().mode(0o644).open(dir.path().join("app.log"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mode(mut self, mode: u32) -> Self {
        self.opening.mode = mode;
        self
    }

    /// Whether [`open`](Options::open) follows a symbolic link in the last part of the path. Off by default: in a
    /// directory where others may write, a link could lead a log anywhere.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let link = dir.path().join("link.log");
    /// std::os::unix::fs::symlink("real.log", &link)?;
    /// assert!(alq::Options::new().open(&link).is_err());
    /// assert!(alq::Options::new().follow_links(true).open(&link).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow_links(mut self, follow: bool) -> Self {
        self.opening.follow_links = follow;
        self
    }

    /// How long `flush`, completions, `close` and the drop of the last handle wait while nothing moves, before they give up and
    /// say what stands in the way; `None` waits for ever. Data that is slow to go out is waited for as long as
    /// some of it goes. A stall that has begun before the call counts, but for one more try. It also bounds a `WAITOK` append that waits behind an open reservation (`Held`).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let options = alq::Options::new().stall_limit(Some(Duration::from_millis(250)));
    /// let queue = options.open(dir.path().join("app.log"))?;
    /// let held = queue.getn(10, alq::Flags::NOWAIT)?;
    /// queue.writen(b"behind it\n", alq::Flags::NOWAIT)?;
    /// assert!(matches!(queue.flush(), Err(alq::Error::Held { .. })));
    /// drop(held);
    /// queue.flush()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stall_limit(mut self, limit: Option<Duration>) -> Self {
        self.stall_limit = limit;
        self
    }

    /// How many completions may be outstanding, 65536 by default; 0 allows none. Beyond it
    /// [`fsync`](Queue::fsync) and [`completion`](Queue::completion) say [`Error::TooManyOutstanding`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().outstanding_max(1000).open(dir.path().join("app.log"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outstanding_max(mut self, completions: usize) -> Self {
        self.outstanding_max = completions;
        self
    }

    /// Whom to tell of errors that nobody may be asking for. `callback` gets
    ///
    /// - the failure of a write, or of the flusher itself, after which the queue takes nothing until a
    ///   [reopen](Queue::reopen);
    /// - [`Error::Stalled`], once for each stall that has lasted for the [stall limit](Options::stall_limit);
    /// - the failure of a sync;
    /// - from the drop of the last handle, the cause for which something was left undrained, unless a
    ///   [`close`](Queue::close) has told it before. That drop waits until the callback has returned, for a second at most.
    ///
    /// It runs on the thread that runs all callbacks of the process, one after the other ([`Notify`](crate::Notify)): it may
    /// append, wait and [reopen](Queue::reopen), and a panic in it ends nothing but itself. A handle of this queue that the
    /// callback owns would keep the queue open for ever: give it one that can be taken away. The last `on_error` counts.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// use alq::{Error, Flags, Options};
    ///
    /// let (sender, errors) = channel();
    /// let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    /// let queue = Options::new()
    ///     .on_error(move |error: &Error| sender.send(error.clone()).unwrap())
    ///     .from_fd(&writer)?;
    /// drop(reader);
    /// queue.writen(b"nobody reads it\n", Flags::NOWAIT)?;
    /// assert_eq!(errors.recv()?.raw_os_error(), 32); // EPIPE
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_error(mut self, callback: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.reporter = Reporter::new(callback);
        self
    }

    /// How many bytes a [`Lane`](crate::Lane) claims at once, at most: 1 byte to 2 GiB, 16 KiB by default. It is never more
    /// than a quarter of the capacity, and a lane begins with less; a span that was sealed early is followed by a
    /// shorter one, a full one by a longer one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let options = alq::Options::new().capacity(1 << 22).lane_span(1 << 16);
    /// let queue = options.open(dir.path().join("app.log"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lane_span(mut self, bytes: usize) -> Self {
        self.lane_span_bytes = bytes;
        self
    }

    /// Within which time an activating post is on its way to the descriptor, without any call and whatever the load: 10 ms
    /// by default. (A reservation in front that stays open holds it up all the same, and so does a descriptor that takes
    /// nothing.) The flusher rests for a quarter of it at most, and for no more than it takes to fill a part of the
    /// ring; a longer time means fewer wake-ups. Records posted with [`NOACTIVATE`](crate::Flags::NOACTIVATE) have no such
    /// bound.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let relaxed = std::time::Duration::from_millis(500);
    /// let queue = alq::Options::new().max_delay(relaxed).open(dir.path().join("app.log"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Opens the log at `path` for appending, creating it if need be, and starts its flusher.
    ///
    /// Blocks as open(2) does (a FIFO waits for its reader).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for a capacity or mode out of range; [`Error::Closed`] after a
    /// [`shutdown`](crate::shutdown); [`Error::Io`] with what open(2) said (a
    /// symbolic link is `ELOOP` unless [`follow_links`](Options::follow_links) is on), or with what mapping the ring
    /// or starting the thread said. Nothing is left behind then but a file that was created.
    ///
    /// ```
    /// use alq::{Error, Operation, Options};
    ///
    /// let error = Options::new().open("/no/such/directory/app.log").unwrap_err();
    /// assert_eq!(error, Error::Io { operation: Operation::Open, errno: 2 }); // ENOENT
    /// ```
    pub fn open(self, path: impl AsRef<Path>) -> Result<Queue, Error> {
        let geometry = self.geometry()?;
        let sink = self.opening.open(path.as_ref())?;
        self.start(geometry, PlainArc::new(sink))
    }

    /// A queue on an open descriptor, which is duplicated: the caller may close its own at any time.
    ///
    /// Bytes go where write(2) on that descriptor puts them: to the end in append mode, otherwise to the offset
    /// that it shares with the caller's. It may be a pipe, a socket or a terminal, blocking or not.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if it is not open for writing; [`Error::InvalidOption`] for a capacity out of range;
    /// [`Error::Io`] if it cannot be duplicated, the ring not mapped, or the thread not started.
    ///
    /// ```
    /// use alq::{Error, Options};
    ///
    /// let queue = Options::new().from_fd(std::io::stderr())?;
    /// let read_only = std::fs::File::open("/dev/null")?;
    /// assert_eq!(Options::new().from_fd(&read_only).unwrap_err(), Error::BadDescriptor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_fd(self, fd: impl AsFd) -> Result<Queue, Error> {
        let geometry = self.geometry()?;
        let sink = Opening::duplicate(fd.as_fd())?;
        self.start(geometry, PlainArc::new(sink))
    }

    /// A queue that ends in a sink of the caller's.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for a capacity out of range; [`Error::Closed`] after a [`shutdown`](crate::shutdown);
    /// [`Error::Io`] if the ring cannot be mapped or the thread not started.
    ///
    /// See [`Sink`] for an example.
    pub fn to_sink(self, sink: impl Sink + 'static) -> Result<Queue, Error> {
        let geometry = self.geometry()?;
        self.start(geometry, PlainArc::new(sink))
    }

    fn start(&self, geometry: Geometry, sink: PlainArc<dyn Sink>) -> Result<Queue, Error> {
        exit::arm()?;
        self.reporter.start()?;
        let memory = Mirror::map(geometry).map_err(|error| Error::io(Operation::Map, &error))?;
        let config = Config {
            order: self.order,
            lane_span: self.lane_span_checked()?,
            stall_limit: self.stall_limit,
            outstanding_max: self.outstanding_max,
        };
        let (mut shared, drain) = Shared::new(memory, config, Some(PlainArc::clone(&sink)));
        shared.reporter = self.reporter.clone();
        let shared = Arc::new(shared);
        let flusher = Flusher::new(Arc::clone(&shared), drain, sink);
        start(flusher, self.max_delay / 4).map_err(|error| Error::io(Operation::Spawn, &error))?;
        let entry_len = self.fixed.map(|(len, _)| len as u32);
        let queue = Queue::new(Arc::clone(&shared), entry_len, self.opening);
        registry().enter(&shared)?; // refused, the queue is dropped: its thread ends
        Ok(queue)
    }

    /// The bytes of a lane's span; none on a fixed queue, where each entry is a claim of its own.
    fn lane_span_checked(&self) -> Result<u32, Error> {
        let bytes = self.lane_span_bytes as u64;
        if bytes == 0 || bytes > Geometry::MAX_CAPACITY {
            return Err(Error::InvalidOption {
                option: "lane_span",
                value: bytes,
                allowed: "1 byte to 2 GiB",
            });
        }
        Ok(if self.fixed.is_some() {
            0
        } else {
            bytes as u32
        })
    }

    /// The sizes of the ring that the options ask for.
    fn geometry(&self) -> Result<Geometry, Error> {
        let capacity = |option, bytes: u64| {
            if bytes == 0 || bytes > Geometry::MAX_CAPACITY {
                return Err(Error::InvalidOption {
                    option,
                    value: bytes,
                    allowed: "1 byte to 2 GiB in all",
                });
            }
            Ok(bytes.max(CAPACITY_MIN).next_power_of_two() as u32)
        };
        let Some((entry_len, count)) = self.fixed else {
            let capacity = capacity("capacity", self.capacity_bytes as u64)?;
            return Ok(Geometry::new(capacity, capacity / BYTES_PER_SLOT));
        };
        if count > COUNT_MAX {
            return Err(Error::InvalidOption {
                option: "fixed",
                value: count as u64,
                allowed: "2^26 entries at most",
            });
        }
        let bytes = (entry_len as u64).saturating_mul(count as u64);
        let slots = (count as u32).next_power_of_two().max(Geometry::MIN_SLOTS);
        let geometry = Geometry::new(capacity("fixed", bytes)?, slots);
        Ok(geometry.with_spans_max(count as u32))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
