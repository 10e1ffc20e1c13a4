//! FILE as a log that is rotated, and the rotated files beside it.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use alq::Error;
use alq::rotate::RotatingFile;

use crate::args::Append;
use crate::catch_args::LINE_MAX;
use crate::report;

/// Opens FILE as a log that is rotated.
pub fn open(options: &Append) -> Result<RotatingFile, Error> {
    let mut rotation = options.rotation.rotation();
    if !options.framing.is_on() {
        let line_max = options.lines.line_max.unwrap_or(LINE_MAX);
        rotation = rotation.whole_lines(line_max as u64); // a record may be a part of a line
    }
    rotation
        .mode(options.mode)
        .follow_links(options.follow_links)
        .on_error(|error| report::line(&error))
        .on_freed(|path| {
            let path = report::shown(path);
            report::line(&format_args!(
                "{path}: deleted, so that room stays free (--keep-free)"
            ));
        })
        .open(&options.file)
}

/// Lists the rotated files of the log at `path` that are not packed, oldest first.
pub fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let path = path.canonicalize()?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_rotated = entry
            .file_name()
            .as_bytes()
            .strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"."))
            .is_some_and(is_stamp);
        if is_rotated && entry.metadata()?.is_file() {
            found.push(entry.path()); // files only: opening a FIFO would block
        }
    }
    found.sort(); // names sort in the order of time
    Ok(found)
}

/// Returns true for a text like `20261124T114620Z-000000`.
fn is_stamp(text: &[u8]) -> bool {
    let pattern = b"00000000T000000Z-000000";
    let fits = |(byte, pattern): (&u8, &u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        _ => byte == pattern,
    };
    text.len() == pattern.len() && text.iter().zip(pattern).all(fits)
}

/// Returns true if the file ends inside a line; false if it cannot be read.
pub fn ends_inside_line(path: &Path) -> bool {
    let last = || {
        let file = File::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        let mut last = [0];
        file.read_exact_at(&mut last, len.checked_sub(1)?).ok()?;
        Some(last[0])
    };
    last().is_some_and(|last| last != b'\n')
}
