//! `--resume`: skips the part of standard input that FILE already contains.
//!
//! Input is appended byte for byte, so a FILE that holds nothing else is the beginning of the
//! input, and its length is the offset at which to continue. This is not assumed: the bytes are
//! compared. If FILE is rotated, the rotated files come before it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::OFlags;

use crate::input::Input;
use crate::report::Failure;
use crate::target::Target;

/// The number of bytes that are compared at once.
const CHUNK_LEN: usize = 1 << 16;

/// Compares FILE with the beginning of standard input, and moves standard input to the first byte
/// that FILE does not contain.
pub fn skip_appended(target: &Target<'_>, input: &Input) -> Result<(), Failure> {
    let failure = |problem: &dyn std::fmt::Display| {
        Failure::new(target.place(), format!("--resume: {problem}"))
    };
    if !target.kind().is_file() {
        return Err(failure(
            &"it is not a file, so its content cannot be compared with standard input",
        ));
    }
    let Some(all) = input.len() else {
        return Err(failure(
            &"standard input is not a file, so it cannot be read again",
        ));
    };
    target.flush()?; // the bytes found in the ring file belong to FILE
    let io_failure = |error: io::Error| failure(&error);
    let mut taken = 0;
    for path in target.files().map_err(io_failure)? {
        let plainly = (OFlags::NONBLOCK | OFlags::NOCTTY).bits(); // it may be a FIFO
        let plainly = i32::try_from(plainly).expect("flags of open(2) are an int");
        let file = File::options().read(true).custom_flags(plainly).open(path);
        let file = file.map_err(io_failure)?;
        let metadata = file.metadata().map_err(io_failure)?;
        if !metadata.is_file() {
            continue;
        }
        let len = metadata.len();
        let same = same_len(&file, input, taken, len.min(all - taken)).map_err(io_failure)?;
        taken += same;
        if same < len {
            return Err(failure(&format_args!(
                "it must hold the beginning of standard input and nothing else, \
                 but differs from byte {taken} on"
            )));
        }
    }
    input
        .go_to(taken)
        .map_err(|error| Failure::new("standard input", error))
}

/// Compares the first `len` bytes of the file with the input from `offset` on. Returns how many are
/// the same.
fn same_len(file: &File, input: &Input, offset: u64, len: u64) -> io::Result<u64> {
    let (mut ours, mut theirs) = (vec![0; CHUNK_LEN], vec![0; CHUNK_LEN]);
    let mut at = 0;
    while at < len {
        let count = CHUNK_LEN.min((len - at).try_into().unwrap_or(CHUNK_LEN));
        let (ours, theirs) = (&mut ours[..count], &mut theirs[..count]);
        file.read_exact_at(ours, at)?;
        input.read_exact_at(theirs, offset + at)?;
        if let Some(same) = ours.iter().zip(&*theirs).position(|(a, b)| a != b) {
            return Ok(at + same as u64);
        }
        at += count as u64;
    }
    Ok(len)
}
