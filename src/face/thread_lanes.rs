//! The lanes of threads: `writen` of a queue with [`Options::thread_lanes`] goes through a lane
//! that belongs to the calling thread.
//!
//! This file owns the lanes of the calling thread, in a thread-local table. What a lane does is in
//! `ring/lane.rs`; `framed` has its slow path.
//!
//! A signal handler may interrupt its thread at any point here, and may append with `NOWAIT`. So
//! the thread says when it is at work in its table ([`Phase::Busy`]); a handler that finds it at
//! work takes the shared path. Such a call never makes a lane, because that takes memory and a
//! lock.

use core::cell::RefCell;
use std::time::Duration;

use super::framed;
use super::options::Options;
use super::places::Places;
use super::queue::Queue;
use crate::actors::Shared;
use crate::memory::Mirror;
use crate::primitives::sync::plain::{AtomicU8, AtomicU64, Ordering};
use crate::primitives::sync::{PlainArc, PlainWeak, compiler_fence};
use crate::ring::Owner;
use crate::words::{Error, Flags, Position};

/// A lane of the calling thread. It does not keep its queue open.
#[derive(Debug)]
struct Own {
    /// The number of the queue.
    id: u64,
    owner: Owner,
    /// The [`TURN`] in which the open span may be used. In another one the thread has passed the
    /// lane: its next record must come after what it has appended since.
    turn: u64,
    places: PlainWeak<Places>,
}

/// The turn of a lane that was passed. No thread has so many.
const PASSED: u64 = u64::MAX;

#[inline]
fn turn() -> u64 {
    // Relaxed: only this thread and its signal handlers use it.
    TURN.with(|turn| turn.load(Ordering::Relaxed))
}

impl Own {
    /// Leaves the open span if the thread has passed this lane: what it appended meanwhile comes
    /// first.
    fn keep_order(&mut self, shared: &Shared<Mirror>) {
        let now = turn(); // a handler that appends after this look begins another turn
        if self.turn != now {
            self.turn = now;
            if let Ok(intake) = shared.here() {
                intake.leave_lane(&mut self.owner);
            }
        }
    }
}

impl Drop for Own {
    /// The drain seals the open span, as that of an idle lane. So the end of a thread needs no
    /// handle of the queue.
    fn drop(&mut self) {
        if let Some(places) = self.places.upgrade() {
            places.give_back();
        }
        self.owner.drop_lane();
    }
}

/// Finds a lane by the number of its queue, whose low bits are the index. A lane whose place is
/// taken is in the next free one. The length is a power of two, at least twice the number of lanes;
/// or 0.
#[derive(Debug)]
struct Table(Vec<Option<Own>>);

impl Table {
    #[inline]
    fn find(&mut self, id: u64) -> Option<&mut Own> {
        let mask = self.0.len().wrapping_sub(1);
        let mut index = id as usize & mask;
        while self.0.get(index)?.as_ref()?.id != id {
            index = (index + 1) & mask;
        }
        self.0[index].as_mut()
    }

    /// Adds a lane, and removes the lanes of queues that are gone.
    fn add(&mut self, own: Own) {
        let before = core::mem::take(&mut self.0).into_iter().flatten();
        let is_open = |own: &Own| own.places.strong_count() > 0;
        let lanes: Vec<Own> = before.filter(is_open).chain([own]).collect();
        let len = (2 * lanes.len()).next_power_of_two();
        self.0.resize_with(len, || None);
        for own in lanes {
            let mut index = own.id as usize & (len - 1);
            while self.0[index].is_some() {
                index = (index + 1) & (len - 1);
            }
            self.0[index] = Some(own);
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        enter(Phase::Gone);
    }
}

/// What the calling thread does with its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// The thread has no lane yet.
    None,
    /// The table may be used.
    Ready,
    /// The thread is at work in its table. A signal handler, and what runs inside an append, finds
    /// this.
    Busy,
    /// The thread ends.
    Gone,
}

thread_local! {
    // These two have no destructor, so that a signal handler may use them as the first code of a
    // thread.
    static PHASE: AtomicU8 = const { AtomicU8::new(Phase::None as u8) };
    /// Counts the appends for which the thread, at work in its table, has passed its lanes.
    static TURN: AtomicU64 = const { AtomicU64::new(0) };
    static TABLE: RefCell<Table> = const { RefCell::new(Table(Vec::new())) };
}

#[inline]
fn phase() -> u8 {
    // Relaxed: only this thread and its signal handlers use it.
    PHASE.with(|phase| phase.load(Ordering::Relaxed))
}

#[inline]
fn enter(phase: Phase) {
    // SeqCst, for the compiler only, as below: a signal handler of this thread sees the store and
    // those to the table in their order.
    compiler_fence(Ordering::SeqCst);
    // Relaxed: only this thread and its signal handlers use it.
    PHASE.with(|word| word.store(phase as u8, Ordering::Relaxed));
    // SeqCst: as above.
    compiler_fence(Ordering::SeqCst);
}

/// The thread is at work in its table until this is dropped, also by a panic.
struct Work;

impl Work {
    #[inline]
    fn begin() -> Self {
        enter(Phase::Busy);
        Self
    }
}

impl Drop for Work {
    #[inline]
    fn drop(&mut self) {
        enter(Phase::Ready);
    }
}

/// Runs `body` on the lane that the calling thread has in queue `id`. `None` if it has none, or is
/// at work in its table.
#[inline]
fn with_lane<T>(id: u64, body: impl FnOnce(&mut Own) -> T) -> Option<T> {
    if phase() != Phase::Ready as u8 {
        return None;
    }
    let _work = Work::begin();
    let found = TABLE.try_with(|table| {
        let mut table = table.try_borrow_mut().ok()?;
        table.find(id).map(body)
    });
    found.ok().flatten()
}

