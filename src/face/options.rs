//! Queue options: how to open a queue, and how it behaves.
//!
//! Every method stores its value and cannot fail. `open.rs` checks the values. `ring_file.rs` has
//! the options of the ring file, `sync_every.rs` the sync policy, and `delay.rs` the sleeps of the
//! flusher. A new option gets a row in the table of [`Options`].

use std::path::PathBuf;
use std::time::Duration;

use super::opening::Opening;
use crate::actors::{Callback, DumpLine, LossLines, OnStart};
use crate::words::{AfterKill, Idle, Order, Report, SyncPolicy};

/// Opens a [`Queue`](crate::Queue), with options.
///
/// [`open`](Options::open), [`open_fd`](Options::open_fd) and [`open_sink`](Options::open_sink)
/// check the options and open the queue. The other methods set one option each, and never fail.
///
/// | purpose | option | default |
/// |---|---|---|
/// | size of the ring | [`capacity`](Options::capacity), in bytes | 1 MiB |
/// | | [`fixed`](Options::fixed): entries of one length | off |
/// | | [`lane_span`](Options::lane_span), in bytes | 16 KiB |
/// | many threads | [`thread_lanes`](Options::thread_lanes): a lane for each thread | off |
/// | the log file | [`mode`](Options::mode), its permissions | 0600 |
/// | | [`follow_links`](Options::follow_links) | off |
/// | | [`sole_writer`](Options::sole_writer), for pipes | off |
/// | its records | [`framing`](Options::framing): how the file separates them | nothing added |
/// | time to the file | [`max_delay`](Options::max_delay) | 10 ms |
/// | | [`idle`](Options::idle): what the flusher does without records | park |
/// | a full ring | [`ordered`](Options::ordered): room in the order of arrival | off |
/// | | [`loss_lines`](Options::loss_lines): a line in the log for refused records | off |
/// | | [`loss_lines_with`](Options::loss_lines_with): the same, in the format of the log | |
/// | record, and write on demand | [`recorder`](Options::recorder): overwrite the oldest records | off |
/// | | [`dump_line_with`](Options::dump_line_with): how a dump begins | a line of text |
/// | a file that accepts no data | [`stall_limit`](Options::stall_limit) | 5 s |
/// | | [`refuse_when_stalled`](Options::refuse_when_stalled): never wait for a full disk | off |
/// | errors | [`on_error`](Options::on_error), a callback | no callback |
/// | its threads | [`on_thread_start`](Options::on_thread_start): set their priority, pin them | |
/// | durability | [`sync_every`](Options::sync_every): a time, a number of bytes | on request |
/// | completions | [`outstanding_max`](Options::outstanding_max) | 65536 |
/// | survive SIGKILL | [`ring_file`](Options::ring_file), the path of the ring | in memory |
/// | | [`ring_optional`](Options::ring_optional): open without it | off |
/// | | [`ring_on_disk`](Options::ring_on_disk): no warning | off |
/// | | [`other_log`](Options::other_log): accept records of another log | off |
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
#[allow(clippy::struct_excessive_bools)] // each is an option of its own, not a state
#[must_use = "options do nothing until `open`, `open_fd` or `open_sink`"]
pub struct Options {
    pub(super) capacity_bytes: usize,
    pub(super) opening: Opening,
    pub(super) stall_limit: Option<Duration>,
    pub(super) order: Order,
    pub(super) outstanding_max: usize,
    pub(super) on_error: Callback,
    pub(super) on_thread_start: OnStart,
    pub(super) lane_span_bytes: usize,
    pub(super) thread_lanes: bool,
    pub(super) max_delay: Duration,
    pub(super) idle: Idle,
    pub(super) loss_lines: Option<LossLines>,
    pub(super) refuse_when_stalled: bool,
    pub(super) recorder: bool,
    pub(super) dump_line: DumpLine,
    pub(super) after_kill: AfterKill,
    pub(super) sync_policy: Option<SyncPolicy>,
    pub(super) ring_file: Option<PathBuf>,
    pub(super) other_log: bool,
    pub(super) ring_optional: bool,
    pub(super) ring_on_disk: bool,
    /// The arguments of `fixed`: `entry_len` and `count`.
    pub(super) fixed: Option<(usize, usize)>,
}

