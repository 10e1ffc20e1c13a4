//! The simple face: create, write, flush, drop.

use core::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::lane::Lane;
use super::options::Options;
use super::write::with_text;
use crate::ends::{Stats, append_to};
use crate::primitives::PerProcess;
use crate::primitives::sync::plain::{AtomicBool, Ordering};
use crate::words::{Error, Flags, Undrained};

/// Whether appenders may use queues. Set once, and never taken back; children of fork(2) inherit it.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Present in a process that has called [`enable`] itself.
static ENABLED_HERE: PerProcess<()> = PerProcess::new();

/// Within which time a record of an appender is on its way, unless its options say otherwise.
const MAX_DELAY: Duration = Duration::from_millis(1);

/// How long an appender whose file has failed waits before it tries the file again.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// Lets every [`AsyncAppend`] of the process append asynchronously: those that exist switch at their next write, in
/// order.
///
/// Before it, every appender writes synchronously and starts no thread, so that a program may fork into the background
/// first. In a child of fork(2) the appenders of the parent write synchronously again, until the child calls `enable`;
/// appenders that the child makes are asynchronous if the parent had called it. Any thread may call it at any time, any
/// number of times; it never blocks. Source: `async_append_enable` in Open vSwitch, before its version 2.0.
///
/// ```standalone_crate
/// alq::async_append::enable();
/// let stdout = std::io::stdout();
/// assert!(alq::AsyncAppend::new(&stdout).is_async());
/// ```
pub fn enable() {
    // Relaxed: it carries nothing but itself.
    ENABLED.store(true, Ordering::Relaxed);
    ENABLED_HERE.get(|| ());
}

/// Appends to a descriptor that it borrows. Source: `lib/async-append.h` of Open vSwitch.
///
/// After [`enable`] or [`start`](AsyncAppend::start), writes go through a [lane](crate::Lane) of a queue of its own, and
/// a thread writes them to a duplicate of the descriptor. Before that, and where the queue cannot be had (no descriptor,
/// no memory, no thread, or after [`shutdown`](crate::shutdown)), every write is a write(2) on the calling thread. So it
/// is in a child of fork(2), until that calls one of the two; and once the process [ends](crate::Queue#exit). The order
/// is kept over each switch. A write(2) of the library raises neither SIGPIPE nor SIGXFSZ: the error tells.
///
/// A log that cannot be written does not stop the program: see [`options`](AsyncAppend::options).
///
/// The descriptor should be in append mode; one that is not is appended to at its own offset. One thread uses an
/// appender at a time. The drop drains, and leaves the descriptor open; it cannot tell of an error, so call
/// [`flush`](AsyncAppend::flush) or [`close`](AsyncAppend::close) to know.
///
/// ```standalone_crate
/// use alq::AsyncAppend;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// alq::async_append::enable();
/// let file = std::fs::OpenOptions::new().append(true).create(true).open(&path)?;
/// let mut appender = AsyncAppend::new(&file);
/// appender.write(b"one line\n")?;
/// appender.flush()?;
/// assert_eq!(std::fs::read(&path)?, b"one line\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AsyncAppend<'fd> {
    fd: BorrowedFd<'fd>,
    options: Options,
    mode: Mode,
    /// When a file that has failed was last tried again.
    retried: Option<Instant>,
}

#[derive(Debug)]
enum Mode {
    /// Not enabled yet.
    Waiting,
    /// Through the one lane of a queue.
    Async(Lane),
    /// The queue cannot be had, or is closed.
    Sync,
}

impl<'fd> AsyncAppend<'fd> {
    /// An appender on `fd`. Never fails: a descriptor that is not open for writing is an error at the first write.
    ///
    /// ```
    /// let stdout = std::io::stdout();
    /// let appender = alq::AsyncAppend::new(&stdout);
    /// ```
    pub fn new(fd: &'fd impl AsFd) -> Self {
        Self::on(fd.as_fd())
    }

    /// [`new`](AsyncAppend::new) on a descriptor that is borrowed already.
    ///
    /// ```
    /// use std::os::fd::AsFd;
    ///
    /// let stdout = std::io::stdout();
    /// let appender = alq::AsyncAppend::on(stdout.as_fd());
    /// ```
    pub fn on(fd: BorrowedFd<'fd>) -> Self {
        Self::with_options(fd, Self::options())
    }

