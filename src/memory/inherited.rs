//! What becomes of the rings in a child of fork(2).
//!
//! A ring is mapped from a file, twice, so it is shared memory: a child that writes into the slice of an entry of its
//! parent's would write into the parent's log. So in the child, before fork(3) returns, private memory is laid over
//! every ring, and the descriptor that locks a ring file is closed: a child that lives on must not keep the lock of a parent
//! that does not. (A child that a raw clone(2) makes has no such handler; it must leave those slices alone.)
//!
//! # Safety
//!
//! The nodes of the list are leaked, so a pointer to one is valid for ever.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::ptr;
use std::time::Duration;

use crate::primitives::Home;
use crate::primitives::os::file::{close, unlock};
use crate::primitives::os::process::{at_fork, map_private_over};
use crate::primitives::process::leave_home;
use crate::primitives::sync::plain::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use crate::primitives::sync::sleep;

/// The rings of this process: a list that only grows, whose nodes are used again. No lock: a fork at any moment finds
/// it whole, so neither side of the fork waits for anybody.
static VIEWS: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// Whether the handlers are registered; children inherit both.
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Forks of this process that have begun, and that are over.
static FORKS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// The place of one mapping, or of a lock.
#[derive(Debug)]
struct Node {
    /// Its length; 0 while nobody uses the node.
    len: AtomicUsize,
    /// Its address; 0 while there is none.
    at: AtomicPtr<u8>,
    /// A descriptor that is to hold a lock, owned by the node; -1 if there is none.
    lock: AtomicI32,
    next: *mut Node,
}

/// A mapping, or a lock, that a child will not share, for as long as this lives. To be dropped before it is unmapped.
#[derive(Debug)]
pub(super) struct Kept {
    node: &'static Node,
    home: Home,
}

// SAFETY: `next` is written before the node is shared, and never again; the rest is atomics.
unsafe impl Sync for Node {}

/// Has private memory laid over `[at, at + len)` in every child.
///
/// # Safety
///
/// The range must be a mapping of the caller's, and stay mapped until the result is dropped.
pub(super) unsafe fn keep_from_children(at: *mut u8, len: usize) -> Kept {
    register();
    let node = take_node(len);
    // [views.at] Release, pairs with [views.child_at]: the length is there first.
    node.at.store(at, Ordering::Release);
    Kept {
        node,
        home: Home::here(),
    }
}

/// Opens a file whose descriptor no child will have, to be locked by it. A lock belongs to what open(2) has made: a child that
/// had a copy of the descriptor would keep it.
///
/// # Errors
///
/// Those of `open`.
pub(super) fn keep_lock(open: impl Fn() -> io::Result<File>) -> io::Result<Kept> {
    register();
    loop {
        // Relaxed on both: looked at again below.
        let [begun, over] = FORKS.each_ref().map(|forks| forks.load(Ordering::Relaxed));
        let node = take_node(1);
        let home = Home::here();
        let kept = Kept { node, home }; // closes it again on every way out
        // [lock.kept] SeqCst on both, pairs with [fork.begin]: a fork that does not find the descriptor here is seen by the
        // second look, if it has begun since the first; and one that has begun before was not over then.
        node.lock.store(open()?.into_raw_fd(), Ordering::SeqCst);
        if begun == over && FORKS[0].load(Ordering::SeqCst) == begun {
            return Ok(kept);
        }
        drop(kept);
        sleep(Duration::from_micros(50)); // the fork is over soon
    }
}

fn register() {
    // Relaxed on both: registered twice, the handlers run twice in a row, which changes nothing.
    if !REGISTERED.load(Ordering::Relaxed) && at_fork(before_fork, after_fork, in_child).is_ok() {
        REGISTERED.store(true, Ordering::Relaxed);
    }
}

extern "C" fn before_fork() {
    // [fork.begin] SeqCst, pairs with [lock.kept]: this fork finds the descriptor in its node, or is seen by whoever puts it
    // there.
    FORKS[0].fetch_add(1, Ordering::SeqCst);
}

