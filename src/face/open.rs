//! Opening a queue: a log, a descriptor or a sink at one end, a ring, and the thread that drains
//! it.
//!
//! This file owns the checks of all options, and the order of the steps: check, open the log, make
//! the ring, start the flusher, enter the registry. A failed step leaves nothing running.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use super::begin::Begun;
use super::exit;
use super::options::Options;
use super::queue::Queue;
use super::registry::{look_for_hangs, registry};
use super::ring_file::check_appending;
use crate::actors::{Config, Flusher, Reporter, Shared, start, syncer};
use crate::ends::Sink;
use crate::primitives::os::page_len;
use crate::primitives::sync::{Arc, PlainArc};
use crate::words::{
    Error, Framing, FramingProblem, Geometry, Layout, Operation, Recovery, Target, Wrap,
};

/// The smallest capacity. Where pages are larger, it is a page: the smallest unit that can be
/// mapped twice.
const CAPACITY_MIN: u64 = 4096;

/// The largest capacity, and how an error says it. A ring is mapped twice, and where a pointer has
/// 32 bits, a process has few gigabytes of addresses.
const CAPACITY_MAX: (u64, &str) = match usize::BITS {
    64 => (Geometry::MAX_CAPACITY, "1 byte to 2 GiB"),
    _ => (1 << 29, "1 byte to 512 MiB"),
};

/// How many bytes of the ring there are for each slot. Records that are shorter than this
/// fill the ring by number, not by bytes.
const BYTES_PER_SLOT: u32 = 64;

impl Options {
    /// Opens the log at `path` for appending, creates it if needed, and starts the flusher.
    ///
    /// Blocks as open(2) does (a FIFO waits for its reader).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an option out of range; [`Error::Closed`] after a
    /// [`shutdown`](crate::shutdown); [`Error::Io`] with the error of open(2) (a symbolic link is
    /// `ELOOP` unless [`follow_links`](Options::follow_links) is on), of mapping the ring, or of
    /// starting the thread; [`Error::RingFile`] as [`ring_file`](Options::ring_file) says. After an
    /// error nothing remains, except a file that was created.
    ///
    /// ```
    /// let error = alq::Options::new().open("/no/such/directory/app.log").unwrap_err();
    /// assert_eq!(error.raw_os_error(), Some(2)); // ENOENT
    /// assert!(error.to_string().starts_with("/no/such/directory/app.log: cannot be opened"));
    /// ```
    pub fn open(self, path: impl AsRef<Path>) -> Result<Queue, Error> {
        let layout = self.layout()?;
        let (sink, target) = self.opening.open(path.as_ref())?;
        let sink = self
            .opening
            .lock(sink)
            .map_err(|error| error.about(&target))?;
        self.start(layout, PlainArc::new(sink), target)
    }

