//! `struct alq_options`.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use alq::{Framing, Idle, Options, SyncPolicy};
use libc::{mode_t, timespec};

use crate::arguments::{duration, needed_duration, path_of};
use crate::handle::Table;
use crate::hook::{Hook, Target};
use crate::loss_lines;
use crate::stats::AlqRefused;

/// The options of a queue.
#[derive(Clone)]
pub struct AlqOptions {
    pub options: Options,
    pub on_error: Option<Target>,
    /// The length of each record, on a queue of fixed records.
    pub entry_len: Option<c_int>,
}

/// All options that were not freed.
pub static OPTIONS: Table<AlqOptionsCell> = Table::new();

/// Options that setters change. The header requires that one thread at a time uses them.
pub struct AlqOptionsCell(std::cell::UnsafeCell<AlqOptions>);

// SAFETY: one thread at a time uses them (see above).
unsafe impl Sync for AlqOptionsCell {}

impl AlqOptions {
    pub fn new() -> Self {
        Self {
            options: Options::new(),
            on_error: None,
            entry_len: None,
        }
    }

    /// Returns the options of a queue, and the hook that gets its errors.
    pub fn with_hook(self) -> (Options, Option<Arc<Hook>>) {
        let Some(target) = self.on_error else {
            return (self.options, None);
        };
        let hook = Arc::new(Hook::new(target));
        let called = Arc::clone(&hook);
        let options = self.options.on_error(move |report| {
            let is_over = report.stall_ended.is_some();
            let errno = if is_over { 0 } else { report.error.errno() };
            called.call(errno, &report.to_string());
        });
        (options, Some(hook))
    }

    /// Returns the options of a handle; the defaults for `NULL`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a handle that is not open.
    ///
    /// # Safety
    ///
    /// As the header requires of `options`.
    pub unsafe fn of(options: *const AlqOptionsCell) -> Result<Self, c_int> {
        if options.is_null() {
            return Ok(Self::new());
        }
        // SAFETY: this function has the same requirement.
        let cell = unsafe { OPTIONS.get(options) }.ok_or(libc::EINVAL)?;
        // SAFETY: one thread at a time uses them, and this is that thread.
        Ok(unsafe { &*cell.0.get() }.clone())
    }
}

/// Changes the options of a handle. Returns 0, or `EINVAL` for a handle that is not open.
///
/// # Safety
///
/// As the header requires of `options`.
pub unsafe fn set(options: *mut AlqOptionsCell, change: impl FnOnce(Options) -> Options) -> c_int {
    // SAFETY: this function has the same requirement.
    unsafe { set_all(options, |all| all.options = change(all.options.clone())) }
}