    /// The options of an appender that is made without any: those of a queue, with
    /// [`refuse_when_stalled`](Options::refuse_when_stalled) on, so that a full disk does not stop the program, and a
    /// [`max_delay`](Options::max_delay) of 1 ms, so that little is lost if a signal kills it.
    ///
    /// ```
    /// use std::os::fd::AsFd;
    ///
    /// use alq::AsyncAppend;
    ///
    /// let stdout = std::io::stdout();
    /// let options = AsyncAppend::options().refuse_when_stalled(false); // wait for room on the disk
    /// let appender = AsyncAppend::with_options(stdout.as_fd(), options);
    /// ```
    pub fn options() -> Options {
        let options = Options::new().max_delay(MAX_DELAY);
        options.refuse_when_stalled(true)
    }

    /// [`on`](AsyncAppend::on) with options for its queue. Options that no queue can be opened with leave it synchronous.
    ///
    /// ```
    /// use std::os::fd::AsFd;
    ///
    /// use alq::AsyncAppend;
    ///
    /// let stdout = std::io::stdout();
    /// let options = AsyncAppend::options().capacity(1 << 16);
    /// let appender = AsyncAppend::with_options(stdout.as_fd(), options);
    /// ```
    pub fn with_options(fd: BorrowedFd<'fd>, options: Options) -> Self {
        let mut appender = Self {
            fd,
            options,
            mode: Mode::Waiting,
            retried: None,
        };
        appender.switch();
        appender
    }

    /// Makes this appender asynchronous, whether or not [`enable`] was called; also in a child of fork(2), for an
    /// appender of the parent. Says whether it is, as [`is_async`](AsyncAppend::is_async).
    ///
    /// ```
    /// let stdout = std::io::stdout();
    /// assert!(alq::AsyncAppend::new(&stdout).start());
    /// ```
    pub fn start(&mut self) -> bool {
        if !self.is_async() {
            self.begin();
        }
        self.is_async()
    }

