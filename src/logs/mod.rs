//! Layer 5: logs. The life of a log: its names, the cut, and what follows it (packing, deleting, hooks); docs/rotation.md.
//!
//! ```text
//!   RotatingFile ----> Log ----> State, Names, Durable, Worker
//!   (the sink)          ^                                  |
//!        |              +-- cut: a new file takes over     |
//!        |              +-- pass: pack, delete, tell       |
//!        +----> background: the thread that does what the worker has noted
//! ```
//!
//! - A file is cut only between two records (or lines), by the flusher, or by the background thread while no write is under way.
//! - Every name is relative to the folder, held open; only files of our own user, with one link, are
//!   packed, deleted or counted.
//! - What follows a cut is seen from the folder, never from memory: a process that is killed leaves nothing that the next one misses.
//! - The flusher waits for no packing, deleting or hook.

mod age;
mod asked;
mod background;
mod compression;
mod cut;
mod durable;
mod error;
mod every;
mod folder;
mod found;
mod lines;
mod log;
mod name;
mod opening;
mod packing;
mod pass;
mod point;
mod rotating_file;
mod rotation;
mod state;
#[cfg(all(test, not(alq_model)))]
mod tests;
mod worker;

pub use background::Background;
pub use compression::Compression;
pub use error::RotateError;
pub use every::{Every, Zone};
pub use rotating_file::RotatingFile;
pub use rotation::Rotation;
