//! All queues of the process: shut down together, flushed together, drained at exit and at fork(2).
//!
//! The registry owns the list of open queues and two flags, under one lock. It waits for a queue
//! only after it has released the lock. `drain_within` is the exception: it keeps the lock for the
//! few milliseconds of its limit.

use std::time::{Duration, Instant};

use super::barrier::{self, Patience, deadline_in};
use crate::actors::Shared;
use crate::memory::{Memory, Mirror};
use crate::primitives::PerProcess;
use crate::primitives::sync::{Arc, Mutex};
use crate::words::{Error, Undrained};

/// The open queues, and whether new ones are allowed.
#[derive(Debug)]
pub struct Registry<M> {
    state: Mutex<State<M>>,
}

#[derive(Debug)]
struct State<M> {
    shut: bool,
    /// Whether the process is ending: appends bypass the rings.
    exiting: bool,
    queues: Vec<Arc<Shared<M>>>,
}

static REGISTRY: PerProcess<Registry<Mirror>> = PerProcess::new();

/// Returns the registry of this process.
pub fn registry() -> &'static Registry<Mirror> {
    REGISTRY.get(Registry::new)
}

/// Returns the registry of this process if the process has used one. A child of fork(2) that has
/// opened no queue has not.
pub fn existing() -> Option<&'static Registry<Mirror>> {
    REGISTRY.existing()
}

/// Reports writes of this process that hang; returns when to check again.
pub fn look_for_hangs() -> Option<Duration> {
    let queues = existing()?.state.lock().queues.clone();
    queues
        .iter()
        .filter_map(|queue| queue.look_for_hang())
        .min()
}

impl<M: Memory> Registry<M> {
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State {
                shut: false,
                exiting: false,
                queues: Vec::new(),
            }),
        }
    }

    /// Adds a queue. Either a concurrent shutdown, or the end of the process, sees this queue, or
    /// this call sees the shutdown or the end.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after a shutdown.
    pub fn enter(&self, queue: &Arc<Shared<M>>) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.shut {
            return Err(Error::Closed);
        }
        if state.exiting {
            barrier::set_aside(queue);
        }
        state.queues.push(Arc::clone(queue));
        Ok(())
    }

    /// Removes a queue, after its last handle was dropped.
    pub fn leave(&self, id: u64) {
        self.state
            .lock()
            .queues
            .retain(|queue| queue.intake.id != id);
    }

    /// See [`shutdown`].
    pub fn shutdown(&self, timeout: Option<Duration>) -> Result<(), Undrained> {
        let queues = {
            let mut state = self.state.lock();
            state.shut = true;
            state.queues.clone()
        };
        // All queues stop accepting records before this waits for any of them.
        for queue in &queues {
            queue.intake.close();
        }
        let deadline = timeout.and_then(deadline_in);
        let mut left: Option<Undrained> = None;
        for queue in &queues {
            if let Err(one) = barrier::close(queue, until(queue, deadline)) {
                left = Some(match left {
                    None => one,
                    Some(sum) => sum.with(&one),
                });
            }
        }
        left.map_or(Ok(()), Err)
    }

    /// Drains every queue at the end of the process, and returns what each could not drain. Later
    /// appends bypass the rings. All queues stop accepting records into their rings before this
    /// waits for any of them.
    pub fn exit(&self) -> Vec<(Arc<Shared<M>>, Undrained)> {
        let queues = {
            let mut state = self.state.lock();
            state.exiting = true;
            state.queues.clone()
        };
        queues.iter().for_each(|queue| barrier::set_aside(queue));
        let finish = |queue: &Arc<Shared<M>>| {
            // A queue that was closed: `close` returns what is left, or has returned it when it
            // gave up. Then there is nothing to wait for.
            let closed = !queue.intake.ring.is_aside();
            if closed && queue.outcome.obstacle().is_some() {
                return None;
            }
            let left = barrier::finish(queue, Patience::of(queue, None)).err();
            let left = left.filter(|_| !closed)?;
            Some((Arc::clone(queue), left))
        };
        queues.iter().filter_map(finish).collect()
    }

    /// Writes what is posted, for at most `limit`. It serves fork(2), so it waits neither for a
    /// queue that makes no progress nor for a thread that is opening or closing one.
    pub fn drain_within(&self, limit: Duration) {
        let Some(state) = self.state.try_lock() else {
            return;
        };
        let moves = |queue: &&Arc<Shared<M>>| queue.intake.trouble.is_moving();
        let deadline = deadline_in(limit);
        for queue in state.queues.iter().filter(moves) {
            let intake = &queue.intake;
            intake.activate_until(intake.ring.posted_end());
        }
        for queue in state.queues.iter().filter(moves) {
            let _ = barrier::flush(queue, until(queue, deadline)); // the parent writes the rest
        }
    }

    /// See [`flush_all`].
    pub fn flush(&self, timeout: Option<Duration>) -> Result<(), Error> {
        let queues = self.state.lock().queues.clone();
        let deadline = timeout.and_then(deadline_in);
        // All flushers are woken before this waits for any: one that is stuck may use up all of the
        // time.
        let rung = |queue: &Arc<Shared<M>>| {
            let target = barrier::flush_target(queue);
            queue.intake.activate_until(target);
            target
        };
        let targets: Vec<u64> = queues.iter().map(rung).collect();
        let mut result = Ok(());
        for (queue, target) in queues.iter().zip(targets) {
            result = result.and(barrier::flush_to(queue, target, until(queue, deadline)));
        }
        result
    }
}

