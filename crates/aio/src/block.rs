//! Control blocks: glibc's layout of `struct aiocb`, and the implementation that has the request.

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
    /// A notification that calls a function with a value on a thread.
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

/// The implementation that has the request of a control block, until its result is returned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This library.
    Here,
    /// The next implementation.
    Next,
}

/// A pointer from C to a control block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Handle(*mut Block);

// SAFETY: C does not move the block until the request is complete; any thread may complete it.
unsafe impl Send for Handle {}

impl Handle {
    /// Wraps a pointer from C; `None` for `NULL`.
    ///
    /// # Safety
    ///
    /// The pointer must be `NULL` or point to a control block.
    pub unsafe fn new(block: *const Block) -> Option<Self> {
        (!block.is_null()).then_some(Self(block.cast_mut()))
    }

    pub fn as_ptr(self) -> *mut Block {
        self.0
    }

    /// The block. Only the fields that C fills in before the call, and the atomic fields, may be
    /// read.
    fn block(&self) -> &Block {
        // SAFETY: it points to a control block (`new`), which lives until the request is complete.
        unsafe { &*self.0 }
    }

    pub fn fields(&self) -> &Block {
        self.block()
    }

    /// The mark for an owner. It depends on the address, so neither a copy of a block nor memory
    /// that was never a control block has a valid mark.
    fn mark(self, owner: Owner) -> u64 {
        let owner = match owner {
            Owner::Here => 0x616c_715f_6169_6f01,
            Owner::Next => 0x616c_715f_6169_6f02,
        };
        owner ^ self.0 as u64
    }

    pub fn owner(self) -> Option<Owner> {
        // Relaxed: the calling thread has submitted the request, or has synchronised with the
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

    /// Removes the mark: the request was not submitted, or its result is returned. Returns whether
    /// this call removed it.
    pub fn forget(self, owner: Owner) -> bool {
        let mark = self.mark(owner);
        // Relaxed: the exchange alone decides which thread removes the mark.
        let taken =
            self.block()
                .mark
                .compare_exchange(mark, 0, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok()
    }

    /// Completes the request with a number of bytes or an error. From then on it belongs to the
    /// program again.
    pub fn complete(self, result: Result<usize, c_int>) {
        let block = self.block();
        let returned = result.map_or(-1, |bytes| bytes as isize);
        block.returned.store(returned, Ordering::Relaxed); // Relaxed: the store below publishes it
        let error = result.err().unwrap_or(0);
        // [block.done] Release, pairs with [block.error]: publishes the effect of the request and
        // its result.
        block.error.store(error, Ordering::Release);
    }

    /// Returns `EINPROGRESS`, 0, or the error of the request.
    pub fn error(self) -> c_int {
        // [block.error] Acquire, pairs with [block.done].
        self.block().error.load(Ordering::Acquire)
    }

    /// Returns the result of a complete request.
    pub fn returned(self) -> isize {
        self.block().returned.load(Ordering::Relaxed) // Relaxed: `error` has synchronised
    }
}
