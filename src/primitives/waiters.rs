//! Threads that wait for an amount of something, in the order in which they came; and tasks, which are told and try again.

use core::task::Waker;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::fence::Fences;
use super::sync::{Arc, AtomicU32, Futex, Mutex, Ordering, unless_mutant};

/// A line of sleepers. Whoever makes room says how much there is, and only those wake up for whom it is enough.
///
/// ```text
/// waiter:    join (count += 1) ; FENCE ; look ; sleep until woken
/// notifier:  make room ; FENCE ; count? ; lock ; wake those for whom there is room
/// ```
///
/// The two fences are the store-then-load hand-shake: either the notifier sees the waiter, or the waiter's look
/// sees the room. The notifier's is the light one: a short post notifies too. The lock is only ever taken by waiters, and by a notifier that has seen one.
///
/// A task does the same, but is in no line: it asks to be told (count += 1 ; FENCE ; look ; return), and is told once. What it
/// does then is its own affair, so nobody waits for a task that is not polled any more.
#[derive(Debug)]
pub struct Waiters {
    /// Threads in the line, and tasks.
    count: AtomicU32,
    fences: Fences,
    line: Mutex<VecDeque<Arc<Place>>>,
    tasks: Mutex<Vec<Task>>,
}

/// A task that has asked to be told.
#[derive(Debug)]
struct Task {
    key: u64,
    need: u32,
    waker: Waker,
}

/// One waiter's place in the line.
#[derive(Debug)]
struct Place {
    need: u32,
    woken: Futex,
}

/// A place in the line, to be left with [`leave`](Ticket::leave).
#[must_use = "whoever joins must leave"]
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

    /// Goes to the end of the line. `first` is called under the lock if the line was empty.
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

    /// Between the announcement of a waiter and its look.
    fn announced(&self) {
        // [line.join] Heavy, pairs with [line.notify]: the announcement comes before the look that follows.
        self.fences.heavy_at("line.join");
    }

    /// Has `waker` told, once, when there is room for `need`; in the place of what was asked under this key before. The caller
    /// looks next: what it waits for may have come.
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
        drop(replaced); // not under the lock: a waker may do anything
        self.announced();
    }

    /// Takes back what was asked under this key, if it was not told.
    pub fn withdraw(&self, key: u64) {
        let withdrawn = take(&mut self.tasks.lock(), key);
        if withdrawn.is_some() {
            // Relaxed: a notifier that still counts this one tells nobody, at the price of a lock.
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tells all tasks for which `fits` says that there is room.
    pub fn tell_tasks(&self, fits: impl Fn(u32) -> bool) {
        let told: Vec<Task> = {
            let mut tasks = self.tasks.lock();
            let all = core::mem::take(&mut *tasks).into_iter();
            let (told, others) = all.partition(|task| fits(task.need));
            *tasks = others;
            told
        };
        // Relaxed: a count that is too high costs a lock.
        self.count.fetch_sub(told.len() as u32, Ordering::Relaxed);
        for task in told {
            wake(task.waker); // not under the lock: see `ask`
        }
    }

    /// Whether somebody waits. What made room must be stored before the call.
    #[inline]
    pub fn is_awaited(&self) -> bool {
        // [line.notify] Light, pairs with [line.join]: a waiter that is not seen here sees the room.
        self.fences.light_at("line.notify");
        // Relaxed: ordered by the fence.
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Wakes the first in the line if `fits` says that there is room for it.
    pub fn wake_first(&self, fits: impl FnOnce(u32) -> bool) {
        let line = self.line.lock();
        if let Some(first) = line.front() {
            if fits(first.need) {
                first.wake();
            }
        }
    }

    /// Wakes all, from the first on, for whom `take` says that there is room; it is told what each needs.
    pub fn wake_fitting(&self, mut take: impl FnMut(u32) -> bool) {
        let line = self.line.lock();
        line.iter()
            .filter(|place| take(place.need))
            .for_each(|place| place.wake());
    }

    /// Wakes everybody.
    pub fn wake_all(&self) {
        self.wake_fitting(|_| true);
        self.tell_tasks(|_| true);
    }
}

/// Tells a task. A waker is somebody else's code: one that panics is not to keep the next from being told, nor to unwind into
/// whoever has made the room. (Its message is on standard error.)
pub fn wake(waker: Waker) {
    if cfg!(alq_model) {
        return waker.wake(); // what a model has to say, it says by a panic
    }
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        core::mem::forget(payload); // its drop might panic again
    }
}

/// Takes the task with this key out.
fn take(tasks: &mut Vec<Task>, key: u64) -> Option<Task> {
    let index = tasks.iter().position(|task| task.key == key)?;
    Some(tasks.remove(index))
}

impl Place {
    fn wake(&self) {
        // [line.wake] Release, pairs with [line.look]: the look that follows the wake-up sees the room.
        let before = self
            .woken
            .swap(WOKEN, unless_mutant("line.wake", Ordering::Release));
        if before == ASLEEP {
            self.woken.wake_all();
        }
    }
}

impl Ticket<'_> {
    /// To be called before each look: a wake-up that comes after it is not slept through.
    pub fn look(&self) {
        // [line.look] Acquire, pairs with [line.wake]. An RMW: it takes the latest wake-up, not an older value.
        self.place
            .woken
            .swap(ASLEEP, unless_mutant("line.look", Ordering::Acquire));
    }

    /// Whether nobody is before this one.
    pub fn is_first(&self) -> bool {
        let line = self.waiters.line.lock();
        line.front()
            .is_some_and(|first| Arc::ptr_eq(first, &self.place))
    }

    /// Sleeps until woken after the last `look`, or for `limit`; may return early for no reason.
    pub fn sleep(&self, limit: Option<Duration>) {
        self.place.woken.wait(ASLEEP, limit);
    }

    /// Leaves the line. `last` is called under the lock if nobody is left.
    pub fn leave(self, last: impl FnOnce()) {
        let mut line = self.waiters.line.lock();
        line.retain(|place| !Arc::ptr_eq(place, &self.place));
        // Relaxed: a notifier that still counts this one wakes nobody, at the price of a lock.
        self.waiters.count.fetch_sub(1, Ordering::Relaxed);
        if line.is_empty() {
            last();
        }
    }
}
