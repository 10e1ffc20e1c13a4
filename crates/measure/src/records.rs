//! The records. Each holds its writer and its number, so that a log can be checked record by
//! record.
//!
//! ```text
//!  bytes 0..8   the number: a letter for each 4 bits, the lowest first
//!  byte  8      the writer: a letter from A on
//!  then         padding, the letter r
//!  last byte    a newline, the only one
//! ```

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::Outcome;

/// The shortest record in bytes: eight letters for the number, one for the writer, and the newline.
pub const SHORTEST: usize = 10;

/// The most writers: one for each letter.
const WRITERS_MAX: usize = 26;

/// The index of the letter of the writer.
const WRITER: usize = 8;

/// The bits of the eight letters that hold the number: four of each letter.
const DIGITS: u64 = 0x0f0f_0f0f_0f0f_0f0f;

/// The other bits, which make each byte a letter.
const LETTERS: u64 = 0x4040_4040_4040_4040;

/// The records of one writer: the same record again and again, except for its number.
#[derive(Clone, Debug)]
pub struct Records {
    record: Vec<u8>,
    digits: u64,
}

impl Records {
    /// Creates the records of `writer` (0 to 25), each of `len` bytes.
    ///
    /// # Errors
    ///
    /// If `len` is less than [`SHORTEST`], or if there is no letter for the writer.
    pub fn new(len: usize, writer: usize) -> Outcome<Self> {
        if len < SHORTEST {
            return Err(format!("a record of {len} bytes: the least is {SHORTEST}").into());
        }
        if writer >= WRITERS_MAX {
            return Err(format!("writer {writer}: there are at most {WRITERS_MAX}").into());
        }
        let mut record = vec![b'r'; len];
        record[WRITER] = b'A' + writer as u8;
        record[len - 1] = b'\n';
        Ok(Self { record, digits: 0 })
    }

    /// Returns the next record. This costs about a nanosecond, for every contestant.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "the record borrows from `self`"
    )]
    pub fn next(&mut self) -> &[u8] {
        self.record[..WRITER].copy_from_slice(&(self.digits | LETTERS).to_le_bytes());
        self.digits = (self.digits | !DIGITS).wrapping_add(1) & DIGITS;
        &self.record
    }

    /// Fills a block with as many of the next records as fit.
    #[inline]
    pub fn fill(&mut self, block: &mut [u8]) {
        for place in block.chunks_exact_mut(self.record.len()) {
            place.copy_from_slice(self.next());
        }
    }
}

/// The content of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The number of records of each writer.
    pub of_each: Vec<u64>,
    /// True if a record is missing before another one of the same writer.
    pub gaps: bool,
}

impl Found {
    /// Returns the number of records of all writers.
    pub fn records(&self) -> u64 {
        self.of_each.iter().sum()
    }

    /// Returns true if the log holds exactly the first `records` records of each writer.
    pub fn is_all(&self, records: u64) -> bool {
        !self.gaps && self.of_each.iter().all(|found| *found == records)
    }
}

/// Checks a log record by record: each must be whole and come after the earlier ones of its writer.
#[derive(Debug)]
pub struct Checker {
    expected: Vec<u8>,
    next: Vec<u64>,
    found: Found,
    /// The beginning of a record that is not complete yet.
    record: Vec<u8>,
}

impl Checker {
    /// Creates a checker for records of `len` bytes from `writers` writers.
    ///
    /// # Errors
    ///
    /// As [`Records::new`].
    pub fn new(len: usize, writers: usize) -> Outcome<Self> {
        Ok(Self {
            expected: Records::new(len, 0)?.record,
            next: vec![0; writers],
            found: Found {
                of_each: vec![0; writers],
                gaps: false,
            },
            record: Vec::with_capacity(len),
        })
    }

