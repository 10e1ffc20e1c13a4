//! Layer 7: the face. What users call.

mod append;
mod aside;
pub mod async_append;
pub mod barrier;
mod completion;
mod detached;
mod entry;
mod exit;
mod fill;
pub mod inspect;
mod lane;
mod open;
mod opening;
mod options;
mod queue;
pub mod registry;
mod reopen;
mod requests;
mod reserve;
mod reserved;
mod ring_file;
mod suspend;
mod write;

pub use async_append::AsyncAppend;
pub use completion::{Completion, Notify};
pub use detached::Detached;
pub use entry::{Entry, LaneEntry};
pub use lane::Lane;
pub use options::Options;
pub use queue::Queue;
pub use registry::{flush_all, shutdown};
pub use reserve::Reserve;
#[cfg(any(alq_model, fuzzing))]
pub use suspend::sleep;
pub use suspend::suspend;
#[cfg(feature = "log")]
pub use write::with_text;
