//! Requests for another sink. Each names a cut in the stream, after which the new sink takes over.
//!
//! Callers put requests in a line. The flusher meets them between two writes, since only the
//! flusher knows where a write has ended. This file owns the line; `flusher` switches the sinks.

use std::collections::VecDeque;

use crate::ends::Sink;
use crate::primitives::sync::{AtomicBool, AtomicU64, Mutex, Ordering, PlainArc, unless_mutant};
use crate::words::{Error, Target};

/// The reopen requests of one queue.
#[derive(Debug)]
pub struct Reopening {
    /// Whether a request waits. The flusher reads it in every step.
    is_wanted: AtomicBool,
    /// The number of the last request that was met.
    met: AtomicU64,
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Line {
    requests: VecDeque<Request>,
    /// The number of the last request that was made.
    came: u64,
    /// Whether the flusher has ended, so that no request will be met.
    is_over: bool,
}

/// A request for a switch at a position. What ends there or before goes to the old sink, if that
/// accepts it.
pub struct Request {
    pub number: u64,
    pub cut: u64,
    pub sink: PlainArc<dyn Sink>,
    /// The target that errors name after the switch.
    pub target: Target,
    /// If the queue has failed, what is in the ring is discarded first.
    pub discards: bool,
}

/// What takes over: the sink, the target that errors name then, and whether a failed queue discards
/// what is in the ring.
pub type Next = (PlainArc<dyn Sink>, Target, bool);

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

    /// Returns whether a request waits.
    pub fn is_wanted(&self) -> bool {
        // Relaxed: the bell carries it, and the lock carries the request itself.
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Takes the first request out of the line if `is_due` accepts it. For the flusher.
    pub fn take(&self, is_due: impl FnOnce(&Request) -> bool) -> Option<Request> {
        if !self.is_wanted() {
            return None;
        }
        let mut line = self.line.lock();
        if !is_due(line.requests.front()?) {
            return None;
        }
        let request = line.requests.pop_front();
        // Relaxed: see `is_wanted`.
        self.is_wanted
            .store(!line.requests.is_empty(), Ordering::Relaxed);
        request
    }

    /// Returns whether the first request in the line discards. For the flusher.
    pub fn discards(&self) -> bool {
        let is_next = |line: &Line| line.requests.front().is_some_and(|next| next.discards);
        self.is_wanted() && is_next(&self.line.lock())
    }

    /// Puts a request in the line. `announce` gets its number before the flusher can meet it.
    /// Returns `None` if no request will be met any more.
    ///
    /// # Errors
    ///
    /// The error of `announce`; then no request is made.
    pub fn ask<T>(
        &self,
        cut: u64,
        (sink, target, discards): Next,
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
            discards,
        });
        // Relaxed: see `is_wanted`.
        self.is_wanted.store(true, Ordering::Relaxed);
        Ok(Some(announced))
    }

    /// Notes that this request and all before it have been met. For the flusher.
    pub fn set_met(&self, number: u64) {
        // [reopen.met] Release, pairs with [reopen.has_met]: a caller that sees the switch finds
        // the old sink at rest.
        self.met
            .store(number, unless_mutant("reopen.met", Ordering::Release));
    }

    /// Returns whether the request with this number has been met.
    pub fn has_met(&self, number: u64) -> bool {
        // [reopen.has_met] Acquire, pairs with [reopen.met].
        self.met
            .load(unless_mutant("reopen.has_met", Ordering::Acquire))
            >= number
    }

    /// Ends the line: no request will be met any more.
    pub fn end(&self) {
        let left = {
            let mut line = self.line.lock();
            line.is_over = true;
            core::mem::take(&mut line.requests)
        };
        drop(left); // the drop of a sink may call into the queue, so not under the lock
    }
}
