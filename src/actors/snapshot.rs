//! The statistics of a queue, put together from the counters of all its parts.

use super::intake::Intake;
use super::outcome::Outcome;
use crate::ends::{Amount, Aside, Stall, Stats};
use crate::memory::Memory;

/// Returns a snapshot of all counters, in the process that created the queue.
pub(super) fn of<M: Memory>(intake: &Intake<M>, outcome: &Outcome, aside: &Aside) -> Stats {
    let finished = outcome.has_finished();
    let (ring, trouble) = (&intake.ring, &intake.trouble);
    let (posted, drained) = (&intake.counts, &outcome.counts);
    let (done, outstanding) = ring.outstanding();
    let late = ring.posted_too_late();
    let stalled = trouble.stall().map(|stall| Stall {
        errno: stall.errno,
        age: stall.age,
        reason: aside.stall_reason(stall.errno, stall.is_hung),
    });
    let aside = aside.stats();
    let mut refused = posted.refused.now().plus(&aside.refused);
    refused.discarded = Amount::default(); // these were posted
    let discarded = drained.discarded();
    // A ring file keeps it, and a recorder has not lost what it was not asked for.
    let is_lost = finished && ring.journal().is_none() && !ring.is_recorder();
    let left = |outstanding| if is_lost { outstanding } else { 0 };
    let lost_to = || trouble.failure().or_else(|| outcome.obstacle());
    let overwritten = ring.recorded().0;
    let gone_bytes = discarded.bytes + done.lost_bytes;
    let gone_records = discarded.records + done.lost_records;
    let lane_records_left = outstanding.lane_records + late.lane_records;
    let written_records =
        (done.records + outstanding.lane_records_posted).saturating_sub(lane_records_left);
    Stats {
        capacity_bytes: u64::from(ring.geometry().capacity()),
        fill_bytes: u64::from(ring.fill()),
        high_water_bytes: posted.high_water_bytes.get(),
        posted_bytes: done.bytes + outstanding.bytes + late.bytes + aside.posted_bytes,
        posted_records: written_records + outstanding.records + late.records + aside.posted_records,
        written_bytes: done.bytes.saturating_sub(overwritten.bytes + gone_bytes)
            + aside.written_bytes,
        written_records: written_records.saturating_sub(overwritten.records + gone_records)
            + aside.written_records,
        overwritten_bytes: overwritten.bytes,
        overwritten_records: overwritten.records,
        lost_bytes: left(outstanding.bytes) + late.bytes + gone_bytes + aside.lost_bytes,
        lost_records: left(outstanding.records) + late.records + gone_records + aside.lost_records,
        late_bytes: late.bytes,
        late_records: late.records,
        discarded_bytes: discarded.bytes,
        discarded_records: discarded.records,
        too_long_bytes: done.lost_bytes,
        too_long_records: done.lost_records,
        lost_to: (left(outstanding.bytes) > 0).then(lost_to).flatten(),
        padding_bytes: done.padding,
        refused_records: refused.total().records,
        refused_bytes: refused.total().bytes,
        refused,
        refused_for_lanes: posted.refused_for_lanes.get(),
        refused_for_stall: posted.refused_for_stall.get(),
        waits: posted.waits_now(),
        held: outstanding.held,
        oldest_held_bytes: outstanding.oldest_held_bytes,
        abandoned: done.abandoned,
        foreign: aside.foreign,
        lanes: outstanding.lanes,
        drains: drained.drains.get(),
        wakeups: drained.wakeups.get(),
        stalled,
        repeated_bytes: drained.repeated_bytes.get(),
        loss_line_bytes: drained.loss_line_bytes.get(),
        syncs: outcome.syncs.now(),
        last_error: intake.failure_so_far(),
    }
}
