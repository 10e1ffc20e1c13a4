//! What the flusher writes to.

use std::io::{self, IoSlice};
use std::time::Duration;

/// The far end of a queue. The flusher is its only caller.
pub trait Sink: Send + Sync {
    /// Appends the runs, in order, and says how many bytes it took: at least 1.
    ///
    /// # Errors
    ///
    /// `Interrupted` is tried again at once, `WouldBlock` after [`wait_ready`](Sink::wait_ready); any other error
    /// is final.
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Blocks until the sink may take bytes again, for `limit` at most.
    ///
    /// # Errors
    ///
    /// Those of poll(2); final.
    fn wait_ready(&self, limit: Duration) -> io::Result<()>;
}
