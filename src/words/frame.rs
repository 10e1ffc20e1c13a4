//! The bytes of a framed log: the header of the file, and the frame around each record.
//!
//! docs/frames.md describes every byte. This file is the only code that reads or writes them. It
//! owns no file and no ring: the callers bring the bytes.

#[cfg(feature = "chain")]
pub mod chain;
mod header;
mod notes;
mod peek;
mod search;

use core::fmt;

pub use header::{FileHeader, HeaderProblem};
pub use notes::{Cut, Gap};
pub use peek::Head;
pub use search::Search;

/// How many bytes the header of a file has.
pub const HEADER_LEN: usize = 64;

/// The first eight bytes of a framed log.
pub const MAGIC: [u8; 8] = super::FRAMED_MAGIC;

/// The version of the format that this code writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// How many bits of a frame's word hold the position; the kind has the rest.
const POSITION_BITS: u32 = 60;

/// Positions are below it.
pub const POSITION_END: u64 = 1 << POSITION_BITS;

/// The longest payload of a frame: a record has at most the largest capacity of a ring.
pub const PAYLOAD_MAX: u32 = 1 << 31;

/// The random number of a log. All files of one log carry it, also rotated ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A record.
    Record,
    /// The flusher's note that no record has the positions from the end of the frame before up to
    /// the position of this frame. Its payload is a [`Gap`].
    Gap,
    /// The note of a queue that opened the log: a torn end was removed here. Its payload is a
    /// [`Cut`].
    Cut,
    /// A record without a position: of a child of fork(2), or at the end of the process. Only its
    /// place in the file orders it. The position is 0.
    Aside,
    /// Proves the frames before it, to a reader that has the key of the log. It holds no record.
    Checkpoint,
    /// A kind of a later release: skip it.
    Other(u8),
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Record => 0,
            Self::Gap => 1,
            Self::Cut => 2,
            Self::Aside => 3,
            Self::Checkpoint => 4,
            Self::Other(number) => number,
        }
    }

    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Record,
            1 => Self::Gap,
            2 => Self::Cut,
            3 => Self::Aside,
            4 => Self::Checkpoint,
            other => Self::Other(other),
        }
    }

    /// The kind of a frame whose word ends with this byte.
    pub const fn of_last(byte: u8) -> Self {
        Self::of(byte >> (POSITION_BITS - 56))
    }

    /// Whether a frame of this kind holds a record.
    pub const fn is_record(self) -> bool {
        matches!(self, Self::Record | Self::Aside)
    }

    /// Whether the position of a frame of this kind is a place in the stream of the log.
    pub const fn has_place(self) -> bool {
        matches!(self, Self::Record | Self::Gap | Self::Cut)
    }
}

/// One frame, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: Kind,
    /// Where the frame begins in the stream of the log.
    pub position: u64,
    /// When the record was posted, in nanoseconds since 1970.
    pub stamp_ns: Option<u64>,
    pub payload: &'a [u8],
    /// The bytes of the whole frame in the file.
    pub len: usize,
}

impl Frame<'_> {
    /// Returns where the next frame begins, unless a gap follows, if the frame before this one
    /// ended at `end`. `None` if this frame cannot follow there. Only a record takes room in the
    /// stream of the log; notes stand between two positions, and other frames have none.
    pub const fn end_after(&self, end: u64) -> Option<u64> {
        match self.kind {
            kind if !kind.has_place() => Some(end),
            _ if self.position < end => None,
            Kind::Record => Some(self.position + self.len as u64),
            _ => Some(self.position),
        }
    }
}

/// What follows in a file after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// The header of the log again.
    Header,
    /// A frame, and the position where it ends.
    Frame(Frame<'a>, u64),
}

/// Why no frame was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameProblem {
    /// The bytes end before the frame does. It has `needed` bytes in all, if its length is right.
    Incomplete { needed: usize },
    /// These bytes are no frame of this log.
    Damaged,
}

/// Writes and reads the frames of one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// The CRC32C of the log's id, from which the check of every frame goes on.
    seed: u32,
    stamps: bool,
    id: LogId,
}

impl Frames {
    pub fn new(id: LogId, stamps: bool) -> Self {
        Self {
            id,
            seed: crc32c::crc32c(&id.0),
            stamps,
        }
    }

    /// The header of a file whose first frame has `first_position`.
    pub fn header(&self, first_position: u64, created_ns: u64) -> FileHeader {
        FileHeader {
            id: self.id,
            stamps: self.stamps,
            first_position,
            created_ns,
        }
    }

    /// How many bytes of a frame come before its payload: 16, or 24 with a stamp.
    #[inline]
    pub const fn overhead(&self) -> usize {
        if self.stamps { 24 } else { 16 }
    }

    /// Whether each frame has a time stamp.
    pub const fn has_stamps(&self) -> bool {
        self.stamps
    }

