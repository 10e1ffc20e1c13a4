//! The C interface of `alq`. `include/alq.h` and `include/async-append.h` say what each function
//! does; docs/c-api.md describes the library as a whole. This crate only translates: it checks
//! arguments, turns handles into references, and turns results into numbers.
//!
//! ```text
//!  C caller ---> append, lane, queue, open, options,    ---> the library `alq`
//!                completion, async_append, stats, ...
//!                      |
//!                      v
//!                handle (handle -> value)   errors (error -> number, errno)
//! ```
//!
//! # Safety
//!
//! C calls every function here and guarantees what the headers require: a pointer is `NULL`, or was
//! returned by a call of this library, or points to as much memory as its length says. C does not
//! have to guarantee that a handle is still open: [`handle::Table`] checks it. In comments, "the
//! header" means these requirements.
//!
//! # Panics
//!
//! A function here panics only because of a fault in this library. The process then aborts with the
//! message of the panic, since a panic cannot leave an `extern "C"` function. To continue would
//! mean to use a queue in an unknown state. Errors of callers and of the system are returned as
//! numbers.
#![allow(unsafe_code)]
// C counts in `int`: negative values are refused before a cast, and no length here exceeds `isize`.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)]

/// `ald_thread` of `<sys/alq.h>`: always null.
#[unsafe(no_mangle)]
pub static ald_thread: AldThread = AldThread(std::ptr::null_mut());

/// `struct thread *`.
#[derive(Debug)]
#[repr(transparent)]
pub struct AldThread(*mut std::ffi::c_void);

// SAFETY: the library never accesses memory through the pointer.
unsafe impl Sync for AldThread {}

mod append;
mod arguments;
mod async_append;
mod completion;
mod entries;
mod errors;
mod formatter;
mod handle;
#[cfg(test)]
mod header;
mod hook;
mod lane;
mod loss_lines;
mod open;
mod options;
mod process;
mod queue;
mod recorder;
mod request;
mod stats;
