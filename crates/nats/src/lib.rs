//! Drains an [`alq::Queue`] into a subject of NATS JetStream: each record gets into the stream once
//! and in order, whatever is killed.
//!
//! ```no_run
//! use alq::{Flags, Framing, Options};
//! use alq_nats::{NatsSink, Target};
//!
//! let target = Target::new("nats://10.0.0.1,nats://10.0.0.2,nats://10.0.0.3")
//!     .stream("logs")
//!     .subject("logs.app")
//!     .create(3);
//! let queue = Options::new()
//!     .capacity(alq_nats::ring_capacity(3_000_000)) // outlasts the loss of a server at 3 MB/s
//!     .framing(Framing::Lines)
//!     .ring_file("/run/app/ring")
//!     .open_sink(NatsSink::connect(target)?)?;
//! queue.writen(b"a record", Flags::WAITOK)?;
//! queue.close(None)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! docs/shipping.md in the repository says how to begin, how large the ring must be, and what is
//! lost when. The feature `tool` builds the program `alq-nats`, which appends standard input.
//!
//! # Messages
//!
//! With [`Packing::Records`] a message is a line without its newline, and with [`Packing::Run`] it
//! is many lines with theirs. The last message of each publish also has:
//!
//! | header | content |
//! |---|---|
//! | `Alq-End` | the length of the log in bytes, up to the end of this message, with newlines |
//! | `Alq-Write` | a random number of the publish, in hexadecimal: the same if it is repeated |
//! | `Alq-Writer` | the identity of the ring file, or a random number for a queue without one |
//! | `Alq-More` | `1`: the record continues in the next message. Any message may have it |
//!
//! # How a record gets there once
//!
//! - Each publish, a message or an atomic batch, has `Nats-Expected-Last-Subject-Sequence`. So of
//!   all attempts at one place the leader of the stream accepts one.
//! - Before each publish, the queue notes in its ring file where it begins: the number of the last
//!   message, `Alq-End` and the next `Alq-Write`. So what arrives late is what was noted, or is
//!   refused.
//! - After an error or a time-out, and after a restart, the sink asks the leader for the last
//!   message of the subject. If it has the number of the write, `Alq-End` says how much arrived;
//!   otherwise nothing has. An answer that is out of date is harmless, because the next publish is
//!   then refused.

mod contact;
mod error;
mod mark;
mod pack;
mod session;
mod settings;
mod sink;
mod sizing;
mod target;

pub use async_nats;
pub use error::Error;
pub use sink::NatsSink;
pub use sizing::ring_capacity;
pub use target::{Packing, Target};
