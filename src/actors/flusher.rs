//! The flusher as a step function: one look at the ring, at most one write, no clock, no sleep, no thread.

use std::io;

use super::shared::{Last, Shared};
use crate::ends::Sink;
use crate::memory::Memory;
use crate::primitives::Interest;
use crate::primitives::sync::Arc;
use crate::ring::{Drain, Drained, Holes};
use crate::words::{Error, Operation};

/// What one step came to, and so what the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The tail has moved.
    Moved {
        /// Bytes that were written.
        bytes: u32,
        /// Whether more is known to wait.
        more: bool,
    },
    /// The write was interrupted: step again.
    Again,
    /// The sink takes nothing now: wait until it does.
    Busy,
    /// The next span is reserved and not posted.
    Blocked {
        /// Its sequence.
        seq: u32,
    },
    /// All that was claimed is written.
    Empty,
    /// The sink has failed; what is posted stays in the ring.
    Failed,
    /// The queue is closed and there is nothing left to do.
    Finished,
}

/// The drain of one queue and the sink that it fills.
#[derive(Debug)]
pub struct Flusher<M, S> {
    pub(super) shared: Arc<Shared<M>>,
    pub(super) sink: S,
    drain: Drain,
    batch_limit: u32,
}

/// A step writes a quarter of the ring at most, so that room comes back while there is more to write; and no more
/// than this, beyond which write(2) gets no cheaper.
const BATCH_MAX: u32 = 1 << 20;

/// Below this capacity a step may write the whole ring.
const SMALL_RING: u32 = 1 << 16;

impl<M: Memory, S: Sink> Flusher<M, S> {
    pub fn new(shared: Arc<Shared<M>>, drain: Drain, sink: S) -> Self {
        let capacity = shared.ring.geometry().capacity();
        let batch_limit = if capacity <= SMALL_RING {
            capacity
        } else {
            (capacity / 4).min(BATCH_MAX)
        };
        Self {
            shared,
            sink,
            drain,
            batch_limit,
        }
    }

    /// Looks at the ring once and writes what is there, up to a bound.
    pub fn step(&mut self) -> Step {
        let shared = &*self.shared;
        let holes = match shared.last() {
            Last::Drain => Holes::Wait,
            Last::StepOver => Holes::StepOver,
            Last::Stop => return Step::Finished,
        };
        if shared.failure().is_some() {
            return match shared.ring.ended() {
                Some(_) => Step::Finished,
                None => Step::Failed,
            };
        }
        if shared.take_room_given() {
            shared.room_came();
        }
        let fill = u64::from(shared.ring.fill());
        if fill > shared.post_counts.high_water_bytes.get() {
            shared.post_counts.high_water_bytes.raise(fill);
        }
        let sink = &self.sink;
        let drained = self
            .drain
            .step(&shared.ring, self.batch_limit, holes, |runs| {
                shared.set_blocked(false); // from here on it is the sink that is waited for
                match sink.write(runs)? {
                    0 => Err(io::ErrorKind::WriteZero.into()),
                    taken => Ok(taken),
                }
            });
        match drained {
            Ok(Drained::Moved { bytes, more }) => {
                shared.drain_counts.drains.add_alone(u64::from(bytes > 0));
                shared.room_came();
                shared.settle();
                shared.durability.look();
                Step::Moved { bytes, more }
            }
            Ok(Drained::Blocked { seq }) => Step::Blocked { seq },
            Ok(Drained::Empty) => self.empty(),
            Err(error) => self.failed(&error),
        }
    }

    /// The last look before sleeping for `interest`: whether it has come already.
    ///
    /// For `Any` a claim is enough. Behind one that stays open there may be posts that were made while the flusher
    /// was still awake; it must sleep for that sequence then, not for any.
    pub fn is_due(&self, interest: Interest) -> bool {
        match interest {
            Interest::Sequence(_) => self.drain.is_posted(&self.shared.ring),
            Interest::Any => self.drain.is_behind(&self.shared.ring),
            Interest::Nothing | Interest::Mark => false,
        }
    }

    /// The drain has caught up with the head. Only when it has also reached the end of a closed ring is it done:
    /// claims that came before the end may have come after the look.
    fn empty(&self) -> Step {
        match self.shared.ring.ended() {
            Some(end) if self.drain.has_reached(end) => Step::Finished,
            _ => Step::Empty,
        }
    }

    fn failed(&self, error: &io::Error) -> Step {
        match error.kind() {
            io::ErrorKind::Interrupted => Step::Again,
            io::ErrorKind::WouldBlock => Step::Busy,
            _ => {
                let errno = Error::io(Operation::Write, error).raw_os_error();
                self.shared.fail(Operation::Write, errno);
                Step::Failed
            }
        }
    }
}
