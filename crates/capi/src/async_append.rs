//! The calls of `async-append.h`, and a way to read the first error of an appender.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alq::{AsyncAppend, Error};

use crate::arguments::borrow;
use crate::errors::{complain, set_errno, through_errno};
use crate::handle::Table;
use crate::hook::Hook;
use crate::options::{AlqOptions, AlqOptionsCell};
use crate::stats::{AlqStats, copy_out};

/// An appender that a C handle refers to. The header requires that one thread at a time uses it.
pub struct Appender(UnsafeCell<State>);

struct State {
    appender: AsyncAppend<'static>,
    hook: Option<Arc<Hook>>,
    /// The first error since the last call of `async_append_error`, or 0.
    error: c_int,
    /// When standard error last got a line about dropped writes.
    line_at: Option<Instant>,
}

/// The least time between two lines on standard error about the same appender.
const LINES_APART: Duration = Duration::from_secs(10);

// SAFETY: one thread at a time uses it (see above), and an appender may move between threads.
unsafe impl Sync for Appender {}

static APPENDERS: Table<Appender> = Table::new();

impl State {
    /// Keeps an error for `async_append_error`. Returns its number, or 0 without an error.
    fn note(&mut self, result: Result<(), Error>) -> c_int {
        let Err(error) = result else { return 0 };
        let errno = error.errno();
        if self.error == 0 {
            self.error = errno;
        }
        errno
    }

    /// Reports on standard error that writes are dropped, at most once in `LINES_APART`: most
    /// callers never call `async_append_error`.
    fn report_drop(&mut self, error: &Error) {
        let is_due = self.line_at.is_none_or(|at| at.elapsed() >= LINES_APART);
        let is_late = matches!(error, Error::Stalled { .. } | Error::Io { .. });
        if self.hook.is_none() && is_due && is_late && self.appender.is_async() {
            self.line_at = Some(Instant::now());
            let why = error.to_string();
            complain(&[
                "alq: async_append_write: ",
                &why,
                "; new records are dropped until a write succeeds\n",
            ]);
        }
    }
}

/// Calls `use_it` with an appender and sets errno to the result, unless that is 0. Sets `EINVAL` if
/// `ap` is not an open appender.
///
/// # Safety
///
/// As the header requires.
unsafe fn with(ap: *mut Appender, use_it: impl FnOnce(&mut State) -> c_int) {
    through_errno(|| {
        // SAFETY: this function has the same requirement.
        let Some(Appender(state)) = (unsafe { APPENDERS.get(ap) }) else {
            return libc::EINVAL;
        };
        // SAFETY: one thread at a time uses it, and this is that thread.
        use_it(unsafe { &mut *state.get() })
    });
}

/// Creates an appender on `fd`. On failure returns `NULL` and sets errno.
///
/// # Safety
///
/// `fd` must stay open until the appender is destroyed; `options` must be as the header requires.
unsafe fn create(fd: c_int, options: *const AlqOptionsCell, is_async: bool) -> *mut Appender {
    let state = || {
        // SAFETY: this function has the same requirement.
        let fd = unsafe { borrow(fd) }?;
        let (options, hook) = if options.is_null() {
            (AsyncAppend::options(), None)
        } else {
            // SAFETY: this function has the same requirement.
            let options = unsafe { AlqOptions::of(options) }?;
            if options.entry_len.is_some() {
                return Err(libc::EINVAL);
            }
            options.with_hook()
        };
        let mut appender = AsyncAppend::with_options(fd, options);
        if is_async {
            appender.start();
        }
        Ok(State {
            appender,
            hook,
            error: 0,
            line_at: None,
        })
    };
    match state() {
        Ok(state) => APPENDERS.insert(Appender(UnsafeCell::new(state))),
        Err(errno) => {
            set_errno(errno);
            ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn async_append_enable() {
    alq::async_append::enable();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_create(fd: c_int) -> *mut Appender {
    // SAFETY: the header requires it.
    unsafe { create(fd, ptr::null(), true) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_create_sync(fd: c_int) -> *mut Appender {
    // SAFETY: the header requires it.
    unsafe { create(fd, ptr::null(), false) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_create_options(
    fd: c_int,
    options: *const AlqOptionsCell,
) -> *mut Appender {
    // SAFETY: the header requires it.
    unsafe { create(fd, options, true) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_destroy(ap: *mut Appender) {
    if ap.is_null() {
        return;
    }
    through_errno(|| {
        // SAFETY: the header requires it.
        let Some(Appender(state)) = (unsafe { APPENDERS.remove(ap) }) else {
            return libc::EINVAL;
        };
        let State { appender, hook, .. } = state.into_inner();
        let Err(undrained) = appender.close() else {
            return 0;
        };
        let is_reported = hook
            .as_ref()
            .is_some_and(|hook| hook.call(undrained.cause.errno(), &undrained.to_string()));
        if let Some(hook) = hook {
            hook.end();
        }
        if !is_reported {
            complain(&["alq: async_append_destroy, ", &undrained.to_string(), "\n"]);
        }
        undrained.cause.errno()
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_write(ap: *mut Appender, data: *const c_void, size: usize) {
    let write = |state: &mut State| {
        if size == 0 {
            return 0;
        }
        if data.is_null() || isize::try_from(size).is_err() {
            return state.note(Err(Error::InvalidLength { len: size }));
        }
        // SAFETY: the header requires `size` readable bytes at `data`.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast(), size) };
        let result = state.appender.write(bytes);
        if let Err(error) = &result {
            state.report_drop(error);
        }
        state.note(result)
    };
    // SAFETY: the header requires it.
    unsafe { with(ap, write) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_flush(ap: *mut Appender) {
    let flush = |state: &mut State| {
        let result = state.appender.flush();
        state.note(result)
    };
    // SAFETY: the header requires it.
    unsafe { with(ap, flush) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_error(ap: *mut Appender) -> c_int {
    let mut error = libc::EINVAL;
    let take = |state: &mut State| {
        error = std::mem::take(&mut state.error);
        0
    };
    // SAFETY: the header requires it.
    unsafe { with(ap, take) };
    error
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_get_stats(
    ap: *mut Appender,
    stats: *mut AlqStats,
    size: usize,
) -> c_int {
    // SAFETY: the header requires it.
    let Some(Appender(state)) = (unsafe { APPENDERS.get(ap) }) else {
        return libc::EINVAL;
    };
    // SAFETY: one thread at a time uses it, and this is that thread.
    let now = unsafe { &*state.get() }
        .appender
        .stats()
        .unwrap_or_default();
    // SAFETY: the header requires it.
    unsafe { copy_out(&AlqStats::from(now), stats, size) }
}
