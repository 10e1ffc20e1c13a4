//! Layer 7: the face. The public calls. They check their arguments, take the fast path through the
//! ring, and wait if they must.
//!
//! ```text
//!   Options --open--> Queue --lane--> Lane         AsyncAppend: a lane of a private queue
//!                       |               |
//!                       +-------+-------+
//!                               |
//!             writen, getn + post: is there room?
//!                    |                     |
//!                  yes                     no, or the ring is closed, or in a child of fork(2)
//!                    v                     v
//!             fast path: the ring    slow path: wait for room (`actors`), or bypass the ring
//!                    |                          (`aside`: write(2) on this thread)
//!                    v
//!             flusher, sync thread (`actors`)  <--wait--  flush, close, Completion, suspend
//! ```
//!
//! What holds in this layer:
//!
//! 1. An append that finds room makes no system call and takes no lock, except to wake the flusher.
//! 2. While the flusher of a queue may write, no call of this layer writes to its descriptor. An
//!    append bypasses the ring only after the ring is drained, or in a child of fork(2).
//! 3. A wait that gives up returns an error that names what blocks it. A thread that serves the
//!    queue never waits for it: it gets an error.
//! 4. In a child of fork(2), an append takes no lock of the parent and changes nothing in its ring.
//!
//! | file | what it owns |
//! |---|---|
//! | `options`, `delay`, `framing`, `loss_lines`, `ring_file`, `sync_every` | options |
//! | `open`, `opening` | checks, the start of a queue |
//! | `begin`, `align` | its ring, and what an earlier process has left there |
//! | `found`, `earlier`, `mend` | the end of the log: what it holds, its chain, a torn record |
//! | `queue`, `append`, `write` | the handle, its appends, and its use as a writer |
//! | `lane` | the handle of one producer, and its appends |
//! | `thread_lanes`, `places` | the lanes behind `writen`, one for each thread |
//! | `entry`, `reserved`, `fill`, `detached` | an open reservation |
//! | `framed` | appends to a queue whose records have a framing |
//! | `reserve` | a reservation as a future |
//! | `pressure` | what policies ask about room, and count |
//! | `barrier`, `requests`, `completion`, `suspend` | waiting for written or durable data |
//! | `recorder` | a queue that writes nothing but dumps |
//! | `reopen` | continuing in another file |
//! | `registry`, `exit` | all queues of the process, its end, and fork(2) |
//! | `aside` | appends that bypass the ring |
//! | `async_append` | the simple interface: one appender, one descriptor |
//! | `inspect`, `ring_dump` | a look at a ring file from outside, and a copy of its records |

#[cfg(feature = "frames")]
mod align;
mod append;
mod aside;
pub mod async_append;
pub mod barrier;
mod begin;
mod completion;
mod delay;
mod detached;
#[cfg(feature = "frames")]
mod earlier;
mod entry;
mod exit;
mod fill;
mod found;
mod framed;
mod framing;
pub mod inspect;
mod lane;
mod loss_lines;
mod mend;
mod open;
mod opening;
mod options;
mod places;
mod pressure;
mod queue;
mod recorder;
pub mod registry;
mod reopen;
mod requests;
mod reserve;
mod reserved;
pub mod ring_dump;
mod ring_file;
mod suspend;
mod sync_every;
mod thread_lanes;
mod threads;
mod write;

pub use async_append::AsyncAppend;
pub use completion::{Completion, Notify};
pub use detached::Detached;
pub use entry::{Entry, LaneEntry};
pub use lane::Lane;
pub use options::Options;
pub use queue::Queue;
pub use recorder::{dump_all, dump_on_panic};
pub use registry::{flush_all, shutdown};
pub use reserve::Reserve;
#[cfg(any(alq_model, fuzzing))]
pub use suspend::sleep;
pub use suspend::suspend;
#[cfg(feature = "log")]
pub use write::with_text;
