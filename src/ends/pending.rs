//! What callers wait for, and how they learn the result.
//!
//! A [`Pending`] is one wait with its result and its subscribers. A [`Watch`] is the list of all
//! waits of a queue that have no result yet. Subscribers are called outside of every lock.

use core::fmt;
use core::task::Waker;

use crate::primitives::sync::{Arc, AtomicU32, Futex, Mutex, Ordering, fence, or_mutant};
use crate::primitives::{os, wake};
use crate::words::{Error, SyncOp};

/// Which watermark must reach the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Written,
    Durable(SyncOp),
    /// No watermark: the reopen with this number must take place.
    Reopened(u64),
}

/// A position that a watermark must still reach. Once the result is set, it stays.
#[derive(Debug)]
pub struct Pending {
    pub target: u64,
    pub reach: Reach,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    result: Option<Result<(), Error>>,
    subscribers: Vec<(u64, Subscriber)>,
}

/// What receives the result of a [`Pending`].
pub enum Subscriber {
    /// A task that polls.
    Task(Waker),
    /// A thread that sleeps in `suspend`.
    Sleeper(Arc<Futex>),
    /// The process, by a queued signal.
    Signal { signo: i32, value: usize },
    /// A function that runs the callback.
    Callback(Box<dyn FnOnce(Result<(), Error>) + Send>),
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task(_) => "Task",
            Self::Sleeper(_) => "Sleeper",
            Self::Signal { .. } => "Signal",
            Self::Callback(_) => "Callback",
        })
    }
}

/// The value of a sleeper's word once it has been woken.
pub const WOKEN: u32 = 1;

impl Subscriber {
    /// Delivers `result`.
    pub fn tell(self, result: &Result<(), Error>) {
        match self {
            Self::Task(waker) => wake(waker),
            Self::Sleeper(word) => {
                // Relaxed: the result is protected by the lock, which was released before.
                word.store(WOKEN, Ordering::Relaxed);
                word.wake_all();
            }
            // No caller is left to receive the error of a full signal queue; `status` has the
            // result.
            Self::Signal { signo, value } => drop(os::queue_signal(signo, value)),
            Self::Callback(callback) => callback(result.clone()),
        }
    }
}

impl Pending {
    pub fn new(target: u64, reach: Reach) -> Self {
        Self {
            target,
            reach,
            state: Mutex::new(State {
                result: None,
                subscribers: Vec::new(),
            }),
        }
    }

    /// Makes a pending wait that already has its result.
    pub fn settled(result: &Result<(), Error>) -> Self {
        let pending = Self::new(0, Reach::Written);
        pending.resolve(result);
        pending
    }

    pub fn result(&self) -> Option<Result<(), Error>> {
        self.state.lock().result.clone()
    }

    /// Sets the result, unless there is one, and delivers it to all subscribers outside of the
    /// lock.
    pub fn resolve(&self, result: &Result<(), Error>) {
        let subscribers = {
            let mut state = self.state.lock();
            if state.result.is_some() {
                return;
            }
            state.result = Some(result.clone());
            core::mem::take(&mut state.subscribers)
        };
        for (_, subscriber) in subscribers {
            subscriber.tell(result);
        }
    }

    /// Adds a subscriber, or replaces the one with the same key. If there is a result already,
    /// returns the subscriber with that result.
    pub fn subscribe(
        &self,
        key: u64,
        subscriber: Subscriber,
    ) -> Result<(), (Result<(), Error>, Subscriber)> {
        let mut state = self.state.lock();
        if let Some(result) = &state.result {
            return Err((result.clone(), subscriber));
        }
        let replaced = take(&mut state.subscribers, key);
        state.subscribers.push((key, subscriber));
        drop(state);
        drop(replaced); // a waker may hold a completion, whose drop takes the lock
        Ok(())
    }

    /// Removes the subscriber with this key and drops it.
    pub fn unsubscribe(&self, key: u64) {
        let taken = take(&mut self.state.lock().subscribers, key);
        drop(taken); // not under the lock: see `subscribe`
    }
}

/// Removes the subscriber with this key from the list and returns it.
fn take(subscribers: &mut Vec<(u64, Subscriber)>, key: u64) -> Option<(u64, Subscriber)> {
    let index = subscribers.iter().position(|(other, _)| *other == key)?;
    Some(subscribers.swap_remove(index))
}

/// All waits in one queue that have no result yet.
#[derive(Debug)]
pub struct Watch {
    count: AtomicU32,
    list: Mutex<Vec<Arc<Pending>>>,
    outstanding_max: usize,
}

impl Watch {
    pub fn new(outstanding_max: usize) -> Self {
        Self {
            count: AtomicU32::new(0),
            list: Mutex::new(Vec::new()),
            outstanding_max,
        }
    }

    /// Adds a wait. The caller must settle next: that fences and looks again, because the watermark
    /// may have reached the target before.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOutstanding`] if the list is full.
    pub fn add(&self, pending: Arc<Pending>) -> Result<(), Error> {
        {
            let mut list = self.list.lock();
            if list.len() >= self.outstanding_max {
                return Err(Error::TooManyOutstanding);
            }
            list.push(pending);
            // Relaxed: the fence of the caller's own `is_awaited` orders it before the look.
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the list has any wait. The caller must store the watermark before the call.
    pub fn is_awaited(&self) -> bool {
        // [watch.fence] SeqCst, pairs with itself on another thread: of a thread that has added a
        // wait and a thread that has moved a watermark, at least one sees the other.
        fence(or_mutant("watch.fence", Ordering::AcqRel, Ordering::SeqCst));
        // Relaxed: ordered by the fence.
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Resolves the waits for which `outcome` returns a result. Returns whether there was one.
    pub fn settle(&self, outcome: impl Fn(&Pending) -> Option<Result<(), Error>>) -> bool {
        let mut settled = Vec::new();
        self.list.lock().retain(|pending| match outcome(pending) {
            None => true,
            Some(result) => {
                settled.push((Arc::clone(pending), result));
                false
            }
        });
        // Relaxed: a count that is too high only costs taking the lock.
        self.count
            .fetch_sub(settled.len() as u32, Ordering::Relaxed);
        let is_any = !settled.is_empty();
        for (pending, result) in settled {
            pending.resolve(&result);
        }
        is_any
    }

    /// The strongest sync that a wait needs and that can be done now, according to `is_due`.
    pub fn wanted(&self, is_due: impl Fn(u64, SyncOp) -> bool) -> Option<SyncOp> {
        let list = self.list.lock();
        let due = list.iter().filter_map(|pending| match pending.reach {
            Reach::Durable(op) if is_due(pending.target, op) => Some(op),
            _ => None,
        });
        due.max_by_key(|op| *op == SyncOp::Full)
    }
}