impl Options {
    /// Makes options with the defaults: a ring of 1 MiB, log files of mode 0600, symbolic links
    /// refused, a stall limit of 5 seconds.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.capacity(), 1 << 20);
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
            on_thread_start: OnStart::default(),
            lane_span_bytes: 1 << 14,
            thread_lanes: false,
            max_delay: Duration::from_millis(10),
            idle: Idle::Park,
            loss_lines: None,
            refuse_when_stalled: false,
            recorder: false,
            dump_line: DumpLine::default(),
            after_kill: AfterKill::default(),
            sync_policy: None,
            ring_file: None,
            other_log: false,
            ring_optional: false,
            ring_on_disk: false,
            fixed: None,
        }
    }

    /// Sets the size of the ring: 1 byte to 2 GiB (on a 32-bit system 512 MiB), 1 MiB by default.
    /// It is rounded up to a power of two, at least 4096, and at least the size of a page.
    /// [`Queue::capacity`](crate::Queue::capacity) returns the result. The value is checked when
    /// the queue is opened.
    ///
    /// The whole ring is allocated and touched when the queue is opened, so that no append pays for
    /// a page fault. The slots, which describe the records, take a quarter more memory. If they
    /// take more than 4 MiB (at a capacity above 16 MiB), the system supplies their pages when they
    /// are first used.
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

    /// Opens a queue of fixed records: at most `count` entries of `entry_len` bytes may be
    /// outstanding. [`write_fixed`](crate::Queue::write_fixed) and [`get`](crate::Queue::get)
    /// replace `writen` and `getn`. If `count` is 0, the queue is variable, with a capacity of
    /// `entry_len` bytes. Source: `alq_open` in alq(9).
    ///
    /// Replaces [`capacity`](Options::capacity). The values are checked when the queue is opened:
    /// `count * entry_len` is 1 byte to the largest [`capacity`](Options::capacity), and `count` at
    /// most 2^26.
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

    /// Sets whether waiting writers get room strictly in the order in which they came; off by
    /// default. While a writer waits, no other append overtakes it: one with `NOWAIT` is refused
    /// even if its record would fit. Source: `ALQ_ORDERED` in alq(9).
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

    /// Sets the permissions of a log that [`open`](Options::open) creates: 0 to 0o7777, 0o600 by
    /// default. The umask of the process is applied.
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

    /// Sets whether [`open`](Options::open) follows a symbolic link in the last part of the path.
    /// Off by default: in a folder where other users may write, a link could point anywhere.
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

    /// Declares that no other process writes to the descriptor; off by default. It matters only for
    /// a pipe or a FIFO. Without it, one write has at most `PIPE_BUF` bytes (4096) unless one
    /// record is longer, so that records of several processes are not mixed. With it, a write is as
    /// long as the pipe accepts.
    ///
    /// ```
    /// use std::process::{Command, Stdio};
    ///
    /// let mut filter = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// let pipe = filter.stdin.take().expect("it was asked for");
    /// let queue = alq::Options::new().sole_writer(true).open_fd(&pipe)?;
    /// # queue.close(None)?;
    /// # drop(pipe);
    /// # filter.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sole_writer(mut self, sole: bool) -> Self {
        self.opening.sole_writer = sole;
        self
    }

    /// Sets how long a wait lasts while nothing moves: 5 seconds by default, at least 1 ms; `None`
    /// has no limit. It bounds `flush`, completions, `close` and the drop of the last handle. When
    /// it has passed, they give up and return what blocks the drain. They keep waiting as long as
    /// some data is written, even slowly.
    ///
    /// If a stall began before the call, that time counts, except that the file is tried once more.
    /// The limit also bounds a `WAITOK` append that waits for an open reservation
    /// ([`Error::Held`](crate::Error::Held)).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let options = alq::Options::new().stall_limit(Some(Duration::from_millis(250)));
    /// let queue = options.open(dir.path().join("app.log"))?;
    /// let held = queue.getn(10, alq::Flags::NOWAIT)?;
    /// queue.writen(b"after it\n", alq::Flags::NOWAIT)?;
    /// assert!(matches!(queue.flush(), Err(alq::Error::Held { .. })));
    /// drop(held);
    /// queue.flush()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stall_limit(mut self, limit: Option<Duration>) -> Self {
        self.stall_limit = limit;
        self
    }

    /// Sets whether calls give up at once if the file has no room: a full disk or an exceeded quota
    /// (`ENOSPC`, `EDQUOT`). Off by default: an append with `WAITOK` then waits until there is
    /// room.
    ///
    /// If it is on, and the ring is full while the file has no room, an append fails at once with
    /// [`Error::Stalled`](crate::Error::Stalled), and
    /// [`Stats::refused_for_stall`](crate::Stats::refused_for_stall) counts it. `flush`,
    /// completions, `close`, drops and the end of the process try the file once more, and then give
    /// up. For a pipe, socket or terminal with a slow reader, calls wait as without the option. A
    /// write that has not returned for the [stall limit](Options::stall_limit) counts as one
    /// without room: appends that wait already fail within twice the limit. (A task that waits for
    /// [`reserve`](crate::Queue::reserve) is not woken for that.)
    ///
    /// It is meant for a program that must continue when its log cannot be written. An
    /// [`AsyncAppend`](crate::AsyncAppend) has it on.
    ///
    /// ```
    /// use alq::{Error, Flags, Options};
    ///
    /// let full = std::fs::File::options().append(true).open("/dev/full")?;
    /// let queue = Options::new().capacity(4096).refuse_when_stalled(true).open_fd(&full)?;
    /// queue.writen(&[b'x'; 4096], Flags::WAITOK)?;
    /// let refused = queue.writen(b"one more", Flags::WAITOK);
    /// assert!(matches!(refused, Err(Error::Stalled { errno: 28, .. }))); // ENOSPC
    /// let left = queue.close(None).unwrap_err();
    /// assert!(matches!(left.cause, Error::Stalled { errno: 28, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refuse_when_stalled(mut self, refuse: bool) -> Self {
        self.refuse_when_stalled = refuse;
        self
    }

    /// Sets how many completions may be outstanding: 65536 by default; 0 allows no completion.
    /// Beyond the limit, [`fsync`](crate::Queue::fsync) and
    /// [`completion`](crate::Queue::completion) fail with
    /// [`Error::TooManyOutstanding`](crate::Error::TooManyOutstanding).
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

    /// Sets a callback for errors that no caller may be waiting for. It also gets the queue in
    /// which the error happened. `callback` gets
    ///
    /// - the failure of a write, or of the flusher itself, after which the queue refuses appends
    ///   until a [reopen](crate::Queue::reopen);
    /// - [`Error::Stalled`](crate::Error::Stalled), once for each stall that has lasted for the
    ///   [stall limit](Options::stall_limit), and once more when it is over
    ///   ([`Report::stall_ended`](crate::Report::stall_ended));
    /// - the failure of a sync;
    /// - why the queue opened without its [ring file](Options::ring_optional);
    /// - why the drop of the last handle, or the end of the process, left something unwritten,
    ///   unless a [`close`](crate::Queue::close) has returned the reason. (Without a callback,
    ///   standard error gets a line that counts what is lost.) That drop waits for the callback for
    ///   at most one second.
    ///
    /// The callback runs on the one thread that runs all callbacks of the process, one after the
    /// other ([`Notify`](crate::Notify)). It may append, wait and [reopen](crate::Queue::reopen). A
    /// panic in it ends only that call. If the callback owns a handle of this queue, the queue
    /// stays open: give it a handle that can be taken away. The last `on_error` counts.
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
    ///     .open_fd(&writer)?;
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

    /// Sets how many bytes a [`Lane`](crate::Lane) claims at once, at most: 1 byte to the largest
    /// [`capacity`](Options::capacity), 16 KiB by default. A span is never more than a quarter of
    /// the capacity. The first span of a lane is shorter. A span that was sealed early is followed
    /// by a shorter one, a full span by a longer one.
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
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
