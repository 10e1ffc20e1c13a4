//! Lines in the log that report losses, in plain text or as a C function formats them.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use alq::{Options, Refusals};

use crate::stats::AlqRefused;

/// `size_t (*)(const struct alq_refused *refused, char *line, size_t size, void *arg)`.
type Format = unsafe extern "C" fn(*const AlqRefused, *mut c_char, usize, *mut c_void) -> usize;

/// The room for a line.
pub const LINE_MAX: usize = 4096;

/// A formatter as the caller set it in the options.
struct Formatter {
    format: Format,
    arg: *mut c_void,
}

// SAFETY: the header says that a thread of the library calls the function with this argument.
unsafe impl Send for Formatter {}
// SAFETY: as above; the flusher of a queue is one thread, and queues that share options may call it
// at once, as the header says.
unsafe impl Sync for Formatter {}

impl Formatter {
    fn line(&self, refused: &Refusals) -> Vec<u8> {
        let refused = AlqRefused::from(refused);
        let mut line = vec![0; LINE_MAX];
        // SAFETY: the header requires that the function stores at most `size` bytes at the line.
        let len = unsafe {
            (self.format)(
                &raw const refused,
                line.as_mut_ptr().cast(),
                LINE_MAX,
                self.arg,
            )
        };
        line.truncate(len); // a longer length, as of snprintf(3), leaves the line cut
        line
    }
}

/// Sets the lines of `options`, with the formatter if there is one.
pub fn set(options: Options, every: Duration, format: Option<Format>, arg: *mut c_void) -> Options {
    let Some(format) = format else {
        return options.loss_lines(every);
    };
    let formatter = Formatter { format, arg };
    options.loss_lines_with(every, move |refused| formatter.line(refused))
}
