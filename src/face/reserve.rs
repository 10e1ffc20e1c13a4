//! The reservation of a task: a future that resolves to an entry.
//!
//! It owns one place in the list of tasks that wait for room, and leaves the list when it is
//! dropped. It may never block the thread that polls it.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::aside::{self, Waiting};
use super::entry::Entry;
use super::framed;
use super::queue::Queue;
use crate::actors::Asker;
use crate::words::{Error, Flags};

/// Waits for room without blocking the thread: the future of [`Queue::reserve`]. Any executor can
/// run it.
///
/// # Turns
///
/// Tasks do not queue for room in order. The queue wakes a task when there is room for it, and the
/// task tries again. So a task that is not polled any more blocks no other task or thread. On an
/// [ordered](crate::Options::ordered) queue, waiting threads come first.
///
/// # Cancellation
///
/// If the future is dropped before it is done, it gives up its place among the waiters and takes no
/// room. Once it is done, the task owns the [`Entry`]. If the task is dropped, so is the entry,
/// which then posts nothing.
///
/// # Time
///
/// It waits without a limit; use a time-out of your executor to bound it. Unlike a
/// [`WAITOK`](crate::Flags::WAITOK) append, it does not fail after the stall limit if an open
/// reservation is in front. So a task that waits while it holds an entry of the same queue may wait
/// for itself.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
/// use alq::{Error, Queue};
///
/// async fn append(queue: &Queue, x: u32) -> Result<(), Error> {
///     let mut entry = queue.reserve(32).await?;
///     write!(entry, "x={x}\n")?;
///     entry.post();
///     Ok(())
/// }
/// # pollster::block_on(append(&queue, 1))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing until it is polled"]
pub struct Reserve<'q> {
    queue: &'q Queue,
    len: usize,
    asker: Asker,
}

impl fmt::Debug for Reserve<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Reserve");
        out.field("len", &self.len).finish_non_exhaustive()
    }
}

impl Queue {
    /// Reserves `len` contiguous bytes of the ring, as [`getn`](Queue::getn), for a task. The
    /// future waits for room without blocking its thread.
    ///
    /// # Errors
    ///
    /// The future fails as [`getn`](Queue::getn) with [`WAITOK`](crate::Flags::WAITOK) does, but
    /// never with `Held`. It fails with [`Error::WouldBlock`] if there is no room and it is polled
    /// on a thread that serves the queue, and on any thread while the [end of the
    /// process](Queue#exit) drains the queue.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// # pollster::block_on(async {
    /// let mut entry = queue.reserve(64).await?;
    /// write!(entry, "x={}\n", 1)?;
    /// let position = entry.post();
    /// queue.completion(position, alq::Level::Written).await
    /// # })?;
    /// # assert_eq!(std::fs::read(&path)?, b"x=1\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve(&self, len: usize) -> Reserve<'_> {
        Reserve {
            queue: self,
            len,
            asker: Asker::new(),
        }
    }

    /// Polls the future.
    pub(crate) fn poll_reserve(
        &self,
        asker: &mut Asker,
        len: usize,
        waker: &Waker,
    ) -> Poll<Result<Entry<'_>, Error>> {
        let len = self.check_len(len)?;
        let shared = self.current().shared();
        let total = framed::total(shared, len as usize)?;
        let reserved = match shared.here() {
            Ok(intake) => core::task::ready!(intake.poll_reserve(asker, total, waker)),
            Err(past) => Err(past.into()),
        };
        self.pass_thread_lane();
        Poll::Ready(match reserved {
            Ok(reservation) => Ok(Entry::framed(shared, reservation)),
            Err(refused) => {
                let waiting = Waiting::new(Flags::NOWAIT, None);
                let memory = aside::memory(shared, refused, len as usize, waiting);
                memory.map(|memory| Entry::of_its_own(shared, memory))
            }
        })
    }

    /// Withdraws a dropped future from the waiting tasks.
    pub(crate) fn withdraw(&self, asker: &mut Asker) {
        if let Ok(here) = self.here() {
            here.shared().intake.withdraw(asker);
        }
    }
}

impl<'q> Future for Reserve<'q> {
    type Output = Result<Entry<'q>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let queue = this.queue;
        queue.poll_reserve(&mut this.asker, this.len, context.waker())
    }
}

impl Drop for Reserve<'_> {
    fn drop(&mut self) {
        self.queue.withdraw(&mut self.asker);
    }
}
