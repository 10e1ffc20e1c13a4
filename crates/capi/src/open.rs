//! Opening queues.

use std::ffi::{c_char, c_int};
use std::ptr;

use alq::{Error, Options, Queue};

use crate::arguments::{borrow, path_of};
use crate::entries::Entries;
use crate::errors::uncancelled;
use crate::options::{AlqOptions, AlqOptionsCell};
use crate::queue::{Alq, QUEUES};

/// `ALQ_ORDERED`.
const ORDERED: c_int = 0x10;

impl Alq {
    /// Opens a queue: `how` gets the options and opens it.
    fn open(
        from: AlqOptions,
        how: impl FnOnce(Options) -> Result<Queue, Error>,
    ) -> Result<Self, c_int> {
        let entry_len = from.entry_len;
        let (options, hook) = from.with_hook();
        let queue = how(options).map_err(|error| {
            // The number alone does not say which option is wrong, or what is wrong with a ring
            // file.
            if let Some(hook) = &hook {
                hook.call(error.errno(), &error.to_string());
                hook.end();
            }
            open_errno(&error)
        })?;
        let entries = Entries::new(&queue).ok_or(libc::ENOMEM)?;
        Ok(Self {
            queue,
            entries,
            entry_len,
            hook,
            process: std::process::id(),
        })
    }
}

/// Returns the number of an error of opening. After a shutdown it is `EBUSY`, as in alq(9).
fn open_errno(error: &Error) -> c_int {
    match error {
        Error::Closed => libc::EBUSY,
        other => other.errno(),
    }
}

/// Opens a queue and stores its handle in `alq`, or `NULL` on failure.
///
/// # Safety
///
/// `alq` must be `NULL` or valid.
unsafe fn open(alq: *mut *mut Alq, queue: impl FnOnce() -> Result<Alq, c_int>) -> c_int {
    if alq.is_null() {
        return libc::EINVAL;
    }
    let (handle, errno) = match uncancelled(queue) {
        Ok(queue) => (QUEUES.insert(queue), 0),
        Err(errno) => (ptr::null_mut(), errno),
    };
    // SAFETY: this function has the same requirement.
    unsafe { alq.write(handle) };
    errno
}

/// Opens a queue on a file, for `alq_open_flags` and `alq_open`; `options` sets everything but the
/// mode.
///
/// # Safety
///
/// As the header requires.
unsafe fn open_file(
    alq: *mut *mut Alq,
    file: *const c_char,
    mode: c_int,
    options: impl FnOnce(&mut AlqOptions) -> Result<(), c_int>,
) -> c_int {
    let queue = || {
        let mut all = AlqOptions::new();
        options(&mut all)?;
        let mode = u32::try_from(mode).map_err(|_| libc::EINVAL)?;
        // SAFETY: this function has the same requirement.
        let path = unsafe { path_of(file) }?;
        Alq::open(all, |options| options.mode(mode).open(path))
    };
    // SAFETY: this function has the same requirement.
    unsafe { open(alq, queue) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_open_flags(
    alq: *mut *mut Alq,
    file: *const c_char,
    _cred: *mut Ucred,
    cmode: c_int,
    size: c_int,
    flags: c_int,
) -> c_int {
    let options = |all: &mut AlqOptions| {
        if flags & !ORDERED != 0 {
            return Err(libc::EINVAL);
        }
        let size = usize::try_from(size).map_err(|_| libc::EINVAL)?;
        all.options = Options::new().capacity(size).ordered(flags & ORDERED != 0);
        Ok(())
    };
    // SAFETY: the header requires it.
    unsafe { open_file(alq, file, cmode, options) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_open(
    alq: *mut *mut Alq,
    file: *const c_char,
    _cred: *mut Ucred,
    cmode: c_int,
    size: c_int,
    count: c_int,
) -> c_int {
    let options = |all: &mut AlqOptions| {
        let (Ok(len), Ok(entries)) = (usize::try_from(size), usize::try_from(count)) else {
            return Err(libc::EINVAL);
        };
        all.options = Options::new().fixed(len, entries);
        all.entry_len = (count > 0).then_some(size);
        Ok(())
    };
    // SAFETY: the header requires it.
    unsafe { open_file(alq, file, cmode, options) }
}

/// `struct ucred`, which is ignored.
pub struct Ucred;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_open_path(
    alq: *mut *mut Alq,
    file: *const c_char,
    options: *const AlqOptionsCell,
) -> c_int {
    let queue = || {
        // SAFETY: the header requires it.
        let options = unsafe { AlqOptions::of(options) }?;
        // SAFETY: the header requires it.
        let path = unsafe { path_of(file) }?;
        Alq::open(options, |options| options.open(path))
    };
    // SAFETY: the header requires it.
    unsafe { open(alq, queue) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_open_fd(
    alq: *mut *mut Alq,
    fd: c_int,
    options: *const AlqOptionsCell,
) -> c_int {
    let queue = || {
        // SAFETY: the header requires it.
        let options = unsafe { AlqOptions::of(options) }?;
        // SAFETY: it is used in this call only.
        let fd = unsafe { borrow(fd) }?;
        Alq::open(options, |options| options.open_fd(fd))
    };
    // SAFETY: the header requires it.
    unsafe { open(alq, queue) }
}
