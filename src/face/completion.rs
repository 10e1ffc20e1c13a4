//! Completions: what has become of a record, asked, waited for, or told.

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

/// How a completion tells that it is done. Source: sigevent(3type).
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
    /// Not at all (`SIGEV_NONE`).
    None,
    /// A signal is queued for the process (`SIGEV_SIGNAL`), with `SI_ASYNCIO` as its code.
    Signal {
        /// The signal, 1 to `SIGRTMAX`.
        signo: i32,
        /// What the handler finds in `si_value`.
        value: usize,
    },
    /// A function runs on a thread of its own (`SIGEV_THREAD`), which runs all callbacks of the process in turn. It may
    /// append and wait; a panic in it ends nothing but itself.
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

/// A point in the stream of a queue that a watermark will reach, from [`Queue::fsync`](crate::Queue::fsync) or
/// [`Queue::completion`](crate::Queue::completion). Source: `struct aiocb` with `aio_error(3)` and `aio_suspend(3)`.
///
/// Once done or failed it stays so, and every clone says the same. It can be asked ([`status`](Completion::status)),
/// waited for ([`wait`](Completion::wait), [`suspend`](crate::suspend)), awaited (it is a `Future` that any executor can
/// run), or told of ([`notify`](Completion::notify)).
///
/// # Cancellation
///
/// Dropping it, also as a future that was polled, takes nothing back: the record is written, or the sync done, all the
/// same. Nothing of the task is left behind.
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
    /// Names this handle among the subscribers.
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

    /// What has become of it. Never blocks. Source: `aio_error(3)`.
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

    /// Its result, once there is one. In a child of fork(2) it takes no lock: the holder may not exist.
    fn result(&self) -> Option<Result<(), Error>> {
        match self.shared.here() {
            Ok(_) => self.pending.result(),
            Err(past) => Some(Err(past.into())),
        }
    }

    /// Whether it is one of the parent process.
    pub(super) fn is_foreign(&self) -> bool {
        self.shared.here().is_err()
    }

    /// Waits until it is done.
    ///
    /// # Errors
    ///
    /// Its own error, if it failed. While it is in progress: [`Error::Held`] or [`Error::Stalled`] when nothing has moved
    /// for the [stall limit](crate::Options::stall_limit), and [`Error::WouldDeadlock`] on the flusher thread; it goes
    /// on then.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// queue.fsync(alq::SyncOp::Data)?.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(&self) -> Result<(), Error> {
        self.wait_with(self.shared.patience(None))
    }

    /// [`wait`](Completion::wait) for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the time is over; otherwise as [`wait`](Completion::wait).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// queue.fsync(alq::SyncOp::Data)?.wait_timeout(std::time::Duration::from_secs(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.wait_with(self.shared.patience(Some(timeout)))
    }

    fn wait_with(&self, patience: Patience) -> Result<(), Error> {
        let is_written = self.pending.target <= self.shared.ring.tail().pos;
        let for_sync = is_written && matches!(self.pending.reach, Reach::Durable(_));
        patience
            .for_sync(for_sync)
            .wait_for(&self.shared, || self.result())
    }

    /// Whether a wait on this thread would be a wait for itself.
    pub(super) fn is_for_itself(&self) -> bool {
        self.shared.is_servant()
    }

    /// Has it tell once it is done; at once, if it is. Any number of times; each one tells.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for a number that is no signal, or if the thread for callbacks cannot be started.
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
        // A key of its own: it outlives this handle.
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
