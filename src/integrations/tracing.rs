//! `tracing`: a [`MakeWriter`] for the `fmt` layers of tracing-subscriber. docs/integrations.md
//! explains the choices.

use std::time::Duration;

use tracing_core::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

pub use super::event::EventWriter;
use super::lanes::Lanes;
pub use super::losses::Lost;
use super::losses::Severity;
use super::policy::{Memory, Patience, Policy};
use super::split::Split;
use crate::face::Queue;
use crate::primitives::sync::Arc;

/// Writes the events of a `fmt` layer to a queue. One event is one record, even if the layer writes
/// it in several pieces.
///
/// If the ring is full, an event of any level waits for room. An event is lost only if
/// [`drop_when_full`](Writer::drop_when_full), [`wait_at_most`](Writer::wait_at_most) or
/// [`drop_above`](Writer::drop_above) allows it.
/// The text of an event goes directly into the ring. An event does not allocate if it is written in
/// one piece, as `fmt` does, or in pieces of at most 1 KiB together.
///
/// # Errors
///
/// An event that finds no room and may not wait longer is counted ([`lost`](Writer::lost)); this is
/// not an error. An event that is longer than the ring, or that is written after the queue was
/// closed or has failed, is also counted, and the write returns the error. `fmt` prints it to
/// standard error, unless `log_internal_errors(false)` is set. (In a [lane](Writer::lanes) only an
/// event that is too long gets its error; the others are only counted.)
///
/// Cloning is cheap, and all clones share one [`lost`](Writer::lost). A writer keeps the queue
/// open, as a clone of the queue does. A global subscriber is never dropped; the queue is drained
/// at the end of the process.
///
/// ```
/// use alq::{Options, tracing::Writer};
/// use tracing::Level;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = Options::new().open(&path)?;
/// let writer = Writer::new(&queue).drop_when_full(Level::DEBUG);
/// let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer.clone());
/// let subscriber = subscriber.finish();
/// tracing::subscriber::with_default(subscriber, || tracing::warn!(disk = "sda", "nearly full"));
///
/// queue.flush()?;
/// assert!(std::fs::read_to_string(&path)?.ends_with("nearly full disk=\"sda\"\n"));
/// assert_eq!(writer.lost().full, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    queue: Queue,
    policy: Policy,
    memory: Arc<Memory>,
    lanes: Option<Arc<Lanes>>,
    split: Option<Split>,
}

