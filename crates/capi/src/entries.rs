//! The entries of a queue that are open: where each `struct ale` lives.
//!
//! Each slot of the ring has a place here, so an entry needs no allocation and no search: no two open entries have the
//! same slot, and the ring hands a slot out again only after the post. A place says whether its entry is open, so an entry
//! that is posted twice is found out, unless its slot was reserved anew meanwhile: then the post is that of the new
//! holder, whose own post is found out.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use alq::{Detached, Queue};

/// `struct ale`.
#[repr(C)]
pub struct Ale {
    pub ae_bytesused: isize,
    pub ae_data: *mut c_char,
    pub ae_pad: c_int,
}

/// Where an entry lives. All zeros is one that is not open.
#[repr(C)]
struct Place {
    ale: UnsafeCell<Ale>,
    open: AtomicBool,
    detached: UnsafeCell<MaybeUninit<Detached>>,
}

/// A place for an entry that has no slot.
struct AsidePlace {
    place: Place,
    /// Whether somebody has it.
    taken: AtomicBool,
    next: *const AsidePlace,
}

/// The places of one queue.
pub struct Entries {
    /// One for each slot. Zeros that nobody has touched cost no memory.
    places: NonNull<Place>,
    slots: usize,
    /// How many were posted with an `ae_bytesused` beyond their end.
    pub clamped: AtomicU64,
    /// A list that only grows, for the places of entries that are none of the ring.
    aside: AtomicPtr<AsidePlace>,
}

// SAFETY: who has opened a place has it alone, by the slot or by `taken`, until it is posted; who posts it, by `open`.
unsafe impl Send for Entries {}
// SAFETY: as above.
unsafe impl Sync for Entries {}

impl Entries {
    /// Places for all slots of `queue`; `None` if there is no memory for them.
    pub fn new(queue: &Queue) -> Option<Self> {
        let slots = queue.slots();
        // SAFETY: the layout is that of at least one place, and none of size 0.
        let memory = unsafe { alloc_zeroed(Self::layout(slots)?) };
        Some(Self {
            places: NonNull::new(memory.cast())?,
            slots,
            clamped: AtomicU64::new(0),
            aside: AtomicPtr::new(ptr::null_mut()),
        })
    }

    fn layout(slots: usize) -> Option<Layout> {
        Layout::array::<Place>(slots).ok()
    }

    /// Opens an entry whose bytes are at `data`, and gives out its `struct ale`.
    #[inline]
    pub fn open(&self, queue: &Queue, data: *mut u8, detached: Detached) -> *mut Ale {
        let place = match detached.slot(queue) {
            Some(slot) => self.place(slot),
            None => self.aside_place(),
        };
        let ale = Ale {
            ae_bytesused: detached.len() as isize,
            ae_data: data.cast(),
            ae_pad: 0,
        };
        // SAFETY: the slot is that of this entry, or the place was taken by this call: nobody else looks at it until it
        // is open. So it is below, too.
        unsafe { place.detached.get().write(MaybeUninit::new(detached)) };
        // SAFETY: as above.
        unsafe { place.ale.get().write(ale) };
        // Release, pairs with the swap in `take`: whatever thread posts it sees the rest.
        place.open.store(true, Ordering::Release);
        place.ale.get()
    }

