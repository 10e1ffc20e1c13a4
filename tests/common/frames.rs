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

/// CRC32C of each byte, bit by bit.
const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc32c(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(!0, |crc: u32, byte| {
        crc >> 8 ^ CRC32C[(crc as u8 ^ byte) as usize]
    })
}

fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().rev();
    digits.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Reads the file at `path`.
pub fn read(path: impl AsRef<Path>) -> File {
    parse(&std::fs::read(path).unwrap())
}

/// Reads the bytes of a file.
pub fn parse(bytes: &[u8]) -> File {
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
        rest: Vec::new(),
    };
    let mut at = 64;
    while bytes.len() - at >= head {
        let length = number(&bytes[at..at + 4]) as usize;
        let Some(frame) = bytes[at..].get(..head + length) else {
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
        at += head + length;
    }
    file.rest = bytes[at..].to_vec();
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
                4 => assert_eq!(frame.position, 0, "a checkpoint"),
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

/// Returns the records that the library's reader finds in the log at `path`. Panics if it finds
/// damage or a torn end.
#[cfg(feature = "read")]
pub fn found(path: impl AsRef<Path>) -> Vec<Vec<u8>> {
    found_with(path, alq::read::ReadOptions::new())
}

/// The same with `options`. If they have the key of a chain, it panics if something is not proved.
#[cfg(feature = "read")]
pub fn found_with(path: impl AsRef<Path>, options: alq::read::ReadOptions) -> Vec<Vec<u8>> {
    use alq::read::{Item, Notice};

    let mut reader = options.open(path).unwrap();
    let mut records = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Record(record) => records.push(record.bytes().to_vec()),
            Item::Notice(Notice::Missing { .. }, _) => {}
            Item::Notice(notice, _) if !notice.is_fault() => {}
            other => panic!("{other:?}"),
        }
    }
    let last = reader.finish();
    assert!(last.is_none(), "the log is not whole at its end: {last:?}");
    records
}
