//! Recorders: queues that keep the newest records and write them when they are asked to.

use std::panic;
use std::sync::Once;

use super::barrier::{self, Patience};
use super::options::Options;
use super::queue::Queue;
use super::registry::{self, Registry};
use crate::actors::{DumpLine, Shared};
use crate::memory::Memory;
use crate::words::{AfterKill, Dump, Error, Geometry, Mode};

impl Options {
    /// Makes the queue a recorder; off by default. A recorder keeps the newest records in its ring
    /// and writes nothing until a dump is asked for. An append that finds no room overwrites the
    /// oldest whole records.
    ///
    /// An append to a recorder never waits, even with [`WAITOK`](crate::Flags::WAITOK). It is
    /// refused, and [counted](crate::Stats::refused), in two cases:
    ///
    /// - [`Error::Held`]: the oldest record is an [`Entry`](crate::Entry) that has stayed open for
    ///   a whole lap of the ring. An open entry cannot be overwritten;
    /// - [`Error::WouldBlock`]: a dump is copying the oldest 4 KiB out of the ring, and the append
    ///   has tried for some microseconds: the flusher was preempted in the copy.
    ///
    /// The ring has the size of the [`capacity`](Options::capacity), at most 1 GiB here, and
    /// describes at most one record for 64 bytes of it. The newest records are kept up to 63/64 of
    /// the bytes or of that number. A record of the full capacity overwrites all others.
    ///
    /// What asks for a dump:
    ///
    /// - [`Queue::dump`], which waits until it is written; [`dump_all`] for all recorders;
    /// - [`Queue::request_dump`], which does not wait, for a signal handler;
    /// - a panic, after [`dump_on_panic`].
    ///
    /// A dump empties the ring, so no record is written twice (see [`Dump::held`] for the
    /// exception). Records that are in no dump are discarded with the queue: `close`, the drop of
    /// the last handle and the end of the process write only dumps that were asked for before, and
    /// the end of the process closes the queue. [`flush`](Queue::flush) waits for the dumps that
    /// were asked for. [`fsync`](Queue::fsync) and [`completion`](Queue::completion) return
    /// [`Error::WrongMode`]. A [`Lane`](crate::Lane) appends as the queue does. In a child of
    /// fork(2), an append returns [`Error::Forked`] until a [`reopen`](Queue::reopen).
    ///
    /// With a [`ring_file`](Options::ring_file), the records also survive a process that is killed:
    /// see [`after_kill`](Options::after_kill).
    ///
    /// A recorder cannot have [`loss_lines`](Options::loss_lines),
    /// [`sync_every`](Options::sync_every) or [`Framing::Checked`](crate::Framing::Checked).
    ///
    /// Two queues may append to one log: a recorder keeps everything, and another queue writes the
    /// important records at once.
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let debug = Options::new().capacity(1 << 20).recorder(true).open(&path)?;
    /// let errors = Options::new().open(&path)?;
    /// for step in 1..=3 {
    ///     debug.writen(format!("debug: step {step}\n").as_bytes(), Flags::NOWAIT)?;
    /// }
    /// debug.dump("step 3 failed")?;
    /// errors.writen(b"error: step 3 failed\n", Flags::WAITOK)?;
    /// errors.flush()?;
    /// assert_eq!(
    ///     std::fs::read_to_string(&path)?,
    ///     "--- 3 records (42 bytes) follow; 0 older ones were overwritten; \
    ///      reason: step 3 failed ---\n\
    ///      debug: step 1\ndebug: step 2\ndebug: step 3\nerror: step 3 failed\n"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recorder(mut self, on: bool) -> Self {
        self.recorder = on;
        self
    }

    /// Sets the line that each dump of a [recorder](Options::recorder) begins with. By default it
    /// is the `Display` of the [`Dump`] and a newline. An empty line writes nothing. A fixed queue
    /// has no line, because all its records have one length.
    ///
    /// `format` runs on the flusher thread. If it panics, the default line is written.
    ///
    /// ```
    /// use alq::{Dump, Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let line = |dump: &Dump| format!("{{\"dump\":{}}}\n", dump.records);
    /// let queue = Options::new().recorder(true).dump_line_with(line).open(&path)?;
    /// queue.writen(b"{}\n", Flags::NOWAIT)?;
    /// queue.dump("a test")?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "{\"dump\":1}\n{}\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dump_line_with<B: Into<Vec<u8>>>(
        mut self,
        format: impl Fn(&Dump) -> B + Send + Sync + 'static,
    ) -> Self {
        self.dump_line = DumpLine::with(format);
        self
    }

    /// Sets what a recorder does with the records that a killed process has left in its [ring
    /// file](Options::ring_file): the default is [`AfterKill::Dump`].
    ///
    /// Killed means that the process ended without closing the queue: by a signal, `abort` or
    /// `_exit`. A close, the drop of the last handle and an ordinary end of the process discard the
    /// records in the ring file, as they do in memory; a dump that could not be written stays.
    /// [`Queue::recovery`](crate::Queue::recovery) says how much was found, and how much of it is
    /// [dumped](crate::Recovery::dumped_bytes) or
    /// [discarded](crate::Recovery::discarded_bytes). [`ring_file::dump`](crate::ring_file::dump)
    /// copies the records from outside, also while the process runs.
    ///
    /// The records are whole and in order, up to the last one whose append returned. A process that
    /// is killed in a dump leaves all records of that dump, so the log may have some of them twice.
    /// A queue without [`recorder`](Options::recorder) ignores this option.
    ///
    /// ```
    /// use alq::{AfterKill, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
    /// let options = Options::new().recorder(true).ring_file(&ring).after_kill(AfterKill::Keep);
    /// let queue = options.open(&log)?;
    /// let found = queue.recovery().expect("it has a ring file");
    /// println!("a killed process has left {} bytes", found.bytes);
    /// # assert_eq!(found.bytes, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after_kill(mut self, policy: AfterKill) -> Self {
        self.after_kill = policy;
        self
    }

    /// Returns what a ring with these options is for.
    pub(super) const fn ring_mode(&self) -> Mode {
        if self.recorder {
            Mode::Recorder
        } else {
            Mode::Queue
        }
    }

    /// Checks what cannot be combined with a recorder.
    pub(super) fn check_recorder(&self) -> Result<(), Error> {
        let wrong = |option, value, allowed| {
            Err(Error::InvalidOption {
                option,
                value,
                allowed,
            })
        };
        if !self.recorder {
            return Ok(());
        }
        if self.loss_lines.is_some() {
            let allowed = "left out on a recorder, whose dumps begin with a line";
            return wrong("loss_lines", 1, allowed);
        }
        if self.sync_policy.is_some() {
            return wrong(
                "sync_every",
                1,
                "left out on a recorder, which has no syncs",
            );
        }
        #[cfg(feature = "frames")]
        if self.opening.framing == crate::words::Framing::Checked {
            return wrong("framing", 1, "any but Checked on a recorder");
        }
        let (bytes, count) = self.fixed.unwrap_or((self.capacity_bytes, 1));
        let bytes = (bytes as u64).saturating_mul(count as u64);
        if bytes > u64::from(Geometry::RECORDER_MAX) {
            return wrong("capacity", bytes, "1 GiB at most on a recorder");
        }
        Ok(())
    }
}

