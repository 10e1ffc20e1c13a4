//! Layer 8: integrations. They make a queue usable where other crates expect their own types.
//!
//! Each integration is an optional feature and has a file:
//!
//! | feature | type | what it implements |
//! |---|---|---|
//! | `log` | `log::Logger` | `log::Log` |
//! | `tracing` | `tracing::Writer` | `MakeWriter` of tracing-subscriber |
//! | `tokio` | `tokio::AsyncWriter` | `AsyncWrite` |
//! | `metrics` | `metrics::Publisher` | publishes `Stats` to a recorder |
//!
//! - A log record, and an event that is not flushed midway, becomes one record of the queue, or is
//!   lost as a whole and counted.
//! - The lock of a thread's lane is never held while foreign code may run, because it may log.

#[cfg(feature = "tracing")]
mod event;
#[cfg(feature = "tracing")]
mod lanes;
#[cfg(feature = "log")]
pub mod log;
#[cfg(any(feature = "log", feature = "tracing"))]
mod losses;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(any(feature = "log", feature = "tracing"))]
mod policy;
#[cfg(any(feature = "log", feature = "tracing"))]
mod split;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tracing")]
pub mod tracing;
