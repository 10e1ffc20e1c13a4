//! Threads that wait for an amount of room, in the order in which they came; and tasks, which are
//! woken and try again.
//!
//! This file owns the line, the list of tasks and their count. The caller knows how much room there
//! is.

use core::task::Waker;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::fence::Fences;
use super::sync::{Arc, AtomicU32, Futex, Mutex, Ordering, unless_mutant};

/// A line of sleepers. A thread that makes room says how much there is; only the waiters for which
/// it suffices wake up.
///
/// ```text
/// waiter:    join (count += 1) ; FENCE ; look ; sleep until woken
/// notifier:  make room ; FENCE ; count? ; lock ; wake the waiters that fit
/// ```
///
/// The two fences form the store-then-load handshake: either the notifier sees the waiter, or the
/// waiter's look sees the room. The notifier has the light fence, because a post that gives room
/// back notifies too. Only waiters take the lock, and a notifier that has seen a waiter.
///
/// A task does the same, but has no place in the line. It asks to be woken (count += 1 ; FENCE ;
/// look ; return) and is woken once. What it does then is not known here, so no thread waits for a
/// task that is not polled any more.
#[derive(Debug)]
pub struct Waiters {
    /// The threads in the line plus the tasks.
    count: AtomicU32,
    fences: Fences,
    line: Mutex<VecDeque<Arc<Place>>>,
    tasks: Mutex<Vec<Task>>,
}

/// A task that has asked to be woken.
#[derive(Debug)]
struct Task {
    key: u64,
    need: u32,
    waker: Waker,
}

/// One thread's place in the line.
#[derive(Debug)]
struct Place {
    need: u32,
    woken: Futex,
}

/// A place in the line. End it with [`leave`](Ticket::leave).
#[must_use = "a waiter that joins must leave"]
#[derive(Debug)]
pub struct Ticket<'w> {
    waiters: &'w Waiters,
    place: Arc<Place>,
}

const ASLEEP: u32 = 0;
const WOKEN: u32 = 1;

