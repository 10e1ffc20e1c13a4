//! Layer 1: primitives. Atomics and threads (or loom's), fences, the futex, events, and system calls.

mod doorbell;
mod event;
pub mod fence;
pub mod os;
pub mod process;
pub mod sync;
mod waiters;

pub use doorbell::{Doorbell, Interest};
pub use event::Event;
pub use process::{Home, Once, PerProcess};
pub use waiters::{Ticket, Waiters, wake};
