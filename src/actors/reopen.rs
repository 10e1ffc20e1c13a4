//! Reopening: a cut in the stream, behind which another sink takes over.
//!
//! Callers put requests in a line; the flusher, which alone knows where a write has ended, meets them between two writes.

use std::collections::VecDeque;

use super::shared::Shared;
use crate::ends::{Pending, Reach, Sink};
use crate::memory::Memory;
use crate::primitives::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, PlainArc};
use crate::words::Error;

/// The reopens of one queue.
#[derive(Debug)]
pub struct Reopening {
    /// Whether a request waits: what the flusher looks at in each step.
    is_wanted: AtomicBool,
    /// The number of the last request that was met.
    met: AtomicU64,
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Line {
    requests: VecDeque<Request>,
    /// The number of the last request that came.
    came: u64,
    /// Nobody will meet a request any more.
    is_over: bool,
}

/// Asks for the cut at a position: what ends there or before goes to the old sink, if that takes it.
pub struct Request {
    pub number: u64,
    pub cut: u64,
    pub sink: PlainArc<dyn Sink>,
}

impl core::fmt::Debug for Request {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut out = f.debug_struct("Request");
        out.field("number", &self.number).field("cut", &self.cut);
        out.finish_non_exhaustive()
    }
}

impl Reopening {
    pub fn new() -> Self {
        Self {
            is_wanted: AtomicBool::new(false),
            met: AtomicU64::new(0),
            line: Mutex::new(Line {
                requests: VecDeque::new(),
                came: 0,
                is_over: false,
            }),
        }
    }

    /// Whether a request waits.
    pub fn is_wanted(&self) -> bool {
        // Relaxed: carried by the bell, as is the request itself by its lock.
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Takes the first request out, if `is_due` says of its cut that it is time. For the flusher.
    pub fn take(&self, is_due: impl FnOnce(u64) -> bool) -> Option<Request> {
        if !self.is_wanted() {
            return None;
        }
        let mut line = self.line.lock();
        if !is_due(line.requests.front()?.cut) {
            return None;
        }
        let request = line.requests.pop_front();
        // Relaxed: see `is_wanted`.
        self.is_wanted
            .store(!line.requests.is_empty(), Ordering::Relaxed);
        request
    }

    /// The request with this number has been met, and all before it. For the flusher.
    pub fn set_met(&self, number: u64) {
        // Release, pairs with the Acquire in `has_met`: who is told that the new sink has taken over may tell others.
        self.met.store(number, Ordering::Release);
    }

    /// Whether the request with this number has been met.
    pub fn has_met(&self, number: u64) -> bool {
        // Acquire, pairs with the Release in `set_met`.
        self.met.load(Ordering::Acquire) >= number
    }

    /// Nobody will meet a request any more.
    pub fn end(&self) {
        let left = {
            let mut line = self.line.lock();
            line.is_over = true;
            core::mem::take(&mut line.requests)
        };
        drop(left); // sinks of the caller's may call into the queue: not under the lock
    }
}

impl<M: Memory> Shared<M> {
    /// Has `sink` take over behind the last record that was posted before the call. The pending is done when it has.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOutstanding`]; [`Error::Closed`] if the queue takes no more; its failure if its thread is gone.
    pub fn reopen(&self, sink: PlainArc<dyn Sink>) -> Result<Arc<Pending>, Error> {
        let over = || self.failure().unwrap_or(Error::Closed);
        if self.ring.ended().is_some() {
            return Err(over());
        }
        let cut = self.ring.posted_end();
        let pending = {
            let mut line = self.reopening.line.lock();
            if line.is_over {
                return Err(over());
            }
            let number = line.came + 1;
            let pending = Arc::new(Pending::new(cut, Reach::Reopened(number)));
            self.watch.add(Arc::clone(&pending))?;
            line.came = number;
            line.requests.push_back(Request { number, cut, sink });
            // Relaxed: see `is_wanted`.
            self.reopening.is_wanted.store(true, Ordering::Relaxed);
            pending
        };
        self.settle(); // the flusher may have ended meanwhile
        self.bell.ring();
        Ok(pending)
    }
}
