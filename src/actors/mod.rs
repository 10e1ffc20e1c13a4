//! Layer 6: actors. The threads of a queue, and the state that they share with the callers.
//!
//! Each queue has a flusher thread, which drains the ring to the sink. The first call that needs a
//! sync starts a second thread, which makes written bytes durable. One notifier thread serves all
//! queues of the process and runs their callbacks. Callers and threads meet in [`Shared`].
//!
//! ```text
//!             reserve, post          drain              write
//!    callers --------------> ring ----------> flusher --------> sink
//!      ^   |                                  ^   |              ^
//!      |   +----- bell: something to drain ---+   | wanted       | fsync, fdatasync
//!      |                                          v              |
//!      |                                     sync thread --------+
//!      |                                          |
//!      +--- room, progress, failure, durability --+--- report ---> notifier thread
//! ```
//!
//! What holds at every moment:
//!
//! 1. Only the flusher moves bytes from the ring to the sink, moves the tail, and replaces the
//!    sink. So a reopen never falls into the middle of a write.
//! 2. The flusher waits for the sink and for open entries. It never waits for a sync or for a
//!    callback.
//! 3. A thread stores a change first and wakes the waiters afterwards. A waiter announces itself
//!    first and looks once more before it sleeps. So no wake-up is lost.
//! 4. A thread that serves a queue never waits for that queue ([`Shared::is_servant`]).
//!
//! | file | what it owns |
//! |---|---|
//! | `shared` | the state of one queue, which joins the parts below |
//! | `flusher`, `thread`, `pace` | one step of the flusher, the loop around it, its sleeps |
//! | `room`, `lane` | waits for room, for records and for lanes |
//! | `failure`, `standstill` | a failed write, a sink that accepts no data, an open entry |
//! | `durability`, `syncer` | what is durable, and the thread that syncs |
//! | `reopen` | requests for another sink |
//! | `gap` | lines in the log that report refused records |
//! | `recovery` | what an earlier process left in a ring file |
//! | `report`, `notifier` | errors that no caller is waiting for, and the thread of callbacks |
//! | `snapshot`, `show` | statistics, for callers and in the ring file |
//! | `here` | whether this process may touch the queue |

mod durability;
mod failure;
pub mod flusher;
mod gap;
mod here;
mod lane;
pub mod notifier;
pub mod pace;
mod recovery;
mod reopen;
mod report;
mod room;
mod shared;
mod show;
mod snapshot;
mod standstill;
pub mod syncer;
#[cfg(all(test, not(alq_model)))]
mod tests;
pub mod thread;

pub use flusher::Flusher;
pub use here::{Past, Refused};
pub use recovery::{Inheritance, note_of};
pub use report::{Callback, Reporter};
pub use room::Asker;
pub use shared::{Config, Last, Shared};
pub use thread::start;
