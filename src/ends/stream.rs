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
    FileHeader, FrameProblem, Frames, HEADER_LEN, HeaderProblem, Next, PAYLOAD_MAX, Search,
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
    /// Where the first record whose position is not below the mark begins in the file, or would
    /// begin.
    pub marked_at: u64,
}

impl Stream {
    /// A log without a header, with `torn_bytes` of one.
    const fn without_header(torn_bytes: u64) -> Self {
        Self {
            header: None,
            end: 0,
            whole_bytes: 0,
            torn_bytes,
            damaged_bytes: 0,
            marked_at: 0,
        }
    }
}

/// Reads the log of `sink`, and marks a position; `None` if that is no regular file.
///
/// # Errors
///
/// The errors of read(2), and why the log cannot be continued.
pub fn look(sink: &dyn Sink, mark: u64) -> io::Result<Result<Option<Stream>, Problem>> {
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
    read(Window::new(file, len), mark)
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

fn read(mut window: Window, mark: u64) -> io::Result<Result<Option<Stream>, Problem>> {
    let header = match FileHeader::from_bytes(window.at(0, HEADER_LEN)?) {
        Ok(header) => header,
        Err(problem) => {
            // A crash of the machine leaves a file with its length, and zeros in place of bytes
            // that no sync has made durable.
            let is_unwritten = problem == HeaderProblem::Incomplete || window.is_zero()?;
            let none = Stream::without_header(window.len);
            return Ok(is_unwritten.then_some(Some(none)).ok_or(refusal(problem)));
        }
    };
    let mut walk = Walk {
        frames: header.frames(),
        end: header.first_position,
    };
    let (mut at, mut damaged_bytes, mut marked_at) = (HEADER_LEN as u64, 0, None);
    while at < window.len {
        if let Some(len) = walk.step(&mut window, at)? {
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
}

impl Walk {
    /// Passes the frame at `at`, or a header that stands between two frames. Returns its length;
    /// `None` if it is neither.
    fn step(&mut self, window: &mut Window, at: u64) -> io::Result<Option<u64>> {
        let (mut wanted, left) = (HEADER_LEN, window.len - at);
        loop {
            match self.frames.next(window.at(at, wanted)?, self.end) {
                Ok(Next::Header) => return Ok(Some(HEADER_LEN as u64)),
                Ok(Next::Frame(frame, end)) => {
                    self.end = end;
                    return Ok(Some(frame.len as u64));
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
mod tests {
    use std::os::unix::fs::FileExt;

    use super::{PART, Stream, Window, read};
    use crate::words::FramingProblem;
    use crate::words::frame::{FileHeader, Frames, HEADER_LEN, Kind, LogId};

    const HEADER: FileHeader = FileHeader {
        id: LogId([7; 16]),
        stamps: false,
        first_position: 1000,
        created_ns: 0,
    };

    /// What is found in a file of `bytes`.
    fn found(bytes: &[u8]) -> Stream {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        std::fs::write(&path, bytes).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        read(Window::new(file, bytes.len() as u64), 1100)
            .unwrap()
            .unwrap()
            .unwrap()
    }

    /// A log of two records; a third frame is a note between them.
    fn log() -> (Vec<u8>, Vec<usize>) {
        let frames = Frames::new(HEADER.id, false);
        let mut bytes = HEADER.to_bytes().to_vec();
        let mut ends = vec![bytes.len()];
        frames.push(&mut bytes, Kind::Record, 1000, 0, b"first");
        ends.push(bytes.len());
        frames.push(&mut bytes, Kind::Gap, 1100, 0, &[0; 16]);
        ends.push(bytes.len());
        frames.push(&mut bytes, Kind::Record, 1100, 0, b"second record");
        ends.push(bytes.len());
        (bytes, ends)
    }

    #[test]
    fn after_damage_the_next_frame_is_found_however_long_both_are() {
        let frames = Frames::new(HEADER.id, false);
        let payload: Vec<u8> = (0..900_000_u32).map(|at| (at / 3) as u8).collect();
        for damaged_bytes in [1, 15, 16, 20_000] {
            let mut bytes = HEADER.to_bytes().to_vec();
            // Each of these bytes begins a head whose length the file could hold.
            bytes.extend([0, 1, 2, 0].iter().cycle().take(damaged_bytes));
            frames.push(&mut bytes, Kind::Record, 1000, 0, &payload);
            frames.push(&mut bytes, Kind::Record, 901_016, 0, b"last");
            let stream = found(&bytes);
            assert_eq!(stream.damaged_bytes, damaged_bytes as u64);
            assert_eq!((stream.end, stream.torn_bytes), (901_036, 0));
        }
    }

    #[test]
    fn every_cut_of_a_log_leaves_the_frames_before_it() {
        let (bytes, ends) = log();
        let positions = [1000, 1021, 1100, 1129];
        for len in 0..=bytes.len() {
            let stream = found(&bytes[..len]);
            let Some(whole) = ends.iter().rposition(|end| *end <= len) else {
                assert_eq!(stream.header, None);
                assert_eq!(stream.torn_bytes, len as u64);
                continue;
            };
            assert_eq!(stream.header, Some(HEADER));
            assert_eq!(stream.end, positions[whole], "{len}");
            assert_eq!(stream.whole_bytes, ends[whole] as u64);
            assert_eq!(stream.torn_bytes, (len - ends[whole]) as u64);
            // The mark is the position of the second record, after the note.
            assert_eq!(stream.marked_at, ends[whole.min(2)] as u64);
            assert_eq!(stream.damaged_bytes, 0);
        }
    }

    #[test]
    fn a_file_of_zeros_has_no_header_yet() {
        for len in [1, 64, 65, 4096, PART + 1] {
            let stream = found(&vec![0; len]);
            assert_eq!((stream.header, stream.torn_bytes), (None, len as u64));
            let mut bytes = vec![0; len];
            bytes[len - 1] = 1;
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&bytes, 0).unwrap();
            let refused = read(Window::new(file, len as u64), u64::MAX).unwrap();
            assert_eq!(refused, Err(FramingProblem::NotFramed), "{len}");
        }
    }

    #[test]
    fn damage_before_a_good_frame_is_no_torn_end() {
        let (mut bytes, ends) = log();
        bytes[HEADER_LEN + 18] ^= 1;
        let stream = found(&bytes);
        assert_eq!((stream.end, stream.torn_bytes), (1129, 0));
        assert_eq!(stream.damaged_bytes, (ends[1] - ends[0]) as u64);
        bytes.extend([0; 100]); // a hole at the end
        assert_eq!(found(&bytes).torn_bytes, 100);
    }

    #[test]
    fn a_copy_of_the_log_inside_a_torn_record_is_no_frame() {
        let (mut bytes, ends) = log();
        let copy = bytes[HEADER_LEN..].to_vec();
        let len = bytes.len() as u64;
        let mut torn = Vec::new();
        Frames::new(HEADER.id, false).push(&mut torn, Kind::Record, 1129, 0, &copy);
        Frames::new(HEADER.id, false).push(&mut bytes, Kind::Aside, 0, 0, b"of a child");
        bytes.extend(&torn[..torn.len() - 1]);
        let stream = found(&bytes);
        assert_eq!((stream.end, stream.damaged_bytes), (1129, 0));
        assert_eq!(stream.whole_bytes, len + 16 + 10);
        assert_eq!(ends.len(), 4);
    }

    #[test]
    fn headers_between_frames_and_kinds_of_later_releases_are_no_damage() {
        let (mut bytes, _) = log();
        let frames = Frames::new(HEADER.id, false);
        for position in [0, 1129, 5000] {
            bytes.extend(HEADER.to_bytes());
            frames.push(&mut bytes, Kind::Other(9), position, 0, b"later");
        }
        frames.push(&mut bytes, Kind::Record, 1129, 0, b"last");
        let stream = found(&bytes);
        assert_eq!((stream.end, stream.damaged_bytes), (1129 + 20, 0));
        assert_eq!(stream.torn_bytes, 0);
    }
}
