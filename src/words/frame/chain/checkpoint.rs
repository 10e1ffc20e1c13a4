//! The bytes of a checkpoint.

use super::super::{Frames, Kind, u32_at, u64_at};
use super::{Chain, Value};

/// It follows the header of its file, and nothing else.
const FIRST_OF_FILE: u32 = 1;

/// A queue was closed after it.
const END: u32 = 2;

/// How many bytes come before the tags.
const FRONT: usize = 72;

/// How many bytes the proof has, after everything else.
const PROOF: usize = 32;

/// What a checkpoint says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint<'a> {
    /// The number of the first frame that it covers.
    pub first: u64,
    /// How many frames it covers.
    pub count: u64,
    pub is_first_of_file: bool,
    pub is_end: bool,
    /// How many of the frames, from the first one on, an earlier process has left.
    pub adopted: u64,
    pub key_id: [u8; 8],
    /// The value after the last frame that it covers.
    pub value: Value,
    tags: &'a [u8],
}

impl<'a> Checkpoint<'a> {
    /// Reads the payload of a checkpoint; a later release may have added to it, before the proof.
    pub fn from_bytes(payload: &'a [u8]) -> Option<Self> {
        let (front, tags) = payload.split_at_checked(FRONT)?;
        let flags = u32_at(front, 16);
        let tags_len = (u32_at(front, 20) as usize).checked_mul(4)?;
        let after = tags.len().checked_sub(tags_len)?;
        let mut checkpoint = Self {
            first: u64_at(front, 0),
            count: u64_at(front, 8),
            is_first_of_file: flags & FIRST_OF_FILE != 0,
            is_end: flags & END != 0,
            adopted: u64_at(front, 24),
            tags: &tags[..tags_len],
            ..Self::default()
        };
        checkpoint.key_id.copy_from_slice(&front[32..40]);
        checkpoint.value.copy_from_slice(&front[40..72]);
        (after >= PROOF).then_some(checkpoint)
    }

    /// The number of the frame after the last one that it covers.
    pub const fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    /// The first bytes of the values of the frames, in order; of the first ones, if they are many.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.tags.chunks_exact(4)
    }
}

/// What a queue adds to the checkpoint that it writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remarks {
    pub is_first_of_file: bool,
    pub is_end: bool,
    pub adopted: u64,
}

impl Chain {
    /// Appends a checkpoint of everything up to here to `out`. [`covered`](Chain::covered) goes on
    /// after it.
    pub fn push_checkpoint(
        &self,
        out: &mut Vec<u8>,
        frames: &Frames,
        stamp_ns: u64,
        remarks: Remarks,
    ) {
        let mut payload = Vec::with_capacity(FRONT + 4 * self.tags.len() + PROOF);
        payload.extend(self.first.to_le_bytes());
        payload.extend(self.uncovered().to_le_bytes());
        let flags = [
            (remarks.is_first_of_file, FIRST_OF_FILE),
            (remarks.is_end, END),
        ];
        let flags: u32 = flags.iter().map(|(is, flag)| u32::from(*is) * flag).sum();
        payload.extend(flags.to_le_bytes());
        payload.extend((self.tags.len() as u32).to_le_bytes());
        payload.extend(remarks.adopted.to_le_bytes());
        payload.extend(self.key.id());
        payload.extend(self.value);
        payload.extend(self.tags.as_flattened());
        payload.extend([0; PROOF]);
        let start = out.len();
        frames.push(out, Kind::Checkpoint, 0, stamp_ns, &payload);
        let frame = &mut out[start..];
        let len = frame.len();
        let proof = self.proof(&frame[8..len - PROOF]);
        frame[len - PROOF..].copy_from_slice(proof.as_bytes());
        frames.seal(frame, Kind::Checkpoint, 0, stamp_ns);
    }

    /// Returns whether the proof of the checkpoint in `frame` fits this key and the newest header.
    pub(super) fn proves(&self, frame: &[u8]) -> bool {
        let proven = frame.len().checked_sub(PROOF).and_then(|len| {
            let (bytes, proof) = frame.split_at(len);
            let proof: [u8; PROOF] = proof.try_into().ok()?;
            Some(self.proof(bytes.get(8..)?) == proof) // in constant time
        });
        proven == Some(true)
    }

    /// Returns whether the checkpoint was made with this key.
    pub(super) fn has_key_of(&self, checkpoint: &Checkpoint<'_>) -> bool {
        checkpoint.key_id == self.key.id()
    }

    /// Returns how many of the frames since the last checkpoint have the values that `checkpoint`
    /// has tags of.
    pub(super) fn agreeing(&self, checkpoint: &Checkpoint<'_>) -> usize {
        let pairs = self.tags.iter().zip(checkpoint.tags());
        pairs
            .take_while(|(here, there)| here[..] == **there)
            .count()
    }
}
