//! Completions: the result of a record or a sync, to be polled, waited for, awaited, or delivered.
//!
//! A completion holds a `Pending` that the flusher or the sync thread settles once. This file may
//! not settle one. It only subscribes to it, so a dropped completion changes nothing for others.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::time::Duration;

use super::barrier::Patience;
use crate::actors::{Shared, notifier};
use crate::ends::{Pending, Reach, Subscriber};
use crate::memory::Mirror;
use crate::primitives::os;
use crate::primitives::sync::{Arc, unique_number};
use crate::words::{Error, Operation, Status};

/// Selects how a completion notifies the program when it is done. Source: sigevent(3type).
///
/// ```
/// use alq::{Notify, Options, SyncOp};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("app.log"))?;
/// let tell = Notify::Callback(Box::new(|result| println!("synced: {result:?}")));
/// queue.fsync(SyncOp::Data)?.notify(tell)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum Notify {
    /// No notification (`SIGEV_NONE`).
    None,
    /// Queues a signal for the process (`SIGEV_SIGNAL`), with the code `SI_ASYNCIO`.
    Signal {
        /// The signal, 1 to `SIGRTMAX`.
        signo: i32,
        /// The value that the handler gets in `si_value`.
        value: usize,
    },
    /// Calls a function on a separate thread (`SIGEV_THREAD`), which runs all callbacks of the
    /// process in turn. It may append and wait. A panic in it ends only that call.
    Callback(Box<dyn FnOnce(Result<(), Error>) + Send>),
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Signal { signo, value } => {
                let mut out = f.debug_struct("Signal");
                out.field("signo", signo).field("value", value).finish()
            }
            Self::Callback(_) => f.write_str("Callback"),
        }
    }
}

/// Tracks a point in the stream of a queue until everything before it is written, or durable. Made
/// by [`Queue::fsync`](crate::Queue::fsync) and [`Queue::completion`](crate::Queue::completion).
/// Source: `struct aiocb` with `aio_error(3)` and `aio_suspend(3)`.
///
/// Once a completion is done or has failed, its result is final, and every clone returns it. There
/// are four ways to get the result:
///
/// - poll it: [`status`](Completion::status);
/// - wait for it: [`wait`](Completion::wait), [`suspend`](crate::suspend);
/// - await it: a completion is a `Future` that any executor can run;
/// - be notified: [`notify`](Completion::notify).
///
/// # Cancellation
///
/// Dropping a completion, also as a future that was polled, cancels nothing: the record is still
/// written, and the sync still runs. No reference to the task remains.
///
/// ```
/// use alq::{Flags, Level, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let queue = Options::new().open(dir.path().join("app.log"))?;
/// let position = queue.writen(b"must not be lost\n", Flags::WAITOK)?;
/// queue.completion(position, Level::Durable).wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Completion {
    pub(super) pending: Arc<Pending>,
    shared: Arc<Shared<Mirror>>,
    /// Identifies this handle among the subscribers.
    key: u64,
}

impl Completion {
    pub(super) fn new(shared: &Arc<Shared<Mirror>>, pending: Arc<Pending>) -> Self {
        Self {
            pending,
            shared: Arc::clone(shared),
            key: unique_number(),
        }
    }

    /// Returns the current status. Never blocks. Source: `aio_error(3)`.
    ///
    /// ```
    /// use alq::Status;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let completion = queue.fsync(alq::SyncOp::Data)?;
    /// completion.wait()?;
    /// assert_eq!(completion.status(), Status::Done(Ok(())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.result().map_or(Status::InProgress, Status::Done)
    }

    /// Returns the result once there is one. In a child of fork(2) it takes no lock: the thread
    /// that held it may not exist there.
    fn result(&self) -> Option<Result<(), Error>> {
        match self.shared.here() {
            Ok(_) => self.pending.result(),
            Err(past) => Some(Err(past.into())),
        }
    }

    /// Returns whether the completion belongs to a parent of this process.
    pub(super) fn is_foreign(&self) -> bool {
        self.shared.here().is_err()
    }

    /// Waits until the completion is done or has failed. The wait continues as long as data moves.
    ///
    /// # Errors
    ///
    /// The error with which the completion failed. If it is still in progress: [`Error::Held`] or
    /// [`Error::Stalled`] if nothing moves for the [stall limit](crate::Options::stall_limit), and
    /// [`Error::WouldDeadlock`] on a thread that serves the queue. In these cases the completion
    /// stays in progress.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// queue.fsync(alq::SyncOp::Data)?.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(&self) -> Result<(), Error> {
        self.wait_with(Patience::of(&self.shared, None))
    }

    /// Waits as [`wait`](Completion::wait) does, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if `timeout` has passed; otherwise as [`wait`](Completion::wait).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// queue.fsync(alq::SyncOp::Data)?.wait_timeout(std::time::Duration::from_secs(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.wait_with(Patience::of(&self.shared, Some(timeout)))
    }

    fn wait_with(&self, patience: Patience) -> Result<(), Error> {
        let is_written = self.pending.target <= self.shared.intake.ring.tail().pos;
        let for_sync = is_written && matches!(self.pending.reach, Reach::Durable(_));
        let resolved = &self.shared.outcome.resolved;
        patience
            .for_sync(for_sync)
            .wait_for(&self.shared, resolved, || self.result())
    }

    /// Returns whether this thread would wait for itself.
    pub(super) fn is_for_itself(&self) -> bool {
        self.shared.is_servant()
    }

    /// Requests a notification: it is sent when the completion is done or has failed, or at once if
    /// it already is. May be called any number of times; each call adds one notification. Does not
    /// wait for the completion.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the signal number is invalid, or if the thread for callbacks cannot be
    /// started.
    ///
    /// ```
    /// use alq::{Notify, SyncOp};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let callback = move |result| sender.send(result).unwrap();
    /// queue.fsync(SyncOp::Data)?.notify(Notify::Callback(Box::new(callback)))?;
    /// assert_eq!(receiver.recv()?, Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notify(&self, notify: Notify) -> Result<(), Error> {
        let subscriber = match notify {
            Notify::None => return Ok(()),
            Notify::Signal { signo, value } => {
                if !os::is_signal(signo) {
                    let invalid = std::io::ErrorKind::InvalidInput.into();
                    return Err(Error::io(Operation::Signal, &invalid));
                }
                Subscriber::Signal { signo, value }
            }
            Notify::Callback(callback) => {
                notifier::start()?;
                Subscriber::Callback(Box::new(|result| {
                    notifier::submit(Box::new(|| callback(result)));
                }))
            }
        };
        if let Err(past) = self.shared.here() {
            subscriber.tell(&Err(past.into()));
            return Ok(());
        }
        // A separate key: the subscription outlives this handle.
        if let Err((result, subscriber)) = self.pending.subscribe(unique_number(), subscriber) {
            subscriber.tell(&result);
        }
        Ok(())
    }
}

impl Clone for Completion {
    fn clone(&self) -> Self {
        Self::new(&self.shared, Arc::clone(&self.pending))
    }
}

impl Future for Completion {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.shared.here()?;
        let task = Subscriber::Task(context.waker().clone());
        match self.pending.subscribe(self.key, task) {
            Ok(()) => Poll::Pending,
            Err((result, _)) => Poll::Ready(result),
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.is_foreign() {
            return;
        }
        self.pending.unsubscribe(self.key);
    }
}
