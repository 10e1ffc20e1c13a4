//! Layer 6: the face. What users call.

mod append;
pub mod async_append;
pub mod barrier;
mod entry;
mod options;
mod queue;
pub mod registry;
mod write;

pub use async_append::AsyncAppend;
pub use entry::Entry;
pub use options::Options;
pub use queue::Queue;
pub use registry::{flush_all, shutdown};
