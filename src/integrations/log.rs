//! `log`: a [`Log`] whose flush waits until the records are written. docs/integrations.md explains
//! the choices.

use core::fmt;
use std::time::{Duration, SystemTime};

use ::log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};

pub use super::losses::Lost;
use super::losses::Severity;
use super::policy::{Memory, Policy};
use super::split::Split;
use crate::face::{Queue, with_text};
use crate::primitives::sync::Arc;

/// Formats a log record as a line.
type Format = dyn Fn(&mut dyn fmt::Write, &Record<'_>) -> fmt::Result + Send + Sync;

/// Writes the records of the `log` facade to a queue: one log record is one record of the queue.
///
/// If the ring is full, a record of any level waits for room. A record is lost only if
/// [`drop_when_full`](Logger::drop_when_full), [`wait_at_most`](Logger::wait_at_most) or
/// [`drop_above`](Logger::drop_above) allows it, and [`lost`](Logger::lost) counts it.
/// `log::logger().flush()` returns when everything logged before is written. It cannot return an
/// error; [`Queue::flush`] does.
///
/// A line is formatted on the stack and then copied into the ring, so the `Display` implementations
/// that it calls may log too. A line of more than 512 bytes allocates.
///
/// A logger keeps the queue open, as a clone of the queue does. A logger that is
/// [installed](Logger::install) is never dropped; the queue is drained at the end of the process.
///
/// ```standalone_crate
/// use alq::{Options, log::Logger};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = Options::new().open(&path)?;
/// Logger::new(&queue)
///     .level(log::LevelFilter::Info)
///     .format(|out, record| writeln!(out, "{} {}", record.level(), record.args()))
///     .install()?;
///
/// log::info!("started with {} workers", 4);
/// log::debug!("not at this level");
/// log::logger().flush();
/// assert_eq!(std::fs::read_to_string(&path)?, "INFO started with 4 workers\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Logger {
    queue: Queue,
    level: LevelFilter,
    policy: Policy,
    format: Box<Format>,
    memory: Memory,
    split: Option<Split>,
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger")
            .field("queue", &self.queue)
            .field("level", &self.level)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Logger {
    /// Makes a logger to `queue`, which must be a variable queue. By default it logs all levels, as
    /// [`plain`] lines. If nothing was appended to the queue yet, and its log is a file that ends
    /// inside a line, that line is ended first, unless
    /// [`end_torn_line`](crate::Options::end_torn_line) says what to do.
    ///
    /// ```standalone_crate
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let logger = alq::log::Logger::new(&queue).install()?;
    /// log::warn!("seconds, level, target and message");
    /// assert_eq!(logger.lost(), Default::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(queue: &Queue) -> Self {
        queue.begin_a_line();
        Self {
            queue: queue.clone(),
            level: LevelFilter::Trace,
            policy: Policy::WAIT,
            format: Box::new(plain),
            memory: Memory::default(),
            split: None,
        }
    }

    /// Sets the least severe level that is logged. By default all levels are.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let logger = alq::log::Logger::new(&queue).level(log::LevelFilter::Warn);
    /// # drop(logger);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn level(self, level: LevelFilter) -> Self {
        Self { level, ..self }
    }

    /// Sets the function that formats a line: it writes the whole line, with the line end, to
    /// `out`. It runs on the thread that logs. It may log, but must not recurse without end.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let logger = alq::log::Logger::new(&queue)
    ///     .format(|out, record| writeln!(out, "{}: {}", record.target(), record.args()));
    /// # drop(logger);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn format<F>(self, format: F) -> Self
    where
        F: Fn(&mut dyn fmt::Write, &Record<'_>) -> fmt::Result + Send + Sync + 'static,
    {
        Self {
            format: Box::new(format),
            ..self
        }
    }

    /// Makes records of `level`, and less severe ones, not wait for room: if the ring is full, they
    /// are discarded and counted. (`Level::Debug` means debug and trace.) The others wait.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let logger = alq::log::Logger::new(&queue).drop_when_full(log::Level::Debug);
    /// # drop(logger);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn drop_when_full(self, level: Level) -> Self {
        let policy = self.policy.drop_from(level);
        Self { policy, ..self }
    }

    /// Makes records wait for room at most for `time`; then they are discarded and counted. Once a
    /// record has waited in vain, later ones do not wait until the queue has written something
    /// again. So a stalled sink delays the program once for each thread, and does not stop it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let second = std::time::Duration::from_secs(1);
    /// let logger = alq::log::Logger::new(&queue).wait_at_most(second);
    /// # drop(logger);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait_at_most(self, time: Duration) -> Self {
        let policy = self.policy.wait_at_most(time);
        Self { policy, ..self }
    }

    /// Keeps room for more severe records: a record of `level`, or of a less severe one, is refused
    /// and counted if it would fill more than `percent` of the ring. So an error need not wait for
    /// room that debug messages have taken. Each call adds a limit.
    ///
    /// The fill is counted in bytes and in records. (A ring has room for one record for each 64
    /// bytes.) To compare, a limited record reads the state of the drain, which costs some
    /// nanoseconds under load.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use log::Level;
    ///
    /// let logger = alq::log::Logger::new(&queue)
    ///     .drop_above(Level::Debug, 80)
    ///     .drop_above(Level::Info, 95);
    /// assert_eq!(logger.lost_at(Level::Debug).headroom, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn drop_above(self, level: Level, percent: u8) -> Self {
        let policy = self.policy.drop_above(level, percent);
        Self { policy, ..self }
    }

    /// Sends records of `level`, and less severe ones, to `recorder`, a
    /// [recorder](crate::Options::recorder) with the same log. A record of level `Error` first has it
    /// [dumped](Queue::dump), so what led to the error stands before it; the record waits until the
    /// dump is written, or for the stall limit. If the recorder is empty, there is no dump. Errors
    /// themselves never go to the recorder.
    ///
    /// ```standalone_crate
    /// use alq::{Options, log::Logger};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = Options::new().open(&path)?;
    /// let recorder = Options::new().recorder(true).open(&path)?; // the last MiB
    /// Logger::new(&queue).recorder(&recorder, log::Level::Debug).install()?;
    ///
    /// log::debug!("cache miss");
    /// log::error!("no answer");
    /// log::logger().flush();
    /// let text = std::fs::read_to_string(&path)?;
    /// let lines: Vec<&str> = text.lines().collect();
    /// assert!(lines[0].starts_with("--- 1 record "));
    /// assert!(lines[1].ends_with("cache miss") && lines[2].ends_with("no answer"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recorder(self, recorder: &Queue, level: Level) -> Self {
        let split = Some(Split::new(recorder, level));
        Self { split, ..self }
    }

    /// Makes it the logger of the process, and sets the maximum level of the `log` macros to its
    /// level.
    ///
    /// # Errors
    ///
    /// If the process has a logger already.
    ///
    /// ```standalone_crate
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// alq::log::Logger::new(&queue).install()?;
    /// assert!(alq::log::Logger::new(&queue).install().is_err());
    /// log::logger().flush();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn install(self) -> Result<Arc<Self>, SetLoggerError> {
        let logger = Arc::new(self);
        ::log::set_boxed_logger(Box::new(Arc::clone(&logger)))?;
        ::log::set_max_level(logger.level);
        Ok(logger)
    }

    /// Returns how many records were lost, by cause.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let logger = alq::log::Logger::new(&queue);
    /// assert_eq!(logger.lost().full, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.memory.losses.now()
    }

    /// Returns how many records of `level` were lost, by cause.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let logger = alq::log::Logger::new(&queue);
    /// assert_eq!(logger.lost_at(log::Level::Error).total(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lost_at(&self, level: Level) -> Lost {
        self.memory.losses.at(level.number())
    }

    fn append(&self, record: &Record<'_>) {
        let line = Line {
            format: &*self.format,
            record,
        };
        let patience = self.policy.patience(record.level(), &self.memory);
        let split = self.split.as_ref();
        let recorder = split.and_then(|split| split.recorder_for(record.level(), record.target()));
        let appended = with_text(format_args!("{line}"), |text| match recorder {
            Some(recorder) => patience.in_recorder().append(recorder, text),
            None => patience.append(&self.queue, text),
        });
        let _ = patience.settle(appended); // counted; `Log::log` returns no error
    }
}

