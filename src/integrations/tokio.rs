//! `tokio`: an [`AsyncWrite`] that waits for room without blocking, and flushes when the bytes are written. Any executor will do.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use ::tokio::io::AsyncWrite;

use crate::actors::Asker;
use crate::face::{Completion, Queue};
use crate::words::{Error, Level, Position, SyncOp};

/// Writes to a queue from a task.
///
/// | call | is done when |
/// |---|---|
/// | `write` | the bytes are in the ring: one record. It is pending while there is no room. |
/// | `flush` | everything that this writer has written is written to the descriptor. |
/// | `shutdown` | that, and it is on disk: the log is synced as by [`fsync`](Queue::fsync), where it can be. Writes fail afterwards; the queue stays open. |
///
/// Bytes that are longer than the [capacity](Queue::capacity) are taken in pieces of that length, each a record; between
/// them may be records of others. A program that has records writes each with one `write_all`, or with
/// [`Queue::reserve`], which also formats in place.
///
/// # Cancellation
///
/// A write that is dropped while it is pending has written nothing, and took no room. A `write_all` that is dropped may have
/// written some of its pieces, if it has several. What `flush` and `shutdown` wait for happens all the same. Nobody ever waits
/// for a task that is not polled; [`Reserve`](crate::Reserve) says more on turns.
///
/// # Time
///
/// Nothing here ends by itself while the descriptor takes nothing: put a time-out around it.
///
/// ```
/// use tokio::io::AsyncWriteExt;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let queue = alq::Options::new().open(&path)?;
/// let mut writer = alq::tokio::AsyncWriter::new(&queue);
/// writer.write_all(b"one record\n").await?;
/// writer.flush().await?;
/// assert_eq!(std::fs::read(&path)?, b"one record\n");
/// writer.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AsyncWriter {
    queue: Queue,
    asker: Asker,
    /// Where the last record ends.
    last: Option<Position>,
    /// What a flush waits for, and how far that goes.
    flush: Option<(Position, Completion)>,
    shutdown: Shutdown,
}

#[derive(Debug)]
enum Shutdown {
    No,
    Flushing,
    Syncing(Completion),
    Done,
}

impl AsyncWriter {
    /// A writer to `queue`, which must be one of variable records. It keeps the queue open as a clone does. Any number of
    /// writers may write to one queue, each for one task at a time.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let writer = alq::tokio::AsyncWriter::new(&queue);
    /// assert_eq!(writer.queue().stats().posted_bytes, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(queue: &Queue) -> Self {
        Self {
            queue: queue.clone(),
            asker: Asker::new(),
            last: None,
            flush: None,
            shutdown: Shutdown::No,
        }
    }

    /// The queue that it writes to.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let writer = alq::tokio::AsyncWriter::new(&queue);
    /// writer.queue().flush()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some(last) = self.last {
            let (position, completion) = self
                .flush
                .get_or_insert_with(|| (last, self.queue.completion(last, Level::Written)));
            let (position, result) = (*position, ready!(Pin::new(completion).poll(context)));
            self.flush = None;
            result?;
            if position == last {
                self.last = None; // until there is more
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_down(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            match &mut self.shutdown {
                Shutdown::No => self.shutdown = Shutdown::Flushing,
                Shutdown::Flushing => {
                    ready!(self.poll_written(context))?;
                    self.shutdown = match self.queue.fsync(SyncOp::Data) {
                        Ok(completion) => Shutdown::Syncing(completion),
                        Err(Error::NotSyncable) => Shutdown::Done, // a pipe: there is no disk
                        Err(error) => return Poll::Ready(Err(error)),
                    };
                }
                Shutdown::Syncing(completion) => {
                    let result = ready!(Pin::new(completion).poll(context));
                    self.shutdown = match result {
                        Ok(()) => Shutdown::Done,
                        Err(_) => Shutdown::Flushing, // the next try may find the queue reopened
                    };
                    result?;
                }
                Shutdown::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for AsyncWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !matches!(this.shutdown, Shutdown::No) {
            return Poll::Ready(Err(Error::Closed.into()));
        }
        let len = bytes.len().min(this.queue.capacity());
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let reserved = this
            .queue
            .poll_reserve(&mut this.asker, len, context.waker());
        let mut entry = ready!(reserved)?;
        entry.copy_from_slice(&bytes[..len]);
        this.last = Some(entry.post());
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(self.get_mut().poll_written(context));
        Poll::Ready(Ok(result?))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(self.get_mut().poll_down(context));
        Poll::Ready(Ok(result?))
    }
}

impl Drop for AsyncWriter {
    fn drop(&mut self) {
        self.queue.withdraw(&mut self.asker);
    }
}