impl Waiters {
    pub fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            fences: Fences::detect(),
            line: Mutex::new(VecDeque::new()),
            tasks: Mutex::new(Vec::new()),
        }
    }

    /// Joins the end of the line. Calls `first` under the lock if the line was empty.
    pub fn join(&self, need: u32, first: impl FnOnce()) -> Ticket<'_> {
        let place = Arc::new(Place {
            need,
            woken: Futex::new(ASLEEP),
        });
        {
            let mut line = self.line.lock();
            if line.is_empty() {
                first();
            }
            line.push_back(Arc::clone(&place));
            // Relaxed: the fence below orders it before the look.
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        self.announced();
        Ticket {
            waiters: self,
            place,
        }
    }

    /// Executes the fence between the announcement of a waiter and its look.
    fn announced(&self) {
        // [line.join] Heavy, pairs with [line.notify]: the announcement comes before the look that
        // follows.
        self.fences.heavy_at("line.join");
    }

    /// Registers `waker`, to be woken once, when there is room for `need`. It replaces an earlier
    /// request under the same `key`. The caller must look next: the room may have come already.
    pub fn ask(&self, key: u64, need: u32, waker: &Waker) {
        let waker = waker.clone();
        let replaced = {
            let mut tasks = self.tasks.lock();
            let replaced = take(&mut tasks, key);
            tasks.push(Task { key, need, waker });
            if replaced.is_none() {
                // Relaxed: the fence below orders it before the look.
                self.count.fetch_add(1, Ordering::Relaxed);
            }
            replaced
        };
        drop(replaced); // not under the lock: a waker may run any code
        self.announced();
    }

    /// Removes the request under this key, if its task was not woken.
    pub fn withdraw(&self, key: u64) {
        let withdrawn = take(&mut self.tasks.lock(), key);
        if withdrawn.is_some() {
            // Relaxed: a notifier that still counts this task takes the lock and wakes no task.
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Wakes all tasks for which `fits` says that there is room.
    pub fn wake_tasks(&self, fits: impl Fn(u32) -> bool) {
        let woken: Vec<Task> = {
            let mut tasks = self.tasks.lock();
            let all = core::mem::take(&mut *tasks).into_iter();
            let (woken, others) = all.partition(|task| fits(task.need));
            *tasks = others;
            woken
        };
        // Relaxed: a count that is too high costs a notifier one lock.
        self.count.fetch_sub(woken.len() as u32, Ordering::Relaxed);
        for task in woken {
            wake(task.waker); // not under the lock: see `ask`
        }
    }

    /// Returns whether a thread or a task waits. Store the change that made room before the call.
    #[inline]
    pub fn is_awaited(&self) -> bool {
        // [line.notify] Light, pairs with [line.join]: a waiter that is not seen here sees the
        // room.
        self.fences.light_at("line.notify");
        // Relaxed: the fence orders it.
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Wakes the first thread in the line if `fits` says that there is room for it.
    pub fn wake_first(&self, fits: impl FnOnce(u32) -> bool) {
        let line = self.line.lock();
        if let Some(first) = line.front() {
            if fits(first.need) {
                first.wake();
            }
        }
    }

    /// Wakes each thread for which `take` returns true, from the first on. `take` gets the thread's
    /// need.
    pub fn wake_fitting(&self, mut take: impl FnMut(u32) -> bool) {
        let line = self.line.lock();
        line.iter()
            .filter(|place| take(place.need))
            .for_each(|place| place.wake());
    }

    /// Wakes all threads and tasks.
    pub fn wake_all(&self) {
        self.wake_fitting(|_| true);
        self.wake_tasks(|_| true);
    }
}

/// Wakes a task. A waker is foreign code: if it panics, the next task must still be woken, and the
/// panic must not unwind into the thread that made the room. (The panic's message is on standard
/// error.)
pub fn wake(waker: Waker) {
    if cfg!(alq_model) {
        return waker.wake(); // a model reports a failure by a panic
    }
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        core::mem::forget(payload); // its drop might panic again
    }
}

/// Removes and returns the task with this key.
fn take(tasks: &mut Vec<Task>, key: u64) -> Option<Task> {
    let index = tasks.iter().position(|task| task.key == key)?;
    Some(tasks.remove(index))
}

impl Place {
    fn wake(&self) {
        // [line.wake] Release, pairs with [line.look]: the look that follows the wake-up sees the
        // room.
        let before = self
            .woken
            .swap(WOKEN, unless_mutant("line.wake", Ordering::Release));
        if before == ASLEEP {
            self.woken.wake_all();
        }
    }
}

impl Ticket<'_> {
    /// Forgets earlier wake-ups. Call it before each look: a later wake-up then ends the next
    /// sleep.
    pub fn look(&self) {
        // [line.look] Acquire, pairs with [line.wake]. An RMW: it sees the latest wake-up, not an
        // older value.
        self.place
            .woken
            .swap(ASLEEP, unless_mutant("line.look", Ordering::Acquire));
    }

    /// Returns whether this place is the first in the line.
    pub fn is_first(&self) -> bool {
        let line = self.waiters.line.lock();
        line.front()
            .is_some_and(|first| Arc::ptr_eq(first, &self.place))
    }

    /// Sleeps until woken after the last `look`, or for at most `limit`. May return early without a
    /// reason.
    pub fn sleep(&self, limit: Option<Duration>) {
        self.place.woken.wait(ASLEEP, limit);
    }

    /// Leaves the line. Calls `last` under the lock if the line is empty afterwards.
    pub fn leave(self, last: impl FnOnce()) {
        let mut line = self.waiters.line.lock();
        line.retain(|place| !Arc::ptr_eq(place, &self.place));
        // Relaxed: a notifier that still counts this thread takes the lock and wakes no thread.
        self.waiters.count.fetch_sub(1, Ordering::Relaxed);
        if line.is_empty() {
            last();
        }
    }
}
