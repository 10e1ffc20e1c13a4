//! Statistics that a queue writes into its ring file, so that another process can read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::shared::Shared;
use crate::memory::Memory;
use crate::words::Live;

impl<M: Memory> Shared<M> {
    /// Stores the statistics of the queue in its ring file, if it has one. For the flusher.
    pub fn show(&self) {
        let Some(journal) = self.ring.journal() else {
            return;
        };
        let stall = self.standstill.stall();
        let age = stall.map_or(Duration::ZERO, |stall| stall.age);
        let failure = self.failure();
        let waits = self.post_counts.waits_now();
        let written_bytes = self.ring.accounts().bytes;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        journal.show(&Live {
            shown_ns: now.unwrap_or_default().as_nanos() as u64,
            written_bytes,
            refused_records: self.post_counts.refused_records.get(),
            refused_bytes: self.post_counts.refused_bytes.get(),
            drains: self.drain_counts.drains.get(),
            high_water_bytes: self.post_counts.high_water_bytes.get(),
            stall_errno: stall.map_or(0, |stall| stall.errno.unsigned_abs()),
            stall_ns: age.as_nanos() as u64,
            failure_errno: failure.map_or(0, |error| error.errno().unsigned_abs()),
            written_records: self.ring.written_records(),
            waits: waits.writen_turn + waits.writen_room + waits.getn_turn + waits.getn_room,
            longest_wait_ns: waits.longest.as_nanos() as u64,
            wakeups: self.drain_counts.wakeups.get(),
            ..Live::default()
        });
    }
}
