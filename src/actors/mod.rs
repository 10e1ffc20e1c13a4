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
//! | `shared` | the state of one queue: its three parts, and the steps that need several of them |
//! | `intake` | the append side: ring, wake-ups, room that comes back, the end of the intake |
//! | `outcome` | progress, pending completions, the end of the queue |
//! | `flusher`, `thread`, `pace` | one step of the flusher, the loop around it, its sleeps |
//! | `room` | waits for room |
//! | `trouble`, `failure`, `standstill` | why the drain does not move: a failure, a stall, an entry |
//! | `crew` | the threads that serve the queue |
//! | `durability`, `doubts` | what is durable, and what never will be |
//! | `syncer`, `job` | the thread that syncs, and one sync |
//! | `rhythm` | when it syncs although no caller waits |
//! | `reopen`, `discards` | requests for another sink, and what they have discarded |
//! | `dumps` | requests for dumps of a recorder |
//! | `gap` | lines in the log that report refused records |
//! | `recovery` | what an earlier process left in a ring file |
//! | `report`, `notifier` | errors that no caller is waiting for, and the thread of callbacks |
//! | `snapshot`, `show` | statistics, for callers and in the ring file |
//! | `here` | why an append does not go through the ring |
//! | `config` | options, and how the flusher ends |

mod config;
mod crew;
mod discards;
mod doubts;
mod dumps;
mod durability;
mod failure;
pub mod flusher;
mod gap;
mod here;
mod intake;
mod job;
pub mod notifier;
mod outcome;
pub mod pace;
mod recovery;
mod reopen;
mod report;
mod rhythm;
mod room;
mod shared;
mod show;
mod snapshot;
mod standstill;
pub mod syncer;
#[cfg(all(test, not(alq_model)))]
mod tests;
pub mod thread;
mod trouble;

pub use config::{Config, Last};
pub use crew::OnStart;
pub use dumps::DumpLine;
#[cfg(feature = "chain")]
pub use flusher::ChainStart;
pub use flusher::Flusher;
pub use gap::LossLines;
pub use here::{Past, Refused};
pub use recovery::{Inheritance, Standing, note_of};
pub use report::{Callback, Reporter};
pub use room::Asker;
pub use shared::Shared;
pub use thread::start;
pub use trouble::Trouble;