    /// Takes an entry that is open, to be posted with so many bytes.
    ///
    /// # Errors
    ///
    /// What is wrong with it. Its memory is not looked at unless it is that of an open entry of this queue.
    #[inline]
    pub fn take(&self, ale: *const Ale) -> Result<(Detached, usize), &'static str> {
        let aside = || self.asides().find(|aside| aside.place.is(ale));
        let (place, taken) = match self.slot_of(ale) {
            Some(slot) => (self.place(slot), None),
            None => match aside() {
                Some(aside) => (&aside.place, Some(&aside.taken)),
                None => return Err("this is no entry of the queue"),
            },
        };
        // Acquire, pairs with the Release in `open`. A swap: of two threads that post it, one is told.
        if !place.open.swap(false, Ordering::Acquire) {
            return Err("the entry is not open: it was posted already");
        }
        // SAFETY: open until now, and not any more: this thread has it alone. So it is below, too.
        let detached = unsafe { place.detached.get().cast::<Detached>().read() };
        // SAFETY: as above.
        let used = unsafe { (*place.ale.get()).ae_bytesused };
        // SAFETY: as above.
        let data = unsafe { (*place.ale.get()).ae_data };
        if let Some(taken) = taken {
            // Release, pairs with the Acquire in `aside_place`.
            taken.store(false, Ordering::Release);
        }
        let Ok(used) = usize::try_from(used) else {
            return Err("ae_bytesused is negative");
        };
        if used <= detached.len() {
            return Ok((detached, used));
        }
        // What snprintf(3) returns that has cut its text, and ended it with a zero.
        // SAFETY: the entry is not posted yet, so its bytes, of which there is one at least, are there.
        let last = unsafe { *data.add(detached.len() - 1) };
        self.clamped.fetch_add(1, Ordering::Relaxed); // a count, and no more
        let used = detached.len() - usize::from(last == 0);
        Ok((detached, used))
    }

    /// Whether an entry is open that is none of the ring.
    pub fn any_open_aside(&self) -> bool {
        // Acquire: as in `take`.
        self.asides()
            .any(|aside| aside.place.open.load(Ordering::Acquire))
    }

    /// Whether any entry is open. Looks at all slots.
    pub fn any_open(&self) -> bool {
        // Acquire: as in `take`.
        let is_open = |slot| self.place(slot).open.load(Ordering::Acquire);
        self.any_open_aside() || (0..self.slots).any(is_open)
    }

    #[inline]
    fn place(&self, slot: usize) -> &Place {
        debug_assert!(slot < self.slots);
        // SAFETY: the slot is below the number of slots, so it lies within the memory of `new`.
        let place = unsafe { self.places.add(slot) };
        // SAFETY: as above; all zeros is a valid place, and what changes in it is in cells.
        unsafe { place.as_ref() }
    }

    /// The slot whose entry this would be.
    #[inline]
    fn slot_of(&self, ale: *const Ale) -> Option<usize> {
        // The entry is the first member of its place.
        let offset = ale.addr().wrapping_sub(self.places.as_ptr().addr());
        let slot = offset / size_of::<Place>();
        (slot < self.slots && offset % size_of::<Place>() == 0).then_some(slot)
    }

    /// A place for an entry that has no slot.
    #[cold]
    fn aside_place(&self) -> &Place {
        // Acquire, pairs with the Release in `take`.
        let free = self
            .asides()
            .find(|aside| !aside.taken.swap(true, Ordering::Acquire));
        if let Some(aside) = free {
            return &aside.place;
        }
        // SAFETY: all zeros is a valid place, as in `place`.
        let place = unsafe { MaybeUninit::<Place>::zeroed().assume_init() };
        let fresh = Box::leak(Box::new(AsidePlace {
            place,
            taken: AtomicBool::new(true),
            next: ptr::null(),
        }));
        // Relaxed: it is only compared with.
        let mut first = self.aside.load(Ordering::Relaxed);
        loop {
            fresh.next = first;
            // Release, pairs with the Acquire in `asides`. A failure only says what the first is now.
            match self
                .aside
                .compare_exchange(first, fresh, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return &fresh.place,
                Err(other) => first = other,
            }
        }
    }

    fn asides(&self) -> impl Iterator<Item = &AsidePlace> {
        // Acquire, pairs with the Release in `aside_place`: the place is seen.
        let first = self.aside.load(Ordering::Acquire).cast_const();
        // SAFETY: null, or a place that is freed only in `drop`.
        let first = unsafe { first.as_ref() };
        // SAFETY: as above.
        std::iter::successors(first, |aside| unsafe { aside.next.as_ref() })
    }
}

impl Place {
    fn is(&self, ale: *const Ale) -> bool {
        ptr::eq(self.ale.get(), ale)
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        let mut next = self.aside.load(Ordering::Relaxed); // `&mut self`: nobody else is here
        while !next.is_null() {
            // SAFETY: leaked by `aside_place`, and in the list once.
            let aside = unsafe { Box::from_raw(next) };
            next = aside.next.cast_mut();
        }
        if let Some(layout) = Self::layout(self.slots) {
            // SAFETY: allocated by `new` with this layout.
            unsafe { dealloc(self.places.as_ptr().cast(), layout) };
        }
    }
}
