//! Layer 2: memory. Where the slot words and the bytes of a ring are.
//!
//! The ring computes positions; a [`Memory`] says where they are. A queue uses a [`Mirror`], which
//! is private to the process, or maps a ring file that outlives it. Tests and models use `Heap`.
//!
//! ```text
//!               +-------------+    +--------------------+--------------------+
//!  private:     |    slots    |    | bytes, first view  | bytes, second view |
//!               +-------------+    +--------------------+--------------------+
//!
//!               +--------+-------------+--------------------+--------------------+
//!  a ring file: | header |    slots    | bytes, first view  | bytes, second view |
//!               +--------+-------------+--------------------+--------------------+
//!                                       \_____ the same pages, mapped twice _____/
//! ```
//!
//! What holds at every moment:
//!
//! 1. This layer never decides which thread may touch a byte: the ring does. A memory touches bytes
//!    only in `end_write` and `begin_read`, and only in the range that it is given.
//! 2. Whenever the process is killed, the ring file holds words that can be recovered.
//!    docs/format.md goes through the stores one by one.
//! 3. A child that fork(3) makes shares neither a ring nor the lock of a ring file.
//!
//! | file | what it owns |
//! |---|---|
//! | `mirror` | the memory of a queue: bytes mapped twice |
//! | `heap` | a memory without system calls, for tests and models |
//! | `ring_file` | opening, checking and creating a ring file |
//! | `journal` | the header of a mapped ring file: tail, intents, statistics |
//! | `image` | the words of a ring file that another process may have open |
//! | `inherited` | what fork(2) does to rings and locks |
//! | `file_lock` | a lock on any other file |
//!
//! # Safety
//!
//! This file declares the contract ([`Memory`]). Every byte access of the ring rests on it.
#![allow(unsafe_code)]

#[cfg(any(feature = "frames", feature = "rotate"))]
mod file_lock;
#[cfg(any(test, fuzzing, alq_model))]
pub mod heap;
mod image;
mod inherited;
mod journal;
mod mirror;
mod ring_file;

use crate::primitives::sync::{AtomicU64, Ordering};
use crate::words::Geometry;

#[cfg(any(feature = "frames", feature = "rotate"))]
pub use file_lock::FileLock;
pub use image::{Image, noted_pid};
pub use journal::Journal;
pub use mirror::Mirror;
pub use ring_file::{RingFile, check_owner, random_id, read_title};

/// One slot: two words, each with one writer at a time.
///
/// | word | holds | stored by |
/// |---|---|---|
/// | `place` | `{ seq, start }` | the claimer, right after the claim |
/// | `state` | `{ tag, phase, committed }` | the owner, when records are complete (Release) |
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Slot {
    pub place: AtomicU64,
    pub state: AtomicU64,
}

impl Slot {
    /// Returns the place and the state. The caller must be the only user of the ring.
    pub fn words(&self) -> (u64, u64) {
        // [slot.words] Relaxed: no other thread stores.
        let place = self.place.load(Ordering::Relaxed);
        (place, self.state.load(Ordering::Relaxed))
    }
}

/// The words and bytes of one ring.
///
/// The ring computes positions; a memory only says where they are. `pos` is a 32-bit byte position.
/// The memory uses its low bits.
///
/// # Safety
///
/// For as long as the value lives, an implementation must
/// - return the same slice from every call of [`slots`](Memory::slots), `geometry().slots()` long;
///   the slice is zeroed at first, or, with a [journal](Memory::journal), as an earlier process has
///   left it;
/// - return from [`at`](Memory::at) a pointer that is valid for reads and writes of
///   `geometry().capacity()` bytes, and the same pointer for the same `pos` modulo the capacity;
/// - make byte `i` from `at(pos)` the same byte as byte 0 from `at(pos + i)`, at the latest after
///   [`end_write`](Memory::end_write) by the writer and [`begin_read`](Memory::begin_read) by the
///   reader;
/// - never touch a byte outside of those two calls, and in them only the range that they are given.
pub unsafe trait Memory: Send + Sync {
    /// Returns the sizes.
    fn geometry(&self) -> Geometry;

    /// Returns the slots.
    fn slots(&self) -> &[Slot];

    /// Returns the address of the byte at `pos`. The rest of the ring follows it contiguously.
    fn at(&self, pos: u32) -> *mut u8;

    /// Returns the journal, where the drain notes its progress, if this memory outlives the
    /// process.
    fn journal(&self) -> Option<&Journal> {
        None
    }

    /// Releases the ring file: this process will not touch its words or bytes again, so another
    /// process may open it.
    fn release(&self) {}

    /// Called when the owner of `[pos, pos + len)` is about to write there.
    #[inline]
    fn begin_write(&self, _pos: u32, _len: u32) {}

    /// Called when the owner of `[pos, pos + len)` has written it and is about to publish.
    #[inline]
    fn end_write(&self, _pos: u32, _len: u32) {}

    /// Called when the drain has seen `[pos, pos + len)` published and is about to read it.
    #[inline]
    fn begin_read(&self, _pos: u32, _len: u32) {}
}
