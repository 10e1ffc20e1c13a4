//! The chain of a log of frames, as the flusher makes it: over every byte that the sink has taken,
//! with a checkpoint now and then.
//!
//! It sees what is written, and never reads the log. The threads that append run none of it.

use core::mem::take;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use crate::primitives::os;
use crate::words::frame::chain::{Chain, ChainKey, Pending, Remarks, header_of};
use crate::words::frame::{Frames, HEADER_LEN, Kind, MAGIC};

/// How many bytes of frames are written before a checkpoint. The last record may be longer.
const BYTES_MAX: u64 = 64 << 10;

/// How long a frame waits for a checkpoint.
const TIME_MAX: Duration = Duration::from_secs(1);

/// How many bytes of a frame say how long it is, and of which kind.
const FRONT: usize = 16;

/// Where a chain continues.
#[derive(Clone, Debug)]
pub struct ChainStart {
    pub key: ChainKey,
    /// The chain of the log up to its end; `None` if it has none yet.
    pub chain: Option<Chain>,
    /// Whether the log ends with the checkpoint of a close.
    pub is_ended: bool,
    /// The first bytes of a frame at the end of the log, of which the ring has the rest.
    pub torn: Vec<u8>,
}

/// The chain of a log that is written.
#[derive(Debug)]
pub(super) struct Chained {
    key: ChainKey,
    frames: Frames,
    /// `None` before the first header.
    chain: Option<Chain>,
    part: Part,
    /// How many of the frames that the next checkpoint covers an earlier process has left.
    adopted: u64,
    /// How many bytes were written since the last checkpoint, and when the first of them was.
    bytes: u64,
    since: Option<Instant>,
    is_overdue: bool,
    is_closing: bool,
    /// Nothing was written since the checkpoint of a close.
    is_ended: bool,
}

/// The frame that is partly written.
#[derive(Debug)]
enum Part {
    /// Too few bytes of it to know how long it is, or a part of a header.
    Front(Vec<u8>),
    Frame {
        pending: Pending,
        left: usize,
    },
    Checkpoint {
        left: usize,
    },
}

impl Default for Part {
    fn default() -> Self {
        Self::Front(Vec::new())
    }
}

impl Chained {
    pub fn new(start: ChainStart, frames: Frames) -> Self {
        let adopted = start.chain.as_ref().map_or(0, Chain::uncovered);
        let mut chained = Self {
            key: start.key,
            frames,
            chain: start.chain,
            part: Part::default(),
            adopted,
            bytes: 0,
            since: None,
            is_overdue: adopted > 0,
            is_closing: false,
            is_ended: start.is_ended,
        };
        chained.add(&start.torn);
        chained
    }

    pub fn took(&mut self, runs: &[IoSlice<'_>], mut taken: usize) {
        for run in runs {
            let bytes = &run[..taken.min(run.len())];
            self.add(bytes);
            taken -= bytes.len();
        }
    }

    pub fn room(&self) -> u32 {
        BYTES_MAX.saturating_sub(self.bytes).max(1) as u32
    }

    pub fn is_due(&self) -> bool {
        let is_due = self.is_overdue || self.is_closing && !self.is_ended;
        self.chain.is_some() && !self.is_within() && (is_due || self.bytes >= BYTES_MAX)
    }

    pub fn waits(&mut self) -> Option<Duration> {
        let left = TIME_MAX.saturating_sub(self.since?.elapsed());
        self.is_overdue |= left.is_zero();
        Some(left)
    }

    pub fn must_end(&mut self) -> bool {
        self.is_closing = self.chain.is_some() && !self.is_ended;
        self.is_closing
    }

    pub fn restart(&mut self) {
        self.part = Part::default();
    }

    fn is_within(&self) -> bool {
        !matches!(&self.part, Part::Front(front) if front.is_empty())
    }

    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(chain) = &self.chain {
            self.push(&mut bytes, chain, false);
        }
        bytes
    }

    pub fn first_checkpoint(&self, header: &[u8; HEADER_LEN]) -> Vec<u8> {
        let mut chain = self.chain.clone();
        with_header(&mut chain, self.key, header);
        let mut bytes = Vec::new();
        if let Some(chain) = &chain {
            self.push(&mut bytes, chain, true);
        }
        bytes
    }

