//! The header of a file of frames.

use super::{Frames, HEADER_LEN, LogId, MAGIC, VERSION, u32_at, u64_at};

/// The bit of the header's flags that says that each frame has a time stamp.
const STAMPS: u32 = 1;

/// The header of a file of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    pub id: LogId,
    /// Whether each frame has a time stamp.
    pub stamps: bool,
    /// The position of the first frame of this file.
    pub first_position: u64,
    /// When the header was written, in nanoseconds since 1970.
    pub created_ns: u64,
}

/// What is wrong with the first bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderProblem {
    /// The bytes are the beginning of a header that was not written to the end: shorter than a
    /// header, and equal to the magic as far as both go. The empty file is one of them.
    Incomplete,
    /// The file does not begin with the magic: it is no framed log.
    NotFramed,
    /// The format has another version.
    OtherVersion(u32),
    /// A bit of the flags that this code does not know.
    UnknownFlags(u32),
    /// The checksum does not fit.
    Damaged,
}

impl FileHeader {
    /// Returns the flags, as the header has them.
    pub const fn flags(self) -> u32 {
        if self.stamps { STAMPS } else { 0 }
    }

    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.flags().to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id.0);
        bytes[32..40].copy_from_slice(&self.first_position.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created_ns.to_le_bytes());
        let check = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes`, which are the first bytes of a file: all of it if
    /// the file is shorter than a header.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderProblem> {
        let common = bytes.len().min(MAGIC.len());
        if bytes[..common] != MAGIC[..common] {
            return Err(HeaderProblem::NotFramed);
        }
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(HeaderProblem::Incomplete);
        };
        let version = u32_at(bytes, 8);
        let is_whole = crc32c::crc32c(&bytes[..60]) == u32_at(bytes, 60);
        match (is_whole, version) {
            (_, VERSION) => {}
            // A later version keeps the magic, the place of the version, and the checksum.
            (true, other) => return Err(HeaderProblem::OtherVersion(other)),
            (false, _) => return Err(HeaderProblem::Damaged),
        }
        if !is_whole {
            return Err(HeaderProblem::Damaged);
        }
        let flags = u32_at(bytes, 12);
        if flags & !STAMPS != 0 {
            return Err(HeaderProblem::UnknownFlags(flags & !STAMPS));
        }
        let mut id = LogId::default();
        id.0.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            id,
            stamps: flags & STAMPS != 0,
            first_position: u64_at(bytes, 32),
            created_ns: u64_at(bytes, 40),
        })
    }

    /// The frames of a log with this id and these flags; `None` if a flag is not known.
    pub fn frames_of(id: LogId, flags: u32) -> Option<Frames> {
        (flags & !STAMPS == 0).then(|| Frames::new(id, flags & STAMPS != 0))
    }

    /// The frames that follow this header.
    pub fn frames(self) -> Frames {
        Frames::new(self.id, self.stamps)
    }
}