/// # Safety
///
/// As [`set`].
unsafe fn set_all(options: *mut AlqOptionsCell, change: impl FnOnce(&mut AlqOptions)) -> c_int {
    // SAFETY: this function has the same requirement.
    let Some(cell) = (unsafe { OPTIONS.get(options) }) else {
        return libc::EINVAL;
    };
    // SAFETY: one thread at a time uses them, and this is that thread.
    change(unsafe { &mut *cell.0.get() });
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn alq_options_new() -> *mut AlqOptionsCell {
    OPTIONS.insert(AlqOptionsCell(
        std::cell::UnsafeCell::new(AlqOptions::new()),
    ))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_free(options: *mut AlqOptionsCell) {
    // SAFETY: the header requires it.
    drop(unsafe { OPTIONS.remove(options) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_capacity(options: *mut AlqOptionsCell, bytes: usize) -> c_int {
    let change = |all: &mut AlqOptions| {
        all.options = all.options.clone().fixed(bytes, 0);
        all.entry_len = None;
    };
    // SAFETY: the header requires it.
    unsafe { set_all(options, change) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_fixed(
    options: *mut AlqOptionsCell,
    entry_len: usize,
    count: usize,
) -> c_int {
    let Ok(len) = c_int::try_from(entry_len) else {
        return libc::EINVAL;
    };
    let change = |all: &mut AlqOptions| {
        all.options = all.options.clone().fixed(entry_len, count);
        all.entry_len = (count > 0).then_some(len);
    };
    // SAFETY: the header requires it.
    unsafe { set_all(options, change) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_ordered(
    options: *mut AlqOptionsCell,
    ordered: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.ordered(ordered != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_mode(options: *mut AlqOptionsCell, mode: mode_t) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.mode(mode)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_follow_links(
    options: *mut AlqOptionsCell,
    follow: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.follow_links(follow != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_stall_limit(
    options: *mut AlqOptionsCell,
    limit: *const timespec,
) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { duration(limit) } {
        // SAFETY: the header requires it.
        Ok(limit) => unsafe { set(options, |all| all.stall_limit(limit)) },
        Err(errno) => errno,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_max_delay(
    options: *mut AlqOptionsCell,
    delay: *const timespec,
) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { needed_duration(delay) } {
        // SAFETY: the header requires it.
        Ok(delay) => unsafe { set(options, |all| all.max_delay(delay)) },
        Err(errno) => errno,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_idle(options: *mut AlqOptionsCell, idle: c_int) -> c_int {
    let idle = match idle {
        0 => Idle::Park,
        1 => Idle::Nap,
        2 => Idle::Spin,
        _ => return libc::EINVAL,
    };
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.idle(idle)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_loss_lines(
    options: *mut AlqOptionsCell,
    every: *const timespec,
) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { needed_duration(every) } {
        // SAFETY: the header requires it.
        Ok(every) => unsafe { set(options, |all| all.loss_lines(every)) },
        Err(errno) => errno,
    }
}

/// The framings, in the order of their numbers in the header.
fn framing_of(number: c_int, len: usize) -> Option<Framing> {
    Some(match number {
        0 => Framing::Raw,
        1 => Framing::Lines,
        2 => Framing::Fixed(len),
        3 => Framing::Lengths,
        4 => Framing::Checked,
        _ => return None,
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_framing(
    options: *mut AlqOptionsCell,
    framing: c_int,
    len: usize,
) -> c_int {
    let Some(framing) = framing_of(framing, len) else {
        return libc::EINVAL;
    };
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.framing(framing)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_keep_torn(options: *mut AlqOptionsCell, keep: c_int) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.keep_torn(keep != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_chain(
    options: *mut AlqOptionsCell,
    key: *const c_void,
    len: usize,
) -> c_int {
    if key.is_null() || len != 32 {
        return libc::EINVAL;
    }
    // SAFETY: the header requires `len` bytes there.
    let key = unsafe { key.cast::<[u8; 32]>().read() };
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.chain(key)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_stamps(options: *mut AlqOptionsCell, stamps: c_int) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.stamps(stamps != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_end_torn_line(
    options: *mut AlqOptionsCell,
    end: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.end_torn_line(end != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_loss_lines_with(
    options: *mut AlqOptionsCell,
    every: *const timespec,
    // Written out, so that the header test sees the full type.
    format: Option<
        unsafe extern "C" fn(*const AlqRefused, *mut c_char, usize, *mut c_void) -> usize,
    >,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { needed_duration(every) } {
        // SAFETY: the header requires it.
        Ok(every) => unsafe { set(options, |all| loss_lines::set(all, every, format, arg)) },
        Err(errno) => errno,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_refuse_when_stalled(
    options: *mut AlqOptionsCell,
    refuse: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.refuse_when_stalled(refuse != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_sync_every(
    options: *mut AlqOptionsCell,
    ms: u64,
    bytes: u64,
) -> c_int {
    if ms == 0 && bytes == 0 {
        return libc::EINVAL;
    }
    let mut policy = SyncPolicy::new();
    if ms > 0 {
        policy = policy.time(Duration::from_millis(ms));
    }
    if bytes > 0 {
        policy = policy.bytes(bytes);
    }
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.sync_every(policy)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_outstanding_max(
    options: *mut AlqOptionsCell,
    requests: usize,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.outstanding_max(requests)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_lane_span(
    options: *mut AlqOptionsCell,
    bytes: usize,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.lane_span(bytes)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_thread_lanes(
    options: *mut AlqOptionsCell,
    on: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.thread_lanes(on != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_ring_file(
    options: *mut AlqOptionsCell,
    file: *const c_char,
) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { path_of(file) } {
        // SAFETY: the header requires it.
        Ok(path) => unsafe { set(options, |all| all.ring_file(path)) },
        Err(errno) => errno,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_other_log(
    options: *mut AlqOptionsCell,
    other: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.other_log(other != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_ring_optional(
    options: *mut AlqOptionsCell,
    optional: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.ring_optional(optional != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_ring_on_disk(
    options: *mut AlqOptionsCell,
    on_disk: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.ring_on_disk(on_disk != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_on_error(
    options: *mut AlqOptionsCell,
    // Written out and not as `Callback`, so that the header test sees the full type.
    callback: Option<unsafe extern "C" fn(*mut c_void, c_int, *const c_char)>,
    arg: *mut c_void,
) -> c_int {
    let target = callback.map(|callback| Target { callback, arg });
    // SAFETY: the header requires it.
    unsafe { set_all(options, |all| all.on_error = target) }
}