impl Queue {
    /// Writes the records of a [recorder](Options::recorder) to its log, after a line that counts
    /// them and gives `reason`, and waits until they are written. Returns what was written.
    ///
    /// The dump has every record that was posted before the call and is not overwritten, in order,
    /// as one run without a gap. Records that are posted during the call may be in it. A
    /// regular file gets it with one write, as long as the file takes it whole and it has less than
    /// 16 MiB, so records of other writers do not come in between.
    ///
    /// Appends go on during a dump and do not wait for the disk: the flusher copies the records out
    /// of the ring, some 100 us per MiB, and writes the copy. It needs memory for that copy. An
    /// entry that stays open for 100 ms is stepped over.
    ///
    /// Any thread may call it. Calls at the same time may be served by one dump, and then return
    /// the same.
    ///
    /// # Errors
    ///
    /// [`Error::WrongMode`] on any other queue; otherwise as [`flush`](Queue::flush), and
    /// [`Error::Io`] with `ENOMEM` if there is no memory for the copy. After [`Error::Stalled`] or
    /// [`Error::TimedOut`] the flusher still tries to write the dump.
    ///
    /// ```
    /// use alq::{Error, Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = Options::new().capacity(4096).recorder(true).open(&path)?;
    /// for i in 0..1000 {
    ///     queue.writen(format!("record {i}\n").as_bytes(), Flags::NOWAIT)?; // never waits
    /// }
    /// let dump = queue.dump("a test")?;
    /// assert_eq!(dump.records + dump.overwritten_records, 1000);
    /// assert!(std::fs::read_to_string(&path)?.ends_with("record 998\nrecord 999\n"));
    ///
    /// let other = Options::new().open(dir.path().join("other.log"))?;
    /// assert_eq!(other.dump("a test"), Err(Error::WrongMode));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dump(&self, reason: &str) -> Result<Dump, Error> {
        let here = self.here()?;
        dump(here.shared(), reason)
    }

    /// Asks for a dump of a [recorder](Options::recorder) and returns at once; the flusher makes
    /// it. Its reason is `requested`; [`request_dump_for`](Queue::request_dump_for) names a signal.
    /// Async-signal-safe: a signal handler may call it, no matter what it interrupted. It does
    /// nothing on any other queue, after a `close`, and in a child of fork(2).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = alq::Options::new().recorder(true).open(&path)?;
    /// queue.writen(b"before the signal\n", alq::Flags::NOWAIT)?;
    /// queue.request_dump(); // in the handler of SIGUSR1, for example
    /// queue.flush()?; // waits for the dump
    /// assert!(std::fs::read_to_string(&path)?.ends_with("before the signal\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_dump(&self) {
        self.request_dump_for(0);
    }

    /// As [`request_dump`](Queue::request_dump), for the signal with the number `signal`. The
    /// reason of the dump is its name, such as `SIGUSR1`, or `signal 34`. If several signals come
    /// before one dump, it is the last one. A number that is not 1 to 255 is taken for none.
    /// Async-signal-safe.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = alq::Options::new().recorder(true).open(&path)?;
    /// queue.request_dump_for(libc::SIGUSR1); // in a handler, which has the number
    /// queue.flush()?;
    /// assert!(std::fs::read_to_string(&path)?.contains("reason: SIGUSR1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_dump_for(&self, signal: i32) {
        if let Ok(here) = self.here() {
            if here.is_recorder() {
                let signal = u8::try_from(signal).unwrap_or(0);
                here.shared().outcome.dumps.request_for(signal);
                here.shared().intake.bell.ring();
            }
        }
    }

    /// Returns whether a dump would have records, or may have.
    #[cfg(any(feature = "log", feature = "tracing"))]
    pub(crate) fn has_records(&self) -> bool {
        self.shared().intake.ring.fill() > 0
    }

    /// Returns whether the queue is a [recorder](Options::recorder).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// assert!(!queue.is_recorder());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_recorder(&self) -> bool {
        self.shared().intake.ring.is_recorder()
    }
}

