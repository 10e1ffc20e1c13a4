//! The C interface of `alq`. `include/alq.h` and `include/async-append.h` say what each function does; docs/c-api.md
//! explains them together. Here it says why it is safe.
//!
//! # Safety
//!
//! Every function here is called by C, which guarantees what the headers ask for: that a pointer is `NULL`, or what a call
//! of this library has returned, or points to as much memory as its length says. It need not guarantee that a handle is
//! still open: [`handle::Table`] knows. Where a comment says "the header", it means that.
//!
//! # Panics
//!
//! No function here panics but by a fault of ours. Then the process aborts with the message of the panic: a function that
//! is `extern "C"` lets no panic out. Going on would mean to go on with a queue in an unknown state, in a program that has
//! no way to ask which; and errors of callers and of the system are all told as numbers.
#![allow(unsafe_code)]
// C counts in `int`: what is negative is refused before it is cast, and nothing here is longer than an `isize` can say.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)]

/// `ald_thread` of `<sys/alq.h>`: always null.
#[unsafe(no_mangle)]
pub static ald_thread: AldThread = AldThread(std::ptr::null_mut());

/// `struct thread *`.
#[derive(Debug)]
#[repr(transparent)]
pub struct AldThread(*mut std::ffi::c_void);

// SAFETY: nothing is read or written through it.
unsafe impl Sync for AldThread {}

mod append;
mod arguments;
mod async_append;
mod completion;
mod entries;
mod errors;
mod handle;
#[cfg(test)]
mod header;
mod hook;
mod lane;
mod open;
mod options;
mod process;
mod queue;
mod request;
mod stats;
