//! Functions in C that format a line of the log.

use std::ffi::{c_char, c_void};

/// The room for a line.
pub const LINE_MAX: usize = 4096;

/// A function and its argument, as the caller set them in the options.
pub struct Formatter<F> {
    pub format: F,
    pub arg: *mut c_void,
}

// SAFETY: the header says that a thread of the library calls the function with this argument.
unsafe impl<F: Send> Send for Formatter<F> {}
// SAFETY: as above; the flusher of a queue is one thread, and queues that share options may call it
// at once, as the header says.
unsafe impl<F: Sync> Sync for Formatter<F> {}

/// Returns the line that `store` stores in `LINE_MAX` bytes. It returns the length, which may be
/// longer, as that of snprintf(3): then the line is cut.
pub fn line(store: impl FnOnce(*mut c_char) -> usize) -> Vec<u8> {
    let mut line = vec![0; LINE_MAX];
    let len = store(line.as_mut_ptr().cast());
    line.truncate(len);
    line
}
