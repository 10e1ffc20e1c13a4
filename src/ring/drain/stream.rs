//! Where the bytes that the sink has taken stand in the stream: a record that starts again, bytes
//! that an earlier process has written, and positions without bytes.

use std::io::IoSlice;

use super::super::batch::{Batch, Limit, RUNS_MAX};
use super::super::core::Ring;
use super::{Drain, Holes};
use crate::memory::Memory;

impl Drain {
    /// From now on, a step hands out one run at a time, and only a run that starts at `position`,
    /// then where that one ended, and so on. If the next one starts elsewhere, the step returns
    /// [`Apart`](super::Drained::Apart). For a sink that must note positions without bytes.
    pub fn follow(&mut self, position: u64) {
        self.follows = Some(position);
    }

    /// Returns where the next run must start.
    #[cfg(feature = "frames")]
    pub fn follows(&self) -> u64 {
        self.follows.unwrap_or(self.cursor.pos)
    }

    /// Returns where `batch` starts, if that does not follow.
    pub(super) fn apart(&self, batch: &Batch) -> Option<u64> {
        let follows = self.follows?;
        let start = batch.runs[0].pos;
        (batch.bytes > 0 && self.done.ahead == 0 && start != follows).then_some(start)
    }

    /// Notes that the sink has taken the first `bytes` of `batch`.
    pub(super) fn followed(&mut self, batch: &Batch, bytes: u32) {
        if let Some(follows) = &mut self.follows {
            *follows = batch.runs[0].pos + u64::from(bytes);
        }
    }

    pub(super) fn runs_max(&self) -> usize {
        self.follows.map_or(RUNS_MAX, |_| 1)
    }

    /// Starts the partly written record again from its first byte, because another file must get
    /// all of it. Returns how many bytes are then written twice.
    pub fn restart<M: Memory>(&mut self, ring: &Ring<M>) -> u32 {
        let ahead = core::mem::take(&mut self.done.ahead);
        self.is_within &= self.cuts_records; // a record that was cut continues where it was cut
        if ahead > 0 {
            self.done.bytes -= u64::from(ahead);
            ring.drained.publish(&self.done);
        }
        ahead
    }

    /// Moves past the next `bytes` posted bytes, a record that the sink cannot take: it is lost.
    pub fn lose<M: Memory>(&mut self, ring: &Ring<M>, bytes: u32, holes: Holes) {
        self.done.lost_bytes += u64::from(bytes);
        self.done.lost_records += 1;
        self.take(ring, self.done.ahead + bytes, holes);
    }

    /// Moves past bytes that a killed process has written without recording it. `written` gets the
    /// next `bytes` posted bytes and returns how many of them the log holds, or `None` if that is
    /// unknown. Returns how many bytes were compared, and the answer, limited to that number.
    pub fn pass_written<M: Memory>(
        &mut self,
        ring: &Ring<M>,
        bytes: u32,
        written: impl FnOnce(&[IoSlice<'_>]) -> Option<usize>,
    ) -> (u32, Option<u32>) {
        let batch = self.walk(ring, Limit::Exactly(bytes), Holes::Wait);
        let written = written(&ring.slices(&batch)[..batch.count]);
        let written = written.map(|written| batch.bytes.min(written as u32));
        if let Some(written @ 1..) = written {
            self.take(ring, written, Holes::Wait);
        }
        (batch.bytes, written)
    }
}
