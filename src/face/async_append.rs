//! The simple interface: create an appender, write, flush, drop.
//!
//! An appender owns its mode: not enabled yet, asynchronous through one lane of a private queue, or
//! synchronous. It borrows the descriptor and never closes it. It changes the mode only between two
//! writes, so the order of the bytes is kept.

use core::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::lane::Lane;
use super::options::Options;
use super::write::with_text;
use crate::ends::{Stats, append_to};
use crate::primitives::PerProcess;
use crate::primitives::sync::plain::{AtomicBool, Ordering};
use crate::words::{Error, Flags, Target, Undrained};

/// Whether appenders may use queues. It is set once and never reset; children of fork(2) inherit
/// it.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Exists in a process that has called [`enable`] itself.
static ENABLED_HERE: PerProcess<()> = PerProcess::new();

/// The default `max_delay` of an appender.
const MAX_DELAY: Duration = Duration::from_millis(1);

/// The shortest time between two attempts to reopen a file that has failed.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// Makes every [`AsyncAppend`] of the process asynchronous. Appenders that exist switch at their
/// next write, and keep the order of their bytes.
///
/// Before `enable` is called, every appender writes synchronously and starts no thread, so a
/// program can fork into the background first. In a child of fork(2), the parent's appenders write
/// synchronously again until the child calls `enable`. Appenders that the child creates are
/// asynchronous if the parent had called it. Any thread may call it at any time, any number of
/// times; it never blocks. Source: `async_append_enable` in Open vSwitch, before its version 2.0.
///
/// ```standalone_crate
/// alq::async_append::enable();
/// let stdout = std::io::stdout();
/// assert!(alq::AsyncAppend::new(&stdout).is_async());
/// ```
pub fn enable() {
    // Relaxed: no other data is published with it.
    ENABLED.store(true, Ordering::Relaxed);
    ENABLED_HERE.get(|| ());
}

/// Appends to a borrowed descriptor: synchronously at first, asynchronously once it is enabled.
/// Source: `lib/async-append.h` of Open vSwitch.
///
/// After [`enable`] or [`start`](AsyncAppend::start), writes go through a [lane](crate::Lane) of a
/// private queue, and a thread writes them to a duplicate of the descriptor. In these cases every
/// write is instead a write(2) on the calling thread:
///
/// - before either is called;
/// - if the queue cannot be opened: no descriptor, memory or thread is left, or after
///   [`shutdown`](crate::shutdown);
/// - in a child of fork(2), until the child calls one of the two;
/// - after the [end of the process](crate::Queue#exit) has begun.
///
/// The order of the bytes is kept across each switch. A write(2) of the library raises neither
/// SIGPIPE nor SIGXFSZ; the call returns the error.
///
/// If the log cannot be written, the program continues: see [`options`](AsyncAppend::options).
///
/// The descriptor should be in append mode; otherwise bytes are written at its own offset. One
/// thread uses an appender at a time. The drop writes what is left, and leaves the descriptor open.
/// A drop cannot return an error: call [`flush`](AsyncAppend::flush) or
/// [`close`](AsyncAppend::close) to get it.
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
    /// When the appender last tried to reopen a file that has failed.
    retried: Option<Instant>,
}

#[derive(Debug)]
enum Mode {
    /// Not enabled yet.
    Waiting,
    /// Writes go through the one lane of a queue.
    Async(Lane),
    /// The queue could not be opened, or is closed.
    Sync,
}

impl<'fd> AsyncAppend<'fd> {
    /// Makes an appender on `fd`, which is synchronous unless [`enable`] was called. Never fails:
    /// if the descriptor is not open for writing, the first write returns the error.
    ///
    /// ```
    /// let stdout = std::io::stdout();
    /// let appender = alq::AsyncAppend::new(&stdout);
    /// ```
    pub fn new(fd: &'fd impl AsFd) -> Self {
        Self::on(fd.as_fd())
    }

    /// Makes an appender as [`new`](AsyncAppend::new) does, on a descriptor that is borrowed
    /// already.
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

