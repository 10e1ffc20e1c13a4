//! The memory of a queue: slots, and bytes that are mapped twice in a row. It is private to
//! the process, or maps a ring file.
//!
//! # Safety
//!
//! `MmapRaw` values inside [`Mirror`] own the mappings, which live as long as it does. The mappings
//! are only ever reached through raw pointers and atomics: no reference to the bytes exists here.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::fs::File;
use std::io;
use std::slice;

use memmap2::{MmapOptions, MmapRaw};

use super::inherited::{Kept, keep_from_children};
use super::journal::Journal;
use super::ring_file::RingFile;
use super::{Memory, Slot};
use crate::primitives::os;
use crate::words::{Geometry, Layout};

/// A ring of bytes that is mapped twice in a row. So every reservation and every drained run is one
/// contiguous slice, wherever it starts.
///
/// ```text
///   first view (populated)      second view (not populated)
/// +---------------------------+---------------------------+
/// | 0                 cap - 1 | 0                 cap - 1 |   the same pages
/// +---------------------------+---------------------------+
///                    ^------------------^  a record across the end of the ring
/// ```
///
/// With a ring file, the header and the slots are right before the first view.
#[derive(Debug)]
pub struct Mirror {
    geometry: Geometry,
    bytes: NonNull<u8>,
    slots: NonNull<Slot>,
    journal: Option<Journal>,
    /// Declared before the mappings, since it must be dropped before they are unmapped.
    _kept: Kept,
    lock: Option<Kept>,
    /// Never read: the mappings that `bytes` and `slots` point into.
    _maps: [Option<MmapRaw>; 2],
}

// SAFETY: the pointers are into mappings that belong to the value. They lead to atomics, and to
// bytes that are touched only through `Memory`, whose callers own the ranges that they name.
unsafe impl Send for Mirror {}
// SAFETY: as above.
unsafe impl Sync for Mirror {}

/// Initialises the slots at `start`, where a zeroed mapping has room for all of them. The zeros are
/// valid slots already, except under a model checker.
fn slots_at(start: NonNull<u8>, geometry: Geometry) -> NonNull<Slot> {
    let slots = start.cast();
    #[cfg(alq_model)]
    for index in 0..geometry.slots() as usize {
        let slot = Slot {
            place: crate::primitives::sync::AtomicU64::new(0),
            state: crate::primitives::sync::AtomicU64::new(0),
        };
        // SAFETY: the mapping has room for all slots. It begins at a page, so each slot is aligned.
        let place = unsafe { slots.add(index) };
        // SAFETY: as above, and no other thread knows of the mapping yet.
        unsafe { place.write(slot) };
    }
    let _ = geometry;
    slots
}

/// The most bytes of slots that are populated at once. The ring touches slots in turn,
/// 256 to a page. A larger array is left to page faults: a ring of few large records never touches
/// most of it, and a ring of many small records pays one fault per 256 records, in the first lap
/// only.
const SLOTS_POPULATED_MAX: usize = 4 << 20;

impl Mirror {
    /// Maps a private ring of the given sizes. The capacity must be a multiple of the page size.
    ///
    /// # Errors
    ///
    /// The errors of `mmap(2)`; or of `memfd_create(2)`, if `mremap(2)` fails.
    pub fn map(geometry: Geometry) -> io::Result<Self> {
        let capacity = geometry.capacity() as usize;
        let slots_len = geometry.slots() as usize * size_of::<Slot>();
        let mut slots = MmapOptions::new();
        slots.len(slots_len);
        if slots_len <= SLOTS_POPULATED_MAX {
            slots.populate();
        }
        let slots: MmapRaw = slots.map_anon()?.into();
        let views: MmapRaw = MmapOptions::new().len(2 * capacity).map_anon()?.into();
        // SAFETY: `views` is two views long, and nothing refers to it yet.
        unsafe { lay_views(views.as_mut_ptr(), capacity, None) }?;
        // SAFETY: both views belong to `views`, which is unmapped after `kept` is dropped.
        let kept = unsafe { keep_from_children(views.as_mut_ptr(), 2 * capacity) };
        Ok(Self {
            geometry,
            bytes: start_of(&views)?,
            slots: slots_at(start_of(&slots)?, geometry),
            journal: None,
            _kept: kept,
            lock: None,
            _maps: [Some(views), Some(slots)],
        })
    }

