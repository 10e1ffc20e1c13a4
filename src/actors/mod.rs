//! Layer 6: actors. The flusher as a step function, the thread that drives it, and what they share with callers.

mod durability;
mod failure;
pub mod flusher;
mod gap;
mod here;
mod lane;
pub mod notifier;
pub mod pace;
mod recovery;
mod reopen;
mod report;
mod room;
mod shared;
mod show;
mod snapshot;
mod standstill;
pub mod syncer;
#[cfg(all(test, not(alq_model)))]
mod tests;
pub mod thread;

pub use flusher::Flusher;
pub use here::{Past, Refused};
pub use recovery::{Inheritance, note_of};
pub use report::{Callback, Reporter};
pub use room::Asker;
pub use shared::{Config, Last, Shared};
pub use thread::start;
