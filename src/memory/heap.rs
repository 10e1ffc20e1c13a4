//! A memory without system calls, for the model checker and for tests that need a tiny ring.
//!
//! # Safety
//!
//! The bytes are cells in a boxed slice that never moves. They are reached through raw pointers.
//! The tracked cells of the model checker check every access that the ring announces.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;

use super::{Memory, Slot};
use crate::primitives::sync::{AtomicU64, Tracked};
use crate::words::Geometry;

/// A ring on the heap; its capacity is any power of two.
///
/// There is no second view. The bytes that extend over the end of the ring are copied to and from
/// the start when they change hands.
#[derive(Debug)]
pub struct Heap {
    geometry: Geometry,
    bytes: Box<[UnsafeCell<u8>]>,
    tracks: Box<[Tracked]>,
    slots: Box<[Slot]>,
}

impl Heap {
    pub fn new(geometry: Geometry) -> Self {
        let capacity = geometry.capacity() as usize;
        let slot = |_| Slot {
            place: AtomicU64::new(0),
            state: AtomicU64::new(0),
        };
        Self {
            geometry,
            bytes: (0..2 * capacity).map(|_| UnsafeCell::new(0)).collect(),
            tracks: (0..capacity).map(|_| Tracked::new()).collect(),
            slots: (0..geometry.slots()).map(slot).collect(),
        }
    }

    fn tracks(&self, pos: u32, len: u32) -> impl Iterator<Item = &Tracked> {
        (0..len).map(move |i| &self.tracks[self.geometry.offset(pos.wrapping_add(i))])
    }

    /// Returns how many of the `len` bytes at `pos` extend over the end of the ring.
    fn overhang(&self, pos: u32, len: u32) -> usize {
        let end = self.geometry.offset(pos) + len as usize;
        end.saturating_sub(self.geometry.capacity() as usize)
    }

    fn copy_within(&self, source: usize, target: usize, len: usize) {
        for i in 0..len {
            // SAFETY: in bounds (checked by the index). The caller owns both ranges during
            // `end_write` and `begin_read`, so no other thread reads or writes them.
            let byte = unsafe { *self.bytes[source + i].get() };
            // SAFETY: as above.
            unsafe { *self.bytes[target + i].get() = byte };
        }
    }
}

// SAFETY: the bytes are only touched through `Memory`, whose callers own the ranges that they name:
// the ring gives each byte to one thread at a time. (The model checker verifies that with
// `tracks`.)
unsafe impl Sync for Heap {}

// SAFETY: requirement by requirement: the slot slice is a box that is never replaced, zeroed by
// `new`; `at` is an offset below the capacity into twice as many bytes; `end_write` and
// `begin_read` copy the overhang, so that from then on byte i from at(pos) is byte 0 from at(pos +
// i); they touch only the range that they are given.
unsafe impl Memory for Heap {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn at(&self, pos: u32) -> *mut u8 {
        let offset = self.geometry.offset(pos);
        // The pointer of the whole slice, and not of one cell: it is valid for all bytes that
        // follow.
        let first = UnsafeCell::raw_get(self.bytes.as_ptr());
        // SAFETY: the offset is below the capacity, and the box is twice that long.
        unsafe { first.add(offset) }
    }

    fn begin_write(&self, pos: u32, len: u32) {
        self.tracks(pos, len).for_each(Tracked::write);
    }

    fn end_write(&self, pos: u32, len: u32) {
        self.tracks(pos, len).for_each(Tracked::write);
        let overhang = self.overhang(pos, len);
        self.copy_within(self.geometry.capacity() as usize, 0, overhang);
    }

    fn begin_read(&self, pos: u32, len: u32) {
        self.tracks(pos, len).for_each(Tracked::read);
        let overhang = self.overhang(pos, len);
        self.copy_within(0, self.geometry.capacity() as usize, overhang);
    }
}
