//! One sync, from the moment it is due until it has returned.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::ends::Sink;
use crate::primitives::sync::PlainArc;
use crate::words::SyncOp;

/// One sync that is due.
pub(super) struct Job {
    pub sink: PlainArc<dyn Sink>,
    /// Which sink of the queue it is: the number of sinks before it.
    pub era: u64,
    pub op: SyncOp,
    /// The position up to which the sync covers the stream.
    pub end: u64,
    /// A moment before the tail was at `end`.
    pub began: Instant,
}

impl Job {
    /// Runs the sync. A panic in it counts as an I/O error: it says nothing about the data.
    pub fn run(&self) -> io::Result<()> {
        let sync = AssertUnwindSafe(|| self.sink.sync(self.op));
        catch_unwind(sync).unwrap_or_else(|payload| {
            core::mem::forget(payload); // its drop might panic again
            Err(io::Error::from_raw_os_error(libc::EIO))
        })
    }
}
