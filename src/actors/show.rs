//! Statistics that a queue writes into its ring file, so that another process can read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::intake::Intake;
use super::outcome::Outcome;
use crate::ends::Aside;
use crate::memory::Memory;
use crate::ring::Count;
use crate::words::{Live, Reason};

/// Stores the statistics of a queue in its ring file, if it has one. For the flusher.
pub(super) fn show<M: Memory>(intake: &Intake<M>, outcome: &Outcome, aside: &Aside) {
    let Some(journal) = intake.ring.journal() else {
        return;
    };
    let stall = intake.trouble.standstill.stall();
    match stall.and_then(|_| aside.own_stall_reason()) {
        Some(text) => journal.note_reason(&Reason {
            write_began_ns: 0,
            text,
        }),
        None => journal.forget_reason(),
    }
    let age = stall.map_or(Duration::ZERO, |stall| stall.age);
    let failure = intake.trouble.failure();
    let (posted, drained) = (&intake.counts, &outcome.counts);
    let waits = posted.waits_now();
    let refused = posted.refused.now().total();
    let done = intake.ring.accounts();
    let written = if intake.ring.is_recorder() {
        intake.ring.recorded().1 // what was overwritten counts as taken, and is not written
    } else {
        Count {
            bytes: done.bytes - done.lost_bytes,
            records: (intake.ring.written_records()).saturating_sub(done.lost_records),
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    journal.show(&Live {
        shown_ns: now.unwrap_or_default().as_nanos() as u64,
        written_bytes: written.bytes,
        refused_records: refused.records,
        refused_bytes: refused.bytes,
        drains: drained.drains.get(),
        high_water_bytes: posted.high_water_bytes.get(),
        stall_errno: stall.map_or(0, |stall| stall.errno.unsigned_abs()),
        stall_ns: age.as_nanos() as u64,
        failure_errno: failure.map_or(0, |error| error.errno().unsigned_abs()),
        written_records: written.records,
        waits: waits.writen_turn + waits.writen_room + waits.getn_turn + waits.getn_room,
        longest_wait_ns: waits.longest.as_nanos() as u64,
        wakeups: drained.wakeups.get(),
        syncs: outcome.syncs.now().done,
        ..Live::default()
    });
}
