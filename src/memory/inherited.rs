//! Protects rings and locks from the children of fork(2).
//!
//! A ring is shared memory, since its bytes are mapped twice from one file. A child that writes
//! into the slice of an entry of its parent would write into the log of the parent. So in the
//! child, before fork(3) returns, private memory is mapped over every ring. The descriptor that
//! locks a ring file is closed there: a child that outlives its parent must not keep the lock. (A
//! child of a raw clone(2) runs no such handler, so it must leave those slices alone.)
//!
//! # Safety
//!
//! The nodes of the list are leaked, so a pointer to a node is always valid.
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
use crate::primitives::sync::{sleep, unless_mutant};

/// The rings of this process: a list that only grows and reuses its nodes. It has no lock: a fork
/// finds it whole at any moment, so neither side of the fork waits.
static VIEWS: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// Whether the fork handlers are registered. Children inherit the handlers and this word.
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// How many forks of this process have begun, and how many are over.
static FORKS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// The entry of one mapping, or of one lock, in the list.
#[derive(Debug)]
struct Node {
    /// The length of the mapping; 0 while the node is free.
    len: AtomicUsize,
    /// The address of the mapping; null if there is no mapping.
    at: AtomicPtr<u8>,
    /// The descriptor for the lock, owned by the node; -1 if there is no lock.
    lock: AtomicI32,
    next: *mut Node,
}

/// A mapping, or a lock, that no child shares while this value lives. It must be dropped before the
/// mapping is unmapped.
#[derive(Debug)]
pub(super) struct Kept {
    node: &'static Node,
    home: Home,
}

// SAFETY: `next` is written before the node is shared, and never again; the other fields are
// atomics.
unsafe impl Sync for Node {}

/// Maps private memory over `[at, at + len)` in every child.
///
/// # Safety
///
/// The range must be a mapping that the caller owns, and must stay mapped until the result is
/// dropped.
pub(super) unsafe fn keep_from_children(at: *mut u8, len: usize) -> Kept {
    register();
    let node = take_node(len);
    // [views.at] Release, pairs with [views.child_at]: the length is stored before the address.
    node.at
        .store(at, unless_mutant("views.at", Ordering::Release));
    Kept {
        node,
        home: Home::here(),
    }
}

/// Opens a file for a lock, with a descriptor that no child gets.
///
/// A lock belongs to the open file description: a child with a copy of the descriptor would keep
/// the lock.
///
/// # Errors
///
/// The errors of `open`.
pub(super) fn keep_lock(open: impl Fn() -> io::Result<File>) -> io::Result<Kept> {
    register();
    loop {
        // Relaxed on both: checked again below.
        let [begun, over] = FORKS.each_ref().map(|forks| forks.load(Ordering::Relaxed));
        let node = take_node(1);
        let home = Home::here();
        let kept = Kept { node, home }; // its drop closes the descriptor on every path
        // [lock.kept] [lock.again] SeqCst on both, pair with [fork.begin]: if a fork that began after
        // the first load does not find the descriptor in its node, the second load sees that fork.
        // A fork that began before the first load was not over then.
        let order = unless_mutant("lock.kept", Ordering::SeqCst);
        node.lock.store(open()?.into_raw_fd(), order);
        let order = unless_mutant("lock.again", Ordering::SeqCst);
        if begun == over && FORKS[0].load(order) == begun {
            return Ok(kept);
        }
        drop(kept);
        sleep(Duration::from_micros(50)); // the fork is over soon
    }
}

fn register() {
    // Relaxed on both: if the handlers are registered twice, they run twice in a row, which changes
    // nothing.
    if !REGISTERED.load(Ordering::Relaxed) && at_fork(before_fork, after_fork, in_child).is_ok() {
        REGISTERED.store(true, Ordering::Relaxed);
    }
}

extern "C" fn before_fork() {
    // [fork.begin] SeqCst, pairs with [lock.kept] and [lock.again]: either this fork finds the
    // descriptor in its node, or the thread that stores the descriptor there sees this fork.
    FORKS[0].fetch_add(1, unless_mutant("fork.begin", Ordering::SeqCst));
}

extern "C" fn after_fork() {
    // Relaxed: it only counts a fork that is over.
    FORKS[1].fetch_add(1, Ordering::Relaxed);
}

