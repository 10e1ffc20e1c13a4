//! Layer 0: words. Positions, packed words, errors, flags: pure values, no atomics, no memory, no clock.

mod descriptor;
mod error;
mod flags;
mod geometry;
mod head;
mod level;
mod position;
mod recovery;
mod ring_file;
#[cfg(test)]
mod ring_kills;
mod ring_notes;
mod undrained;

pub use descriptor::{Phase, Place, State, Tag};
pub use error::{Error, Operation};
pub use flags::{Flags, Order, WhenFull};
pub use geometry::{Geometry, Room, Tail, Width, extend, next_seq};
pub use head::Head;
pub use level::{Level, Status, SyncOp};
pub use position::Position;
pub use recovery::{Recovery, RingFileProblem};
pub use ring_file::{Entries, Intent, Layout, LogEnd};
pub use ring_notes::{Live, LogNote};
pub use undrained::Undrained;
