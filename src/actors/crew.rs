//! The threads that serve a queue.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::primitives::sync::{Mutex, PlainArc, ThreadId, Threads, this_thread};

/// The function that a thread of a queue calls when it starts.
#[derive(Clone, Default)]
pub struct OnStart(Option<PlainArc<Function>>);

type Function = dyn Fn(&str) + Send + Sync;

impl OnStart {
    pub fn new(function: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(PlainArc::new(function)))
    }
}

impl fmt::Debug for OnStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "OnStart(Some)"
        } else {
            "OnStart(None)"
        })
    }
}

/// The flusher and the sync thread of one queue.
#[derive(Debug)]
pub struct Crew {
    /// The identities of the threads, for [`has_me`](Crew::has_me).
    ids: Mutex<Vec<ThreadId>>,
    /// The same threads, so that the last handle can wait until they have ended.
    pub threads: Threads,
    /// Called by each of them. Set before the first one starts.
    pub on_start: OnStart,
}

impl Crew {
    pub fn new() -> Self {
        Self {
            ids: Mutex::new(Vec::new()),
            threads: Threads::default(),
            on_start: OnStart::default(),
        }
    }

    /// Marks the calling thread, whose name is `name`, as one that serves the queue.
    pub fn enlist(&self, name: &str) {
        self.ids.lock().push(this_thread());
        if let OnStart(Some(function)) = &self.on_start {
            // The panic message is on standard error. The thread serves the queue all the same.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| function(name))) {
                core::mem::forget(payload); // its drop might panic again
            }
        }
    }

    /// Returns whether the calling thread serves the queue. A wait for the queue would then be a
    /// wait for itself.
    pub fn has_me(&self) -> bool {
        self.ids.lock().contains(&this_thread())
    }
}