impl Kept {
    /// Returns the descriptor for the lock.
    pub(super) fn lock(&self) -> BorrowedFd<'_> {
        // Relaxed: this thread has stored it, or got the value from the thread that did.
        let fd = self.node.lock.load(Ordering::Relaxed);
        // SAFETY: the node owns the descriptor for as long as `self` lives, unless `unlock` was
        // called; after that `lock` is not called.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }

    /// Releases the lock and closes its descriptor.
    pub(super) fn unlock(&self) {
        // Relaxed: as above. In any other process the lock belongs to the process that took it.
        if self.home.is_here() && self.node.lock.load(Ordering::Relaxed) != NO_LOCK {
            // This unlocks all copies of the descriptor: a child of posix_spawn(3), which runs no
            // fork handler, has a copy until it execs. If the unlock fails, the close releases the
            // lock.
            let _ = unlock(self.lock());
        }
        self.node.close_lock();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Relaxed: the next owner of the node sees it by [views.free].
        self.node.at.store(ptr::null_mut(), Ordering::Relaxed);
        self.unlock();
        // [views.free] Release, pairs with [views.take]: a thread that finds the node free finds it
        // without an address.
        let order = unless_mutant("views.free", Ordering::Release);
        self.node.len.store(0, order);
    }
}

/// The value for no descriptor.
const NO_LOCK: i32 = -1;

impl Node {
    /// Closes the descriptor, unless it is closed already: in a child, the fork handler closes it
    /// before the ring is dropped.
    fn close_lock(&self) {
        // Relaxed: the thread that gets the number owns the descriptor.
        let lock = self.lock.swap(NO_LOCK, Ordering::Relaxed);
        if lock != NO_LOCK {
            // SAFETY: the node owned the descriptor, and no longer names it.
            unsafe { close(lock) };
        }
    }
}

/// Returns a node for a mapping of `len` bytes: a free node, or a new one.
fn take_node(len: usize) -> &'static Node {
    // [views.list] Acquire, pairs with [views.push]: the content of the node is visible.
    let mut next = VIEWS.load(unless_mutant("views.list", Ordering::Acquire));
    // SAFETY: null, or a node.
    while let Some(node) = unsafe { next.as_ref() } {
        // [views.take] Acquire, pairs with [views.free]. Of two threads only one takes the node.
        let order = unless_mutant("views.take", Ordering::Acquire);
        let taken = node.len.compare_exchange(0, len, order, Ordering::Relaxed);
        if taken.is_ok() {
            return node;
        }
        next = node.next;
    }
    let fresh = Box::leak(Box::new(Node {
        len: AtomicUsize::new(len),
        at: AtomicPtr::new(ptr::null_mut()),
        lock: AtomicI32::new(NO_LOCK),
        // Relaxed: the exchange below compares it.
        next: VIEWS.load(Ordering::Relaxed),
    }));
    // [views.push] Release, pairs with [views.list] and [views.child_list]. A failure only returns
    // the current first node.
    let order = unless_mutant("views.push", Ordering::Release);
    while let Err(first) = VIEWS.compare_exchange(fresh.next, fresh, order, Ordering::Relaxed) {
        fresh.next = first;
    }
    fresh
}

/// The fork handler of the child. It runs on the only thread there.
extern "C" fn in_child() {
    leave_home();
    // Relaxed: this is the only thread. In the child, too, the fork is over.
    FORKS[1].store(FORKS[0].load(Ordering::Relaxed), Ordering::Relaxed);
    // [views.child_list] Acquire, pairs with [views.push].
    let mut next = VIEWS.load(unless_mutant("views.child_list", Ordering::Acquire));
    // SAFETY: null, or a node.
    while let Some(node) = unsafe { next.as_ref() } {
        // [views.child_at] Acquire, pairs with [views.at].
        let order = unless_mutant("views.child_at", Ordering::Acquire);
        let at = node.at.load(order);
        if !at.is_null() {
            // Relaxed: stored before the address.
            let len = node.len.load(Ordering::Relaxed);
            // SAFETY: the parent owned the mapping when it forked, or the address would not be in
            // the node. In the child only slices of entries of the parent refer to it, and those
            // promise no content.
            unsafe { map_private_over(at, len) };
        }
        node.close_lock(); // the parent has its own copy
        next = node.next;
    }
}
