//! The keyed chain over a log: which bytes each of its values covers, and what a checkpoint says.
//!
//! Each header and each frame of the log gets a value: a keyed hash of the value before it and of
//! its bytes. A checkpoint is a frame that holds the last value under a keyed hash of its own. This
//! file computes both. It owns no file, and no queue.

mod checkpoint;
mod verify;

use core::fmt;

pub use checkpoint::{Checkpoint, Remarks};
pub use verify::{Fault, Verifier};

use super::{HEADER_LEN, MAGIC};

/// The key of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainKey(pub [u8; 32]);

impl fmt::Debug for ChainKey {
    /// Never shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey")
    }
}

impl ChainKey {
    /// Eight bytes that tell keys apart, and do not give the key away.
    fn id(self) -> [u8; 8] {
        let id = hash(&self.0, &[b"alq chain key id"]);
        *id.first_chunk().expect("a hash has 32 bytes")
    }

    /// The key of the hashes for the log that `header` belongs to.
    fn of_log(self, header: &[u8; HEADER_LEN]) -> [u8; 32] {
        hash(&self.0, &[b"alq chain log", &header[16..32]])
    }
}

/// The keyed BLAKE3 hash of `parts`, one after the other.
fn hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The value of a chain after a frame.
pub type Value = [u8; 32];

/// Computes the value of the next frame, whose bytes come in pieces.
#[derive(Clone)]
pub struct Pending(Box<blake3::Hasher>);

impl Pending {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// How many frames a checkpoint has a tag for, at most.
const TAGS_MAX: usize = 1 << 14;

/// A chain up to some frame.
#[derive(Clone)]
pub struct Chain {
    key: ChainKey,
    /// The key of this log.
    log_key: [u8; 32],
    /// The newest header, to which checkpoints are bound.
    header: [u8; HEADER_LEN],
    /// How many headers and frames the chain has; checkpoints do not count.
    number: u64,
    value: Value,
    /// The number of the first frame after the last checkpoint.
    first: u64,
    /// The first bytes of the values since then.
    tags: Vec<[u8; 4]>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Chain");
        out.field("number", &self.number).finish_non_exhaustive()
    }
}

impl Chain {
    /// A chain without a frame, for the log that `header` belongs to.
    pub fn new(key: ChainKey, header: &[u8; HEADER_LEN]) -> Self {
        Self {
            key,
            log_key: key.of_log(header),
            header: *header,
            number: 0,
            value: [0; 32],
            first: 0,
            tags: Vec::new(),
        }
    }

    /// How many headers and frames the chain has.
    pub const fn number(&self) -> u64 {
        self.number
    }

    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// How many of them no checkpoint covers yet.
    pub const fn uncovered(&self) -> u64 {
        self.number - self.first
    }

    /// Whether the header is of this log.
    pub fn is_of(&self, header: &[u8; HEADER_LEN]) -> bool {
        self.header[16..32] == header[16..32]
    }

    /// Adds a header.
    pub fn add_header(&mut self, header: &[u8; HEADER_LEN]) {
        self.header = *header;
        self.add(header);
    }

    /// Adds a frame that is no checkpoint.
    pub fn add(&mut self, frame: &[u8]) {
        let mut hasher = self.hasher();
        self.push(*hasher.update(frame).finalize().as_bytes());
    }

    /// Begins a frame whose bytes come in pieces.
    pub fn begin(&self) -> Pending {
        Pending(Box::new(self.hasher()))
    }

    /// The hasher of the next value, before the bytes of its frame.
    fn hasher(&self) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.log_key);
        hasher.update(&[0]).update(&self.value);
        hasher
    }

    /// Adds the frame of `pending`, which has all its bytes.
    pub fn end(&mut self, pending: &Pending) {
        self.push(*pending.0.finalize().as_bytes());
    }

    fn push(&mut self, value: Value) {
        self.value = value;
        self.number += 1;
        if self.tags.len() < TAGS_MAX {
            let tag = self.value.first_chunk();
            self.tags.push(*tag.expect("a hash has 32 bytes"));
        }
    }

    /// Goes on after a checkpoint that covers everything before `number`.
    fn go_on(&mut self, number: u64, value: Value) {
        (self.number, self.value, self.first) = (number, value, number);
        self.tags.clear();
    }

    /// Goes on after the checkpoint that was made last, now that it is written.
    pub fn covered(&mut self) {
        self.go_on(self.number, self.value);
    }

    /// The hash that proves a checkpoint: of its bytes after the check, up to the hash itself.
    fn proof(&self, checkpoint: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.log_key);
        hasher.update(&[1]).update(&self.header).update(checkpoint);
        hasher.finalize()
    }
}

/// Returns the header that these bytes are.
pub fn header_of(bytes: &[u8]) -> Option<&[u8; HEADER_LEN]> {
    bytes.try_into().ok().filter(|_| bytes.starts_with(&MAGIC))
}

#[cfg(all(test, not(alq_model)))]
mod tests;
