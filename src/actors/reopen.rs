//! Reopening: a cut in the stream, behind which another sink takes over.
//!
//! Callers put requests in a line; the flusher, which alone knows where a write has ended, meets them between two writes.

use std::collections::VecDeque;

use crate::ends::Sink;
use crate::primitives::sync::{AtomicBool, AtomicU64, Mutex, Ordering, PlainArc, unless_mutant};
use crate::words::{Error, Target};

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
    /// What errors are about from then on.
    pub target: Target,
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

    /// Puts a request in the line, of which `announce` is told the number before anybody can meet it.
    ///
    /// # Errors
    ///
    /// That of `announce`; nothing is asked then. `None` says that nobody will meet a request any more.
    pub fn ask<T>(
        &self,
        cut: u64,
        (sink, target): (PlainArc<dyn Sink>, Target),
        announce: impl FnOnce(u64) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut line = self.line.lock();
        if line.is_over {
            return Ok(None);
        }
        let number = line.came + 1;
        let announced = announce(number)?;
        line.came = number;
        line.requests.push_back(Request {
            number,
            cut,
            sink,
            target,
        });
        // Relaxed: see `is_wanted`.
        self.is_wanted.store(true, Ordering::Relaxed);
        Ok(Some(announced))
    }

    /// The request with this number has been met, and all before it. For the flusher.
    pub fn set_met(&self, number: u64) {
        // [reopen.met] Release, pairs with [reopen.has_met]: who is told that the new sink has taken over finds the old one
        // at rest.
        self.met
            .store(number, unless_mutant("reopen.met", Ordering::Release));
    }

    /// Whether the request with this number has been met.
    pub fn has_met(&self, number: u64) -> bool {
        // [reopen.has_met] Acquire, pairs with [reopen.met].
        self.met
            .load(unless_mutant("reopen.has_met", Ordering::Acquire))
            >= number
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
