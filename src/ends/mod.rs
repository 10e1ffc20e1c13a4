//! Layer 4: ends. Where drained bytes go, and what is counted on the way.

mod descriptor;
mod sink;
mod stats;

pub use descriptor::FileSink;
pub use sink::Sink;
pub use stats::{DrainCounters, Kind, PostCounters, Stats, Waits};