    /// Returns the default options of an appender: as for a queue, but with
    /// [`refuse_when_stalled`](Options::refuse_when_stalled) on, so that a full disk does not stop
    /// the program, and with a [`max_delay`](Options::max_delay) of 1 ms, so that little is lost if
    /// a signal kills it.
    ///
    /// ```
    /// use std::os::fd::AsFd;
    ///
    /// use alq::AsyncAppend;
    ///
    /// let stdout = std::io::stdout();
    /// let options = AsyncAppend::options().refuse_when_stalled(false); // wait for a full disk
    /// let appender = AsyncAppend::with_options(stdout.as_fd(), options);
    /// ```
    pub fn options() -> Options {
        let options = Options::new().max_delay(MAX_DELAY);
        options.refuse_when_stalled(true)
    }

    /// Makes an appender as [`on`](AsyncAppend::on) does, with options for its queue. If no queue
    /// can be opened with these options, the appender stays synchronous.
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

    /// Makes this appender asynchronous, even if [`enable`] was not called; in a child of fork(2),
    /// also an appender of the parent. Returns whether it is now asynchronous, as
    /// [`is_async`](AsyncAppend::is_async).
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

    /// Returns whether writes go through a queue now.
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

    /// Appends all of `bytes`: any number, also more than the queue holds; 0 bytes do nothing. An
    /// asynchronous appender waits only while the queue is full, and by default not for a full
    /// disk. A synchronous one blocks until the bytes are written, also if the descriptor is in
    /// non-blocking mode. Raises neither SIGPIPE nor SIGXFSZ; the error is returned.
    ///
    /// # Errors
    ///
    /// [`Error::Stalled`] if the queue is full and the file has no room. [`Error::Io`] with the
    /// error of write(2): in synchronous mode of this write, part of which may have been written;
    /// in asynchronous mode of an earlier write. In both cases the remaining `bytes` are dropped,
    /// and later writes succeed once the file accepts data. After a failure, a write tries the file
    /// again if the last attempt was at least one second ago.
    ///
    /// ```
    /// let read_only = std::fs::File::open("/dev/null")?;
    /// let mut appender = alq::AsyncAppend::new(&read_only);
    /// assert_eq!(appender.write(b"x").unwrap_err().errno(), 9); // EBADF
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[expect(
        clippy::inline_always,
        reason = "a call would cost a tenth of the append"
    )]
    #[inline(always)]
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
                // All queues were shut down. The records in this queue are written first, to keep
                // the order.
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
        let target = || Target::descriptor(self.fd.as_raw_fd());
        append_to(self.fd, rest, true).map_err(|error| error.about(&target()))
    }

    /// Waits until everything that was written before is passed to the descriptor (written, not
    /// durable: that needs fsync(2)).
    ///
    /// # Errors
    ///
    /// As [`Queue::flush`](crate::Queue::flush). A synchronous appender returns no error.
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

    /// Appends formatted text. `write!(appender, ..)` calls this method, so no trait need be in
    /// scope. Blocks as [`write`](AsyncAppend::write).
    ///
    /// # Errors
    ///
    /// As [`write`](AsyncAppend::write); [`Error::Format`] if a `Display` implementation returned
    /// an error, and then nothing is appended.
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

    /// Opens a queue if appenders may have one, and this appender has not tried yet or has only the
    /// queue of the parent process.
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
        match self.options.clone().open_fd(self.fd) {
            Ok(queue) => self.mode = Mode::Async(queue.lane()),
            Err(_) if matches!(self.mode, Mode::Waiting) => self.mode = Mode::Sync,
            Err(_) => {} // keeps the parent's queue, which writes on this thread
        }
    }

    /// Tries a file that has failed again, but not with every write.
    fn retry_after(&mut self, error: &Error) {
        let is_due = self.retried.is_none_or(|at| at.elapsed() >= RETRY_TIME);
        let is_async = self.is_async();
        if let (Mode::Async(lane), Error::Io { .. }, true) = (&self.mode, error, is_due && is_async)
        {
            self.retried = Some(Instant::now());
            let _ = lane.queue().reopen(self.fd); // the next write returns the error
        }
    }

    /// Writes what is left, as the drop does, and returns what could not be written. Blocks as
    /// [`Queue::close`](crate::Queue::close). The descriptor stays open.
    ///
    /// # Errors
    ///
    /// As [`Queue::close`](crate::Queue::close). A synchronous appender returns no error.
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

    /// Returns the counters of its queue; `None` if the appender has no queue.
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
