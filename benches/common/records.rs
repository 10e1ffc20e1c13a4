//! The records: each has its writer and its number in it, so that a file can be checked record by record.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

/// The shortest record: eight letters of a number, one of the writer, and the newline.
pub const SHORTEST: usize = 10;

/// Four bits of each letter of the number count.
const DIGITS: u64 = 0x0f0f_0f0f_0f0f_0f0f;

/// The rest of each makes it a letter.
const LETTERS: u64 = 0x4040_4040_4040_4040;

/// The same record again and again, but for its number: ASCII, with a newline at its end.
#[derive(Clone, Debug)]
pub struct Records {
    record: Vec<u8>,
    digits: u64,
}

impl Records {
    pub fn new(len: usize, writer: usize) -> Self {
        assert!(len >= SHORTEST, "a record has {SHORTEST} bytes at least");
        let mut record = vec![b'r'; len];
        record[8] = b'A' + u8::try_from(writer).expect("few writers");
        record[len - 1] = b'\n';
        Self { record, digits: 0 }
    }

    /// The next one. Costs about a nanosecond, for every contestant.
    #[inline]
    pub fn next(&mut self) -> &[u8] {
        self.record[..8].copy_from_slice(&(self.digits | LETTERS).to_le_bytes());
        self.digits = (self.digits | !DIGITS).wrapping_add(1) & DIGITS;
        &self.record
    }

    /// The next `count` of them, one after the other.
    pub fn fill(&mut self, block: &mut [u8]) {
        for place in block.chunks_exact_mut(self.record.len()) {
            place.copy_from_slice(self.next());
        }
    }
}

/// What is in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub records: u64,
    /// Whether the numbers of each writer are all there.
    pub gaps: bool,
}

/// The records of all files in a folder, by name; an error if one is not whole, is there twice or comes before an
/// earlier one of its writer.
pub fn check_folder(folder: &Path, len: usize, writers: usize) -> Result<Found, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut checker = Checker::new(len, writers);
    for path in paths.iter().filter(|path| path.is_file()) {
        let file = File::open(path).map_err(|error| error.to_string())?;
        checker.read(BufReader::with_capacity(1 << 20, file))?;
    }
    Ok(checker.found)
}

/// The same of what a reader has.
#[derive(Debug)]
pub struct Checker {
    expected: Vec<u8>,
    next: Vec<u64>,
    found: Found,
}

impl Checker {
    pub fn new(len: usize, writers: usize) -> Self {
        Self {
            expected: Records::new(len, 0).record,
            next: vec![0; writers],
            found: Found::default(),
        }
    }

    pub fn found(&self) -> Found {
        self.found
    }

    fn read(&mut self, mut from: impl Read) -> Result<(), String> {
        let mut record = vec![0; self.expected.len()];
        while read_whole(&mut from, &mut record)? {
            self.check(&record)?;
        }
        Ok(())
    }

    /// One record, the next of its writer that is left.
    pub fn check(&mut self, record: &[u8]) -> Result<(), String> {
        let writer = usize::from(record[8].wrapping_sub(b'A'));
        let letters = u64::from_le_bytes(record[..8].try_into().expect("eight"));
        if writer >= self.next.len()
            || letters & !DIGITS != LETTERS
            || record[9..] != self.expected[9..]
        {
            let text = String::from_utf8_lossy(record);
            return Err(format!("after {} records: {text:?}", self.found.records));
        }
        let number = number(letters);
        if number < self.next[writer] {
            return Err(format!("record {number} of {writer} again, or late"));
        }
        self.found.gaps |= number > self.next[writer];
        self.found.records += 1;
        self.next[writer] = number + 1;
        Ok(())
    }
}

/// The number that the letters spell.
fn number(letters: u64) -> u64 {
    let digits = (letters & DIGITS).to_le_bytes();
    let place = |(n, digit): (usize, u8)| u64::from(digit) << (4 * n);
    digits.into_iter().enumerate().map(place).sum()
}

/// Whether there was one; half of one is an error.
fn read_whole(from: &mut impl Read, record: &mut [u8]) -> Result<bool, String> {
    let mut filled = 0;
    while filled < record.len() {
        match from.read(&mut record[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(format!("{filled} bytes after the last record")),
            Ok(n) => filled += n,
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(true)
}
