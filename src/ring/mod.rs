//! Layer 3: the ring. Reserve, post, drain, survey, recover: the algorithm, without files, threads
//! or clocks. docs/ring.md explains the protocol as a whole; the comments here say what each step
//! guarantees.
//!
//! Any number of producers claim spans at the head, fill them in any order, and post them. One
//! drain takes the posted spans from the tail on, in the order of the claims.
//!
//! ```text
//!             tail                                     head
//!              |                                        |
//!   free       v   posted      open        lane         v      free
//!  ............[==========|-----------|=====|====.......]............   bytes
//!               span 8      span 9      span 10 (open)
//!
//!  slots:        8 closed 10  9 empty     10 open 9                     one for each span
//!
//!  =  posted   -  claimed, not posted   .  free, for the next claim or for the owner of the lane
//! ```
//!
//! What holds at every moment:
//!
//! 1. Each byte between the tail and the head belongs to one span, and each span to one owner: the
//!    producer until it has posted, the drain afterwards. The head moves only by compare-and-swap.
//! 2. The tail passes a byte only after the sink has taken it, or once it is certain that no owner
//!    will post it. The head is never more than the capacity ahead of the tail.
//! 3. A slot describes a span only while it carries the tag of the drain's own lap. At any other
//!    slot the drain stops; it never guesses.
//!
//! | file | what it owns |
//! |---|---|
//! | `progress` | a tail in two words that other threads read |
//! | `claims` | the line that every claim reads and writes: head, gate, end |
//! | `accounts` | the drain's progress and counts, and its tail |
//! | `activation`, `quiet` | which posted records the drain may write |
//! | `block`, `lanes` | the words of one lane, and the list of all lanes |
//! | `core` | the ring, which joins these |
//! | `reserve`, `reservation` | claim, fill, post |
//! | `lane` | the owner of a lane: many records in one span |
//! | `seal` | the drain's half of the handshake with lanes |
//! | `batch`, `read`, `drain` | walking the posted spans, reading their bytes, moving the tail |
//! | `recorder`, `overwrite` | a ring that overwrites its oldest records |
//! | `survey` | where a flush ends, and what is outstanding, as any thread sees it |
//! | `make`, `recover` | a new ring, or one that a process has left in a file |

mod accounts;
mod activation;
mod batch;
mod block;
mod claims;
mod core;
mod drain;
mod lane;
#[cfg(all(test, not(alq_model)))]
mod lane_tests;
mod lanes;
mod make;
mod overwrite;
mod progress;
mod quiet;
mod read;
mod recorder;
#[cfg(all(test, not(alq_model)))]
mod recorder_tests;
mod recover;
mod reservation;
mod reserve;
mod seal;
#[cfg(all(test, not(alq_model)))]
mod stress;
pub mod survey;
#[cfg(all(test, not(alq_model)))]
mod tests;

pub use self::core::Ring;
pub use claims::{Missed, Refusal};
pub use drain::{Copied, CopyStep, Drain, Drained, Holes};
pub use lane::Owner;
pub use recorder::Count;
pub use recover::{Found, find};
pub use reservation::Reservation;
pub use reserve::{Claim, Posted};