    /// Checks the next bytes of the log.
    ///
    /// # Errors
    ///
    /// If a record is damaged, repeated, or comes after a later one of its writer.
    pub fn take(&mut self, mut bytes: &[u8]) -> Outcome<()> {
        while !bytes.is_empty() {
            let missing = self.expected.len() - self.record.len();
            let (part, rest) = bytes.split_at(bytes.len().min(missing));
            self.record.extend_from_slice(part);
            bytes = rest;
            if self.record.len() == self.expected.len() {
                self.check()?;
                self.record.clear();
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Outcome<()> {
        let damaged = |record: &[u8]| {
            let text = String::from_utf8_lossy(record);
            format!("a record that no writer appended: {text:?}")
        };
        let (letters, rest) = self
            .record
            .split_first_chunk::<WRITER>()
            .ok_or_else(|| damaged(&self.record))?;
        let letters = u64::from_le_bytes(*letters);
        let writer = usize::from(rest[0].wrapping_sub(b'A'));
        let expected = &self.expected[WRITER + 1..];
        if writer >= self.next.len() || letters & !DIGITS != LETTERS || rest[1..] != *expected {
            return Err(damaged(&self.record).into());
        }
        let number = number(letters);
        if number < self.next[writer] {
            return Err(format!("record {number} of writer {writer} is repeated or late").into());
        }
        self.found.gaps |= number > self.next[writer];
        self.found.of_each[writer] += 1;
        self.next[writer] = number + 1;
        Ok(())
    }

    /// Returns the content of the log.
    ///
    /// # Errors
    ///
    /// If the last record is not whole.
    pub fn end(self) -> Outcome<Found> {
        match self.record.len() {
            0 => Ok(self.found),
            rest => Err(format!("{rest} bytes are after the last record of the log").into()),
        }
    }

    fn read(&mut self, path: &Path) -> Outcome<()> {
        let mut log = BufReader::new(File::open(path)?);
        let mut block = vec![0; 1 << 16];
        loop {
            match log.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(len) => self.take(&block[..len])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Decodes the number from its letters.
fn number(letters: u64) -> u64 {
    let digits = (letters & DIGITS).to_le_bytes();
    let place = |(n, digit): (usize, u8)| u64::from(digit) << (4 * n);
    digits.into_iter().enumerate().map(place).sum()
}

/// Checks the records of all files of a folder, in the order of the names of the files.
///
/// # Errors
///
/// If a file cannot be read, or holds anything but whole records in order: see [`Checker`].
pub fn check_folder(folder: &Path, len: usize, writers: usize) -> Outcome<Found> {
    let entries = fs::read_dir(folder)?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut checker = Checker::new(len, writers)?;
    for path in paths.iter().filter(|path| path.is_file()) {
        checker.read(path)?;
    }
    checker.end()
}

#[cfg(test)]
mod tests {
    use super::{Checker, Found, Records};

    fn log() -> Vec<u8> {
        let mut writers = [0, 1].map(|writer| Records::new(16, writer).unwrap());
        let order = [0, 1, 1, 0, 0];
        order.map(|writer| writers[writer].next().to_vec()).concat()
    }

    fn found(log: &[u8], piece: usize) -> Result<Found, String> {
        let mut checker = Checker::new(16, 2).unwrap();
        for piece in log.chunks(piece) {
            checker.take(piece).map_err(|error| error.to_string())?;
        }
        checker.end().map_err(|error| error.to_string())
    }

    #[test]
    fn a_log_in_pieces_is_whole() {
        let all = Found {
            of_each: vec![3, 2],
            gaps: false,
        };
        for piece in [1, 7, 16, 100] {
            assert_eq!(found(&log(), piece), Ok(all.clone()), "{piece}");
        }
    }

    #[test]
    fn all_damage_is_found() {
        let whole = log();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 2;
            let found = found(&damaged, 100);
            assert!(
                found.is_err() || found.is_ok_and(|found| found.gaps),
                "byte {at}"
            );
        }
        assert!(found(&whole[..79], 100).is_err(), "half a record");
        let twice = [&whole[..16], &whole[..16]].concat();
        assert!(found(&twice, 100).is_err(), "twice");
        let without_the_first = found(&whole[16..], 100).unwrap();
        assert!(without_the_first.gaps && !without_the_first.is_all(2));
    }

    #[test]
    fn a_number_can_need_more_than_one_letter() {
        let mut records = Records::new(10, 25).unwrap();
        let mut checker = Checker::new(10, 26).unwrap();
        for _ in 0..70_000 {
            checker.take(records.next()).unwrap();
        }
        assert_eq!(checker.end().unwrap().records(), 70_000);
        assert!(Records::new(9, 0).is_err() && Records::new(10, 26).is_err());
    }
}
