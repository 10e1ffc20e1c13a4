//! The writer of one event of `tracing`.

use core::fmt;
use core::mem;
use std::io;

use super::lanes::{Lanes, Own};
use super::policy::Patience;
use crate::face::{Entry, Queue};
use crate::primitives::sync::Arc;
use crate::words::Error;

/// The bytes to reserve for an event whose first piece does not end a line.
const GUESS_BYTES: usize = 1024;

/// Writes one event: all pieces become one record, which is posted when the writer is dropped.
///
/// The first piece waits for room, if the event may wait. If one piece is lost, the whole event is
/// lost. A writer may hold a reservation until it is dropped, and later records cannot be written
/// before that; so make it when the text is complete, as `fmt` does.
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
    queue: &'a Queue,
    lanes: Option<&'a Lanes>,
    patience: Patience<'a>,
    record: Record<'a>,
}

/// Where the text of an event is so far.
enum Record<'a> {
    None,
    /// In the ring.
    Ring(Entry<'a>),
    /// In memory. It outgrew its reservation, which was given back: a queue would deadlock if
    /// threads waited for more room while they hold some.
    Heap(Vec<u8>),
    /// In memory, next to the lane of its thread.
    Lane(Arc<Own>),
    /// Lost, and counted: a piece of it could not be appended.
    Lost,
}

impl fmt::Debug for EventWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWriter").finish_non_exhaustive()
    }
}

impl<'a> EventWriter<'a> {
    /// Makes the writer of an event that goes to `queue`, or to the lane of its thread.
    pub(super) fn new(queue: &'a Queue, lanes: Option<&'a Lanes>, patience: Patience<'a>) -> Self {
        Self {
            queue,
            lanes,
            patience,
            record: Record::None,
        }
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.record = match mem::replace(&mut self.record, Record::Lost) {
            Record::None => self.begin(piece)?,
            Record::Ring(entry) => self.extend_in_ring(entry, piece)?,
            Record::Heap(text) => self.extend_in_heap(text, piece)?,
            Record::Lane(own) => self.collect(own, piece)?,
            Record::Lost => Record::Lost,
        };
        Ok(())
    }

    fn begin(&self, piece: &[u8]) -> Result<Record<'a>, Error> {
        if let Some(own) = self.lanes.and_then(Lanes::begin) {
            return self.collect(own, piece);
        }
        let queue = self.queue;
        if !self.patience.admits(queue, piece.len()) {
            return Ok(Record::Lost);
        }
        let is_whole = piece.ends_with(b"\n"); // a guess
        let guess = if is_whole { 0 } else { GUESS_BYTES };
        let len = piece.len().max(guess);
        let entry = self.patience.place(queue, |flags, timeout| match timeout {
            None => queue.getn(len, flags),
            Some(timeout) => queue.getn_timeout(len, flags, timeout),
        });
        let mut entry = entry?;
        entry.set_bytes_used(0);
        self.extend_in_ring(entry, piece)
    }

    fn extend_in_ring(&self, mut entry: Entry<'a>, piece: &[u8]) -> Result<Record<'a>, Error> {
        let used = entry.bytes_used();
        if let Some(free) = entry[used..].get_mut(..piece.len()) {
            free.copy_from_slice(piece);
            entry.set_bytes_used(used + piece.len());
            return Ok(Record::Ring(entry));
        }
        self.extend_in_heap(entry[..used].to_vec(), piece)
    }

    fn extend_in_heap(&self, mut text: Vec<u8>, piece: &[u8]) -> Result<Record<'a>, Error> {
        let (len, queue) = (text.len() + piece.len(), self.queue);
        if len > queue.capacity() {
            return Err(queue.too_large(len));
        }
        text.extend_from_slice(piece);
        Ok(Record::Heap(text))
    }

    fn collect(&self, own: Arc<Own>, piece: &[u8]) -> Result<Record<'a>, Error> {
        let queue = self.queue;
        if let Err(error) = own.collect(piece, queue) {
            own.finish(queue, None)?;
            return Err(error);
        }
        Ok(Record::Lane(own))
    }

    /// Posts the text so far. The next piece begins a new record.
    fn finish(&mut self) -> Result<(), Error> {
        match mem::replace(&mut self.record, Record::None) {
            Record::None | Record::Lost => Ok(()),
            Record::Ring(entry) => {
                entry.post();
                Ok(())
            }
            Record::Heap(text) => self.patience.append(self.queue, &text),
            Record::Lane(own) => own.finish(self.queue, Some(self.patience)),
        }
    }
}

impl io::Write for EventWriter<'_> {
    /// Takes all of `piece`. If it cannot, it loses the whole event and ignores its later pieces.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if !piece.is_empty() {
            let appended = self.append(piece);
            self.patience.settle(appended)?;
        }
        Ok(piece.len())
    }

    /// Posts the text so far, and waits until it is written, with everything that was posted
    /// before.
    fn flush(&mut self) -> io::Result<()> {
        let appended = self.finish();
        self.patience.settle(appended)?;
        Ok(self.queue.flush()?)
    }
}

impl Drop for EventWriter<'_> {
    fn drop(&mut self) {
        let appended = self.finish();
        let _ = self.patience.settle(appended); // counted; a drop returns no error
    }
}