    /// Opens a queue on an open descriptor, and starts the flusher. The descriptor is duplicated:
    /// the caller may close its own at any time.
    ///
    /// The bytes go where write(2) on that descriptor puts them: to the end of the file in append
    /// mode, otherwise to the offset that the duplicate shares with the original. The descriptor
    /// may be a pipe, a socket or a terminal, in blocking or non-blocking mode.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if it is not open for writing; [`Error::InvalidOption`] for an
    /// option out of range; [`Error::Closed`] after a [`shutdown`](crate::shutdown); [`Error::Io`]
    /// if the descriptor cannot be duplicated, the ring not mapped, or the thread not started;
    /// [`Error::RingFile`] as [`ring_file`](Options::ring_file) says.
    ///
    /// ```
    /// use alq::{Error, Options};
    ///
    /// let queue = Options::new().open_fd(std::io::stderr())?;
    /// let read_only = std::fs::File::open("/dev/null")?;
    /// assert_eq!(Options::new().open_fd(&read_only).unwrap_err(), Error::BadDescriptor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_fd(self, fd: impl AsFd) -> Result<Queue, Error> {
        let layout = self.layout()?;
        let (sink, target) = self.opening.duplicate(fd.as_fd())?;
        let sink = self
            .opening
            .lock(sink)
            .map_err(|error| error.about(&target))?;
        if let Some(path) = &self.ring_file {
            check_appending(path, &sink)?;
        }
        self.start(layout, PlainArc::new(sink), target)
    }

    /// Opens a queue on a sink that the caller implements, and starts the flusher.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an option out of range; [`Error::Closed`] after a
    /// [`shutdown`](crate::shutdown); [`Error::Io`] if the ring cannot be mapped or the thread not
    /// started; [`Error::RingFile`] as [`ring_file`](Options::ring_file) says;
    /// [`Error::SinkRefused`] if the sink refuses the ring file.
    ///
    /// ```
    /// use std::io::{self, IoSlice, stderr, Write};
    ///
    /// /// Writes everything to standard error.
    /// struct Screen;
    ///
    /// impl alq::Sink for Screen {
    ///     fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    ///         stderr().write_vectored(runs)
    ///     }
    ///
    ///     fn sync(&self, _: alq::SyncOp) -> io::Result<()> {
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let queue = alq::Options::new().open_sink(Screen)?;
    /// queue.writen(b"hello\n", alq::Flags::WAITOK)?;
    /// queue.close(None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_sink(self, sink: impl Sink + 'static) -> Result<Queue, Error> {
        let layout = self.layout()?;
        let path = || sink.path().map(|path| Target::from(&*path));
        let target = sink
            .place()
            .map(|place| Target::place(&place))
            .or_else(path);
        self.start(layout, PlainArc::new(sink), target.unwrap_or_default())
    }

    #[allow(clippy::needless_pass_by_value)] // its callers made both for this queue alone
    pub(super) fn start(
        &self,
        layout: Layout,
        sink: PlainArc<dyn Sink>,
        target: Target,
    ) -> Result<Queue, Error> {
        self.start_on(layout, &sink, &target)
            .map_err(|error| error.about(&target))
    }

    fn start_on(
        &self,
        layout: Layout,
        sink: &PlainArc<dyn Sink>,
        target: &Target,
    ) -> Result<Queue, Error> {
        self.check_syncable(&**sink)?;
        self.check_messages(&**sink)?;
        exit::arm()?;
        self.on_error.start()?;
        let mut before = Recovery::default();
        loop {
            let reporter = self.on_error.of(target.clone());
            let begun = self.begin(layout, &**sink, &reporter, before)?;
            let (has_sizes, has_framing) = (begun.has_sizes, begun.has_framing);
            let queue = self.run(begun, PlainArc::clone(sink), reporter)?;
            if has_sizes && has_framing {
                return Ok(queue);
            }
            if let Err(error) = queue.flush_timeout(self.stall_limit.unwrap_or(DRAIN_TIME)) {
                if !has_framing {
                    return Err(why_late(&queue, error).about(target));
                }
                // The ring keeps its old sizes: records that cannot be written must not prevent a
                // start.
                queue.shared().intake.trouble.reporter.report(error);
                return Ok(queue);
            }
            before = queue.recovery().copied().unwrap_or_default();
            before.drained_bytes = before.bytes;
            drop(queue); // releases the ring file, which is empty now
        }
    }

    /// Makes a queue on the ring of `begun`, and starts its flusher.
    fn run(
        &self,
        begun: Begun,
        sink: PlainArc<dyn Sink>,
        reporter: Reporter,
    ) -> Result<Queue, Error> {
        let Begun {
            ring,
            drain,
            recovery,
            mended,
            is_dump_due,
            ..
        } = begun;
        let config = Config {
            order: self.order,
            // On a fixed queue each entry is a separate claim.
            lane_span: match self.fixed {
                // In a span of its own, an idle lane would keep the oldest records.
                None if !self.recorder => self.lane_span_on(&*sink),
                _ => 0,
            },
            stall_limit: self.stall_limit,
            outstanding_max: self.outstanding_max,
            loss_lines: self.loss_lines.clone(),
            recorder: self.recorder,
            dump_line: self.fixed.is_none().then(|| self.dump_line.clone()),
            refuse_when_stalled: self.refuse_when_stalled,
            sync_policy: self.sync_policy,
        };
        let mut shared = Shared::with(ring, &config, Some(PlainArc::clone(&sink)), reporter);
        shared.set_wrap(mended.wrap);
        if self.have_thread_lanes() {
            shared.set_indirect();
        }
        shared.is_chained = mended.is_chained();
        shared.intake.crew.on_start = self.on_thread_start.clone();
        let (id, reporter) = (shared.intake.id, &shared.intake.trouble.reporter);
        if reporter.target().is_unknown() {
            reporter.set_target(Target::queue(id));
        }
        let shared = Arc::new(shared);
        let mut flusher = Flusher::new(Arc::clone(&shared), drain, sink);
        if is_dump_due {
            flusher.dump_what_was_left()?;
        }
        mended.go_on(&mut flusher);
        start(flusher, self.max_delay / 4, self.idle)
            .map_err(|error| Error::io(Operation::Spawn, &error))?;
        let entry_len = self.fixed.map(|(len, _)| len as u32);
        let ring_file = recovery.and(self.ring_file.clone());
        let is_looked_at = self.opening.framing != Framing::Raw || mended.torn_bytes > 0;
        let mut recovery = recovery.or(is_looked_at.then(Recovery::default));
        if let Some(recovery) = &mut recovery {
            recovery.torn_bytes += mended.torn_bytes;
            recovery.unreadable_bytes += mended.damaged_bytes;
        }
        let found = (recovery, ring_file);
        let queue = Queue::new(Arc::clone(&shared), entry_len, self.clone(), found);
        // If one of these fails, the queue is dropped and its threads end.
        registry().enter(&shared)?;
        if self.sync_policy.is_some() {
            syncer::start(&shared)?;
        }
        self.on_error.watch(look_for_hangs);
        Ok(queue)
    }

    /// Checks that the records fit into the messages of a sink that takes messages.
    fn check_messages(&self, sink: &dyn Sink) -> Result<(), Error> {
        let Some(max) = sink.message_max() else {
            return Ok(());
        };
        if self.recorder {
            return Err(Error::framing(FramingProblem::Messages));
        }
        let fixed = match self.opening.framing {
            Framing::Fixed(len) => Some(("framing", len)),
            _ => self.fixed.map(|(len, _)| ("fixed", len)),
        };
        match fixed {
            Some((option, len)) if self.entry_bytes(len)? > max => Err(Error::InvalidOption {
                option,
                value: len as u64,
                allowed: "at most as long as a message: 4096 bytes for a pipe in packet mode, 1024 \
                          for /dev/kmsg",
            }),
            _ => Ok(()),
        }
    }

    /// Returns the longest span of a lane: 0, and each record has its own, if the sink takes
    /// messages. A write does not end inside what a lane has posted in
    /// one span, so the spans for a sink with a bound have no more bytes than that. (The room of a
    /// file changes: a rotation cuts the file there.)
    fn lane_span_on(&self, sink: &dyn Sink) -> u32 {
        let asked = self.lane_span_bytes as u32;
        match sink.path() {
            _ if sink.message_max().is_some() => 0,
            Some(_) => asked,
            None => asked.min(u32::try_from(sink.room()).unwrap_or(asked).max(1)),
        }
    }

    pub(super) fn layout(&self) -> Result<Layout, Error> {
        Ok(Layout {
            geometry: self.geometry()?,
            entry_len: self.fixed.map_or(0, |(len, _)| len as u32),
        })
    }

    /// Returns how many bytes an entry of a fixed queue takes in the ring.
    fn entry_bytes(&self, entry_len: usize) -> Result<u64, Error> {
        let wrap = Wrap::plain(self.opening.framing)?;
        if let Framing::Fixed(record) = self.opening.framing {
            if record != entry_len {
                return Err(Error::InvalidOption {
                    option: "framing",
                    value: record as u64,
                    allowed: "Fixed of the length of the entries",
                });
            }
        }
        Ok((entry_len as u64).saturating_add(u64::from(wrap.added_max())))
    }

    /// Checks the options, and returns the sizes of the ring that they ask for.
    fn geometry(&self) -> Result<Geometry, Error> {
        self.check_sync_policy()?;
        self.check_chain()?;
        check_bytes("lane_span", self.lane_span_bytes as u64)?;
        self.check_recorder()?;
        let is_fixed = self.fixed.is_some() || matches!(self.opening.framing, Framing::Fixed(_));
        if self.loss_lines.is_some() && is_fixed {
            return Err(Error::InvalidOption {
                option: "loss_lines",
                value: self.fixed.map_or(0, |(_, count)| count as u64),
                allowed: "left out on a queue of fixed entries, which have no room for a line",
            });
        }
        if let Some(limit) = self.stall_limit.filter(|limit| *limit < STALL_LIMIT_MIN) {
            return Err(Error::InvalidOption {
                option: "stall_limit",
                value: limit.as_nanos() as u64,
                allowed: "a millisecond (1000000 ns) or more, or None",
            });
        }
        let capacity = |option, bytes| {
            check_bytes(option, bytes)?;
            Ok::<_, Error>(bytes.max(CAPACITY_MIN.max(page_len())).next_power_of_two() as u32)
        };
        let Some((entry_len, count)) = self.fixed else {
            let capacity = capacity("capacity", self.capacity_bytes as u64)?;
            if let Wrap::Fixed(record) = Wrap::plain(self.opening.framing)? {
                if record > capacity {
                    return Err(Error::InvalidOption {
                        option: "framing",
                        value: u64::from(record),
                        allowed: "Fixed of 1 byte to the capacity",
                    });
                }
            }
            return Ok(Geometry::new(capacity, capacity / BYTES_PER_SLOT));
        };
        if count > Layout::ENTRIES_MAX as usize {
            return Err(Error::InvalidOption {
                option: "fixed",
                value: count as u64,
                allowed: "2^26 entries at most",
            });
        }
        let entry_bytes = self.entry_bytes(entry_len)?;
        let bytes = entry_bytes.saturating_mul(count as u64);
        let slots = (count as u32).next_power_of_two().max(Geometry::MIN_SLOTS);
        let geometry = Geometry::new(capacity("fixed", bytes)?, slots);
        Ok(geometry.with_spans_max(count as u32))
    }
}

/// Returns why a drain took too long: the log accepts nothing, if that is so.
fn why_late(queue: &Queue, error: Error) -> Error {
    match (error, queue.stats().stalled) {
        (Error::TimedOut, Some(stall)) => Error::Stalled {
            errno: stall.errno,
            target: Target::default(),
        },
        (error, _) => error,
    }
}

/// How long a ring of other sizes is drained if the options set no stall limit.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A healthy descriptor must be able to accept some data within it.
const STALL_LIMIT_MIN: Duration = Duration::from_millis(1);

/// Checks a number of bytes of a ring.
fn check_bytes(option: &'static str, bytes: u64) -> Result<(), Error> {
    let (most, allowed) = CAPACITY_MAX;
    if bytes == 0 || bytes > most {
        return Err(Error::InvalidOption {
            option,
            value: bytes,
            allowed,
        });
    }
    Ok(())
}
