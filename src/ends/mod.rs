//! Layer 4: ends. Where the drained bytes go, how callers learn that they arrived, and what is
//! counted on the way.
//!
//! ```text
//! ring --flusher--> Sink --> file, pipe, socket     (FileSink, or a sink of the user)
//!                    |
//!                    +-- watermarks move --> Watch --> Pending --> task, sleeper, signal, callback
//!
//! caller --Aside--> the descriptor of the sink (in a child of fork(2)), or Sink (at process end)
//! ```
//!
//! - Only one thread at a time calls `write` and `wait_ready` of a sink.
//! - A `Pending` gets its result once. Its subscribers are called outside of its lock.
//! - In a child of fork(2), `Aside` waits for no lock: a thread of the parent may have held it.
//!
//! This layer moves bytes and keeps results. It never touches the ring; the actors above it decide
//! when to write, to sync and to settle.

mod aside;
mod counter;
mod descriptor;
pub mod log_file;
mod pending;
mod records;
mod refusals;
mod sink;
mod stats;
#[cfg(feature = "frames")]
pub mod stream;
pub mod tail;

pub use aside::{Aside, append_to, stall_words};
#[cfg(any(feature = "log", feature = "tracing"))]
pub use counter::Counter;
pub use descriptor::FileSink;
pub use pending::{Pending, Reach, Subscriber, WOKEN, Watch};
pub use records::{FramedRecord, Records};
pub use refusals::{Amount, Cause, RefusalCounters, Refusals};
pub use sink::Sink;
pub use stats::{DrainCounters, Kind, PostCounters, Stall, Stats, SyncCounters, Syncs, Waits};