impl<M: Memory> Registry<M> {
    /// Returns the recorders that are open. Does not wait.
    pub fn recorders(&self) -> Vec<Arc<Shared<M>>> {
        let mut queues = self.state.lock().queues.clone();
        queues.retain(|queue| queue.intake.ring.is_recorder());
        queues
    }
}

/// Returns the patience of one of several calls that end at the same time.
fn until<M: Memory>(queue: &Shared<M>, deadline: Option<Instant>) -> Patience {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    Patience::of(queue, left)
}

/// Closes every queue of the process permanently. All queues stop accepting records at once, and
/// then each one is drained. New queues are refused from then on ([`Error::Closed`]); an
/// [`AsyncAppend`](crate::AsyncAppend) appends synchronously.
///
/// `timeout` bounds the whole call, plus about 100 ms for each queue with a reservation that is
/// still open. `None` waits as [`Queue::close`](crate::Queue::close) does. Any thread may call it,
/// any number of times. Source: the `shutdown_pre_sync` handler of alq(9).
///
/// # Errors
///
/// [`Undrained`] with the sums over all queues and the first cause.
///
/// ```standalone_crate
/// use alq::{Error, Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("app.log"))?;
/// queue.writen(b"the last\n", Flags::WAITOK)?;
/// alq::shutdown(None)?;
/// assert_eq!(queue.writen(b"too late\n", Flags::WAITOK), Err(Error::Closed));
/// assert_eq!(Options::new().open(dir.path().join("new.log")).unwrap_err(), Error::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn shutdown(timeout: Option<Duration>) -> Result<(), Undrained> {
    registry().shutdown(timeout)
}

/// Flushes every queue of the process: waits until everything that was posted before the call is
/// written. `timeout` bounds the whole call; `None` waits as [`Queue::flush`](crate::Queue::flush)
/// does. Any thread may call it.
///
/// # Errors
///
/// The first error of a [`Queue::flush`](crate::Queue::flush). The other queues are flushed
/// nevertheless.
///
/// ```
/// alq::flush_all(Some(std::time::Duration::from_secs(1)))?;
/// # Ok::<(), alq::Error>(())
/// ```
pub fn flush_all(timeout: Option<Duration>) -> Result<(), Error> {
    registry().flush(timeout)
}
