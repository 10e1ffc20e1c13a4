//! The open entries of a queue: the places where each `struct ale` lives.
//!
//! Each slot of the ring has a place here, so an entry needs no allocation and no search. Two open
//! entries never have the same slot, and the ring hands a slot out again only after the post. A
//! place says whether its entry is open, so a second post of an entry is detected. If the slot was
//! reserved again before the second post, that call posts the entry of the new holder, and the new
//! holder's own post is detected.

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

/// The memory of one entry. All zeros is a place whose entry is not open.
#[repr(C)]
struct Place {
    ale: UnsafeCell<Ale>,
    open: AtomicBool,
    detached: UnsafeCell<MaybeUninit<Detached>>,
}

/// A place for an entry without a slot: one that bypasses the ring.
struct AsidePlace {
    place: Place,
    /// Whether an entry uses this place.
    taken: AtomicBool,
    next: *const AsidePlace,
}

/// The places of one queue.
pub struct Entries {
    /// One place for each slot. Zeroed pages that were never touched cost no memory.
    places: NonNull<Place>,
    slots: usize,
    /// The number of entries that were posted with an `ae_bytesused` beyond their end.
    pub clamped: AtomicU64,
    /// The places of entries that bypass the ring: a list that only grows.
    aside: AtomicPtr<AsidePlace>,
}

// SAFETY: a thread that opens a place owns it alone, through the slot or `taken`, until the post;
// the thread that posts owns it alone through the swap of `open`.
unsafe impl Send for Entries {}
// SAFETY: as above.
unsafe impl Sync for Entries {}

impl Entries {
    /// Allocates places for all slots of `queue`; `None` without memory.
    pub fn new(queue: &Queue) -> Option<Self> {
        let slots = queue.slots();
        // SAFETY: the layout has at least one place, so its size is not 0.
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

    /// Opens an entry whose bytes are at `data`, and returns its `struct ale`.
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
        // SAFETY: the slot belongs to this entry, or this call has taken the place. No other thread
        // accesses the place until it is open.
        unsafe { place.detached.get().write(MaybeUninit::new(detached)) };
        // SAFETY: as above.
        unsafe { place.ale.get().write(ale) };
        // Release, pairs with the swap in `take`: the thread that posts the entry sees these
        // writes.
        place.open.store(true, Ordering::Release);
        place.ale.get()
    }

    /// Takes an open entry. Returns it with the number of bytes to post.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with the entry. Its memory is read only if it is an open
    /// entry of this queue.
    #[inline]
    pub fn take(&self, ale: *const Ale) -> Result<(Detached, usize), &'static str> {
        let aside = || self.asides().find(|aside| aside.place.is(ale));
        let (place, taken) = match self.slot_of(ale) {
            Some(slot) => (self.place(slot), None),
            None => match aside() {
                Some(aside) => (&aside.place, Some(&aside.taken)),
                None => return Err("the entry does not belong to this queue"),
            },
        };
        // Acquire, pairs with the Release in `open`. A swap: if two threads post the entry, one of
        // them gets the error.
        if !place.open.swap(false, Ordering::Acquire) {
            return Err("the entry is not open: it was posted already");
        }
        // SAFETY: this thread has changed `open` to false, so it alone owns the place, also below.
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
        // The result of an snprintf(3) that has cut its text and ended it with a zero byte.
        // SAFETY: the entry is not posted yet, so its bytes are valid; there is at least one.
        let end = unsafe { data.add(detached.len() - 1) };
        // SAFETY: as above.
        let last = unsafe { *end };
        self.clamped.fetch_add(1, Ordering::Relaxed); // only a counter
        let used = detached.len() - usize::from(last == 0);
        Ok((detached, used))
    }

    /// Returns the position of an open entry, which only the caller holds; `None` if it bypasses
    /// the ring.
    ///
    /// # Errors
    ///
    /// As `take`.
    pub fn position(&self, queue: &Queue, ale: *const Ale) -> Result<Option<u64>, &'static str> {
        let place = match self.slot_of(ale) {
            Some(slot) => self.place(slot),
            None if self.asides().any(|aside| aside.place.is(ale)) => return Ok(None),
            None => return Err("the entry does not belong to this queue"),
        };
        // Acquire, pairs with the Release in `open`.
        if !place.open.load(Ordering::Acquire) {
            return Err("the entry is not open: it was posted already");
        }
        // SAFETY: the entry is open, so `open` has written it. The header says that nobody posts it
        // during this call.
        let detached = unsafe { &*place.detached.get().cast::<Detached>() };
        Ok(detached.position(queue).map(alq::Position::bytes))
    }

    /// Whether an entry that bypasses the ring is open.
    pub fn any_open_aside(&self) -> bool {
        // Acquire: as in `take`.
        self.asides()
            .any(|aside| aside.place.open.load(Ordering::Acquire))
    }

    /// Whether any entry is open. Checks all slots.
    pub fn any_open(&self) -> bool {
        // Acquire: as in `take`.
        let is_open = |slot| self.place(slot).open.load(Ordering::Acquire);
        self.any_open_aside() || (0..self.slots).any(is_open)
    }

    #[inline]
    fn place(&self, slot: usize) -> &Place {
        debug_assert!(slot < self.slots);
        // SAFETY: the slot is below the number of slots, so it lies in the memory that `new`
        // allocated.
        let place = unsafe { self.places.add(slot) };
        // SAFETY: as above; all zeros is a valid place, and only its cells and atomics change.
        unsafe { place.as_ref() }
    }

    /// The slot whose place has this address; `None` if no slot does.
    #[inline]
    fn slot_of(&self, ale: *const Ale) -> Option<usize> {
        // The `struct ale` is the first member of its place.
        let offset = ale.addr().wrapping_sub(self.places.as_ptr().addr());
        let slot = offset / size_of::<Place>();
        (slot < self.slots && offset % size_of::<Place>() == 0).then_some(slot)
    }

    /// Takes a place for an entry without a slot.
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
        // Relaxed: the value is only compared.
        let mut first = self.aside.load(Ordering::Relaxed);
        loop {
            fresh.next = first;
            // Release, pairs with the Acquire in `asides`. Relaxed on failure: it only returns the
            // new first.
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
        // Acquire, pairs with the Release in `aside_place`: the place's contents are visible.
        let first = self.aside.load(Ordering::Acquire).cast_const();
        // SAFETY: it is null, or a place that only `drop` frees.
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
        let mut next = self.aside.load(Ordering::Relaxed); // `&mut self`: no other thread
        while !next.is_null() {
            // SAFETY: `aside_place` leaked it, and it is in the list once.
            let aside = unsafe { Box::from_raw(next) };
            next = aside.next.cast_mut();
        }
        if let Some(layout) = Self::layout(self.slots) {
            // SAFETY: allocated by `new` with this layout.
            unsafe { dealloc(self.places.as_ptr().cast(), layout) };
        }
    }
}
