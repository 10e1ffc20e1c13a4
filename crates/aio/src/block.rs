//! Control blocks: `struct aiocb` as glibc lays it out, and whose request one is.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::sync::atomic::{AtomicI32, AtomicIsize, AtomicU64, Ordering};

/// `struct sigevent`, with the members that the libc crate leaves out.
#[repr(C)]
pub struct SigEvent {
    pub value: usize,
    pub signo: c_int,
    pub notify: c_int,
    pub function: Option<unsafe extern "C" fn(usize)>,
    pub attributes: *const libc::pthread_attr_t,
    _rest: [usize; 4],
}

impl SigEvent {
    /// Has a thread call a function with a value.
    pub fn thread(function: unsafe extern "C" fn(usize), value: usize) -> Self {
        Self {
            value,
            signo: 0,
            notify: libc::SIGEV_THREAD,
            function: Some(function),
            attributes: std::ptr::null(),
            _rest: [0; 4],
        }
    }
}

/// `struct aiocb`, and `struct aiocb64`, which is the same on 64-bit Linux.
#[repr(C)]
pub struct Block {
    pub fildes: c_int,
    pub opcode: c_int,
    pub reqprio: c_int,
    pub buf: *const c_void,
    pub nbytes: usize,
    pub event: SigEvent,
    _glibc: [usize; 2],
    error: AtomicI32,
    returned: AtomicIsize,
    pub offset: i64,
    mark: AtomicU64,
    _rest: [u64; 3],
}

const _: () = {
    assert!(size_of::<SigEvent>() == size_of::<libc::sigevent>());
    assert!(size_of::<Block>() == size_of::<libc::aiocb>());
    assert!(offset_of!(Block, nbytes) == offset_of!(libc::aiocb, aio_nbytes));
    assert!(offset_of!(Block, event) == offset_of!(libc::aiocb, aio_sigevent));
    assert!(offset_of!(Block, offset) == offset_of!(libc::aiocb, aio_offset));
};

/// Whose request a control block is, if its result has not been returned yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Of this library.
    Here,
    /// Of the next implementation.
    Next,
}

/// A pointer to a control block that C has given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Handle(*mut Block);

// SAFETY: C leaves the block where it is until the request is complete, whichever thread completes
// it.
unsafe impl Send for Handle {}

impl Handle {
    /// A control block that C has given; `None` for `NULL`.
    ///
    /// # Safety
    ///
    /// It must be `NULL` or point to a control block.
    pub unsafe fn new(block: *const Block) -> Option<Self> {
        (!block.is_null()).then_some(Self(block.cast_mut()))
    }

    pub fn as_ptr(self) -> *mut Block {
        self.0
    }

    /// The block: only the fields that C fills in before the call, and those that are atomic, may
    /// be read.
    fn block(&self) -> &Block {
        // SAFETY: it is a control block (`new`), which lives until the request is complete.
        unsafe { &*self.0 }
    }

    pub fn fields(&self) -> &Block {
        self.block()
    }

    /// The owner as a mark: a block that was copied elsewhere, or memory that was never a control
    /// block, has none.
    fn mark(self, owner: Owner) -> u64 {
        let owner = match owner {
            Owner::Here => 0x616c_715f_6169_6f01,
            Owner::Next => 0x616c_715f_6169_6f02,
        };
        owner ^ self.0 as u64
    }

    pub fn owner(self) -> Option<Owner> {
        // Relaxed: the thread that asks has submitted the request, or has synchronised with the
        // thread that did.
        let mark = self.block().mark.load(Ordering::Relaxed);
        [Owner::Here, Owner::Next]
            .into_iter()
            .find(|owner| mark == self.mark(*owner))
    }

    /// Marks the request, before it is submitted.
    pub fn begin(self, owner: Owner) {
        let block = self.block();
        block.returned.store(0, Ordering::Relaxed); // Relaxed: as for `owner`
        block.error.store(libc::EINPROGRESS, Ordering::Relaxed); // Relaxed: as for `owner`
        block.mark.store(self.mark(owner), Ordering::Relaxed); // Relaxed: as for `owner`
    }

    /// Forgets a request: it was not submitted, or its result is returned. Says whether this call
    /// has done so.
    pub fn forget(self, owner: Owner) -> bool {
        let mark = self.mark(owner);
        // Relaxed: only one thread can take the mark away, whatever it sees of the rest.
        let taken =
            self.block()
                .mark
                .compare_exchange(mark, 0, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok()
    }

    /// Completes the request with a count of bytes or an error; from then on it belongs to the
    /// caller again.
    pub fn complete(self, result: Result<usize, c_int>) {
        let block = self.block();
        let returned = result.map_or(-1, |bytes| bytes as isize);
        block.returned.store(returned, Ordering::Relaxed); // Relaxed: the store below publishes it
        let error = result.err().unwrap_or(0);
        // [block.done] Release, pairs with [block.error]: what the request has done, and its count.
        block.error.store(error, Ordering::Release);
    }

    /// `EINPROGRESS`, 0, or the error of the request.
    pub fn error(self) -> c_int {
        // [block.error] Acquire, pairs with [block.done].
        self.block().error.load(Ordering::Acquire)
    }

    /// What the request returns. Only once it is complete.
    pub fn returned(self) -> isize {
        self.block().returned.load(Ordering::Relaxed) // Relaxed: `error` has synchronised
    }
}
