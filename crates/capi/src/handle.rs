//! Handles: what C holds in place of a reference.
//!
//! A handle is the address of a node that is never freed, and a tag: the address says where to look, the tag says which of
//! the values that the node has held is meant. So a handle that was closed is recognised for ever after, and a call with
//! it is an error instead of an access to memory that has another use by now.
//!
//! There are no locks, so a fork(2) at any moment leaves none behind that is taken.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// All handles to values of one type. The nodes are a list that only grows, and are used again.
pub struct Table<T: 'static> {
    first: AtomicPtr<Node<T>>,
}

#[repr(align(64))] // the tag has room in the low bits of an address
struct Node<T> {
    /// The handle that is open; 0 while there is none.
    open: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
    /// Whether the node is in use, or being put to or out of use.
    taken: AtomicBool,
    /// How many values it has held.
    generation: AtomicU32,
    next: *const Node<T>,
}

/// Addresses of user space have no more bits on 64-bit Linux (unless a mapping asks for them), and those of nodes end
/// in 6 zeros: 22 bits are free, so a tag comes back after four million values in the same node.
const ADDRESS: usize = 0x0000_ffff_ffff_ffc0;

// SAFETY: the value is written by one thread before the handle is given out, then only shared, and taken out by one: so it
// is `Send` and `Sync` that it needs. `next` is written before the node is shared.
unsafe impl<T: Send + Sync> Sync for Node<T> {}

impl<T: Send + Sync> Table<T> {
    pub const fn new() -> Self {
        Self {
            first: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Takes `value` in, and gives a handle out: no pointer to a `T`, it only has that type.
    pub fn insert(&self, value: T) -> *mut T {
        let node = self.free_node();
        // Relaxed: only whoever has taken the node looks at it.
        let generation = node.generation.load(Ordering::Relaxed).wrapping_add(1) as usize;
        node.generation.store(generation as u32, Ordering::Relaxed);
        let tag = (generation & 0x3f) | (generation >> 6 << 48);
        let handle = ptr::from_ref(node).cast_mut().map_addr(|at| at | tag);
        // SAFETY: the node is taken and no handle to it is open, so nobody else looks at the value.
        unsafe { node.value.get().cast::<T>().write(value) };
        // Release, pairs with the Acquire in `get` and `remove`: the value is there.
        node.open.store(handle.addr(), Ordering::Release);
        handle.cast()
    }

    /// The value of a handle that is open.
    ///
    /// # Safety
    ///
    /// `handle` must be `NULL` or come from this table, and not be removed while the result is used.
    #[expect(
        clippy::unused_self,
        reason = "it says of which table the handle must be"
    )]
    #[inline]
    pub unsafe fn get<'a>(&self, handle: *const T) -> Option<&'a T> {
        // SAFETY: this function asks for the same.
        let node = unsafe { Self::node(handle) }?;
        // Acquire, pairs with the Release in `insert`.
        if node.open.load(Ordering::Acquire) != handle.addr() {
            return None;
        }
        // SAFETY: written before the handle was open, and as long as it is the value is only looked at.
        unsafe { node.value.get().cast::<T>().as_ref() }
    }

    /// Closes a handle: its value, if it was open. Of several calls at once, one gets it.
    ///
    /// # Safety
    ///
    /// As [`get`](Table::get); and nobody uses the value any more.
    #[expect(
        clippy::unused_self,
        reason = "it says of which table the handle must be"
    )]
    pub unsafe fn remove(&self, handle: *const T) -> Option<T> {
        // SAFETY: this function asks for the same.
        let node = unsafe { Self::node(handle) }?;
        // Acquire: as in `get`. Relaxed on failure: it says that there is nothing to see.
        node.open
            .compare_exchange(handle.addr(), 0, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        // SAFETY: as in `get`; it is read once, since only one call closes the handle.
        let value = unsafe { node.value.get().cast::<T>().read() };
        // Release, pairs with the Acquire in `free_node`: the value has gone.
        node.taken.store(false, Ordering::Release);
        Some(value)
    }

    /// # Safety
    ///
    /// `handle` must be `NULL` or come from this table.
    #[inline]
    unsafe fn node<'a>(handle: *const T) -> Option<&'a Node<T>> {
        let node = handle.map_addr(|at| at & ADDRESS).cast::<Node<T>>();
        // SAFETY: null, or a node of this table, since it comes from `insert`; nodes are never freed.
        unsafe { node.as_ref() }
    }

    /// A node for a value: one that is free, or a new one.
    fn free_node(&self) -> &'static Node<T> {
        // Acquire, pairs with the Release below: the node is seen.
        let mut next = self.first.load(Ordering::Acquire).cast_const();
        // SAFETY: null, or a node.
        while let Some(node) = unsafe { next.as_ref() } {
            // Acquire, pairs with the Release in `remove`.
            let taken = node.taken.swap(true, Ordering::Acquire);
            if !taken {
                return node;
            }
            next = node.next;
        }
        let fresh = Box::leak(Box::new(Node {
            open: AtomicUsize::new(0),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            taken: AtomicBool::new(true),
            generation: AtomicU32::new(0),
            next: ptr::null(),
        }));
        assert_eq!(
            ptr::from_ref(fresh).addr() & !ADDRESS,
            0,
            "an address of more than 48 bits"
        );
        // Relaxed: it is only compared with.
        let mut first = self.first.load(Ordering::Relaxed);
        loop {
            fresh.next = first;
            // Release, pairs with the Acquire above. A failure only says what the first is now.
            match self
                .first
                .compare_exchange(first, fresh, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return fresh,
                Err(other) => first = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_handle_that_was_closed_is_recognised_for_long() {
        static TABLE: Table<String> = Table::new();
        let first = TABLE.insert("first".to_owned());
        // SAFETY: handles of this table, here and below; each is removed by this thread alone.
        assert_eq!(unsafe { TABLE.get(first) }.unwrap(), "first");
        // SAFETY: as above.
        assert_eq!(unsafe { TABLE.remove(first) }.unwrap(), "first");
        for turn in 0..100_000 {
            let again = TABLE.insert(turn.to_string());
            assert_ne!(first, again);
            // SAFETY: as above.
            assert!(unsafe { TABLE.get(first) }.is_none());
            // SAFETY: as above.
            assert!(unsafe { TABLE.remove(first) }.is_none());
            // SAFETY: as above.
            assert_eq!(unsafe { TABLE.remove(again) }.unwrap(), turn.to_string());
        }
    }

    #[test]
    fn of_several_closers_one_gets_the_value() {
        static TABLE: Table<u32> = Table::new();
        for _ in 0..1000 {
            let handle = TABLE.insert(7).expose_provenance();
            let closed: usize = std::thread::scope(|scope| {
                let close = || {
                    let handle = std::ptr::with_exposed_provenance(handle);
                    // SAFETY: a handle of this table; nobody uses the value.
                    usize::from(unsafe { TABLE.remove(handle) }.is_some())
                };
                let closers = [scope.spawn(close), scope.spawn(close)];
                closers.into_iter().map(|one| one.join().unwrap()).sum()
            });
            assert_eq!(closed, 1);
        }
    }

    #[test]
    fn null_is_no_handle() {
        static TABLE: Table<u32> = Table::new();
        // SAFETY: null is allowed.
        assert!(unsafe { TABLE.get(std::ptr::null()) }.is_none());
    }
}
