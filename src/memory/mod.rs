//! Layer 2: memory. Where descriptor words and record bytes live.
//!
//! # Safety
//!
//! This file declares the contract ([`Memory`]) on which every byte access of the ring rests.
#![allow(unsafe_code)]

#[cfg(feature = "rotate")]
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

#[cfg(feature = "rotate")]
pub use file_lock::FileLock;
pub use image::{Image, noted_pid};
pub use journal::Journal;
pub use mirror::Mirror;
pub use ring_file::{RingFile, check_owner, read_layout};

/// One descriptor: two words with one writer at a time.
///
/// | word | holds | who stores it |
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
    /// The place and the state, for whoever has the ring alone.
    pub fn words(&self) -> (u64, u64) {
        // [slot.words] Relaxed: nobody stores.
        let place = self.place.load(Ordering::Relaxed);
        (place, self.state.load(Ordering::Relaxed))
    }
}

/// The words and bytes of one ring.
///
/// The ring computes positions; a memory only says where they are. `pos` is a 32-bit byte position, of
/// which the memory uses the low bits.
///
/// # Safety
///
/// For as long as the value lives, an implementation must
/// - return from [`slots`](Memory::slots) always the same slice, `geometry().slots()` long, zeroed at first, or with a
///   [journal](Memory::journal) as an earlier life has left it;
/// - return from [`at`](Memory::at) a pointer that is valid for reads and writes of `geometry().capacity()`
///   bytes, the same one for the same `pos` modulo the capacity;
/// - make byte `i` behind `at(pos)` the same byte as byte 0 behind `at(pos + i)`, at the latest after
///   [`end_write`](Memory::end_write) by the writer and [`begin_read`](Memory::begin_read) by the reader;
/// - never touch a byte outside of those two calls, and in them only the range that they are given.
pub unsafe trait Memory: Send + Sync {
    /// The sizes.
    fn geometry(&self) -> Geometry;

    /// The descriptors.
    fn slots(&self) -> &[Slot];

    /// Where the byte at `pos` is, with the rest of the ring contiguous behind it.
    fn at(&self, pos: u32) -> *mut u8;

    /// Where the drain notes how far it has come, if this memory outlives the process.
    fn journal(&self) -> Option<&Journal> {
        None
    }

    /// Nobody will touch the words or bytes any more: others may have the file.
    fn release(&self) {}

    /// The owner of `[pos, pos + len)` is about to write there.
    #[inline]
    fn begin_write(&self, _pos: u32, _len: u32) {}

    /// The owner of `[pos, pos + len)` has written it and is about to publish.
    #[inline]
    fn end_write(&self, _pos: u32, _len: u32) {}

    /// The drain has seen `[pos, pos + len)` published and is about to read it.
    #[inline]
    fn begin_read(&self, _pos: u32, _len: u32) {}
}
