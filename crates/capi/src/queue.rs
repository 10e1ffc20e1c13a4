//! `struct alq`: opening, flushing, reopening, closing.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use alq::{Error, Options, Queue, Undrained};
use libc::timespec;

use crate::completion::{AlqReq, give_out};
use crate::entries::Entries;
use crate::errors::{complain, set_errno, status};
use crate::handle::Table;
use crate::hook::Hook;
use crate::options::{AlqOptions, AlqOptionsCell};
use crate::time::duration;

/// A queue, as C holds it.
pub struct Alq {
    pub queue: Queue,
    pub entries: Entries,
    /// The length of every record, if it is fixed.
    pub entry_len: Option<c_int>,
    hook: Option<Arc<Hook>>,
    /// The process that opened it: in a child of fork(2), a lock of its parent's may be taken for ever.
    process: u32,
}

/// All queues that are open.
pub static QUEUES: Table<Alq> = Table::new();

/// Those that were closed while entries were open: whoever still fills one must find its memory.
static RETIRED: Table<Alq> = Table::new();

/// `ALQ_ORDERED`.
const ORDERED: c_int = 0x10;

/// `struct alq_undrained`.
#[repr(C)]
pub struct AlqUndrained {
    pub bytes: u64,
    pub records: u64,
    pub abandoned: u64,
    pub cause: c_int,
}

impl AlqUndrained {
    /// Fills one in, if there is one.
    ///
    /// # Safety
    ///
    /// `left` must be `NULL` or valid.
    pub unsafe fn tell(left: *mut Self, result: &Result<(), Undrained>) {
        let value = match result {
            Ok(()) => Self {
                bytes: 0,
                records: 0,
                abandoned: 0,
                cause: 0,
            },
            Err(undrained) => Self {
                bytes: undrained.bytes,
                records: undrained.records,
                abandoned: undrained.abandoned,
                cause: undrained.cause.raw_os_error(),
            },
        };
        if !left.is_null() {
            // SAFETY: this function asks for the same.
            unsafe { left.write(value) };
        }
    }
}

impl Alq {
    /// Opens a queue with `how`.
    fn open(
        from: AlqOptions,
        how: impl FnOnce(Options) -> Result<Queue, Error>,
    ) -> Result<Self, c_int> {
        let AlqOptions {
            mut options,
            on_error,
            entry_len,
        } = from;
        let hook = on_error.map(|target| Arc::new(Hook::new(target)));
        if let Some(hook) = &hook {
            let hook = Arc::clone(hook);
            options = options.on_error(move |error| {
                hook.tell(error);
            });
        }
        let queue = how(options).map_err(|error| open_errno(&error))?;
        let entries = Entries::new(&queue).ok_or(libc::ENOMEM)?;
        Ok(Self {
            queue,
            entries,
            entry_len,
            hook,
            process: std::process::id(),
        })
    }

    /// Closes the queue and frees it, or keeps what somebody may still write to.
    fn close(self, timeout: Option<Duration>) -> Result<(), Undrained> {
        let result = self.queue.close(timeout);
        let abandoned = result.as_ref().is_err_and(|left| left.abandoned > 0);
        let is_foreign = self.process != std::process::id();
        let entries = &self.entries;
        if abandoned || entries.any_open_aside() || (is_foreign && entries.any_open()) {
            RETIRED.insert(self);
        }
        result
    }

    /// The hook is not called any more, once this has returned.
    fn end_hook(hook: Option<&Hook>, process: u32) {
        if process == std::process::id() {
            hook.inspect(|hook| hook.end());
        }
    }
}

/// What opening says. After a shutdown: `EBUSY`, as alq(9).
fn open_errno(error: &Error) -> c_int {
    match error {
        Error::Closed => libc::EBUSY,
        other => other.raw_os_error(),
    }
}

/// The path at `file`.
///
/// # Errors
///
/// `EINVAL` for `NULL`.
///
/// # Safety
///
/// `file` must be `NULL` or a string, for as long as the result is used.
unsafe fn path_of<'a>(file: *const c_char) -> Result<&'a Path, c_int> {
    if file.is_null() {
        return Err(libc::EINVAL);
    }
    // SAFETY: this function asks for the same.
    let name = unsafe { CStr::from_ptr(file) };
    Ok(Path::new(OsStr::from_bytes(name.to_bytes())))
}

/// Borrows a descriptor of the caller's.
///
/// # Errors
///
/// `EBADF` for a negative one.
///
/// # Safety
///
/// It must stay open while the result is used. (Whether it is open at all, the system says.)
pub unsafe fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>, c_int> {
    if fd < 0 {
        return Err(libc::EBADF);
    }
    // SAFETY: this function asks for the same; -1 was refused.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Opens a queue and gives its handle out.
///
/// # Safety
///
/// `alq` must be `NULL` or valid.
unsafe fn open(alq: *mut *mut Alq, queue: impl FnOnce() -> Result<Alq, c_int>) -> c_int {
    if alq.is_null() {
        return libc::EINVAL;
    }
    let (handle, errno) = match queue() {
        Ok(queue) => (QUEUES.insert(queue), 0),
        Err(errno) => (ptr::null_mut(), errno),
    };
    // SAFETY: this function asks for the same.
    unsafe { alq.write(handle) };
    errno
}

/// The first two: a file, its mode and the rest.
///
/// # Safety
///
/// As the header says.
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
        // SAFETY: this function asks for the same.
        let path = unsafe { path_of(file) }?;
        Alq::open(all, |options| options.mode(mode).open(path))
    };
    // SAFETY: this function asks for the same.
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
    // SAFETY: as the header says.
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
    // SAFETY: as the header says.
    unsafe { open_file(alq, file, cmode, options) }
}

