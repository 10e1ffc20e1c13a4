//! `tokio`: an [`AsyncWrite`] that waits for room without blocking the thread. It works on any
//! executor.

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
/// | call | is ready when |
/// |---|---|
/// | `write` | the bytes are in the ring, as one record; it is pending while there is no room |
/// | `flush` | everything from this writer is written |
/// | `shutdown` | everything from this writer is written, and synced if the log can be synced |
///
/// `shutdown` syncs as [`fsync`](Queue::fsync) does. Writes fail after it; the queue stays open.
///
/// A write of more bytes than the [capacity](Queue::capacity) takes that many; `write_all` then
/// writes several records, and records of other threads may come in between. To append a record,
/// write it with one `write_all`, or use [`Queue::reserve`], which also formats in place.
///
/// # Cancellation
///
/// A write that is dropped while it is pending has written nothing and has taken no room. A
/// `write_all` of several pieces that is dropped may have written some of them. Dropping a `flush`
/// or a `shutdown` does not stop the writes and the sync that they wait for. No append waits for a
/// task that is not polled; [`Reserve`](crate::Reserve) explains the turns.
///
/// # Time
///
/// These calls stay pending while the sink accepts no data. Put a time-out around them if needed.
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
    /// The end of the last record, until a flush has covered it.
    last: Option<Position>,
    /// The completion that a flush waits for, and its position.
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
    /// Makes a writer to `queue`, which must be a variable queue. A writer keeps the queue open, as
    /// a clone does. Any number of writers may share one queue. One task at a time uses a writer.
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

    /// Returns the queue to which it writes.
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
                self.last = None; // until the next write
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
                        Err(Error::NotSyncable) => Shutdown::Done, // a pipe, say
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
