//! What a queue gives out completions for: a sync, and a record.

use super::aside;
use super::completion::Completion;
use super::queue::Queue;
use crate::actors::Shared;
use crate::ends::{Pending, Reach};
use crate::primitives::sync::Arc;
use crate::words::{Error, Level, Position, SyncOp};

/// Getting into a consistent state.
impl Queue {
    /// Makes durable what was posted before the call: returns at once, and the completion is done when all of it is
    /// written and `fdatasync(2)` (or `fsync(2)`, for [`SyncOp::Full`]) has returned. What is posted later is neither
    /// delayed nor waited for. One system call serves all who wait. Source: `aio_fsync(3)`.
    ///
    /// The first call starts a thread of the queue (`alq-sync`). The first sync of a log that
    /// [`open`](crate::Options::open) has created covers its directory entry too.
    ///
    /// After a sync has failed once, nothing becomes durable until the queue is [reopened](Queue::reopen): the system may
    /// have dropped the data, so a later success would prove nothing. What was written by then is never durable.
    ///
    /// # Errors
    ///
    /// [`Error::NotSyncable`] for a pipe, a socket or a terminal; [`Error::TooManyOutstanding`] at the
    /// [bound](crate::Options::outstanding_max); [`Error::Closed`] after a close; [`Error::Io`] if the thread cannot be
    /// started. What the sync itself says is the completion's.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use alq::{Flags, SyncOp};
    ///
    /// queue.writen(b"survives the power\n", Flags::WAITOK)?;
    /// let completion = queue.fsync(SyncOp::Data)?;
    /// // ... something else, meanwhile ...
    /// completion.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fsync(&self, op: SyncOp) -> Result<Completion, Error> {
        let here = self.here()?;
        Shared::start_syncer(here.handle())?;
        here.watch(here.shared().ring.posted_end(), Reach::Durable(op))
    }

    /// A completion for one record: done when everything up to `position` has come to `level`.
    ///
    /// What stands in the way is the completion's own error: [`Error::InvalidPosition`] for a position of another queue,
    /// or beyond what was posted; and what [`fsync`](Queue::fsync) would say.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use alq::{Flags, Level};
    ///
    /// let first = queue.writen(b"first\n", Flags::WAITOK)?;
    /// queue.writen(b"second\n", Flags::WAITOK)?;
    /// queue.completion(first, Level::Written).wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn completion(&self, position: Position, level: Level) -> Completion {
        match self.here() {
            Ok(here) => here.completion_here(position, level),
            Err(past) => self.settled(&Err(past.into())),
        }
    }

    fn completion_here(&self, position: Position, level: Level) -> Completion {
        let bytes = position.bytes();
        let completion =
            if !position.is_of(self.shared().id) || bytes > aside::end(self.shared()).bytes() {
                Err(Error::InvalidPosition)
            } else if bytes > self.shared().ring.claimed_end() && level == Level::Written {
                Ok(self.settled(&Ok(()))) // it went past the ring
            } else {
                match level {
                    Level::Written => self.watch(bytes, Reach::Written),
                    Level::Durable => self.watch_durable(bytes),
                }
            };
        completion.unwrap_or_else(|error| self.settled(&Err(error)))
    }

    /// A completion that has come to its end.
    pub(super) fn settled(&self, result: &Result<(), Error>) -> Completion {
        Completion::new(self.handle(), Arc::new(Pending::settled(result)))
    }

    fn watch_durable(&self, target: u64) -> Result<Completion, Error> {
        let is_durable = target <= self.shared().durability.reached(SyncOp::Data);
        if !is_durable {
            Shared::start_syncer(self.handle())?;
        }
        self.watch(target, Reach::Durable(SyncOp::Data))
    }

    /// Waits for a watermark, and has the flusher and the sync thread look.
    fn watch(&self, target: u64, reach: Reach) -> Result<Completion, Error> {
        let pending = Arc::new(Pending::new(target, reach));
        self.shared().watch.add(Arc::clone(&pending))?;
        self.shared().settle();
        self.shared().bell.ring();
        self.shared().durability.look();
        Ok(Completion::new(self.handle(), pending))
    }
}
