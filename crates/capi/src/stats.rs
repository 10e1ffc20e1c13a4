//! `struct alq_stats` and `struct alq_recovery`.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alq::{Error, Recovery, Refusals, Stats};

use crate::queue::{Alq, QUEUES};

/// The members of the C struct, in the order of the header. New members are added at the end.
#[repr(C)]
pub struct AlqStats {
    pub capacity_bytes: u64,
    pub fill_bytes: u64,
    pub high_water_bytes: u64,
    pub posted_bytes: u64,
    pub posted_records: u64,
    pub written_bytes: u64,
    pub written_records: u64,
    pub lost_bytes: u64,
    pub lost_records: u64,
    pub late_bytes: u64,
    pub late_records: u64,
    pub padding_bytes: u64,
    pub refused_bytes: u64,
    pub refused_records: u64,
    pub refused_for_lanes: u64,
    pub waits_writen_turn: u64,
    pub waits_writen_room: u64,
    pub waits_getn_turn: u64,
    pub waits_getn_room: u64,
    pub longest_wait_ns: u64,
    pub held: u64,
    pub oldest_held_bytes: u64,
    pub abandoned: u64,
    pub foreign: u64,
    pub lanes: u64,
    pub drains: u64,
    pub wakeups: u64,
    pub repeated_bytes: u64,
    pub loss_line_bytes: u64,
    pub stalled_ns: u64,
    pub stalled_errno: i32,
    pub last_errno: i32,
    pub lost_errno: i32,
    pub reserved: i32,
    pub refused_for_stall: u64,
    pub refused_for_failure: u64,
    pub clamped_records: u64,
    pub syncs: u64,
    pub sync_failures: u64,
    pub longest_sync_ns: u64,
    pub synced_bytes: u64,
    pub refused_full: u64,
    pub refused_timed_out: u64,
    pub refused_headroom: u64,
    pub refused_held: u64,
    pub refused_too_large: u64,
    pub refused_closed: u64,
    pub refused_forked: u64,
    pub discarded_bytes: u64,
    pub discarded_records: u64,
    pub too_long_bytes: u64,
    pub too_long_records: u64,
    pub overwritten_bytes: u64,
    pub overwritten_records: u64,
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn errno(error: Option<&Error>) -> i32 {
    error.map_or(0, Error::errno)
}

impl From<Stats> for AlqStats {
    fn from(stats: Stats) -> Self {
        Self {
            capacity_bytes: stats.capacity_bytes,
            fill_bytes: stats.fill_bytes,
            high_water_bytes: stats.high_water_bytes,
            posted_bytes: stats.posted_bytes,
            posted_records: stats.posted_records,
            written_bytes: stats.written_bytes,
            written_records: stats.written_records,
            lost_bytes: stats.lost_bytes,
            lost_records: stats.lost_records,
            late_bytes: stats.late_bytes,
            late_records: stats.late_records,
            padding_bytes: stats.padding_bytes,
            refused_bytes: stats.refused_bytes,
            refused_records: stats.refused_records,
            refused_for_lanes: stats.refused_for_lanes,
            waits_writen_turn: stats.waits.writen_turn,
            waits_writen_room: stats.waits.writen_room,
            waits_getn_turn: stats.waits.getn_turn,
            waits_getn_room: stats.waits.getn_room,
            longest_wait_ns: nanoseconds(stats.waits.longest),
            held: stats.held,
            oldest_held_bytes: stats.oldest_held_bytes,
            abandoned: stats.abandoned,
            foreign: stats.foreign,
            lanes: stats.lanes,
            drains: stats.drains,
            wakeups: stats.wakeups,
            repeated_bytes: stats.repeated_bytes,
            loss_line_bytes: stats.loss_line_bytes,
            stalled_ns: stats
                .stalled
                .as_ref()
                .map_or(0, |stall| nanoseconds(stall.age)),
            stalled_errno: stats.stalled.as_ref().map_or(0, |stall| stall.errno),
            last_errno: errno(stats.last_error.as_ref()),
            lost_errno: errno(stats.lost_to.as_ref()),
            reserved: 0,
            refused_for_stall: stats.refused_for_stall,
            refused_for_failure: stats.refused.failed.records,
            clamped_records: 0,
            syncs: stats.syncs.done,
            sync_failures: stats.syncs.failed,
            longest_sync_ns: nanoseconds(stats.syncs.longest),
            synced_bytes: stats.syncs.synced_bytes,
            refused_full: stats.refused.full.records,
            refused_timed_out: stats.refused.timed_out.records,
            refused_headroom: stats.refused.headroom.records,
            refused_held: stats.refused.held.records,
            refused_too_large: stats.refused.too_large.records,
            refused_closed: stats.refused.closed.records,
            refused_forked: stats.refused.forked.records,
            discarded_bytes: stats.discarded_bytes,
            discarded_records: stats.discarded_records,
            too_long_bytes: stats.too_long_bytes,
            too_long_records: stats.too_long_records,
            overwritten_bytes: stats.overwritten_bytes,
            overwritten_records: stats.overwritten_records,
        }
    }
}

/// What a loss line reports: the members of the C struct, in the order of the header. New members
/// are added at the end.
#[repr(C)]
pub struct AlqRefused {
    pub records: u64,
    pub bytes: u64,
    pub full: u64,
    pub timed_out: u64,
    pub headroom: u64,
    pub held: u64,
    pub too_large: u64,
    pub failed: u64,
    pub closed: u64,
    pub forked: u64,
    pub discarded: u64,
}

impl From<&Refusals> for AlqRefused {
    fn from(refused: &Refusals) -> Self {
        let total = refused.total();
        Self {
            records: total.records,
            bytes: total.bytes,
            full: refused.full.records,
            timed_out: refused.timed_out.records,
            headroom: refused.headroom.records,
            held: refused.held.records,
            too_large: refused.too_large.records,
            failed: refused.failed.records,
            closed: refused.closed.records,
            forked: refused.forked.records,
            discarded: refused.discarded.records,
        }
    }
}

/// What the queue found in its ring file: the members of the C struct, in the order of the header.
/// New members are added at the end.
#[repr(C)]
pub struct AlqRecovery {
    pub bytes: u64,
    pub spans: u64,
    pub skipped: u64,
    pub already_written: u64,
    pub possibly_repeated: u64,
    pub damaged: u64,
    pub dumped: u64,
    pub discarded: u64,
}

impl From<&Recovery> for AlqRecovery {
    fn from(found: &Recovery) -> Self {
        Self {
            bytes: found.bytes,
            spans: found.spans,
            skipped: found.skipped_entries,
            already_written: found.already_written_bytes,
            possibly_repeated: found.possibly_repeated_bytes,
            damaged: found.damaged_slots,
            dumped: found.dumped_bytes,
            discarded: found.discarded_bytes,
        }
    }
}

/// Copies a struct to a caller whose version of it has `size` bytes: cuts it if the caller's is
/// shorter, and fills the rest with zeros if the caller's is longer.
///
/// # Safety
///
/// `T` must have no padding, and `to` must be `NULL` or valid for writes of `size` bytes (`size`
/// may differ from the size of `T`).
pub unsafe fn copy_out<T>(from: &T, to: *mut T, size: usize) -> c_int {
    if to.is_null() || size == 0 {
        return libc::EINVAL;
    }
    let known = size.min(size_of::<T>());
    let to: *mut u8 = to.cast();
    // SAFETY: `known` is at most the size of either side.
    unsafe { ptr::copy_nonoverlapping(ptr::from_ref(from).cast(), to, known) };
    // SAFETY: as above.
    let rest = unsafe { to.add(known) };
    // SAFETY: as above.
    unsafe { rest.write_bytes(0, size - known) };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_get_stats(
    alq: *const Alq,
    stats: *mut AlqStats,
    size: usize,
) -> c_int {
    // SAFETY: the header requires it.
    let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
        return libc::EINVAL;
    };
    let now = AlqStats {
        clamped_records: alq.entries.clamped.load(Ordering::Relaxed), // Relaxed: only a counter
        ..AlqStats::from(alq.queue.stats())
    };
    // SAFETY: the header requires it; the members have 64 bits, or 32 bits in pairs: no padding.
    unsafe { copy_out(&now, stats, size) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_get_recovery(
    alq: *const Alq,
    recovery: *mut AlqRecovery,
    size: usize,
) -> c_int {
    // SAFETY: the header requires it.
    let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
        return libc::EINVAL;
    };
    match alq.queue.recovery() {
        // SAFETY: the header requires it; all members have 64 bits, so there is no padding.
        Some(found) => unsafe { copy_out(&AlqRecovery::from(found), recovery, size) },
        None => libc::ENOENT,
    }
}
