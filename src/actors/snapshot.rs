//! The statistics of a queue, put together from the counters of all its parts.

use super::shared::Shared;
use crate::ends::Stats;
use crate::memory::Memory;
use crate::words::Error;

impl<M: Memory> Shared<M> {
    /// Returns why `bytes` were lost, if there are any.
    fn lost_to(&self, bytes: u64) -> Option<Error> {
        if bytes == 0 {
            return None;
        }
        self.failure().or_else(|| self.obstacle())
    }

    /// Returns a snapshot of all counters. In a child of fork(2) it covers the appends of that
    /// child only.
    pub fn stats(&self) -> Stats {
        if self.here().is_err() {
            return self.aside.stats();
        }
        let finished = self.has_finished();
        let (done, outstanding) = self.ring.outstanding();
        let late = self.ring.posted_too_late();
        let aside = self.aside.stats();
        let is_lost = finished && self.ring.journal().is_none(); // a ring file keeps it
        let left = |outstanding| if is_lost { outstanding } else { 0 };
        let lane_records_left = outstanding.lane_records + late.lane_records;
        let written_records =
            (done.records + outstanding.lane_records_posted).saturating_sub(lane_records_left);
        Stats {
            capacity_bytes: u64::from(self.ring.geometry().capacity()),
            fill_bytes: u64::from(self.ring.fill()),
            high_water_bytes: self.post_counts.high_water_bytes.get(),
            posted_bytes: done.bytes + outstanding.bytes + late.bytes + aside.posted_bytes,
            posted_records: written_records
                + outstanding.records
                + late.records
                + aside.posted_records,
            written_bytes: done.bytes + aside.written_bytes,
            written_records: written_records + aside.written_records,
            lost_bytes: left(outstanding.bytes) + late.bytes + aside.lost_bytes,
            lost_records: left(outstanding.records) + late.records + aside.lost_records,
            late_bytes: late.bytes,
            late_records: late.records,
            lost_to: self.lost_to(left(outstanding.bytes)),
            padding_bytes: done.padding,
            refused_records: self.post_counts.refused_records.get(),
            refused_bytes: self.post_counts.refused_bytes.get(),
            refused_for_lanes: self.post_counts.refused_for_lanes.get(),
            refused_for_stall: self.post_counts.refused_for_stall.get(),
            refused_for_failure: self.post_counts.refused_for_failure.get(),
            waits: self.post_counts.waits_now(),
            held: outstanding.held,
            oldest_held_bytes: outstanding.oldest_held_bytes,
            abandoned: done.abandoned,
            foreign: aside.foreign,
            lanes: outstanding.lanes,
            drains: self.drain_counts.drains.get(),
            wakeups: self.drain_counts.wakeups.get(),
            stalled: self.stall(),
            repeated: self.drain_counts.repeated.get(),
            loss_line_bytes: self.drain_counts.loss_line_bytes.get(),
            last_error: self.failure_so_far(),
        }
    }
}