    /// Whether writes go through a queue now.
    ///
    /// ```
    /// let read_only = std::fs::File::open("/dev/null")?;
    /// assert!(!alq::AsyncAppend::new(&read_only).is_async());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn is_async(&self) -> bool {
        matches!(&self.mode, Mode::Async(lane) if lane.queue().is_async())
    }

    /// Appends all of `bytes`; any number of them, also more than the queue holds; 0 does nothing. Asynchronously, it
    /// waits only while the queue is full, and not behind a full disk; synchronously, it blocks until they are written (a
    /// descriptor in non-blocking mode is waited for). No SIGPIPE or SIGXFSZ comes of it: the error tells.
    ///
    /// # Errors
    ///
    /// [`Error::Stalled`] if the queue is full and the file has no room; [`Error::Io`] with what write(2) said:
    /// synchronously of this write, part of which may have been written; asynchronously of an earlier one. In both cases
    /// `bytes` are dropped, and later writes are taken again once the file accepts data. A file that has failed is tried
    /// again with a write that comes a second later or more.
    ///
    /// ```
    /// let read_only = std::fs::File::open("/dev/null")?;
    /// let mut appender = alq::AsyncAppend::new(&read_only);
    /// assert_eq!(appender.write(b"x").unwrap_err().errno(), 9); // EBADF
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Mode::Async(lane) = &mut self.mode {
            if lane.append_at_once(bytes, true).is_some() {
                return Ok(());
            }
        }
        self.write_in_parts(bytes)
    }

    #[cold]
    fn write_in_parts(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.switch();
        let mut rest = bytes;
        while let Mode::Async(lane) = &mut self.mode {
            let (now, later) = rest.split_at(rest.len().min(lane.queue().capacity()));
            if now.is_empty() {
                return Ok(());
            }
            match lane.writen(now, Flags::WAITOK) {
                Ok(_) => rest = later,
                // All queues were shut down. What went through this one is written first, to keep the order.
                Err(Error::Closed) => {
                    let drained = lane.queue().close(None);
                    self.mode = Mode::Sync;
                    drained.map_err(|undrained| undrained.cause)?;
                }
                Err(error) => {
                    self.retry_after(&error);
                    return Err(error);
                }
            }
        }
        append_to(self.fd, rest, true)
    }

    /// Returns once everything written before is with the descriptor (not on disk: that is fsync(2)).
    ///
    /// # Errors
    ///
    /// As [`Queue::flush`](crate::Queue::flush); none while it is synchronous.
    ///
    /// ```
    /// let stdout = std::io::stdout();
    /// alq::AsyncAppend::new(&stdout).flush()?;
    /// # Ok::<(), alq::Error>(())
    /// ```
    pub fn flush(&mut self) -> Result<(), Error> {
        match &self.mode {
            Mode::Async(lane) => lane.queue().flush(),
            Mode::Waiting | Mode::Sync => Ok(()),
        }
    }

    /// Appends formatted text; what `write!(appender, ..)` calls, whatever traits are in scope.
    ///
    /// # Errors
    ///
    /// As [`write`](AsyncAppend::write); [`Error::Format`] if a `Display` failed. Nothing is appended then.
    ///
    /// ```standalone_crate
    /// let stdout = std::io::stdout();
    /// let mut appender = alq::AsyncAppend::new(&stdout);
    /// writeln!(appender, "x={}", 1)?;
    /// # Ok::<(), alq::Error>(())
    /// ```
    pub fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> Result<(), Error> {
        with_text(args, |text| self.write(text))
    }

    /// Gets a queue, if appenders may have one and this one has not tried yet, or is the parent's.
    fn switch(&mut self) {
        let may_begin = match &self.mode {
            // Relaxed: as in `enable`.
            Mode::Waiting => ENABLED.load(Ordering::Relaxed),
            Mode::Async(lane) => lane.queue().here().is_err() && ENABLED_HERE.existing().is_some(),
            Mode::Sync => false,
        };
        if may_begin {
            self.begin();
        }
    }

    fn begin(&mut self) {
        match self.options.clone().from_fd(self.fd) {
            Ok(queue) => self.mode = Mode::Async(queue.lane()),
            Err(_) if matches!(self.mode, Mode::Waiting) => self.mode = Mode::Sync,
            Err(_) => {} // the parent's queue writes on this thread, as well as that goes
        }
    }

    /// Has a file that has failed tried again, though not with every write.
    fn retry_after(&mut self, error: &Error) {
        let is_due = self.retried.is_none_or(|at| at.elapsed() >= RETRY_TIME);
        let is_async = self.is_async();
        if let (Mode::Async(lane), Error::Io { .. }, true) = (&self.mode, error, is_due && is_async)
        {
            self.retried = Some(Instant::now());
            let _ = lane.queue().reopen(self.fd); // what stands in the way is told by the next write
        }
    }

    /// Writes out what is left, as the drop does, and says what could not be written. The descriptor stays open.
    ///
    /// # Errors
    ///
    /// As [`Queue::close`](crate::Queue::close); none while it is synchronous.
    ///
    /// ```
    /// let stdout = std::io::stdout();
    /// alq::AsyncAppend::new(&stdout).close()?;
    /// # Ok::<(), alq::Undrained>(())
    /// ```
    pub fn close(self) -> Result<(), Undrained> {
        match &self.mode {
            Mode::Async(lane) => lane.queue().close(None),
            Mode::Waiting | Mode::Sync => Ok(()),
        }
    }

    /// What its queue has done; `None` while there is none.
    ///
    /// ```
    /// let stdout = std::io::stdout();
    /// let mut appender = alq::AsyncAppend::new(&stdout);
    /// assert!(appender.stats().is_none());
    /// appender.start();
    /// assert_eq!(appender.stats().unwrap().posted_records, 0);
    /// ```
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        match &self.mode {
            Mode::Async(lane) => Some(lane.queue().stats()),
            Mode::Waiting | Mode::Sync => None,
        }
    }
}

impl io::Write for AsyncAppend<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        AsyncAppend::write(self, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(AsyncAppend::flush(self)?)
    }

    fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
        Ok(AsyncAppend::write_fmt(self, args)?)
    }
}