fn dump<M: Memory>(shared: &Shared<M>, reason: &str) -> Result<Dump, Error> {
    if !shared.intake.ring.is_recorder() {
        return Err(Error::WrongMode);
    }
    if shared.is_servant() {
        return Err(Error::WouldDeadlock);
    }
    let (number, request) = shared.outcome.dumps.ask(reason);
    shared.intake.bell.ring();
    barrier::flush_to(shared, number, Patience::of(shared, None))?;
    request.result().unwrap_or(Err(Error::Closed))
}

/// Dumps every [recorder](Options::recorder) of the process, as [`Queue::dump`] does, one after the
/// other. Any thread may call it.
///
/// # Errors
///
/// The first error of a [`Queue::dump`]. The other recorders are dumped nevertheless.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = alq::Options::new().recorder(true).open(&path)?;
/// queue.writen(b"the last step\n", alq::Flags::NOWAIT)?;
/// alq::dump_all("a watchdog")?;
/// assert!(std::fs::read_to_string(&path)?.ends_with("a watchdog ---\nthe last step\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dump_all(reason: &str) -> Result<(), Error> {
    let recorders = registry::existing().map_or(Vec::new(), Registry::recorders);
    let mut result = Ok(());
    for recorder in recorders {
        result = result.and(dump(&recorder, reason).map(drop));
    }
    result
}

/// Makes every panic of the process dump all [recorders](Options::recorder), after the panic hook
/// that is installed now has run. The reason is the place and the text of the panic. A panic waits
/// for the dumps as [`dump_all`] does. Their errors go to [`on_error`](Options::on_error) only.
/// Later calls change nothing.
///
/// Call it after the program has installed its own panic hook: a hook that is installed later
/// replaces this one.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// alq::dump_on_panic();
/// let queue = alq::Options::new().recorder(true).open(&path)?;
/// queue.writen(b"about to divide\n", alq::Flags::NOWAIT)?;
/// let crash = std::thread::spawn(|| panic!("division by zero"));
/// assert!(crash.join().is_err());
/// let log = std::fs::read_to_string(&path)?;
/// assert!(log.contains("division by zero ---\nabout to divide\n"), "{log}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dump_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            before(panic);
            let place = panic
                .location()
                .map_or(String::new(), |at| format!(" at {at}"));
            let payload = panic.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            let text = text.unwrap_or_default();
            let _ = dump_all(&format!("panic{place}: {text}"));
        }));
    });
}