/// `struct ucred`, which nobody looks at.
pub struct Ucred;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_open_path(
    alq: *mut *mut Alq,
    file: *const c_char,
    options: *const AlqOptionsCell,
) -> c_int {
    let queue = || {
        // SAFETY: as the header says.
        let options = unsafe { AlqOptions::of(options) }?;
        // SAFETY: as the header says.
        let path = unsafe { path_of(file) }?;
        Alq::open(options, |options| options.open(path))
    };
    // SAFETY: as the header says.
    unsafe { open(alq, queue) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_open_fd(
    alq: *mut *mut Alq,
    fd: c_int,
    options: *const AlqOptionsCell,
) -> c_int {
    let queue = || {
        // SAFETY: as the header says.
        let options = unsafe { AlqOptions::of(options) }?;
        // SAFETY: it is used in this call only.
        let fd = unsafe { borrow(fd) }?;
        Alq::open(options, |options| options.from_fd(fd))
    };
    // SAFETY: as the header says.
    unsafe { open(alq, queue) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_capacity(alq: *const Alq) -> usize {
    // SAFETY: as the header says.
    let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
        set_errno(libc::EINVAL);
        return 0;
    };
    alq.queue.capacity()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_activate(alq: *mut Alq) {
    // SAFETY: as the header says.
    match unsafe { QUEUES.get(alq) } {
        Some(alq) => alq.queue.activate(),
        None => set_errno(libc::EINVAL),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_flush(alq: *mut Alq) {
    // SAFETY: as the header says.
    let errno = unsafe { alq_flush_timeout(alq, ptr::null()) };
    if errno != 0 {
        set_errno(errno);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_flush_timeout(alq: *mut Alq, timeout: *const timespec) -> c_int {
    // SAFETY: as the header says.
    let (alq, timeout) = (unsafe { QUEUES.get(alq) }, unsafe { duration(timeout) });
    match (alq, timeout) {
        (Some(alq), Ok(None)) => status(alq.queue.flush()),
        (Some(alq), Ok(Some(timeout))) => status(alq.queue.flush_timeout(timeout)),
        _ => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_close(alq: *mut Alq) {
    // SAFETY: as the header says.
    let Some(alq) = (unsafe { QUEUES.remove(alq) }) else {
        return set_errno(libc::EINVAL);
    };
    let (hook, process) = (alq.hook.clone(), alq.process);
    if let Err(undrained) = alq.close(None) {
        let told = hook
            .as_ref()
            .is_some_and(|hook| hook.tell(&undrained.cause));
        if !told {
            complain(&["alq: alq_close, ", &undrained.to_string(), "\n"]);
        }
    }
    Alq::end_hook(hook.as_deref(), process);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_close_timeout(
    alq: *mut Alq,
    timeout: *const timespec,
    left: *mut AlqUndrained,
) -> c_int {
    // SAFETY: as the header says.
    let Ok(timeout) = (unsafe { duration(timeout) }) else {
        return libc::EINVAL;
    };
    // SAFETY: as the header says.
    let Some(alq) = (unsafe { QUEUES.remove(alq) }) else {
        return libc::EINVAL;
    };
    let (hook, process) = (alq.hook.clone(), alq.process);
    let result = alq.close(timeout);
    Alq::end_hook(hook.as_deref(), process);
    // SAFETY: as the header says.
    unsafe { AlqUndrained::tell(left, &result) };
    status(result.map_err(|undrained| undrained.cause))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_reopen(alq: *mut Alq, fd: c_int, req: *mut *mut AlqReq) -> c_int {
    // SAFETY: as the header says.
    let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
        return libc::EINVAL;
    };
    // SAFETY: it is used in this call only.
    let completion = match unsafe { borrow(fd) } {
        Ok(fd) => alq.queue.reopen(fd).map_err(|error| error.raw_os_error()),
        Err(errno) => Err(errno),
    };
    // SAFETY: as the header says.
    unsafe { give_out(req, completion) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_reopen_path(
    alq: *mut Alq,
    file: *const c_char,
    req: *mut *mut AlqReq,
) -> c_int {
    // SAFETY: as the header says.
    let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
        return libc::EINVAL;
    };
    // SAFETY: as the header says.
    let completion = match unsafe { path_of(file) } {
        Ok(path) => alq
            .queue
            .reopen_path(path)
            .map_err(|error| error.raw_os_error()),
        Err(errno) => Err(errno),
    };
    // SAFETY: as the header says.
    unsafe { give_out(req, completion) }
}
