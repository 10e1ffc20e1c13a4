//! The end of a log of checked frames: where its stream ends, and what is torn.
//!
//! This file reads the log from its first byte to its last one, and changes nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::sink::Sink;
use super::tail::opened;
use crate::primitives::os::file::{is_appending, regular_len};
use crate::words::FramingProblem as Problem;
use crate::words::frame::{
    FileHeader, FrameProblem, Frames, HEADER_LEN, HeaderProblem, Kind, Next, PAYLOAD_MAX, Search,
};

/// What a log of checked frames holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its header; `None` if the log is empty, or has only a part of one.
    pub header: Option<FileHeader>,
    /// The position after its last frame.
    pub end: u64,
    /// How many bytes of the log come before the torn frame, or all.
    pub whole_bytes: u64,
    /// How many bytes of an incomplete frame the log ends with.
    pub torn_bytes: u64,
    /// How many bytes before that are no frame.
    pub damaged_bytes: u64,
    /// Whether it has a checkpoint of a chain.
    pub is_chained: bool,
    /// Where the first record whose position is not below the mark begins in the file, or would
    /// begin.
    pub marked_at: u64,
}

impl Stream {
    /// The same log, to be begun anew.
    #[cfg(feature = "chain")]
    pub const fn anew(self) -> Self {
        Self::without_header(self.whole_bytes + self.torn_bytes)
    }

    /// A log without a header, with `torn_bytes` of one.
    const fn without_header(torn_bytes: u64) -> Self {
        Self {
            header: None,
            end: 0,
            whole_bytes: 0,
            torn_bytes,
            damaged_bytes: 0,
            is_chained: false,
            marked_at: 0,
        }
    }
}

/// Gets each header and each good frame of a log, in order: all its bytes, and what it is.
pub type Watch<'w> = dyn FnMut(&[u8], &Next<'_>) + 'w;

/// Reads the log of `sink`, and marks a position; `None` if that is no regular file. `watch` gets
/// everything that is read.
///
/// # Errors
///
/// The errors of read(2), and why the log cannot be continued.
pub fn look(
    sink: &dyn Sink,
    mark: u64,
    watch: &mut Watch<'_>,
) -> io::Result<Result<Option<Stream>, Problem>> {
    let Some(fd) = sink.descriptor() else {
        return Ok(Ok(None));
    };
    let Some(len) = regular_len(fd)? else {
        return Ok(Ok(None));
    };
    if len > 0 && !is_appending(fd)? {
        return Ok(Err(Problem::Unreadable));
    }
    let Some((file, len)) = opened(sink)? else {
        let is_empty = len == 0;
        let empty = Stream::without_header(0);
        return Ok(is_empty.then_some(Some(empty)).ok_or(Problem::Unreadable));
    };
    read(Window::new(file, len), mark, watch)
}

/// Returns how many bytes the log of `sink` has from byte `at` on that are equal to those that
/// `next` returns, piece by piece, until it returns none.
///
/// # Errors
///
/// The errors of read(2), and those of `next`.
pub fn equal_bytes(
    sink: &dyn Sink,
    at: u64,
    mut next: impl FnMut() -> io::Result<Vec<u8>>,
) -> io::Result<u64> {
    let Some((file, len)) = opened(sink)? else {
        return Ok(0);
    };
    let mut window = Window::new(file, len);
    let mut equal = 0;
    loop {
        let piece = next()?;
        let bytes = window.at((at + equal).min(len), piece.len())?;
        let same = piece.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        equal += same as u64;
        if same < piece.len() || piece.is_empty() {
            return Ok(equal);
        }
    }
}

