//! Reads a log that is a regular file: where it ends, and which bytes it holds. It never writes.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::primitives::os::file::{created, reader_of};
use crate::words::LogEnd;

/// Returns where `file` ends now.
///
/// # Errors
///
/// The errors of statx(2).
pub fn end_of(file: &File) -> io::Result<LogEnd> {
    let metadata = file.metadata()?;
    let born = created(file, &metadata);
    Ok(LogEnd {
        device: metadata.dev(),
        inode: metadata.ino(),
        birth_ns: born.map_or(0, |born| born.as_nanos() as u64),
        size_bytes: metadata.len(),
    })
}

/// As [`Sink::holds`](super::Sink::holds) for `file`, which may be open only for writing.
pub fn held(file: &File, end: &LogEnd, runs: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
    let now = end_of(file)?;
    let Some(mut left) = now.size_bytes.checked_sub(end.size_bytes) else {
        return Ok(None);
    };
    if !now.is_same_file(end) {
        return Ok(None);
    }
    let reader = reader_of(file.as_fd())?;
    let mut offset = end.size_bytes;
    for run in runs {
        let part = &run[..run.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        if !is_at(&reader, offset, part)? {
            return Ok(None);
        }
        offset += part.len() as u64;
        left -= part.len() as u64;
    }
    Ok(Some((offset - end.size_bytes) as usize))
}

/// The number of bytes compared at once.
const COMPARED_LEN: usize = 1 << 16;

fn is_at(reader: &File, mut offset: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut part = vec![0; COMPARED_LEN.min(bytes.len())];
    for chunk in bytes.chunks(COMPARED_LEN) {
        let part = &mut part[..chunk.len()];
        reader.read_exact_at(part, offset)?;
        if part != chunk {
            return Ok(false);
        }
        offset += chunk.len() as u64;
    }
    Ok(true)
}