    /// Makes `frame` a frame: the payload is already in its place, after the
    /// [`overhead`](Frames::overhead). `stamp_ns` is used only if the frames have stamps.
    ///
    /// # Panics
    ///
    /// If `frame` is shorter than the overhead.
    #[inline]
    pub fn seal(&self, frame: &mut [u8], kind: Kind, position: u64, stamp_ns: u64) {
        let length = (frame.len() - self.overhead()) as u32;
        self.begin(frame, length, kind, position, stamp_ns);
        let check = self.check(&frame[..16], &frame[16..]);
        frame[4..8].copy_from_slice(&check.to_le_bytes());
    }

    /// Writes everything before the payload, but for the check.
    #[inline]
    fn begin(&self, frame: &mut [u8], length: u32, kind: Kind, position: u64, stamp_ns: u64) {
        debug_assert!(position < POSITION_END);
        let word = u64::from(kind.number()) << POSITION_BITS | (position & (POSITION_END - 1));
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame[8..16].copy_from_slice(&word.to_le_bytes());
        if self.stamps {
            frame[16..24].copy_from_slice(&stamp_ns.to_le_bytes());
        }
    }

    /// Writes what comes before `payload` in a frame to `front`, and returns how many bytes that
    /// is.
    pub fn head(
        &self,
        front: &mut [u8; 24],
        kind: Kind,
        position: u64,
        stamp_ns: u64,
        payload: &[u8],
    ) -> usize {
        let front = &mut front[..self.overhead()];
        self.begin(front, payload.len() as u32, kind, position, stamp_ns);
        let check = self.check(&front[..16], &front[16..]);
        let check = crc32c::crc32c_append(check, payload);
        front[4..8].copy_from_slice(&check.to_le_bytes());
        self.overhead()
    }

    /// Appends a frame with `payload` to `out`.
    pub fn push(
        &self,
        out: &mut Vec<u8>,
        kind: Kind,
        position: u64,
        stamp_ns: u64,
        payload: &[u8],
    ) {
        let start = out.len();
        out.resize(start + self.overhead(), 0);
        out.extend_from_slice(payload);
        self.seal(&mut out[start..], kind, position, stamp_ns);
    }

    /// Reads what follows in a file after a frame that ended at position `end`: the next frame, or
    /// a header of this log between two frames.
    ///
    /// # Errors
    ///
    /// Why these bytes are neither.
    pub fn next<'a>(&self, bytes: &'a [u8], end: u64) -> Result<Next<'a>, FrameProblem> {
        if bytes.starts_with(&MAGIC) {
            match FileHeader::from_bytes(bytes) {
                Ok(header) if header.id == self.id => return Ok(Next::Header),
                Err(HeaderProblem::Incomplete) => {
                    return Err(FrameProblem::Incomplete { needed: HEADER_LEN });
                }
                _ => {}
            }
        }
        let frame = self.read(bytes)?;
        match frame.end_after(end) {
            Some(end) => Ok(Next::Frame(frame, end)),
            None => Err(FrameProblem::Damaged),
        }
    }

    /// Reads the frame at the start of `bytes`. Whether its position fits is for the caller to say.
    ///
    /// # Errors
    ///
    /// Why these bytes are no frame.
    pub fn read<'a>(&self, bytes: &'a [u8]) -> Result<Frame<'a>, FrameProblem> {
        let overhead = self.overhead();
        let Some(head) = bytes.get(..overhead) else {
            return Err(FrameProblem::Incomplete { needed: overhead });
        };
        let length = u32_at(head, 0);
        if length > PAYLOAD_MAX {
            return Err(FrameProblem::Damaged);
        }
        let needed = overhead + length as usize;
        let Some(frame) = bytes.get(..needed) else {
            return Err(FrameProblem::Incomplete { needed });
        };
        let word = u64_at(frame, 8);
        if self.check(&frame[..16], &frame[16..]) != u32_at(frame, 4) {
            return Err(FrameProblem::Damaged);
        }
        Ok(Frame {
            kind: Kind::of((word >> POSITION_BITS) as u8),
            position: word & (POSITION_END - 1),
            stamp_ns: self.stamps.then(|| u64_at(frame, 16)),
            payload: &frame[overhead..],
            len: needed,
        })
    }

    /// The check of a frame that begins with `head`; `rest` is everything from the stamp on.
    #[inline]
    fn check(&self, head: &[u8], rest: &[u8]) -> u32 {
        let mut first = [0; 12]; // the word, and the length
        first[..8].copy_from_slice(&head[8..16]);
        first[8..].copy_from_slice(&head[..4]);
        crc32c::crc32c_append(crc32c::crc32c_append(self.seed, &first), rest)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes[at..].first_chunk().expect("the caller has the bytes");
    u32::from_le_bytes(*bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes[at..].first_chunk().expect("the caller has the bytes");
    u64::from_le_bytes(*bytes)
}

#[cfg(all(test, not(alq_model)))]
mod tests;