extern "C" fn after_fork() {
    // Relaxed: it says only that one is over.
    FORKS[1].fetch_add(1, Ordering::Relaxed);
}

impl Kept {
    /// The descriptor that is to hold the lock.
    pub(super) fn lock(&self) -> BorrowedFd<'_> {
        // Relaxed: this thread has stored it, or was handed the value.
        let fd = self.node.lock.load(Ordering::Relaxed);
        // SAFETY: the node owns it for as long as `self` lives, unless `unlock` was called, after which nobody asks.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }

    /// Gives the lock back.
    pub(super) fn unlock(&self) {
        // Relaxed: as above. In another process it is the lock of this one.
        if self.home.is_here() && self.node.lock.load(Ordering::Relaxed) != NO_LOCK {
            // For all copies of the descriptor: a child of posix_spawn(3), which no handler runs in, has one until it execs.
            // Should it fail, the close does it.
            let _ = unlock(self.lock());
        }
        self.node.close_lock();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // [views.clear] [views.free] Release on both, in this order, pair with [views.take]: whoever finds the node
        // free finds it without an address.
        self.node.at.store(ptr::null_mut(), Ordering::Release);
        self.unlock();
        self.node.len.store(0, Ordering::Release);
    }
}

/// The number of no descriptor.
const NO_LOCK: i32 = -1;

impl Node {
    /// Closes the descriptor, unless that has been done: by the handler, in a child that drops a ring later.
    fn close_lock(&self) {
        // Relaxed: whoever gets the number owns the descriptor.
        let lock = self.lock.swap(NO_LOCK, Ordering::Relaxed);
        if lock != NO_LOCK {
            // SAFETY: the node owned it, and has forgotten it.
            unsafe { close(lock) };
        }
    }
}

/// A node for a mapping of `len` bytes: one that is free, or a new one.
fn take_node(len: usize) -> &'static Node {
    // [views.list] Acquire, pairs with [views.push]: the node is seen.
    let mut next = VIEWS.load(Ordering::Acquire);
    // SAFETY: null, or a node.
    while let Some(node) = unsafe { next.as_ref() } {
        // [views.take] AcqRel: Acquire, pairs with [views.free]; of two takers one gets it.
        let taken = node
            .len
            .compare_exchange(0, len, Ordering::AcqRel, Ordering::Relaxed);
        if taken.is_ok() {
            return node;
        }
        next = node.next;
    }
    let fresh = Box::leak(Box::new(Node {
        len: AtomicUsize::new(len),
        at: AtomicPtr::new(ptr::null_mut()),
        lock: AtomicI32::new(NO_LOCK),
        // Relaxed: compared with below.
        next: VIEWS.load(Ordering::Relaxed),
    }));
    // [views.push] Release, pairs with [views.list] and [views.child_list]. A failure only says what the first is now.
    while let Err(first) =
        VIEWS.compare_exchange(fresh.next, fresh, Ordering::Release, Ordering::Relaxed)
    {
        fresh.next = first;
    }
    fresh
}

/// The handler of fork(3), on the only thread of the child.
extern "C" fn in_child() {
    leave_home();
    // Relaxed: this is the only thread. The fork is over here, too.
    FORKS[1].store(FORKS[0].load(Ordering::Relaxed), Ordering::Relaxed);
    // [views.child_list] Acquire, pairs with [views.push].
    let mut next = VIEWS.load(Ordering::Acquire);
    // SAFETY: null, or a node.
    while let Some(node) = unsafe { next.as_ref() } {
        // [views.child_at] Acquire, pairs with [views.at].
        let at = node.at.load(Ordering::Acquire);
        if !at.is_null() {
            // Relaxed: written before the address.
            let len = node.len.load(Ordering::Relaxed);
            // SAFETY: the parent owned the mapping when it forked, or the address would not be there; here nothing
            // but slices of the parent's entries refers to it, and those promise no content.
            unsafe { map_private_over(at, len) };
        }
        node.close_lock(); // the parent has its own copy
        next = node.next;
    }
}
