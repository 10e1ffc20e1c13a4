//! The simple face: the calls of `async-append.h`, and an error route.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr;

use alq::{AsyncAppend, Error};

use crate::arguments::borrow;
use crate::errors::set_errno;
use crate::handle::Table;

/// An appender, as C holds it. The header says that one thread at a time uses it.
pub struct Appender(UnsafeCell<State>);

struct State {
    appender: AsyncAppend<'static>,
    /// The first error that nobody has asked for; 0 if there is none.
    error: c_int,
}

// SAFETY: see above; an appender may go from thread to thread.
unsafe impl Sync for Appender {}

static APPENDERS: Table<Appender> = Table::new();

impl State {
    fn note(&mut self, result: Result<(), Error>) {
        if let (Err(error), 0) = (result, self.error) {
            self.error = error.raw_os_error();
        }
    }
}

/// Uses an appender; `None`, and errno is set, if it is not one.
///
/// # Safety
///
/// As the header says.
unsafe fn with<T>(ap: *mut Appender, use_it: impl FnOnce(&mut State) -> T) -> Option<T> {
    // SAFETY: this function asks for the same.
    let Some(Appender(state)) = (unsafe { APPENDERS.get(ap) }) else {
        set_errno(libc::EINVAL);
        return None;
    };
    // SAFETY: one thread at a time uses it, and this is it.
    Some(use_it(unsafe { &mut *state.get() }))
}

#[unsafe(no_mangle)]
pub extern "C" fn async_append_enable() {
    alq::async_append::enable();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_create(fd: c_int) -> *mut Appender {
    // SAFETY: the header says that it stays open until the appender is destroyed.
    match unsafe { borrow(fd) } {
        Ok(fd) => APPENDERS.insert(Appender(UnsafeCell::new(State {
            appender: AsyncAppend::on(fd),
            error: 0,
        }))),
        Err(errno) => {
            set_errno(errno);
            ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_destroy(ap: *mut Appender) {
    if ap.is_null() {
        return;
    }
    // SAFETY: as the header says.
    if unsafe { APPENDERS.remove(ap) }.is_none() {
        set_errno(libc::EINVAL);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_write(ap: *mut Appender, data: *const c_void, size: usize) {
    let write = |state: &mut State| {
        if size == 0 {
            return;
        }
        if data.is_null() || isize::try_from(size).is_err() {
            return state.note(Err(Error::InvalidLength { len: size }));
        }
        // SAFETY: the header says that there are so many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast(), size) };
        let result = state.appender.write(bytes);
        state.note(result);
    };
    // SAFETY: as the header says.
    unsafe { with(ap, write) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_flush(ap: *mut Appender) {
    let flush = |state: &mut State| {
        let result = state.appender.flush();
        state.note(result);
    };
    // SAFETY: as the header says.
    unsafe { with(ap, flush) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn async_append_error(ap: *mut Appender) -> c_int {
    // SAFETY: as the header says.
    unsafe { with(ap, |state| std::mem::take(&mut state.error)) }.unwrap_or(libc::EINVAL)
}
