//! Recorders: their options, and the calls that ask for a dump.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use alq::{AfterKill, Dump, Options};

use crate::errors::{status, uncancelled};
use crate::formatter::{Formatter, LINE_MAX, line};
use crate::options::{AlqOptionsCell, set};
use crate::queue::{Alq, QUEUES};
use crate::stats::copy_out;

/// What a dump has written: the members of the C struct, in the order of the header. New members
/// are added at the end.
#[repr(C)]
pub struct AlqDump {
    pub records: u64,
    pub bytes: u64,
    pub overwritten_records: u64,
    pub overwritten_bytes: u64,
    pub held: u64,
}

impl From<&Dump> for AlqDump {
    fn from(dump: &Dump) -> Self {
        Self {
            records: dump.records,
            bytes: dump.bytes,
            overwritten_records: dump.overwritten_records,
            overwritten_bytes: dump.overwritten_bytes,
            held: dump.held,
        }
    }
}

/// `size_t (*)(const struct alq_dumped *, const char *reason, char *line, size_t size, void *arg)`.
type Format =
    unsafe extern "C" fn(*const AlqDump, *const c_char, *mut c_char, usize, *mut c_void) -> usize;

impl Formatter<Format> {
    fn line(&self, dump: &Dump) -> Vec<u8> {
        let counts = AlqDump::from(dump);
        // A zero byte can come from a caller in Rust only.
        let reason = CString::new(dump.reason.replace('\0', " ")).unwrap_or_default();
        let (counts, reason) = (&raw const counts, reason.as_ptr());
        // SAFETY: the header requires that the function stores at most `size` bytes at the line.
        line(|line| unsafe { (self.format)(counts, reason, line, LINE_MAX, self.arg) })
    }
}

/// What becomes of the records of a killed process, in the order of the numbers in the header.
fn after_kill_of(number: c_int) -> Option<AfterKill> {
    Some(match number {
        0 => AfterKill::Dump,
        1 => AfterKill::Keep,
        2 => AfterKill::Discard,
        _ => return None,
    })
}

/// Returns the reason at `text`; `None` for `NULL`.
///
/// # Safety
///
/// `text` must be `NULL` or a string.
unsafe fn reason_of(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: this function has the same requirement.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_recorder(options: *mut AlqOptionsCell, on: c_int) -> c_int {
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.recorder(on != 0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_after_kill(
    options: *mut AlqOptionsCell,
    what: c_int,
) -> c_int {
    let Some(what) = after_kill_of(what) else {
        return libc::EINVAL;
    };
    // SAFETY: the header requires it.
    unsafe { set(options, |all| all.after_kill(what)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_options_dump_line_with(
    options: *mut AlqOptionsCell,
    // Written out, so that the header test sees the full type.
    format: Option<
        unsafe extern "C" fn(
            *const AlqDump,
            *const c_char,
            *mut c_char,
            usize,
            *mut c_void,
        ) -> usize,
    >,
    arg: *mut c_void,
) -> c_int {
    let change = |all: Options| match format {
        None => all.dump_line_with(|dump| format!("{dump}\n")),
        Some(format) => {
            let formatter = Formatter { format, arg };
            all.dump_line_with(move |dump| formatter.line(dump))
        }
    };
    // SAFETY: the header requires it.
    unsafe { set(options, change) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_dump(
    alq: *mut Alq,
    reason: *const c_char,
    dump: *mut AlqDump,
    size: usize,
) -> c_int {
    // SAFETY: the header requires it.
    let (alq, reason) = (unsafe { QUEUES.get(alq) }, unsafe { reason_of(reason) });
    let (Some(alq), Some(reason)) = (alq, reason) else {
        return libc::EINVAL;
    };
    if !dump.is_null() && size == 0 {
        return libc::EINVAL;
    }
    match uncancelled(|| alq.queue.dump(&reason)) {
        Ok(_) if dump.is_null() => 0,
        // SAFETY: the header requires it; all members have 64 bits, so there is no padding.
        Ok(written) => unsafe { copy_out(&AlqDump::from(&written), dump, size) },
        Err(error) => error.errno(),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_dump_all(reason: *const c_char) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { reason_of(reason) } {
        Some(reason) => status(uncancelled(|| alq::dump_all(&reason))),
        None => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_request_dump(alq: *mut Alq, signo: c_int) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { QUEUES.get(alq) } {
        Some(alq) if alq.queue.is_recorder() => {
            alq.queue.request_dump_for(signo);
            0
        }
        _ => libc::EINVAL,
    }
}
