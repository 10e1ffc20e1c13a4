//! Layer 6: the face. What users call.

mod async_append;
pub mod barrier;
mod entry;
mod options;
mod queue;

pub use async_append::AsyncAppend;
pub use entry::Entry;
pub use options::Options;
pub use queue::Queue;
