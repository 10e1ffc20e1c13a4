//! Layer 0: words. Positions, packed words, errors, flags: pure values, no atomics, no memory, no clock.

mod descriptor;
mod error;
mod flags;
mod geometry;
mod head;
mod level;
mod position;

pub use descriptor::{Phase, Place, State, Tag};
pub use error::{Error, Operation, Undrained};
pub use flags::{Flags, Order, WhenFull};
pub use geometry::{Geometry, Room, Tail, Width, extend, next_seq};
pub use head::Head;
pub use level::{Level, Status, SyncOp};
pub use position::Position;
