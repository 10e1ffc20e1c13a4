//! The end of a log that a queue opens: whether the last record is whole, and what to do if not.
//!
//! This file reads the log, and shortens it if asked to. It must not be called while another thread
//! or process writes to the log.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::sink::Sink;
use crate::primitives::os::file::{is_appending, open_private, reader_of, regular_len};
use crate::words::{FRAMED_MAGIC, Framing, FramingProblem as Problem};

/// What a look at the end of a log has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// How many bytes of the log come before the torn record, or all.
    pub whole_bytes: u64,
    /// How many bytes of an incomplete record the log ends with.
    pub torn_bytes: u64,
}

/// Looks at the end of the log of `sink`; `None` if that is no regular file that is open for
/// appending, if this user may not read it, or if a raw queue has no descriptor left to look with.
///
/// # Errors
///
/// The errors of read(2), and why the log cannot be continued with this framing.
pub fn look(sink: &dyn Sink, framing: Framing) -> io::Result<Result<Option<Tail>, Problem>> {
    let (file, len) = match opened(sink) {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(Ok(None)),
        // A raw queue needs nothing from the file, so it opens with the last free descriptor, too.
        Err(error) if framing == Framing::Raw && is_out_of_descriptors(&error) => {
            return Ok(Ok(None));
        }
        Err(error) => return Err(error),
    };
    if is_framed(&file, len)? {
        return Ok(Err(Problem::Framed));
    }
    let torn_bytes = match framing {
        Framing::Lines => open_line(&file, len)?,
        Framing::Fixed(record) => len % record as u64,
        Framing::Lengths => match torn_of_lengths(&file, len)? {
            Ok(torn) => torn,
            Err(problem) => return Ok(Err(problem)),
        },
        _ => 0,
    };
    Ok(Ok(Some(Tail {
        whole_bytes: len - torn_bytes,
        torn_bytes,
    })))
}

/// Opens the log of `sink` for reading; also returns its length.
pub(super) fn opened(sink: &dyn Sink) -> io::Result<Option<(File, u64)>> {
    let Some(fd) = sink.descriptor() else {
        return Ok(None);
    };
    // Not `Sink::end`: that says that a write is about to come.
    let len = regular_len(fd)?.unwrap_or(0);
    if len == 0 || !is_appending(fd)? {
        return Ok(None);
    }
    match reader_of(fd) {
        Ok(file) => Ok(Some((file, len))),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None), // there is no /proc
        Err(error) => Err(error),
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Returns whether the file is a log of checked frames.
fn is_framed(file: &File, len: u64) -> io::Result<bool> {
    let mut first = [0; FRAMED_MAGIC.len()];
    if len < first.len() as u64 {
        return Ok(false);
    }
    file.read_exact_at(&mut first, 0)?;
    Ok(first == FRAMED_MAGIC)
}

/// How many bytes are read at once.
const PART: usize = 1 << 16;

/// Returns how many bytes follow the last newline.
fn open_line(file: &File, len: u64) -> io::Result<u64> {
    let mut part = vec![0; PART.min(usize::try_from(len).unwrap_or(PART))];
    let mut end = len;
    while end > 0 {
        let count = (part.len() as u64).min(end) as usize;
        let part = &mut part[..count];
        file.read_exact_at(part, end - count as u64)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(len - (end - count as u64 + at as u64 + 1));
        }
        end -= count as u64;
    }
    Ok(len)
}

/// Returns how many bytes of an incomplete record a log of lengths ends with. Zeros at the end, as
/// a crash of the machine leaves them, are such a record.
fn torn_of_lengths(file: &File, len: u64) -> io::Result<Result<u64, Problem>> {
    let mut reader = BufReader::with_capacity(PART, file);
    reader.seek(SeekFrom::Start(0))?;
    let mut at = 0;
    while len - at >= 4 {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == 0 {
            let is_zero = rest_is_zero(&mut reader)?;
            return Ok(is_zero
                .then_some(len - at)
                .ok_or(Problem::Damaged { offset: at }));
        }
        if u64::from(length) > len - at - 4 {
            break;
        }
        reader.seek_relative(length.into())?;
        at += 4 + u64::from(length);
    }
    Ok(Ok(len - at))
}

