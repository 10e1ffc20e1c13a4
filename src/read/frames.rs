//! The frames of one file, in order, and the search for the next good frame after damage.
//!
//! A frame is good if its check fits and its position follows that of the frame before it.
//! docs/frames.md says what that excludes.

use super::End;
use super::notice::Notice;
use super::step::{Piece, Step, Tail, unfinished};
use crate::words::frame::{
    Cut, FileHeader, Frame, FrameProblem, Frames, Gap, HEADER_LEN, HeaderProblem, Kind, LogId,
    MAGIC, Next, Search,
};

/// How many bytes of the magic must fit for a file to count as framed. One damaged byte of the
/// magic must not turn frames into lines.
const MAGIC_FIT: usize = 6;

/// What is known of a log from its files so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub id: LogId,
    pub stamps: bool,
    /// Whether it has had a checkpoint.
    pub is_chained: bool,
    /// The end of the last good frame. No later frame has a smaller position.
    pub end: Option<u64>,
}

/// The frames of one file.
#[derive(Clone, Debug)]
pub(super) struct FrameWalk {
    known: Option<Known>,
    /// Whether the header of this file has yet to be read.
    is_at_header: bool,
    /// How many bytes were skipped in the search for the next good frame. `None` if none is needed.
    damaged: Option<u64>,
}

/// Whether a file with these first bytes is framed. `None` if it takes more bytes to say.
///
/// `is_after_frames` says that an earlier file of the log is framed. Then one that begins with a
/// zero is framed, too: a crash of the machine has left zeros in place of its header.
pub(super) fn is_framed(bytes: &[u8], is_after_frames: bool) -> Option<bool> {
    if is_after_frames && bytes.first() == Some(&0) {
        return Some(true);
    }
    let fit = |bytes: &[u8]| {
        let equal = bytes.iter().zip(&MAGIC).filter(|(a, b)| a == b);
        equal.count()
    };
    match bytes.first_chunk::<{ MAGIC.len() }>() {
        Some(magic) => Some(fit(magic) >= MAGIC_FIT),
        None if fit(bytes) == bytes.len() => None,
        None => Some(false),
    }
}

impl FrameWalk {
    /// Starts at the header of a file, after the frames of which `known` is known.
    pub const fn new(known: Option<Known>) -> Self {
        Self {
            known,
            is_at_header: true,
            damaged: None,
        }
    }

    /// Whether the next good frame is searched for.
    #[cfg(feature = "chain")]
    pub const fn is_searching(&self) -> bool {
        self.damaged.is_some()
    }

    /// What is known of the log up to here.
    pub const fn known(&self) -> Option<Known> {
        self.known
    }

    /// Continues at a frame inside the file, before which a frame ended at `end`.
    pub const fn continue_after(&mut self, end: Option<u64>) {
        if let Some(known) = &mut self.known {
            known.end = end;
        }
    }

    pub fn step(&mut self, bytes: &[u8], tail: Tail, max: usize) -> Step {
        if self.is_at_header {
            return self.header(bytes, tail);
        }
        let Some(known) = self.known else {
            return Step::Unreadable("it has no header".to_owned());
        };
        let frames = Frames::new(known.id, known.stamps);
        if self.damaged.is_some() {
            return self.search(frames, bytes, tail, max);
        }
        let max_len = max.saturating_add(frames.overhead());
        match frames.next(bytes, known.end.unwrap_or(0)) {
            Ok(Next::Header) => Step::Skip(HEADER_LEN),
            Ok(Next::Frame(frame, end)) if frame.len <= max_len => {
                self.found(&frame, end, frames.overhead())
            }
            Err(FrameProblem::Incomplete { needed }) if needed <= max_len => {
                self.incomplete(frames, needed, bytes, tail, max)
            }
            Ok(_) | Err(_) => {
                self.damaged = Some(0);
                self.search(frames, bytes, tail, max)
            }
        }
    }

