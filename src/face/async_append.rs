//! The simple face: create, write, flush, drop.

use core::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::lane::Lane;
use super::options::Options;
use super::write::with_text;
use crate::ends::append_to;
use crate::primitives::sync::plain::{AtomicBool, Ordering};
use crate::words::{Error, Flags};

/// Whether appenders may use queues. Set once, and never taken back.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Lets every [`AsyncAppend`] of the process append asynchronously: those that exist switch at their next write, in
/// order.
///
/// Before it, every appender writes synchronously and starts no thread, so that a program may fork into the background
/// first. Any thread may call it at any time, any number of times. Source: `async_append_enable` in Open vSwitch.
///
/// ```standalone_crate
/// alq::async_append::enable();
/// let stdout = std::io::stdout();
/// assert!(alq::AsyncAppend::new(&stdout).is_async());
/// ```
pub fn enable() {
    // Relaxed: it carries nothing but itself.
    ENABLED.store(true, Ordering::Relaxed);
}

/// Appends to a descriptor that it borrows. Source: `lib/async-append.h` of Open vSwitch.
///
/// Once [`enable`] was called, writes go through a [lane](crate::Lane) of a queue of the appender's own, and a thread writes them to a duplicate
/// of the descriptor; before that, and wherever the queue cannot be had (no descriptor, no memory, no thread, or after
/// [`shutdown`](crate::shutdown)), every write is a write(2) on the calling thread. The order is kept over the switch. So
/// it is in a child of fork(2), and once the process [ends](crate::Queue#exit). A write(2) of ours raises neither SIGPIPE
/// nor SIGXFSZ: the error tells.
///
/// The descriptor should be in append mode; one that is not is appended to at its own offset. One thread uses an
/// appender at a time. The drop drains, and leaves the descriptor open; it cannot tell of an error, so call
/// [`flush`](AsyncAppend::flush) to know.
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
    mode: Mode,
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
        let mut appender = Self {
            fd,
            mode: Mode::Waiting,
        };
        appender.switch();
        appender
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
    /// waits only while the queue is full, also behind a full disk; synchronously, it blocks until they are written (a
    /// descriptor in non-blocking mode is waited for). No SIGPIPE or SIGXFSZ comes of it: the error tells.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with what write(2) said: synchronously of this write, part of which may have been written;
    /// asynchronously of an earlier one.
    ///
    /// ```
    /// let read_only = std::fs::File::open("/dev/null")?;
    /// let mut appender = alq::AsyncAppend::new(&read_only);
    /// assert_eq!(appender.write(b"x").unwrap_err().raw_os_error(), 9); // EBADF
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
                Err(error) => return Err(error),
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

    /// Gets a queue, if appenders may have one and this one has not tried yet.
    fn switch(&mut self) {
        // Relaxed: as in `enable`.
        if matches!(self.mode, Mode::Waiting) && ENABLED.load(Ordering::Relaxed) {
            let queue = Options::new().from_fd(self.fd);
            self.mode = queue.map_or(Mode::Sync, |queue| Mode::Async(queue.lane()));
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
