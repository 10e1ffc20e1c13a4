//! `struct alq_lane`: fast appends for one producer.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr;

use alq::Lane;

use crate::append::{append_status, flags_of, record};
use crate::errors::{set_errno, through_errno};
use crate::handle::Table;
use crate::queue::{Alq, QUEUES};

/// A lane that a C handle refers to. The header requires that one thread at a time uses it.
pub struct AlqLane(UnsafeCell<Lane>);

// SAFETY: one thread at a time uses it (see above), and a lane may move between threads.
unsafe impl Sync for AlqLane {}

static LANES: Table<AlqLane> = Table::new();

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_lane_open(alq: *mut Alq) -> *mut AlqLane {
    // SAFETY: the header requires it.
    let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
        set_errno(libc::EINVAL);
        return ptr::null_mut();
    };
    LANES.insert(AlqLane(UnsafeCell::new(alq.queue.lane())))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_lane_writen(
    lane: *mut AlqLane,
    data: *const c_void,
    len: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    let (lane, record) = (unsafe { LANES.get(lane) }, unsafe { record(data, len) });
    let (Some(AlqLane(lane)), Some(record), Some(flags)) = (lane, record, flags_of(flags)) else {
        return libc::EINVAL;
    };
    // SAFETY: one thread at a time uses the lane, and this is that thread.
    append_status(unsafe { &mut *lane.get() }.writen(record, flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_lane_seal(lane: *mut AlqLane) {
    through_errno(|| {
        // SAFETY: the header requires it.
        let Some(AlqLane(lane)) = (unsafe { LANES.get(lane) }) else {
            return libc::EINVAL;
        };
        // SAFETY: one thread at a time uses the lane, and this is that thread.
        unsafe { &mut *lane.get() }.seal();
        0
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_lane_close(lane: *mut AlqLane) {
    // SAFETY: the header requires it.
    through_errno(|| match unsafe { LANES.remove(lane) } {
        Some(_) => 0,
        None => libc::EINVAL,
    });
}
