//! Layer 5: logs. Keeps a log that is cut into files: its names, the cut, and the work after it.
//!
//! A [`RotatingFile`] is the sink that a queue writes to. Before each write it checks whether the
//! log must be cut. If so, it renames the file and continues in a new one. A background thread then
//! packs and deletes rotated files and calls the hooks of the caller. docs/rotation.md says what
//! all this promises.
//!
//! ```text
//!   RotatingFile ----> Log ----> State, Names, Durable, Worker
//!   (the sink)          ^                                  |
//!        |              +-- cut: a new file takes over     |
//!        |              +-- pass: pack, delete, call hooks |
//!        +----> background: the thread that does the work that Worker lists
//! ```
//!
//! Invariants:
//!
//! - A log is cut only between two records (or lines): by the flusher, or by the background thread
//!   while no write is under way.
//! - Every name is relative to the folder, which is held open. Only files that belong to our own
//!   user and have one link are packed, deleted or counted.
//! - The work after a cut is read from the folder, never from memory. So the next process finds
//!   all work that a killed process has left.
//! - The flusher never waits for packing, deleting or a hook.

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
mod keeping;
mod lines;
mod log;
mod name;
mod opening;
#[cfg_attr(
    not(feature = "read"),
    allow(dead_code, reason = "only a reader looks for origins")
)]
mod origin;
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

#[cfg(feature = "read")]
pub(crate) use folder::{Folder, is_file, place_of};
#[cfg(feature = "read")]
pub(crate) use found::{list, successor};
#[cfg(feature = "read")]
pub(crate) use name::{Key, Kind, Names};
#[cfg(feature = "read")]
pub(crate) use origin::{FileId, origin};
