//! Reads logs of checked frames for tests, from docs/frames.md and nothing else.

use std::path::Path;

/// A frame of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub position: u64,
    pub stamp: Option<u64>,
    pub payload: Vec<u8>,
}

/// The content of one file.
#[derive(Debug)]
pub struct File {
    pub id: [u8; 16],
    pub first_position: u64,
    pub frames: Vec<Frame>,
    /// The bytes after the last good frame.
    pub rest: Vec<u8>,
}

/// CRC32C, bit by bit.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = !0_u32;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().rev();
    digits.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Reads the file at `path`.
pub fn read(path: impl AsRef<Path>) -> File {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes[..8], *b"\x89alqlog\n", "no header");
    assert_eq!(number(&bytes[8..12]), 1);
    assert_eq!(number(&bytes[60..64]), u64::from(crc32c(&[&bytes[..60]])));
    let has_stamps = number(&bytes[12..16]) == 1;
    let head = if has_stamps { 24 } else { 16 };
    let id: [u8; 16] = bytes[16..32].try_into().unwrap();
    let mut file = File {
        id,
        first_position: number(&bytes[32..40]),
        frames: Vec::new(),
        rest: bytes[64..].to_vec(),
    };
    while file.rest.len() >= head {
        let length = number(&file.rest[..4]) as usize;
        let Some(frame) = file.rest.get(..head + length) else {
            break;
        };
        let word = number(&frame[8..16]);
        let check = crc32c(&[&id, &frame[8..16], &frame[..4], &frame[16..]]);
        if number(&frame[4..8]) != u64::from(check) {
            break;
        }
        file.frames.push(Frame {
            kind: (word >> 60) as u8,
            position: word & (u64::MAX >> 4),
            stamp: has_stamps.then(|| number(&frame[16..24])),
            payload: frame[head..].to_vec(),
        });
        file.rest.drain(..head + length);
    }
    file
}

impl File {
    /// Returns the records, after a check that the file is whole and its positions follow each
    /// other from `position` on. Returns where they end, too.
    pub fn records_from(&self, mut position: u64) -> (Vec<Vec<u8>>, u64) {
        assert!(
            self.rest.is_empty(),
            "{} bytes are no frame",
            self.rest.len()
        );
        let mut records = Vec::new();
        for frame in &self.frames {
            let head = if frame.stamp.is_some() { 24 } else { 16 };
            match frame.kind {
                0 => {
                    assert_eq!(frame.position, position, "{frame:?}");
                    position += head + frame.payload.len() as u64;
                    records.push(frame.payload.clone());
                }
                1 | 2 => {
                    assert!(frame.position >= position, "{frame:?} after {position}");
                    position = frame.position;
                }
                3 => {
                    assert_eq!(frame.position, 0);
                    records.push(frame.payload.clone());
                }
                kind => panic!("kind {kind}"),
            }
        }
        (records, position)
    }

    /// Returns the records of a log that begins with this file.
    pub fn records(&self) -> Vec<Vec<u8>> {
        self.records_from(self.first_position).0
    }
}
