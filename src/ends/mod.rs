//! Layer 4: ends. Where drained bytes go, and what is counted on the way.

mod aside;
mod descriptor;
pub mod log_file;
mod pending;
mod sink;
mod stats;

pub use aside::{Aside, append_to};
pub use descriptor::{FileSink, PIPE_BUF};
pub use pending::{Pending, Reach, Subscriber, WOKEN, Watch};
pub use sink::Sink;
#[cfg(any(feature = "log", feature = "tracing"))]
pub use stats::Counter;
pub use stats::{DrainCounters, Kind, PostCounters, Stall, Stats, Waits};
