//! Requests for completions: a sync, and a record.
//!
//! Each request adds a `Pending` to the watch list of the queue and wakes the thread that will
//! settle it.

use super::aside;
use super::completion::Completion;
use super::queue::Queue;
use crate::actors::syncer;
use crate::ends::{Pending, Reach};
use crate::primitives::sync::Arc;
use crate::words::{Error, Level, Position, SyncOp};

/// Waiting for records to be written or durable.
impl Queue {
    /// Makes everything that was posted before the call durable. Returns at once. The completion is
    /// done when all of it is written and `fdatasync(2)` (or `fsync(2)`, for [`SyncOp::Full`]) has
    /// returned. The sync neither delays later records nor waits for them. One system call serves
    /// all requests that are waiting. Any thread may call it. Source: `aio_fsync(3)`.
    ///
    /// The first call starts a thread of the queue (`alq-sync`). If [`open`](crate::Options::open)
    /// has created the log, the first sync also covers its directory entry.
    ///
    /// After a sync has failed, nothing becomes durable until the queue is
    /// [reopened](Queue::reopen): the system may have dropped the data, so a later success would
    /// prove nothing. Data that was written before the reopen, and is not durable yet, never
    /// becomes durable.
    ///
    /// # Errors
    ///
    /// [`Error::WrongMode`] on a [recorder](crate::Options::recorder);
    /// [`Error::NotSyncable`] for a pipe, a socket or a terminal; [`Error::TooManyOutstanding`] at
    /// the [limit](crate::Options::outstanding_max); [`Error::Closed`] after a close; [`Error::Io`]
    /// if the thread cannot be started. The completion returns the error of the sync itself.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use alq::{Flags, SyncOp};
    ///
    /// queue.writen(b"survives the power\n", Flags::WAITOK)?;
    /// let completion = queue.fsync(SyncOp::Data)?;
    /// // ... other work, while the sync runs ...
    /// completion.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fsync(&self, op: SyncOp) -> Result<Completion, Error> {
        let here = self.here()?;
        if here.is_recorder() {
            return Err(Error::WrongMode);
        }
        syncer::start(here.handle())?;
        here.watch(here.posted_end(), Reach::Durable(op))
    }

    /// Makes a completion for one record. It is done when everything up to `position` has reached
    /// `level`. Returns at once.
    ///
    /// The completion returns errors: [`Error::WrongMode`] on a
    /// [recorder](crate::Options::recorder), [`Error::InvalidPosition`] if the position is of
    /// another queue or after everything posted, and the errors of [`fsync`](Queue::fsync).
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
        let completion = if self.is_recorder() {
            Err(Error::WrongMode)
        } else if !position.is_of(self.id()) || bytes > aside::end(self.shared()).bytes() {
            Err(Error::InvalidPosition)
        } else if bytes > self.shared().intake.ring.claimed_end() && level == Level::Written {
            Ok(self.settled(&Ok(()))) // it bypassed the ring, so it is written
        } else {
            match level {
                Level::Written => self.watch(bytes, Reach::Written),
                Level::Durable => self.watch_durable(bytes),
            }
        };
        completion.unwrap_or_else(|error| self.settled(&Err(error)))
    }

    /// Makes a completion that is done already.
    pub(super) fn settled(&self, result: &Result<(), Error>) -> Completion {
        Completion::new(self.handle(), Arc::new(Pending::settled(result)))
    }

    fn watch_durable(&self, target: u64) -> Result<Completion, Error> {
        let durability = &self.shared().outcome.durability;
        if target > durability.reached(SyncOp::Data) {
            syncer::start(self.handle())?;
        }
        self.watch(target, Reach::Durable(SyncOp::Data))
    }

    /// Registers a completion for a watermark, and wakes the flusher and the sync thread to check
    /// it.
    fn watch(&self, target: u64, reach: Reach) -> Result<Completion, Error> {
        let pending = Arc::new(Pending::new(target, reach));
        self.shared().watch(Arc::clone(&pending))?;
        Ok(Completion::new(self.handle(), pending))
    }
}
