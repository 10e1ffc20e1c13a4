//! Handles: the pointers that C holds in place of references.
//!
//! A handle is the address of a node and a tag. Nodes are never freed and hold one value after
//! another; the tag says which of these values the handle means. So a call with a closed handle is
//! recognised and gets an error, instead of an access to memory that has another use by now.
//!
//! There are no locks here, so a fork(2) at any moment leaves no locked lock in the child.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// All handles to values of one type. The list of nodes only grows; nodes are reused.
pub struct Table<T: 'static> {
    first: AtomicPtr<Node<T>>,
}

#[repr(align(64))] // the tag has room in the low bits of an address
struct Node<T> {
    /// The open handle of this node, or 0.
    open: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
    /// Whether the node is in use, or is being put into or out of use.
    taken: AtomicBool,
    /// How many values the node has held.
    generation: AtomicU32,
    next: *const Node<T>,
}

/// The address bits of a handle. User-space addresses on 64-bit Linux have 47 bits (unless a
/// mapping asks for more), and node addresses end in 6 zeros. That leaves 22 bits for the tag, so a
/// tag repeats after four million values in the same node.
const ADDRESS: usize = 0x0000_ffff_ffff_ffc0;

// SAFETY: one thread writes the value before it gives the handle out; then the value is only
// shared, until one thread takes it out. So `T: Send + Sync` suffices. `next` is written before the
// node is shared.
unsafe impl<T: Send + Sync> Sync for Node<T> {}

impl<T: Send + Sync> Table<T> {
    pub const fn new() -> Self {
        Self {
            first: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Stores `value` and returns its handle. The handle has the type of a pointer to `T`, but must
    /// not be dereferenced.
    pub fn insert(&self, value: T) -> *mut T {
        let node = self.free_node();
        // Relaxed: only the thread that has taken the node accesses it.
        let generation = node.generation.load(Ordering::Relaxed).wrapping_add(1) as usize;
        node.generation.store(generation as u32, Ordering::Relaxed);
        let tag = (generation & 0x3f) | (generation >> 6 << 48);
        let handle = ptr::from_ref(node).cast_mut().map_addr(|at| at | tag);
        // SAFETY: the node is taken and has no open handle, so no other thread accesses the value.
        unsafe { node.value.get().cast::<T>().write(value) };
        // Release, pairs with the Acquire in `get` and `remove`: the value is there.
        node.open.store(handle.addr(), Ordering::Release);
        handle.cast()
    }

    /// Returns the value of an open handle; `None` for any other handle.
    ///
    /// # Safety
    ///
    /// `handle` must be `NULL` or come from this table, and must not be removed while the result is
    /// used.
    #[expect(clippy::unused_self, reason = "it names the table of the handle")]
    #[inline]
    pub unsafe fn get<'a>(&self, handle: *const T) -> Option<&'a T> {
        // SAFETY: this function has the same requirement.
        let node = unsafe { Self::node(handle) }?;
        // Acquire, pairs with the Release in `insert`.
        if node.open.load(Ordering::Acquire) != handle.addr() {
            return None;
        }
        // SAFETY: the value was written before the handle was opened, and is only read while it is
        // open.
        unsafe { node.value.get().cast::<T>().as_ref() }
    }

    /// Closes a handle and returns its value, if it was open. Of several concurrent calls one gets
    /// the value.
    ///
    /// # Safety
    ///
    /// As [`get`](Table::get); and no other thread may be using the value.
    #[expect(clippy::unused_self, reason = "it names the table of the handle")]
    pub unsafe fn remove(&self, handle: *const T) -> Option<T> {
        // SAFETY: this function has the same requirement.
        let node = unsafe { Self::node(handle) }?;
        // Acquire: as in `get`. Relaxed on failure: then no value is read.
        node.open
            .compare_exchange(handle.addr(), 0, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        // SAFETY: as in `get`; the value is read once, since only one call closes the handle.
        let value = unsafe { node.value.get().cast::<T>().read() };
        // Release, pairs with the Acquire in `free_node`: the value was moved out before.
        node.taken.store(false, Ordering::Release);
        Some(value)
    }

    /// # Safety
    ///
    /// `handle` must be `NULL` or come from this table.
    #[inline]
    unsafe fn node<'a>(handle: *const T) -> Option<&'a Node<T>> {
        let node = handle.map_addr(|at| at & ADDRESS).cast::<Node<T>>();
        // SAFETY: it is null or comes from `insert`, so it is a node of this table; nodes are never
        // freed.
        unsafe { node.as_ref() }
    }

    /// Takes a free node, or adds a new one.
    fn free_node(&self) -> &'static Node<T> {
        // Acquire, pairs with the Release below: the node's contents are visible.
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
        // Relaxed: the value is only compared.
        let mut first = self.first.load(Ordering::Relaxed);
        loop {
            fresh.next = first;
            // Release, pairs with the Acquire above. Relaxed on failure: it only returns the new
            // first.
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
        // SAFETY: the handles here and below belong to this table; only this thread removes them.
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
                    // SAFETY: a handle of this table; no thread uses the value.
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