    /// Maps a ring file. The file belongs to the ring from now on.
    ///
    /// # Errors
    ///
    /// The errors of `mmap(2)`. `ENOTSUP` if the pages of this system are larger than 4096 bytes,
    /// and the bytes of the ring do not begin at a page. `ENOMEM` if there are too few addresses.
    pub fn map_file(opened: RingFile) -> io::Result<Self> {
        let RingFile {
            file, lock, layout, ..
        } = opened;
        let capacity = layout.geometry.capacity() as usize;
        let front = layout.bytes_at();
        if front as u64 % os::page_len() != 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        }
        let len = capacity
            .checked_mul(2)
            .and_then(|len| len.checked_add(front));
        let len = len.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let map: MmapRaw = MmapOptions::new().len(len).map_anon()?.into();
        let start = map.as_mut_ptr();
        // SAFETY: all of the range belongs to `map`, which is unmapped after `kept` is dropped.
        // (The call comes before the file is mapped there, so a child never shares any of it.)
        let kept = unsafe { keep_from_children(start, len) };
        let populate = layout.geometry.slots() as usize * size_of::<Slot>() <= SLOTS_POPULATED_MAX;
        // SAFETY: `map` begins with room for the front, and nothing refers to it yet.
        unsafe { os::map_view(start, front, Some((&file, 0)), populate) }?;
        // SAFETY: `map` is longer than that.
        let bytes = unsafe { start.add(front) };
        // SAFETY: `map` ends with room for two views, and nothing refers to it yet.
        unsafe { lay_views(bytes, capacity, Some((&file, front))) }?;
        let header = start_of(&map)?;
        // SAFETY: `map` is longer than that.
        let slots = unsafe { header.add(Layout::SLOTS_AT) };
        // SAFETY: as above.
        let bytes = unsafe { header.add(front) };
        Ok(Self {
            geometry: layout.geometry,
            bytes,
            slots: slots.cast(),
            // SAFETY: the header is mapped, readable and writable, for as long as `map` lives,
            // which the value keeps.
            journal: Some(unsafe { Journal::at(header.cast()) }),
            _kept: kept,
            lock: Some(lock),
            _maps: [Some(map), None],
        })
    }
}

/// Maps two views of the same `capacity` bytes at `at`, one after the other: the bytes of a file
/// from an offset on, or new bytes.
///
/// # Safety
///
/// `[at, at + 2 * capacity)` must lie in a mapping that the caller owns and that nothing refers to.
unsafe fn lay_views(at: *mut u8, capacity: usize, file: Option<(&File, usize)>) -> io::Result<()> {
    // SAFETY: the first half of the caller's range.
    unsafe { os::map_view(at, capacity, file, true) }?;
    // SAFETY: the range is twice that long.
    let second = unsafe { at.add(capacity) };
    if let Some((file, offset)) = file {
        // SAFETY: the second half of the range.
        return unsafe { os::map_view(second, capacity, Some((file, offset)), false) };
    }
    // SAFETY: these are the two halves of the range.
    let again = unsafe { os::map_again(at, capacity, second) };
    again.or_else(|_| {
        // Some systems do not map shared memory again without a file: valgrind, for example.
        let file = os::file::memory_file(capacity as u64)?;
        // SAFETY: as for this call.
        unsafe { lay_views(at, capacity, Some((&file, 0))) }
    })
}

fn start_of(map: &MmapRaw) -> io::Result<NonNull<u8>> {
    NonNull::new(map.as_mut_ptr()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

// SAFETY: requirement by requirement: the slot slice is the whole range of the slots, whose
// address never changes, and which the kernel has zeroed or an earlier process has left in the
// file; `at` is an offset below the capacity into two views of capacity bytes each, so capacity
// bytes are valid from there; byte i from there is the same byte of the same page as byte 0 from
// at(pos + i), because both views show the same part of the file; nothing here touches the bytes.
unsafe impl Memory for Mirror {
    #[inline]
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    #[inline]
    fn slots(&self) -> &[Slot] {
        let count = self.geometry.slots() as usize;
        // SAFETY: the range is page aligned, `count` slots long, lives as long as `self`, and is
        // only ever accessed as these atomics (any bytes are valid atomics).
        unsafe { slice::from_raw_parts(self.slots.as_ptr(), count) }
    }

    #[inline]
    fn at(&self, pos: u32) -> *mut u8 {
        let offset = self.geometry.offset(pos);
        // SAFETY: the offset is below the capacity, and the views are twice that long.
        unsafe { self.bytes.as_ptr().add(offset) }
    }

    fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    fn release(&self) {
        self.lock.iter().for_each(Kept::unlock);
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
            // SAFETY: 4096 bytes are valid from `last` on.
            let byte = unsafe { last.add(i as usize) };
            // SAFETY: only this test uses the ring.
            unsafe { byte.write(i as u8) };
        }
        for i in 0..4096_u32 {
            // SAFETY: as above; one byte is valid at every position.
            assert_eq!(unsafe { memory.at(4095 + i).read() }, i as u8);
        }
        assert!(memory.slots().iter().all(|slot| {
            // Relaxed: one thread.
            slot.state.load(crate::primitives::sync::Ordering::Relaxed) == 0
        }));
    }
}