    fn push(&self, out: &mut Vec<u8>, chain: &Chain, is_first_of_file: bool) {
        let remarks = Remarks {
            is_first_of_file,
            is_end: self.is_closing,
            adopted: self.adopted,
        };
        let now_ns = if self.frames.has_stamps() {
            os::now_ns()
        } else {
            0
        };
        chain.push_checkpoint(out, &self.frames, now_ns, remarks);
    }

    /// Adds bytes that were written.
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = self.add_some(bytes);
            bytes = &bytes[used..];
        }
    }

    /// Adds the first bytes of `bytes`. Returns how many.
    fn add_some(&mut self, bytes: &[u8]) -> usize {
        match take(&mut self.part) {
            Part::Front(front) if front.is_empty() && self.is_whole(bytes) => {
                let len = self.frame_len(bytes);
                self.add_whole(&bytes[..len]);
                len
            }
            Part::Front(mut front) => {
                let is_header = front.starts_with(&MAGIC);
                let needed = if is_header { HEADER_LEN } else { FRONT };
                let used = bytes.len().min(needed - front.len());
                front.extend_from_slice(&bytes[..used]);
                if front.len() == HEADER_LEN {
                    self.add_whole(&front);
                } else if front.len() < FRONT || front.starts_with(&MAGIC) {
                    self.part = Part::Front(front);
                } else {
                    self.begin(&front);
                }
                used
            }
            Part::Frame { mut pending, left } => {
                let used = bytes.len().min(left);
                pending.update(&bytes[..used]);
                self.bytes += used as u64;
                self.frame(pending, left - used);
                used
            }
            Part::Checkpoint { left } => {
                let used = bytes.len().min(left);
                self.checkpoint_part(left - used);
                used
            }
        }
    }

    /// Begins a frame with its first bytes.
    fn begin(&mut self, front: &[u8]) {
        let left = self.frame_len(front) - front.len();
        match (&self.chain, kind_of(front)) {
            (Some(chain), kind) if kind != Kind::Checkpoint => {
                let mut pending = chain.begin();
                pending.update(front);
                self.bytes += front.len() as u64;
                self.frame(pending, left);
            }
            _ => self.checkpoint_part(left),
        }
    }

    fn frame(&mut self, pending: Pending, left: usize) {
        if left > 0 {
            self.part = Part::Frame { pending, left };
        } else if let Some(chain) = &mut self.chain {
            chain.end(&pending);
            self.added();
        }
    }

    fn checkpoint_part(&mut self, left: usize) {
        if left > 0 {
            self.part = Part::Checkpoint { left };
        } else {
            self.covered();
        }
    }

    /// Adds a whole header or frame.
    fn add_whole(&mut self, bytes: &[u8]) {
        if let Some(header) = header_of(bytes) {
            with_header(&mut self.chain, self.key, header);
        } else if kind_of(bytes) == Kind::Checkpoint {
            return self.covered();
        } else if let Some(chain) = &mut self.chain {
            chain.add(bytes);
        }
        self.bytes += bytes.len() as u64;
        self.added();
    }

    fn added(&mut self) {
        self.is_ended = false;
        self.since.get_or_insert_with(Instant::now);
    }

    /// A checkpoint is written.
    fn covered(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.covered();
        }
        (self.adopted, self.bytes, self.since) = (0, 0, None);
        (self.is_overdue, self.is_ended) = (false, self.is_closing);
    }

    /// Whether `bytes` begin with a whole frame.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        bytes.len() >= FRONT && !bytes.starts_with(&MAGIC) && bytes.len() >= self.frame_len(bytes)
    }

    /// The length of the frame that begins with `front`.
    fn frame_len(&self, front: &[u8]) -> usize {
        let length = front
            .first_chunk()
            .map_or(0, |length| u32::from_le_bytes(*length));
        self.frames.overhead() + length as usize
    }
}

/// Adds `header` to the chain; it begins another one if it is of another log.
fn with_header(chain: &mut Option<Chain>, key: ChainKey, header: &[u8; HEADER_LEN]) {
    let of_log = chain.take().filter(|chain| chain.is_of(header));
    chain
        .insert(of_log.unwrap_or_else(|| Chain::new(key, header)))
        .add_header(header);
}

/// The kind of the frame that begins with `front`.
fn kind_of(front: &[u8]) -> Kind {
    Kind::of_last(front[FRONT - 1])
}
