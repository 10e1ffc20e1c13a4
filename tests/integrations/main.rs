//! What the integrations with other crates promise. Each file says which promise it holds.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "log")]
mod integration_log;
#[cfg(feature = "metrics")]
mod integration_metrics;
#[cfg(feature = "tokio")]
mod integration_tokio;
#[cfg(feature = "tracing")]
mod integration_tracing;