impl Writer {
    /// Makes a writer to `queue`, which must be a variable queue. If nothing was appended to the
    /// queue yet, and its log is a file that ends inside a line, that line is ended first, unless
    /// [`end_torn_line`](crate::Options::end_torn_line) says what to do.
    ///
    /// ```standalone_crate
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// tracing_subscriber::fmt().with_writer(alq::tracing::Writer::new(&queue)).init();
    /// tracing::info!("started");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(queue: &Queue) -> Self {
        queue.begin_a_line();
        Self {
            queue: queue.clone(),
            policy: Policy::WAIT,
            memory: Arc::default(),
            lanes: None,
            split: None,
        }
    }

    /// Makes events of `level`, and less severe ones, not wait for room: if the ring is full, they
    /// are discarded and counted. (`Level::DEBUG` means debug and trace.) The others wait.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use alq::tracing::Writer;
    ///
    /// let writer = Writer::new(&queue).drop_when_full(tracing::Level::DEBUG);
    /// tracing_subscriber::fmt().with_writer(writer).finish();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn drop_when_full(mut self, level: Level) -> Self {
        self.policy = self.policy.drop_from(level);
        self
    }

    /// Makes events wait for room at most for `time`; then they are discarded and counted. Once an
    /// event has waited in vain, later ones do not wait until the queue has written something
    /// again. So a stalled sink delays the program once for each thread, and does not stop it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let second = std::time::Duration::from_secs(1);
    /// let writer = alq::tracing::Writer::new(&queue).wait_at_most(second);
    /// # drop(writer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait_at_most(mut self, time: Duration) -> Self {
        self.policy = self.policy.wait_at_most(time);
        self
    }

    /// Keeps room for more severe events: an event of `level`, or of a less severe one, is refused
    /// and counted if it would fill more than `percent` of the ring. So an error need not wait for
    /// room that debug messages have taken. Each call adds a limit.
    ///
    /// The fill is counted in bytes and in records. (A ring has room for one record for each 64
    /// bytes.) With [lanes](Writer::lanes) the spans that they have claimed count as filled, and a
    /// level may exceed its limit by one span. To compare, a limited event reads the state of the
    /// drain, which costs some nanoseconds under load.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use tracing::Level;
    ///
    /// let writer = alq::tracing::Writer::new(&queue)
    ///     .drop_above(Level::DEBUG, 80)
    ///     .drop_above(Level::INFO, 95);
    /// tracing_subscriber::fmt().with_writer(writer.clone()).finish();
    /// assert_eq!(writer.lost_at(Level::DEBUG).headroom, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn drop_above(mut self, level: Level, percent: u8) -> Self {
        self.policy = self.policy.drop_above(level, percent);
        self
    }

    /// Gives each thread its own [`Lane`](crate::Lane), so that threads do not contend for the
    /// ring. Off by default.
    ///
    /// The events of one thread keep their order. The order between threads is not kept: an event
    /// may come before an earlier event of another thread, even if the earlier one caused it. An
    /// event is collected in memory that its thread keeps, and copied into the lane when it is
    /// complete.
    ///
    /// The lane of a thread ends with the thread, or with the last clone of this writer. An event
    /// inside another event goes through the queue instead of the lane. So does an event of a late
    /// destructor of thread-locals.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let writer = alq::tracing::Writer::new(&queue).lanes(true);
    /// tracing_subscriber::fmt().with_writer(writer).finish();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lanes(mut self, wanted: bool) -> Self {
        self.lanes = wanted.then(|| Arc::new(Lanes::new(&self.queue)));
        self
    }

    /// Sends events of `level`, and less severe ones, to `recorder`, a
    /// [recorder](crate::Options::recorder) with the same log. An event of level `ERROR` first has it
    /// [dumped](Queue::dump), so what led to the error stands before it; the event waits until the
    /// dump is written, or for the stall limit. If the recorder is empty, there is no dump. Errors
    /// themselves never go to the recorder.
    ///
    /// ```
    /// use alq::{Options, tracing::Writer};
    /// use tracing::{Level, debug, error};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = Options::new().open(&path)?;
    /// let recorder = Options::new().recorder(true).open(&path)?; // the last MiB
    /// let writer = Writer::new(&queue).recorder(&recorder, Level::DEBUG);
    /// let lines = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(writer);
    /// tracing::subscriber::with_default(lines.with_ansi(false).finish(), || {
    ///     debug!("cache miss");
    ///     error!("no answer");
    /// });
    /// queue.flush()?;
    /// let text = std::fs::read_to_string(&path)?;
    /// let lines: Vec<&str> = text.lines().collect();
    /// assert!(lines[0].starts_with("--- 1 record "));
    /// assert!(lines[1].ends_with("cache miss") && lines[2].ends_with("no answer"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recorder(mut self, recorder: &Queue, level: Level) -> Self {
        self.split = Some(Split::new(recorder, level));
        self
    }

    /// Returns how many events of this writer and its clones were lost, by cause.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let writer = alq::tracing::Writer::new(&queue);
    /// assert_eq!(writer.lost(), alq::tracing::Lost::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.memory.losses.now()
    }

    /// Returns how many events of `level` were lost, by cause. (Events of unknown level, from
    /// [`make_writer`](MakeWriter::make_writer), are only in [`lost`](Writer::lost).)
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let writer = alq::tracing::Writer::new(&queue);
    /// assert_eq!(writer.lost_at(tracing::Level::ERROR).total(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lost_at(&self, level: Level) -> Lost {
        self.memory.losses.at(level.number())
    }

    fn event<'a>(&'a self, patience: Patience<'a>) -> EventWriter<'a> {
        EventWriter::new(&self.queue, self.lanes.as_deref(), patience)
    }
}

impl Severity for Level {
    fn number(self) -> usize {
        match self {
            Self::ERROR => 0,
            Self::WARN => 1,
            Self::INFO => 2,
            Self::DEBUG => 3,
            Self::TRACE => 4,
        }
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = EventWriter<'a>;

    /// Makes the writer of an event of unknown level, which waits for room.
    fn make_writer(&'a self) -> EventWriter<'a> {
        self.event(self.policy.patience_of_all(&self.memory))
    }

    /// Makes the writer of an event with the level of `metadata`.
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> EventWriter<'a> {
        let level = *metadata.level();
        let patience = self.policy.patience(level, &self.memory);
        let split = self.split.as_ref();
        match split.and_then(|split| split.recorder_for(level, metadata.target())) {
            Some(recorder) => EventWriter::new(recorder, None, patience.in_recorder()),
            None => self.event(patience),
        }
    }
}