fn rest_is_zero(reader: &mut impl Read) -> io::Result<bool> {
    let mut part = vec![0; PART];
    loop {
        match reader.read(&mut part)? {
            0 => return Ok(true),
            count if part[..count].iter().all(|byte| *byte == 0) => {}
            _ => return Ok(false),
        }
    }
}

/// Returns where the bytes go that are cut off the log of `sink`: its path, with `.torn` appended.
pub fn aside_of(sink: &dyn Sink) -> Option<PathBuf> {
    let mut path = sink.path()?.into_os_string();
    path.push(".torn");
    Some(path.into())
}

/// Appends everything after the first `whole_bytes` of the log of `sink` to the file at `path`, and
/// waits until it is on disk. After an error that file is as it was.
///
/// # Errors
///
/// Those of the file at `path`, and of reading the log.
pub fn set_aside(sink: &dyn Sink, whole_bytes: u64, path: &Path) -> io::Result<()> {
    let Some((mut log, len)) = opened(sink)? else {
        return Ok(());
    };
    let mut aside = open_private(path)?;
    let before = aside.metadata()?.len();
    log.seek(SeekFrom::Start(whole_bytes))?;
    let copied = io::copy(&mut log.take(len - whole_bytes), &mut aside);
    let copied = copied.and_then(|_| aside.sync_all());
    if copied.is_err() {
        let _ = aside.set_len(before); // the error of the copy says more
    }
    copied
}

/// Removes everything after the first `whole_bytes` of the log of `sink`.
///
/// # Errors
///
/// The errors of ftruncate(2).
pub fn cut(sink: &dyn Sink, whole_bytes: u64) -> io::Result<()> {
    let Some(fd) = sink.descriptor() else {
        return Ok(());
    };
    File::from(fd.try_clone_to_owned()?).set_len(whole_bytes)
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::{Framing, Problem, look};
    use crate::ends::FileSink;

    /// What is found in a log of `bytes`.
    fn found(bytes: &[u8], framing: Framing) -> Result<(u64, u64), Problem> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let open = || File::options().append(true).create(true).open(&path);
        open().unwrap().write_all(bytes).unwrap();
        let sink = FileSink::new(open().unwrap().into()).unwrap();
        let found = look(&sink, framing).unwrap();
        found.map(|tail| {
            let tail = tail.unwrap_or_default(); // an empty log
            (tail.whole_bytes, tail.torn_bytes)
        })
    }

    #[test]
    fn an_open_line_is_found_however_long_it_is() {
        assert_eq!(found(b"", Framing::Lines), Ok((0, 0)));
        assert_eq!(found(b"a\n", Framing::Lines), Ok((2, 0)));
        assert_eq!(found(b"a\nbc", Framing::Lines), Ok((2, 2)));
        assert_eq!(found(b"bc", Framing::Lines), Ok((0, 2)));
        let mut long = vec![b'x'; 200_000];
        assert_eq!(found(&long, Framing::Lines), Ok((0, 200_000)));
        long[1] = b'\n';
        assert_eq!(found(&long, Framing::Lines), Ok((2, 199_998)));
    }

    #[test]
    fn a_record_of_another_length_is_torn() {
        assert_eq!(found(b"12345678", Framing::Fixed(4)), Ok((8, 0)));
        assert_eq!(found(b"1234567", Framing::Fixed(4)), Ok((4, 3)));
    }

    #[test]
    fn a_record_that_is_shorter_than_its_length_is_torn() {
        let whole = b"\x03\0\0\0abc\x01\0\0\0d";
        for len in 0..whole.len() {
            let at = [0, 7, 12].into_iter().rfind(|at| *at <= len).unwrap();
            let torn = (at as u64, (len - at) as u64);
            assert_eq!(found(&whole[..len], Framing::Lengths), Ok(torn), "{len}");
        }
        let zeros = [&whole[..], &[0; 100]].concat();
        assert_eq!(found(&zeros, Framing::Lengths), Ok((12, 100)));
        let text = [&zeros[..], b"x"].concat();
        let damaged = Err(Problem::Damaged { offset: 12 });
        assert_eq!(found(&text, Framing::Lengths), damaged);
    }

    #[test]
    fn a_log_of_frames_is_no_log_of_anything_else() {
        for framing in [Framing::Raw, Framing::Lines, Framing::Lengths] {
            assert_eq!(found(b"\x89alqlog\n...", framing), Err(Problem::Framed));
        }
    }
}
