//! How durable a queue is, and who makes it so.

use crate::ends::Sink;
use crate::primitives::Event;
use crate::primitives::sync::{AtomicU32, AtomicU64, Mutex, Ordering, PlainArc};
use crate::words::{Error, Operation, SyncOp};

/// What the callers of `fsync`, the flusher and the sync thread share.
pub struct Durability {
    /// Positions up to which fdatasync, and fsync, have returned.
    data: AtomicU64,
    full: AtomicU64,
    /// The errno of the first sync that failed; 0 if none has.
    pub(super) failure: AtomicU32,
    /// Notified when a sync may be due, and when the flusher has ended.
    pub(super) wanted: Event,
    pub(super) thread: Mutex<Thread>,
}

/// The sync thread, made when it is first needed.
pub(super) enum Thread {
    /// Not started; this is what it will sync.
    Ready(PlainArc<dyn Sink>),
    Running,
    /// Nothing will be synced any more; or nothing ever could.
    Over,
}

impl core::fmt::Debug for Durability {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Durability").finish_non_exhaustive()
    }
}

impl Durability {
    /// `sink` is what the sync thread will sync; `None` where nobody asks (in models that have their own).
    pub fn new(sink: Option<PlainArc<dyn Sink>>) -> Self {
        Self {
            data: AtomicU64::new(0),
            full: AtomicU64::new(0),
            failure: AtomicU32::new(0),
            wanted: Event::new(),
            thread: Mutex::new(sink.map_or(Thread::Over, Thread::Ready)),
        }
    }

    /// Up to where all is durable by `op`.
    pub fn reached(&self, op: SyncOp) -> u64 {
        // Acquire, pairs with the Release in `raise`: nothing is read behind it here, but a caller that learns
        // that a record is durable may tell others so.
        match op {
            SyncOp::Data => self.data.load(Ordering::Acquire),
            SyncOp::Full => self.full.load(Ordering::Acquire),
        }
    }

    /// A sync by `op` has covered everything up to `pos`.
    pub(super) fn raise(&self, op: SyncOp, pos: u64) {
        // Release, pairs with `reached`. An fsync is an fdatasync too.
        self.data.fetch_max(pos, Ordering::Release);
        if op == SyncOp::Full {
            self.full.fetch_max(pos, Ordering::Release);
        }
    }

    /// Why nothing becomes durable any more, if a sync has failed.
    pub fn failure(&self) -> Option<Error> {
        // Acquire, pairs with the Release in `step`.
        let errno = self.failure.load(Ordering::Acquire);
        (errno != 0).then(|| Error::Io {
            operation: Operation::Sync,
            errno: i32::try_from(errno).unwrap_or(libc::EIO),
        })
    }

    /// A sync may be due. Any thread; takes no lock unless the sync thread sleeps.
    pub fn look(&self) {
        self.wanted.notify();
    }
}