/// Returns the bytes of the log of `sink` from `from` on.
///
/// # Errors
///
/// The errors of read(2).
#[cfg(feature = "chain")]
pub fn bytes_from(sink: &dyn Sink, from: u64) -> io::Result<Vec<u8>> {
    let Some((file, len)) = opened(sink)? else {
        return Ok(Vec::new());
    };
    let mut bytes = vec![0; len.saturating_sub(from) as usize];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

fn read(
    mut window: Window,
    mark: u64,
    watch: &mut Watch<'_>,
) -> io::Result<Result<Option<Stream>, Problem>> {
    let header = match FileHeader::from_bytes(window.at(0, HEADER_LEN)?) {
        Ok(header) => header,
        Err(problem) => {
            // A crash of the machine leaves a file with its length, and zeros in place of bytes
            // that no sync has made durable.
            let is_unwritten = problem == HeaderProblem::Incomplete || window.is_zero()?;
            let none = Stream::without_header(window.len);
            let mut header = window.at(0, HEADER_LEN)?.iter().take(HEADER_LEN);
            let problem = if header.all(|byte| *byte == 0) {
                Problem::DamagedHeader // frames follow
            } else {
                refusal(problem)
            };
            return Ok(is_unwritten.then_some(Some(none)).ok_or(problem));
        }
    };
    watch(&window.at(0, HEADER_LEN)?[..HEADER_LEN], &Next::Header);
    let mut walk = Walk {
        frames: header.frames(),
        end: header.first_position,
        is_chained: false,
    };
    let (mut at, mut damaged_bytes, mut marked_at) = (HEADER_LEN as u64, 0, None);
    while at < window.len {
        if let Some(len) = walk.step(&mut window, at, watch)? {
            if walk.end > mark {
                marked_at.get_or_insert(at);
            }
            at += len;
            continue;
        }
        let Some(next) = walk.find(&mut window, at + 1)? else {
            break;
        };
        damaged_bytes += next - at;
        at = next;
    }
    Ok(Ok(Some(Stream {
        header: Some(header),
        end: walk.end,
        whole_bytes: at,
        torn_bytes: window.len - at,
        damaged_bytes,
        is_chained: walk.is_chained,
        marked_at: marked_at.unwrap_or(at),
    })))
}

fn refusal(problem: HeaderProblem) -> Problem {
    match problem {
        HeaderProblem::Incomplete | HeaderProblem::NotFramed => Problem::NotFramed,
        HeaderProblem::OtherVersion(version) => Problem::OtherVersion { version },
        HeaderProblem::UnknownFlags(flags) => Problem::UnknownFlags { flags },
        HeaderProblem::Damaged => Problem::DamagedHeader,
    }
}

/// How far the stream was followed.
struct Walk {
    frames: Frames,
    /// The position after the last good frame.
    end: u64,
    is_chained: bool,
}

impl Walk {
    /// Passes the frame at `at`, or a header that stands between two frames. Returns its length;
    /// `None` if it is neither.
    fn step(
        &mut self,
        window: &mut Window,
        at: u64,
        watch: &mut Watch<'_>,
    ) -> io::Result<Option<u64>> {
        let (mut wanted, left) = (HEADER_LEN, window.len - at);
        loop {
            let bytes = window.at(at, wanted)?;
            match self.frames.next(bytes, self.end) {
                Ok(next) => {
                    let len = match next {
                        Next::Header => HEADER_LEN,
                        Next::Frame(frame, end) => {
                            self.end = end;
                            self.is_chained |= frame.kind == Kind::Checkpoint;
                            frame.len
                        }
                    };
                    watch(&bytes[..len], &next);
                    return Ok(Some(len as u64));
                }
                Err(FrameProblem::Incomplete { needed })
                    if needed > wanted && needed as u64 <= left =>
                {
                    wanted = needed;
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// Returns the first place from `at` on where a frame of this log begins.
    fn find(&self, window: &mut Window, mut at: u64) -> io::Result<Option<u64>> {
        let mut wanted = self.frames.overhead();
        loop {
            let left = window.len - at;
            let max = left.min(PAYLOAD_MAX.into()) as usize;
            let bytes = window.at(at, wanted)?;
            let is_open = (bytes.len() as u64) < left;
            match Search::new(self.frames, Some(self.end), max).first(bytes, 0, is_open) {
                Some(found) if found.is_good => return Ok(Some(at + found.at as u64)),
                Some(found) => {
                    // At least twice as many, so that few bytes are read again and again.
                    wanted = found.needed.max(2 * bytes.len());
                    at += found.at as u64;
                }
                None if is_open => {
                    at += (bytes.len() + 1 - self.frames.overhead()) as u64;
                    wanted = self.frames.overhead();
                }
                None => return Ok(None),
            }
        }
    }
}

/// How many bytes are read at once, at least.
const PART: usize = 1 << 18;

/// A part of a file, which moves over it.
struct Window {
    file: File,
    len: u64,
    part: Vec<u8>,
    /// Where the part begins.
    start: u64,
}

impl Window {
    fn new(file: File, len: u64) -> Self {
        Self {
            file,
            len,
            part: Vec::new(),
            start: 0,
        }
    }

    /// Returns at least `wanted` bytes from `at` on, or all up to the end of the file.
    fn at(&mut self, at: u64, wanted: usize) -> io::Result<&[u8]> {
        let wanted = (wanted as u64).min(self.len - at);
        let end = self.start + self.part.len() as u64;
        if at < self.start || at + wanted > end {
            let count = wanted.max(PART as u64).min(self.len - at) as usize;
            self.part.resize(count, 0);
            self.file.read_exact_at(&mut self.part, at)?;
            self.start = at;
        }
        Ok(&self.part[(at - self.start) as usize..])
    }

    /// Returns whether the file has no byte but zeros.
    fn is_zero(&mut self) -> io::Result<bool> {
        let mut at = 0;
        while at < self.len {
            let part = self.at(at, 1)?;
            if part.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += part.len() as u64;
        }
        Ok(true)
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests;
