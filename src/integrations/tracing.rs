//! `tracing`: a [`MakeWriter`] for the `fmt` layers of tracing-subscriber. docs/integrations.md goes through the choices.

use core::fmt;
use core::mem;
use std::io;
use std::time::Duration;

use tracing_core::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::lanes::{Lanes, Own};
pub use super::policy::Lost;
use super::policy::{Losses, Patience, Policy};
use crate::face::{Entry, Queue};
use crate::primitives::sync::Arc;
use crate::words::Error;

/// What is reserved for an event whose first piece is not all of it.
const GUESS_BYTES: usize = 1024;

/// Writes the events of a `fmt` layer to a queue: one event is one record, whole, however many writes the layer makes of it.
///
/// An event that finds no room waits for it, whatever its level: nothing is lost unless
/// [`drop_when_full`](Writer::drop_when_full) or [`wait_at_most`](Writer::wait_at_most) says so. The text of an event goes into
/// the ring itself; nothing is allocated for an event that is written at once, as `fmt` does, nor for one that comes in pieces
/// of no more than 1 KiB in all.
///
/// # Errors
///
/// An event without room that may not wait is counted ([`lost`](Writer::lost)), and no error. What is longer than the ring, and
/// whatever is written once the queue is closed or has failed, is counted too, and the write says why: `fmt` then prints that to
/// standard error, unless `log_internal_errors(false)` is set. (In a [lane](Writer::lanes) only the first is told so; the others
/// are counted.)
///
/// Cheap to clone; every clone counts into the same [`lost`](Writer::lost). It keeps the queue open as a clone of that does, and a
/// global subscriber is never dropped: the end of the process drains it.
///
/// ```
/// use alq::{Options, tracing::Writer};
/// use tracing::Level;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = Options::new().open(&path)?;
/// let writer = Writer::new(&queue).drop_when_full(Level::DEBUG);
/// let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer.clone()).finish();
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
    policy: Policy<Level>,
    losses: Arc<Losses>,
    lanes: Option<Arc<Lanes>>,
}

impl Writer {
    /// A writer to `queue`, which must be one of variable records.
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
        Self {
            queue: queue.clone(),
            policy: Policy::WAIT,
            losses: Arc::default(),
            lanes: None,
        }
    }

    /// Events of `level`, and less severe ones, do not wait for room, but are dropped and counted. (`Level::DEBUG`: debug and
    /// trace.) The others wait.
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

    /// Events wait for room for `time` at most; then they are dropped and counted. So a log that nobody takes slows a
    /// program down, and does not stop it.
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

    /// Whether each thread appends through a [`Lane`](crate::Lane) of its own, so that threads do not contend for the ring.
    ///
    /// The events of one thread keep their order. Those of different threads do not: an event may come before events of
    /// others that were written earlier, even where one was the cause of the other. An event is collected in memory that
    /// its thread keeps, and copied into the lane when it is complete.
    ///
    /// The lane of a thread ends with the thread, and with the last clone of this writer. An event within an event, and one in
    /// a destructor of thread-locals that comes late, go through the queue itself.
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

    /// How many events are in no log, by cause, of this writer and its clones.
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
        self.losses.now()
    }

    fn event(&self, patience: Patience) -> EventWriter<'_> {
        EventWriter {
            writer: self,
            patience,
            record: Record::None,
        }
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = EventWriter<'a>;

    /// For an event of no known level, which waits.
    fn make_writer(&'a self) -> EventWriter<'a> {
        self.event(self.policy.patience_of_all())
    }

    /// For an event of the level of `metadata`.
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> EventWriter<'a> {
        self.event(self.policy.patience(metadata.level()))
    }
}

/// The writer of one event: everything that is written to it is one record, which its drop posts.
///
/// It waits for room when it is first written to, if it may wait; an event of which a piece is lost is lost as a whole. While it
/// lives it may hold a reservation, behind which the others wait to be written: `fmt` makes it when the text is complete.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
/// use std::io::Write;
/// use tracing_subscriber::fmt::MakeWriter;
///
/// let writer = alq::tracing::Writer::new(&queue);
/// let mut event = writer.make_writer();
/// event.write_all(b"in ")?;
/// event.write_all(b"pieces\n")?;
/// drop(event);
/// assert_eq!(queue.stats().posted_records, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the record is posted when the writer is dropped"]
pub struct EventWriter<'a> {
    writer: &'a Writer,
    patience: Patience,
    record: Record<'a>,
}

