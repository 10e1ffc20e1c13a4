//! Layer 0: words. Positions, packed words, errors, flags, and the format of the ring file.
//!
//! Everything here is a pure value: no atomics, no memory, no system call, no clock. So each
//! packing and each rule of arithmetic can be tested alone, and the fuzz targets feed it any bits.
//!
//! | module | holds |
//! |---|---|
//! | `head`, `slot` | the packed words of the ring, as docs/ring.md draws them |
//! | `geometry` | the sizes of a ring, and what room means |
//! | `ring_file`, `ring_identity`, `ring_notes`, `ring_writes` | the words of the ring file, as docs/format.md lists them |
//! | `frame`, `framing`, `wrap` | the bytes of framed logs, as docs/frames.md lists them |
//! | `position`, `level`, `flags`, `sync_policy` | what callers pass and get |
//! | `error`, `undrained`, `recovery`, `rotation` | what callers are told |

mod dump;
mod error;
mod flags;
#[cfg(feature = "frames")]
#[cfg_attr(not(test), allow(dead_code))] // a reader needs the rest
pub mod frame;
mod framing;
mod geometry;
mod head;
mod idle;
mod level;
mod message;
mod position;
mod recovery;
mod report;
mod ring_file;
mod ring_identity;
#[cfg(test)]
mod ring_kills;
mod ring_notes;
mod ring_oldest;
mod ring_reason;
mod ring_writes;
mod rotation;
mod slot;
mod sync_policy;
mod target;
mod undrained;
mod wrap;

pub use dump::{AfterKill, Dump};
pub use error::{Error, Operation, errno_of};
pub use flags::{Flags, Order, WhenFull};
pub use framing::{FRAMED_MAGIC, Framing, FramingProblem};
pub use geometry::{Geometry, Room, SLOTS_PER_LINE, Tail, Width, extend, next_seq};
pub use head::Head;
pub use idle::Idle;
pub use level::{Level, Status, SyncOp};
pub use position::Position;
pub use recovery::{Recovery, RingFileProblem};
pub use report::Report;
pub use ring_file::{Layout, LogEnd};
pub use ring_identity::{Identity, Mode, RingFraming, RingId, Title};
pub use ring_notes::{Live, LogNote};
pub use ring_oldest::Oldest;
pub use ring_reason::Reason;
pub use ring_writes::{Entries, Intent};
pub use rotation::RotationProblem;
pub use slot::{Phase, Place, State, Tag};
pub use sync_policy::SyncPolicy;
#[cfg(feature = "read")]
pub(crate) use target::Escaped;
pub use target::Target;
pub use undrained::{Left, Undrained};
pub use wrap::{FRONT_MAX, Wrap};
