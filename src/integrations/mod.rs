//! Layer 8: integrations. A queue where other crates expect something of theirs; each is an optional feature, in a file of its own.

#[cfg(feature = "tracing")]
mod lanes;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(any(feature = "log", feature = "tracing"))]
mod policy;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tracing")]
pub mod tracing;
