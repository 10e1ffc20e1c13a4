//! Layer 6: read. Reads a log with its rotated and packed files as one stream of records.
//!
//! ```text
//!   Follow ----> Reader ----> Shelf: which files there are, and which one is next
//!     |             |         Source: the plain bytes of one file
//!     +-> Watch     |         Window: the buffer
//!      (inotify)    +-------> Splitter: finds records in bytes (lines, frames, ...)
//! ```
//!
//! Invariants:
//!
//! - A file is known by device, inode and time of birth; a packed file says what it was packed
//!   from. A name only says in which order files come. So no rotation repeats or skips a record.
//! - The reader leaves a file only after it has seen the next one, and then read the rest.
//! - A record is returned only if the file has all of it (or is complete), and a frame only if its
//!   checksum and its position fit.
//! - The memory for a file does not depend on what the file says: at most twice the longest record.
//! - Nothing here writes, locks, or uses another thread.

#[cfg(feature = "chain")]
mod chain;
mod cursor;
mod error;
mod follow;
mod frames;
mod item;
mod last;
mod listing;
mod notice;
mod onward;
mod open;
mod options;
mod reader;
mod resume;
mod seek;
mod shelf;
mod source;
mod split;
mod stamp;
mod step;
mod watch;
mod window;

#[cfg(feature = "chain")]
pub use chain::{ParseProvenError, Proven};
pub use cursor::{Cursor, ParseCursorError};
pub use error::ReadError;
pub use follow::Follow;
pub use item::{End, Item, Record};
#[cfg_attr(not(test), allow(unused_imports))]
pub(crate) use last::{Last, last};
pub use notice::{Notice, Place};
pub use options::ReadOptions;
pub use reader::Reader;
