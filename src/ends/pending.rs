//! Something that somebody waits for, and who is told when it has come.

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
    /// No watermark: the reopen with this number has taken place.
    Reopened(u64),
}

/// A point that a watermark has yet to reach. Its result, once there, stays.
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

/// Who is told.
pub enum Subscriber {
    /// A task that polls.
    Task(Waker),
    /// A thread that sleeps in `suspend`.
    Sleeper(Arc<Futex>),
    /// The process, by a queued signal.
    Signal { signo: i32, value: usize },
    /// A callback, by what runs it.
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
    pub fn tell(self, result: &Result<(), Error>) {
        match self {
            Self::Task(waker) => wake(waker),
            Self::Sleeper(word) => {
                // Relaxed: the result is behind the lock, which was let go of before.
                word.store(WOKEN, Ordering::Relaxed);
                word.wake_all();
            }
            // Nobody is left to be told that the queue of signals is full; `status` says what came of it.
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

    /// One that has already come to its end.
    pub fn settled(result: &Result<(), Error>) -> Self {
        let pending = Self::new(0, Reach::Written);
        pending.resolve(result);
        pending
    }

    pub fn result(&self) -> Option<Result<(), Error>> {
        self.state.lock().result.clone()
    }

    /// Sets the result, once, and tells everybody, outside of the lock.
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

    /// Adds a subscriber, in the place of the one with the same key; or gives it back with the result.
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

    /// Takes a subscriber back; nothing of it is left behind.
    pub fn unsubscribe(&self, key: u64) {
        let taken = take(&mut self.state.lock().subscribers, key);
        drop(taken); // not under the lock: see `subscribe`
    }
}

/// Takes the subscriber with this key out.
fn take(subscribers: &mut Vec<(u64, Subscriber)>, key: u64) -> Option<(u64, Subscriber)> {
    let index = subscribers.iter().position(|(other, _)| *other == key)?;
    Some(subscribers.swap_remove(index))
}

/// All that is waited for in one queue.
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

    /// Adds one. The caller settles next, which fences and looks: what it waits for may have come before.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOutstanding`] at the bound.
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

    /// Whether anything is waited for. What moved must be stored before the call.
    pub fn is_awaited(&self) -> bool {
        // [watch.fence] SeqCst, pairs with itself on another thread: of one who has added and one who has moved a watermark,
        // at least one sees the other.
        fence(or_mutant("watch.fence", Ordering::AcqRel, Ordering::SeqCst));
        // Relaxed: ordered by the fence.
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Resolves those for which `outcome` has one.
    pub fn settle(&self, outcome: impl Fn(&Pending) -> Option<Result<(), Error>>) {
        let mut settled = Vec::new();
        self.list.lock().retain(|pending| match outcome(pending) {
            None => true,
            Some(result) => {
                settled.push((Arc::clone(pending), result));
                false
            }
        });
        // Relaxed: a count that is too high costs a lock.
        self.count
            .fetch_sub(settled.len() as u32, Ordering::Relaxed);
        for (pending, result) in settled {
            pending.resolve(&result);
        }
    }

    /// The strongest operation that somebody waits for and that `is_due` says can be done now.
    pub fn wanted(&self, is_due: impl Fn(u64, SyncOp) -> bool) -> Option<SyncOp> {
        let list = self.list.lock();
        let due = list.iter().filter_map(|pending| match pending.reach {
            Reach::Durable(op) if is_due(pending.target, op) => Some(op),
            _ => None,
        });
        due.max_by_key(|op| *op == SyncOp::Full)
    }
}