/// What an event has come to so far.
enum Record<'a> {
    None,
    /// It is in the ring.
    Ring(Entry<'a>),
    /// It has outgrown its reservation, which was given back: to wait for more while holding some is how a queue locks up.
    Heap(Vec<u8>),
    /// It is collected beside the lane of its thread.
    Lane(Arc<Own>),
    /// A piece of it was lost, which is counted.
    Lost,
}

impl fmt::Debug for EventWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWriter").finish_non_exhaustive()
    }
}

impl<'a> EventWriter<'a> {
    fn append(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.record = match mem::replace(&mut self.record, Record::Lost) {
            Record::None => self.begin(piece)?,
            Record::Ring(entry) => self.go_on(entry, piece)?,
            Record::Heap(text) => self.go_on_in_heap(text, piece)?,
            Record::Lane(own) => self.collect(own, piece)?,
            Record::Lost => Record::Lost,
        };
        Ok(())
    }

    fn begin(&self, piece: &[u8]) -> Result<Record<'a>, Error> {
        if let Some(own) = self.writer.lanes.as_ref().and_then(|lanes| lanes.begin()) {
            return self.collect(own, piece);
        }
        let is_whole = piece.ends_with(b"\n"); // as far as one can tell
        let guess = if is_whole { 0 } else { GUESS_BYTES };
        let len = piece.len().max(guess);
        let queue = &self.writer.queue;
        let entry = match self.patience.timeout {
            None => queue.getn(len, self.patience.flags),
            Some(timeout) => queue.getn_timeout(len, self.patience.flags, timeout),
        };
        let mut entry = entry?;
        entry.set_bytes_used(0);
        self.go_on(entry, piece)
    }

    fn go_on(&self, mut entry: Entry<'a>, piece: &[u8]) -> Result<Record<'a>, Error> {
        let used = entry.bytes_used();
        if let Some(free) = entry[used..].get_mut(..piece.len()) {
            free.copy_from_slice(piece);
            entry.set_bytes_used(used + piece.len());
            return Ok(Record::Ring(entry));
        }
        self.go_on_in_heap(entry[..used].to_vec(), piece)
    }

    fn go_on_in_heap(&self, mut text: Vec<u8>, piece: &[u8]) -> Result<Record<'a>, Error> {
        let (len, max) = (text.len() + piece.len(), self.writer.queue.capacity());
        if len > max {
            return Err(Error::TooLarge { len, max });
        }
        text.extend_from_slice(piece);
        Ok(Record::Heap(text))
    }

    fn collect(&self, own: Arc<Own>, piece: &[u8]) -> Result<Record<'a>, Error> {
        if let Err(error) = own.collect(piece, self.writer.queue.capacity()) {
            own.finish(None)?;
            return Err(error);
        }
        Ok(Record::Lane(own))
    }

    /// Posts what there is, and begins anew.
    fn finish(&mut self) -> Result<(), Error> {
        match mem::replace(&mut self.record, Record::None) {
            Record::None | Record::Lost => Ok(()),
            Record::Ring(entry) => {
                entry.post();
                Ok(())
            }
            Record::Heap(text) => self.patience.append(&self.writer.queue, &text),
            Record::Lane(own) => own.finish(Some(self.patience)),
        }
    }
}

impl io::Write for EventWriter<'_> {
    /// Takes all of `piece`, or none, and then nothing more of this event.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if !piece.is_empty() {
            let appended = self.append(piece);
            self.writer.losses.settle(appended)?;
        }
        Ok(piece.len())
    }

    /// Posts what was written so far, and waits until it is written to the descriptor, with all that was posted before.
    fn flush(&mut self) -> io::Result<()> {
        let appended = self.finish();
        self.writer.losses.settle(appended)?;
        Ok(self.writer.queue.flush()?)
    }
}

impl Drop for EventWriter<'_> {
    fn drop(&mut self) {
        let appended = self.finish();
        let _ = self.writer.losses.settle(appended); // counted; there is nobody to tell
    }
}
