//! Layer 1: primitives. The atomics, fences, sleeps and system calls that the layers above build
//! on.
//!
//! This layer knows nothing of rings, records or sinks, and imports nothing from the layers above.
//! In the model checkers, `sync` replaces the atomics; all other code stays the same.
//!
//! | module | what it owns |
//! |---|---|
//! | `sync` | the atomics, locks and threads: the standard library's, or a model checker's |
//! | `fence` | the asymmetric fence: a cheap side for posts, an expensive side for sleepers |
//! | `doorbell` | the word on which the flusher sleeps, and by which a post wakes it |
//! | `event` | an eventcount: threads that wait until a condition is true |
//! | `waiters` | writers and tasks that wait for room |
//! | `process` | which process this is, and values that exist once in each process |
//! | `os` | the system calls that the standard library does not offer |
//!
//! All sleeps here follow one handshake:
//!
//! ```text
//! sleeper:   announce itself ; FENCE ; look once more ; sleep
//! notifier:  make it true    ; FENCE ; is there an announcement? ; wake
//! ```
//!
//! What holds everywhere in this layer:
//!
//! 1. No wake-up is lost: the two fences ensure that the notifier sees the announcement, or that
//!    the sleeper's last look sees what became true.
//! 2. A notifier that sees no announcement makes no system call for the wake-up and takes no lock.
//! 3. `unsafe` code is only in `os` and `process`.

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
