//! Writes that never wait are done in the call itself: to `/dev/null` and similar devices, while no
//! request is outstanding.

use std::ffi::c_long;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::block::Block;

/// The number of outstanding requests on all desks.
pub static OUTSTANDING: AtomicUsize = AtomicUsize::new(0);

/// Resets the count in a child of fork(2), which has no requests.
pub fn none_outstanding() {
    OUTSTANDING.store(0, Ordering::Relaxed); // Relaxed: the child has one thread
}

/// A bit for each of the first 1024 descriptors: set if the descriptor was open on such a device
/// when it was last checked. It is only a hint. The write that follows is right for any open file:
/// it does not wait, and it passes the offset, which counts if the file is not in append mode.
static HINTS: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The word and the bit of a descriptor.
fn hint(number: RawFd) -> Option<(&'static AtomicU64, u64)> {
    let number = usize::try_from(number).ok()?;
    Some((HINTS.get(number / 64)?, 1 << (number % 64)))
}

pub fn note(number: RawFd) {
    if let Some((word, bit)) = hint(number) {
        word.fetch_or(bit, Ordering::Relaxed); // Relaxed: a hint
    }
}

/// Writes a request at once if that does not wait; otherwise returns `None`. See pwritev2(2) for
/// `RWF_NOWAIT` and the offset.
pub fn write(block: &Block) -> Option<usize> {
    let (word, bit) = hint(block.fildes)?;
    // Relaxed: a hint; and this thread sees its own submissions.
    if word.load(Ordering::Relaxed) & bit == 0 || OUTSTANDING.load(Ordering::Relaxed) != 0 {
        return None;
    }
    let vector = libc::iovec {
        iov_base: block.buf.cast_mut(),
        iov_len: block.nbytes,
    };
    let offset = block.offset;
    if offset < 0 {
        return None;
    }
    // A raw system call: unlike libc's pwritev2 it is not a cancellation point. Its arguments are
    // longs.
    let number = c_long::from(block.fildes);
    let (flags, high) = (c_long::from(libc::RWF_NOWAIT), c_long::from(0));
    let (vector, count) = (&raw const vector, c_long::from(1));
    // SAFETY: the vector points to the buffer of the request.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            number,
            vector,
            count,
            offset,
            high,
            flags,
        )
    };
    let written = usize::try_from(written).ok();
    if written.is_none() {
        word.fetch_and(!bit, Ordering::Relaxed); // Relaxed: a hint
    }
    written
}
