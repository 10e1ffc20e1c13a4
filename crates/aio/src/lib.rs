//! The calls of `<aio.h>` over `alq`. docs/aio.md says what each of them does.
//!
//! ```text
//!   calls, suspend, cancel, list   the functions that C calls
//!   carry, batch                   take requests off a desk, carry them out and complete them
//!   desk                           the requests of one open file, and the queues of its flushers
//!   group, event, wait             effects of a completion: lists, notifications, wake-ups
//!   block, kind, eager             control blocks, kinds of open files, writes that never wait
//!   next, quiet, fork              the implementation of libc; signals and cancellation; fork(2)
//! ```
//!
//! Three invariants hold:
//!
//! - The requests of one open file are carried out in the order of the calls.
//! - No thread waits while it holds the lock of the desks.
//! - A completed request belongs to the program again: the library does not access it any more.
//!
//! # Safety
//!
//! C guarantees what `<aio.h>` requires: the program neither moves nor changes a submitted control
//! block and its buffer until the request is complete. After that the library does not access them.
//! A control block that was not submitted may hold any bytes: [`block`] recognises submitted ones
//! by a mark that depends on their address.
//!
//! # Panics
//!
//! A function here panics only because of a fault in this library. The process then aborts with the
//! message of the panic.
#![allow(unsafe_code)]
// Counts from C are cast only after a check of their range.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)]

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
compile_error!("libalq-aio needs glibc on 64-bit Linux: it uses the layout of its control blocks");

mod batch;
mod block;
mod calls;
mod cancel;
mod carry;
mod desk;
mod eager;
mod event;
mod fork;
mod group;
mod kind;
mod list;
mod next;
mod quiet;
mod suspend;
mod wait;
