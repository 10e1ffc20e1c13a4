//! The threads that serve a queue.

use crate::primitives::sync::{Mutex, ThreadId, Threads, this_thread};

/// The flusher and the sync thread of one queue.
#[derive(Debug)]
pub struct Crew {
    /// The identities of the threads, for [`has_me`](Crew::has_me).
    ids: Mutex<Vec<ThreadId>>,
    /// The same threads, so that the last handle can wait until they have ended.
    pub threads: Threads,
}

impl Crew {
    pub fn new() -> Self {
        Self {
            ids: Mutex::new(Vec::new()),
            threads: Threads::default(),
        }
    }

    /// Marks the calling thread as one that serves the queue.
    pub fn enlist(&self) {
        self.ids.lock().push(this_thread());
    }

    /// Returns whether the calling thread serves the queue. A wait for the queue would then be a
    /// wait for itself.
    pub fn has_me(&self) -> bool {
        self.ids.lock().contains(&this_thread())
    }
}