/// Appending through the lane of the calling thread.
impl Queue {
    /// Appends a record in the lane of the calling thread, if it has one; else on the shared path.
    #[inline]
    pub(super) fn append_in_thread(
        &self,
        record: &[u8],
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Position, Error> {
        let at_once = with_lane(self.id(), |own| {
            let shared = self.shared();
            let intake = shared.here().ok()?;
            let is_direct = shared.wrap.is_raw() && own.turn == turn();
            if !is_direct || !own.owner.begins(record.len()) {
                return None;
            }
            let posted = own.owner.append(&intake.ring, record, flags.activates());
            intake.posted(posted);
            Some(intake.position(posted.end))
        });
        match at_once {
            Some(Some(position)) => Ok(position),
            _ => self.append_in_thread_later(record, flags, timeout),
        }
    }

    #[cold]
    fn append_in_thread_later(
        &self,
        record: &[u8],
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Position, Error> {
        let queue = self.current();
        if flags.contains(Flags::WAITOK) {
            queue.make_thread_lane();
        }
        let shared = queue.shared();
        let in_lane = with_lane(queue.id(), |own| {
            own.keep_order(shared);
            framed::append_in_lane(shared, &mut own.owner, record, flags, timeout)
        });
        in_lane.unwrap_or_else(|| {
            let appended = framed::append(shared, record, flags, timeout);
            queue.pass_thread_lane();
            appended
        })
    }

    /// Gives the calling thread a lane of this queue, unless it has one or no place is free.
    fn make_thread_lane(&self) {
        let Ok(intake) = self.shared().here() else {
            return;
        };
        let places = self.thread_places();
        if phase() > Phase::Ready as u8
            || !places.are_free()
            || with_lane(self.id(), |_| ()).is_some()
        {
            return;
        }
        let _work = Work::begin();
        let _ = TABLE.try_with(|table| {
            let mut table = table.try_borrow_mut().ok()?;
            places.take().then(|| {
                table.add(Own {
                    id: self.id(),
                    owner: intake.enter_lane(true),
                    turn: PASSED,
                    places: PlainArc::downgrade(places),
                });
            })
        });
    }

    /// Notes that the calling thread has claimed on the shared path: its next record in its lane
    /// must come after that claim. Async-signal-safe. Call it after the claim: a handler that
    /// appends in between could open a new span in front of the claim.
    pub(super) fn pass_thread_lane(&self) {
        if !self.has_thread_lanes {
            return;
        }
        if phase() == Phase::Busy as u8 {
            // Relaxed: only this thread and its signal handlers use it.
            TURN.with(|turn| turn.fetch_add(1, Ordering::Relaxed));
        } else {
            with_lane(self.current().id(), |own| own.turn = PASSED);
        }
    }
}

impl Options {
    /// Returns whether threads have lanes: a lane has no spans on a fixed queue and in a recorder.
    pub(super) fn have_thread_lanes(&self) -> bool {
        self.thread_lanes && self.fixed.is_none() && !self.recorder
    }

    /// Sets whether each thread has a lane behind [`writen`](crate::Queue::writen); off by default.
    /// Then producers do not contend for the head of the ring with every record, as with a
    /// [`Lane`](crate::Lane), and no handle of it is needed.
    ///
    /// **Order.** The records of a thread are written in the order in which it appended them, also
    /// those of [`getn`](crate::Queue::getn) and [`reserve`](crate::Queue::reserve) in between, in
    /// the order of their reservations. Records of different threads have no order: a record may
    /// come before a record of another thread that was posted earlier. Leave the option off if the
    /// log must show the order of cause and effect across threads.
    ///
    /// **Which calls.** `writen`, `writen_timeout` and the writer traits of the queue use the lane.
    /// A thread gets its lane with its first append that may wait
    /// ([`WAITOK`](crate::Flags::WAITOK)); until then, it appends on the shared path. An append
    /// with [`NOWAIT`](crate::Flags::NOWAIT) makes no lane, because a signal handler may call it;
    /// so a thread that only appends with `NOWAIT` has none. Use a [`Lane`](crate::Lane) there. A
    /// signal handler that interrupts an append of its thread appends on the shared path.
    ///
    /// **Cost.** An append takes more instructions than without the option (229 against 143 for a
    /// record of 100 bytes; a [`Lane`](crate::Lane) takes 120), so the option pays only where
    /// threads append at the same time.
    ///
    /// **Limits.** At most one thread for each 4 KiB of the capacity has a lane (256 threads at 1
    /// MiB); the others append on the shared path. An idle lane takes about 500 bytes, and gives
    /// back the room that it has not used once another producer needs it. A lane ends with its
    /// thread. A [fixed](Options::fixed) queue and a [recorder](Options::recorder) have no lanes:
    /// the option does nothing there.
    ///
    /// [`flush`](crate::Queue::flush), [`close`](crate::Queue::close) and completions cover the
    /// records of all threads, as without the option. [`Stats::lanes`](crate::Stats::lanes) counts
    /// these lanes too.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = alq::Options::new().thread_lanes(true).open(&path)?;
    /// std::thread::scope(|scope| {
    ///     for name in ["one", "two"] {
    ///         let queue = &queue;
    ///         scope.spawn(move || {
    ///             for i in 0..1000 {
    ///                 writeln!(queue, "{name}: {i}").unwrap();
    ///             }
    ///         });
    ///     }
    /// });
    /// queue.flush()?;
    /// assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 2000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn thread_lanes(mut self, on: bool) -> Self {
        self.thread_lanes = on;
        self
    }
}