impl Severity for Level {
    fn number(self) -> usize {
        self as usize - 1
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.append(record);
        }
    }

    /// Waits until everything logged before is written, or until nothing has moved for the
    /// [stall limit](crate::Options::stall_limit).
    fn flush(&self) {
        let _ = self.queue.flush(); // `Log::flush` returns no error
    }
}

/// Formats a line as a [`Logger`] does by default: seconds since 1970, level, target, message.
///
/// ```text
/// 1764028800.123456 WARN  app::disk: sda is nearly full
/// ```
///
/// # Errors
///
/// The errors of `out` and of the formatted values.
///
/// ```
/// let mut line = String::new();
/// alq::log::plain(&mut line, &log::Record::builder().args(format_args!("a message")).build())?;
/// assert!(line.ends_with(": a message\n"));
/// # Ok::<(), std::fmt::Error>(())
/// ```
pub fn plain(out: &mut dyn fmt::Write, record: &Record<'_>) -> fmt::Result {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    writeln!(
        out,
        "{}.{:06} {:<5} {}: {}",
        since.as_secs(),
        since.subsec_micros(),
        record.level(),
        record.target(),
        record.args()
    )
}

/// A log record that `Display` shows as its line.
struct Line<'a> {
    format: &'a Format,
    record: &'a Record<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.format)(f, self.record)
    }
}
