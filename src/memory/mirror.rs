//! The production memory: bytes mapped twice in a row, descriptors in a mapping of their own.
//!
//! # Safety
//!
//! The mappings are owned by `MmapRaw` values inside [`Mirror`], live as long as it does, and are only ever
//! reached through raw pointers and atomics: no reference to the bytes exists here.
#![allow(unsafe_code)]

use std::io;
use std::slice;

use memmap2::{MmapOptions, MmapRaw};

use super::inherited::{Kept, keep_from_children};
use super::{Memory, Slot};
use crate::primitives::os;
use crate::words::Geometry;

/// A ring of bytes mapped twice in a row, so that every reservation and every drained run is one contiguous
/// slice, wherever it stands.
///
/// ```text
///   first view (populated)      second view (not populated)
/// +---------------------------+---------------------------+
/// | 0                 cap - 1 | 0                 cap - 1 |   the same pages
/// +---------------------------+---------------------------+
///                    ^------------------^  a record over the end of the ring
/// ```
#[derive(Debug)]
pub struct Mirror {
    geometry: Geometry,
    /// Before the views: it must be dropped before they are unmapped.
    _kept: Kept,
    views: MmapRaw,
    slots: MmapRaw,
}

/// Descriptors are touched in turn, 256 to a page. Up to this size they are all brought in at once; beyond it, a ring
/// of few large records never touches most of them, and one of many small ones pays for a page in 256 records, once.
const SLOTS_POPULATED_MAX: usize = 4 << 20;

impl Mirror {
    /// Maps a ring of the given sizes; the capacity must be a multiple of the page size.
    ///
    /// # Errors
    ///
    /// Whatever `memfd_create(2)`, `ftruncate(2)` or `mmap(2)` say.
    pub fn map(geometry: Geometry) -> io::Result<Self> {
        let capacity = geometry.capacity() as usize;
        let slots_len = geometry.slots() as usize * size_of::<Slot>();
        let mut slots = MmapOptions::new();
        slots.len(slots_len);
        if slots_len <= SLOTS_POPULATED_MAX {
            slots.populate();
        }
        let slots = slots.map_anon()?.into();
        // Reserves both views in one piece; the two calls below replace it page by page.
        let views: MmapRaw = MmapOptions::new().len(2 * capacity).map_anon()?.into();
        let file = os::memory_file(u64::from(geometry.capacity()))?;
        let first = views.as_mut_ptr();
        // SAFETY: [first, first + capacity) is the first half of the mapping that `views` owns, and nothing
        // refers to it yet.
        unsafe { os::map_view(first, capacity, &file, true)? };
        // SAFETY: `views` is 2 * capacity bytes long, so the offset stays inside the same mapping.
        let second = unsafe { first.add(capacity) };
        // SAFETY: [second, second + capacity) is the second half of it, and nothing refers to it yet.
        unsafe { os::map_view(second, capacity, &file, false)? };
        // SAFETY: both views belong to `views`, which is unmapped after `_kept` is dropped.
        let kept = unsafe { keep_from_children(first, 2 * capacity) };
        Ok(Self {
            geometry,
            _kept: kept,
            views,
            slots,
        })
    }
}

// SAFETY: requirement by requirement: the slot slice is the whole mapping `slots`, whose address never
// changes and which the kernel zeroes; `at` is an offset below the capacity into two views of capacity bytes
// each, so capacity bytes are valid behind it; byte i behind it is the same page byte as at(pos + i), because
// both views show the same file from its start; nothing here touches the bytes.
unsafe impl Memory for Mirror {
    #[inline]
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    #[inline]
    fn slots(&self) -> &[Slot] {
        #[expect(clippy::cast_ptr_alignment, reason = "a mapping is page aligned")]
        let first = self.slots.as_mut_ptr().cast::<Slot>();
        let count = self.geometry.slots() as usize;
        // SAFETY: the mapping is page aligned, `count` slots long, lives as long as `self`, and is only ever
        // accessed as these atomics (all-zero bytes are valid atomics).
        unsafe { slice::from_raw_parts(first, count) }
    }

    #[inline]
    fn at(&self, pos: u32) -> *mut u8 {
        let offset = self.geometry.offset(pos);
        // SAFETY: the offset is below the capacity, and `views` is twice that long.
        unsafe { self.views.as_mut_ptr().add(offset) }
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::{Memory, Mirror};
    use crate::words::Geometry;

    #[test]
    fn both_views_show_the_same_bytes() {
        let memory = Mirror::map(Geometry::new(4096, 4)).unwrap();
        let last = memory.at(4095);
        for i in 0..4096_u32 {
            // SAFETY: 4096 bytes are valid behind `last`.
            let byte = unsafe { last.add(i as usize) };
            // SAFETY: the ring is this test's alone.
            unsafe { byte.write(i as u8) };
        }
        for i in 0..4096_u32 {
            // SAFETY: as above; one byte is valid behind every position.
            assert_eq!(unsafe { memory.at(4095 + i).read() }, i as u8);
        }
        assert!(memory.slots().iter().all(|slot| {
            // Relaxed: one thread.
            slot.state.load(crate::primitives::sync::Ordering::Relaxed) == 0
        }));
    }
}
