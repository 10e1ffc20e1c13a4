//! The calls of `<aio.h>` over `alq`. docs/aio.md says what each of them does; here it says why it
//! is safe.
//!
//! ```text
//!   calls, suspend, cancel, list   the functions that C calls
//!   carry, batch                   requests taken off a desk, carried out and completed
//!   desk                           the requests of one open file, and the queues of its flushers
//!   group, event, wait             what a completion does: lists, notifications, sleepers
//!   block, kind, eager             control blocks, kinds of open files, writes that never wait
//!   next, quiet, fork              libc's own calls; signals and cancellation; processes
//! ```
//!
//! # Safety
//!
//! C guarantees what `<aio.h>` asks for: a control block that was submitted, and its buffer, stay
//! where they are and are not touched until the request is complete. A request that is complete is
//! never touched again. A control block that was not submitted may hold anything: [`block`] knows
//! submitted ones by a mark that depends on their address.
//!
//! # Panics
//!
//! No function here panics but by a fault of this library. Then the process aborts with the message
//! of the panic.
#![allow(unsafe_code)]
// Counts of C are refused if they are out of range, and cast then.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)]

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
compile_error!("libalq-aio knows the control blocks of glibc on 64-bit Linux only");

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