    fn header(&mut self, bytes: &[u8], tail: Tail) -> Step {
        let header = match FileHeader::from_bytes(bytes) {
            Ok(header) => header,
            Err(_) if bytes.len() < HEADER_LEN => return unfinished(HEADER_LEN, bytes, tail),
            Err(HeaderProblem::OtherVersion(version)) => {
                return Step::Unreadable(format!("its frames have version {version}"));
            }
            Err(HeaderProblem::UnknownFlags(flags)) => {
                return Step::Unreadable(format!("its header has the unknown flags {flags:#x}"));
            }
            Err(HeaderProblem::NotFramed) if self.known.is_none() => {
                return Step::Unreadable("it has no frames".to_owned());
            }
            Err(_) if self.known.is_some() => {
                // The id is known from the file before.
                self.is_at_header = false;
                let bytes = HEADER_LEN as u64;
                return notice(HEADER_LEN, 0, Notice::Damaged { bytes });
            }
            Err(_) => return Step::Unreadable("its header is damaged".to_owned()),
        };
        self.is_at_header = false;
        let before = self.known;
        let is_other = before.is_some_and(|before| before.id != header.id);
        let end = before.and_then(|before| before.end).filter(|_| !is_other);
        self.known = Some(Known {
            id: header.id,
            stamps: header.stamps,
            is_chained: before.is_some_and(|before| before.is_chained && !is_other),
            end: end.or(Some(header.first_position)),
        });
        if is_other {
            return notice(HEADER_LEN, 0, Notice::OtherLog);
        }
        Step::Skip(HEADER_LEN)
    }

    /// A good frame, which ends at `end`.
    fn found(&mut self, frame: &Frame<'_>, end: u64, overhead: usize) -> Step {
        let is_record = frame.kind == Kind::Record;
        let before = self.known.and_then(|known| known.end);
        if let Some(from) = before.filter(|&before| is_record && before < frame.position) {
            self.continue_after(Some(frame.position));
            let to = frame.position;
            return notice(0, 0, Notice::Missing { from, to });
        }
        if frame.kind.has_place() {
            self.continue_after(Some(end));
        }
        match frame.kind {
            Kind::Record | Kind::Aside => Step::Record(Piece {
                len: frame.len,
                payload: overhead..frame.len,
                position: is_record.then_some(frame.position),
                stamp_ns: frame.stamp_ns,
                end: End::Whole,
            }),
            Kind::Gap => match Gap::from_bytes(frame.payload) {
                Some(Gap { records, bytes }) if records > 0 => {
                    notice(frame.len, 0, Notice::Lost { records, bytes })
                }
                _ => Step::Skip(frame.len),
            },
            Kind::Cut => {
                let bytes = Cut::from_bytes(frame.payload).unwrap_or_default().bytes;
                notice(frame.len, 0, Notice::Cut { bytes })
            }
            Kind::Checkpoint => {
                if let Some(known) = &mut self.known {
                    known.is_chained = true;
                }
                Step::Skip(frame.len)
            }
            Kind::Other(_) => Step::Skip(frame.len),
        }
    }

    /// The bytes end before a frame of `needed` bytes does. At the end of a file it is torn, unless
    /// its length is wrong and good frames follow.
    fn incomplete(
        &mut self,
        frames: Frames,
        needed: usize,
        bytes: &[u8],
        tail: Tail,
        max: usize,
    ) -> Step {
        if tail == Tail::Open || bytes.is_empty() {
            return unfinished(needed, bytes, tail);
        }
        let end = self.known.and_then(|known| known.end);
        match Search::new(frames, end, max).first(bytes, 1, tail == Tail::Open) {
            Some(found) if found.is_good => {
                self.damaged = Some(0);
                self.skip(found.at)
            }
            _ => unfinished(needed, bytes, tail),
        }
    }

    /// Searches for the next good frame.
    fn search(&mut self, frames: Frames, bytes: &[u8], tail: Tail, max: usize) -> Step {
        let back = self.damaged.unwrap_or(0);
        let end = self.known.and_then(|known| known.end);
        // The first byte of the damage is known to begin no good frame.
        let from = usize::from(back == 0);
        match Search::new(frames, end, max).first(bytes, from, tail == Tail::Open) {
            Some(found) if found.is_good && found.at == 0 => {
                self.damaged = None;
                notice(0, back, Notice::Damaged { bytes: back })
            }
            Some(found) if found.at == 0 => match tail {
                Tail::Open => Step::More(found.needed),
                Tail::Now | Tail::Closed => Step::End, // the search returns only good ones then
            },
            Some(found) => self.skip(found.at),
            None if tail == Tail::Closed => {
                self.damaged = None;
                let all = back + bytes.len() as u64;
                notice(bytes.len(), back, Notice::Damaged { bytes: all })
            }
            // A frame may begin in the last bytes, and end in bytes that are not there yet.
            None if tail == Tail::Now => Step::End,
            None => match (bytes.len() + 1)
                .saturating_sub(frames.overhead())
                .max(from)
            {
                0 => Step::More(frames.overhead()),
                len if len > bytes.len() => Step::More(len),
                len => self.skip(len),
            },
        }
    }

    fn skip(&mut self, len: usize) -> Step {
        self.damaged = self.damaged.map(|skipped| skipped + len as u64);
        Step::Skip(len)
    }
}

const fn notice(len: usize, back: u64, notice: Notice) -> Step {
    Step::Notice { len, back, notice }
}
