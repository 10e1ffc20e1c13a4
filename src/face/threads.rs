//! The option for the threads of a queue.

use super::options::Options;
use crate::actors::OnStart;

impl Options {
    /// Sets a function that each thread of the queue calls when it starts, with its name:
    /// `alq-flusher`, and `alq-sync` if the queue syncs. No function by default. It may set the
    /// priority of the calling thread, or pin it to a core, so that the threads of the queue do not
    /// run on the cores of the program. A child of fork(2) has no such threads.
    ///
    /// It runs on that thread, before the thread writes or syncs anything, and possibly after the
    /// queue has been opened. Both threads may call it at the same time. A wait for the queue there
    /// returns [`Error::WouldDeadlock`](crate::Error::WouldDeadlock). A panic in it ends only that
    /// call. The last `on_thread_start` counts. The threads that run callbacks or pack rotated
    /// files belong to no queue, and do not call it.
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let options = Options::new().on_thread_start(|name| {
    ///     // A niceness of 10, for this thread alone.
    ///     if rustix::process::nice(10).is_err() {
    ///         eprintln!("{name} keeps its priority");
    ///     }
    /// });
    /// let queue = options.open(dir.path().join("app.log"))?;
    /// queue.writen(b"written with a lower priority\n", Flags::WAITOK)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_thread_start(mut self, function: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_thread_start = OnStart::new(function);
        self
    }
}
