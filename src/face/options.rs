//! How a queue is to be.

use std::path::PathBuf;
use std::time::Duration;

use super::opening::Opening;
use crate::actors::Callback;
use crate::words::{Order, Report};

/// The options of a [`Queue`](crate::Queue), and the ways to open one.
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
    pub(super) capacity_bytes: usize,
    pub(super) opening: Opening,
    pub(super) stall_limit: Option<Duration>,
    pub(super) order: Order,
    pub(super) outstanding_max: usize,
    pub(super) on_error: Callback,
    pub(super) lane_span_bytes: usize,
    pub(super) max_delay: Duration,
    pub(super) loss_line_every: Option<Duration>,
    pub(super) refuse_when_stalled: bool,
    pub(super) ring_file: Option<PathBuf>,
    pub(super) other_log: bool,
    pub(super) ring_optional: bool,
    pub(super) ring_on_disk: bool,
    /// `entry_len` and `count`.
    pub(super) fixed: Option<(usize, usize)>,
}

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
            on_error: Callback::default(),
            lane_span_bytes: 1 << 14,
            max_delay: Duration::from_millis(10),
            loss_line_every: None,
            refuse_when_stalled: false,
            ring_file: None,
            other_log: false,
            ring_optional: false,
            ring_on_disk: false,
            fixed: None,
        }
    }

    /// How many bytes the ring holds: 1 to 2 GiB, rounded up to a power of two and at least one page of 4096.
    /// [`Queue::capacity`](crate::Queue::capacity) tells the result. Checked when the queue is opened.
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
    /// [`write_fixed`](crate::Queue::write_fixed) and [`get`](crate::Queue::get) take the place of `writen` and `getn`. With a `count`
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

    /// Whether no other process writes to the descriptor; off by default. It matters for a pipe or a FIFO
    /// alone: there a write has at most `PIPE_BUF` bytes (4096) unless one record is longer, so that the
    /// records of several processes are not mixed. With a sole writer, writes are as long as the pipe
    /// takes.
    ///
    /// ```
    /// let (reader, writer) = std::io::pipe()?;
    /// let queue = alq::Options::new().sole_writer(true).from_fd(&writer)?;
    /// # drop(reader);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sole_writer(mut self, sole: bool) -> Self {
        self.opening.sole_writer = sole;
        self
    }

    /// How long `flush`, completions, `close` and the drop of the last handle wait while nothing moves, before they give up and
    /// say what stands in the way; `None` waits for ever. Data that is slow to go out is waited for as long as
    /// some of it goes. A millisecond at least. A stall that has begun before the call counts, but for one more try. It also bounds a `WAITOK` append that waits behind an open reservation (`Held`).
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

    /// Whether no call waits for a file that has no room: on a full disk or beyond a quota (`ENOSPC`, `EDQUOT`). Off by
    /// default, when an append with `WAITOK` waits for as long as that lasts.
    ///
    /// If it is on, and the ring is full while the file has no room, an append fails at once with [`Error::Stalled`], and
    /// [`Stats::refused_for_stall`](crate::Stats::refused_for_stall) counts it. `flush`, completions, `close`, drops and the
    /// end of the process have the file tried once more, then give up at once. A pipe, socket or terminal that nobody
    /// reads is waited for as without the option.
    ///
    /// For a program that must go on when its log cannot: an [`AsyncAppend`](crate::AsyncAppend) has it on.
    ///
    /// ```
    /// use alq::{Error, Flags, Options};
    ///
    /// let full = std::fs::File::options().append(true).open("/dev/full")?;
    /// let queue = Options::new().capacity(4096).refuse_when_stalled(true).from_fd(&full)?;
    /// queue.writen(&[b'x'; 4096], Flags::WAITOK)?;
    /// let full_disk = Error::Stalled { errno: 28 }; // ENOSPC
    /// assert_eq!(queue.writen(b"one more", Flags::WAITOK), Err(full_disk.clone()));
    /// assert_eq!(queue.close(None).unwrap_err().cause, full_disk);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refuse_when_stalled(mut self, refuse: bool) -> Self {
        self.refuse_when_stalled = refuse;
        self
    }

    /// How many completions may be outstanding, 65536 by default; 0 allows none. Beyond it
    /// [`fsync`](crate::Queue::fsync) and [`completion`](crate::Queue::completion) say [`Error::TooManyOutstanding`].
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

    /// Receives errors that no caller may be waiting for, with the queue that they happened in.
    /// `callback` gets
    ///
    /// - the failure of a write, or of the flusher itself, after which the queue refuses appends until
    ///   a [reopen](crate::Queue::reopen);
    /// - [`Error::Stalled`], once for each stall that has lasted for the
    ///   [stall limit](Options::stall_limit);
    /// - the failure of a sync;
    /// - why a [ring file](Options::ring_optional) was left out;
    /// - why the drop of the last handle, or the end of the process, left something undrained, unless
    ///   a [`close`](crate::Queue::close) has returned it. (Without a callback, standard error gets a
    ///   line that counts what is lost.) That drop waits for the callback for a second at most.
    ///
    /// It runs on the one thread that runs all callbacks of the process, one after the other
    /// ([`Notify`](crate::Notify)). It may append, wait and [reopen](crate::Queue::reopen), and a panic
    /// in it ends only itself. A handle of this queue that the callback owns keeps the queue open: give
    /// it one that can be taken away. The last `on_error` counts.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// use alq::{Flags, Options, Report};
    ///
    /// let (sender, reports) = channel();
    /// let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    /// let queue = Options::new()
    ///     .on_error(move |report: &Report| sender.send(report.clone()).unwrap())
    ///     .from_fd(&writer)?;
    /// drop(reader);
    /// queue.writen(b"no reader\n", Flags::NOWAIT)?;
    /// let report = reports.recv()?;
    /// assert_eq!(report.error.raw_os_error(), Some(32)); // EPIPE
    /// assert!(report.to_string().contains("cannot be written: Broken pipe"), "{report}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_error(mut self, callback: impl Fn(&Report) + Send + Sync + 'static) -> Self {
        self.on_error = Callback::new(callback);
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
    /// ring; a longer time means fewer wake-ups, and with 0 it looks all the time while there is traffic. Records posted with [`NOACTIVATE`](crate::Flags::NOACTIVATE) have no such
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

    /// Has the log itself say where records are missing. Where a [`NOWAIT`](crate::Flags::NOWAIT) append was refused because
    /// the queue was full, the file gets a line such as
    ///
    /// ```text
    /// alq: 12 records, 1534 bytes dropped: queue full
    /// ```
    ///
    /// at most once in `every`, so that the loss cannot flood the log that tells of it; a line that had to wait comes later
    /// than its place, at the latest when the queue is closed, dropped, or the process ends. It comes between two records, so
    /// those should end in a newline. Off by default; not on a fixed queue, whose records all have
    /// one length. Counted is what was refused with [`WouldBlock`](Error::WouldBlock), as often as it was, by the
    /// bytes that were asked for; not what timed out, or failed.
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let once_a_second = std::time::Duration::from_secs(1);
    /// let queue = Options::new().capacity(4096).loss_lines(once_a_second).open(&path)?;
    /// let held = queue.getn(4096, Flags::NOWAIT)?;
    /// assert_eq!(queue.writen(b"refused\n", Flags::NOWAIT), Err(alq::Error::WouldBlock));
    /// drop(held);
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"alq: 1 record, 8 bytes dropped: queue full\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loss_lines(mut self, every: Duration) -> Self {
        self.loss_line_every = Some(every);
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
