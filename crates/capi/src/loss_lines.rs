//! Lines in the log that report losses, in plain text or as a C function formats them.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use alq::{Options, Refusals};

use crate::formatter::{Formatter, LINE_MAX, line};
use crate::stats::AlqRefused;

/// `size_t (*)(const struct alq_refused *refused, char *line, size_t size, void *arg)`.
type Format = unsafe extern "C" fn(*const AlqRefused, *mut c_char, usize, *mut c_void) -> usize;

impl Formatter<Format> {
    fn line(&self, refused: &Refusals) -> Vec<u8> {
        let refused = AlqRefused::from(refused);
        // SAFETY: the header requires that the function stores at most `size` bytes at the line.
        line(|line| unsafe { (self.format)(&raw const refused, line, LINE_MAX, self.arg) })
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
