//! Writes that cost nothing are done at once: to `/dev/null` and its like, if no request is
//! outstanding.

use std::ffi::c_long;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::block::Block;

/// How many requests are outstanding on all desks.
pub static OUTSTANDING: AtomicUsize = AtomicUsize::new(0);

/// In a child of fork(2) there are none.
pub fn none_outstanding() {
    OUTSTANDING.store(0, Ordering::Relaxed); // Relaxed: there is one thread
}

/// A bit for each of the first descriptors: it was of such a device when it was last looked at. A
/// hint: the write that it leads to is right for any open file, since it does not wait, and names
/// the offset that a file has which is not in append mode.
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

/// Writes a request at once, if that is possible without waiting. `RWF_NOWAIT` and an offset: see
/// pwritev2(2).
pub fn write(block: &Block) -> Option<usize> {
    let (word, bit) = hint(block.fildes)?;
    // Relaxed: a hint; and what this thread has submitted itself it sees.
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
    // A raw call: unlike the one of libc, it is no point of cancellation. Its arguments are longs.
    let number = c_long::from(block.fildes);
    let (flags, high) = (c_long::from(libc::RWF_NOWAIT), c_long::from(0));
    let (vector, count) = (&raw const vector, c_long::from(1));
    // SAFETY: the vector is that of the request.
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
