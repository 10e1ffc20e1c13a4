//! The records: each has its number and its writer in it, so that a log can be looked through record by record.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::Outcome;

/// Where the writer is; the number is before it.
const WRITER: usize = 8;

/// What one writer appends.
#[derive(Debug)]
pub struct Records {
    record: Vec<u8>,
    number: u64,
}

impl Records {
    /// Of `len` bytes, at least 16.
    pub fn new(len: usize, writer: usize) -> Self {
        let mut record = vec![b'r'; len];
        record[WRITER] = writer as u8;
        record[len - 1] = b'\n';
        Self { record, number: 0 }
    }

    /// The next one.
    #[inline]
    pub fn next(&mut self) -> &[u8] {
        self.record[..WRITER].copy_from_slice(&self.number.to_le_bytes());
        self.number += 1;
        &self.record
    }

    /// As many of the next ones as fit.
    pub fn fill(&mut self, block: &mut [u8]) {
        for place in block.chunks_exact_mut(self.record.len()) {
            place.copy_from_slice(self.next());
        }
    }
}

/// Compares what a log holds, record by record, with what was appended.
#[derive(Debug)]
pub struct Checker {
    expected: Vec<Records>,
    record: Vec<u8>,
    filled: usize,
}

impl Checker {
    pub fn new(len: usize, writers: usize) -> Self {
        Self {
            expected: (0..writers)
                .map(|writer| Records::new(len, writer))
                .collect(),
            record: vec![0; len],
            filled: 0,
        }
    }

    /// Some more of the log.
    pub fn take(&mut self, mut bytes: &[u8]) -> Outcome<()> {
        while !bytes.is_empty() {
            let len = bytes.len().min(self.record.len() - self.filled);
            let (part, rest) = bytes.split_at(len);
            self.record[self.filled..self.filled + len].copy_from_slice(part);
            self.filled += len;
            bytes = rest;
            if self.filled == self.record.len() {
                self.check()?;
                self.filled = 0;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Outcome<()> {
        let writer = usize::from(self.record[WRITER]);
        let expected = self.expected.get_mut(writer);
        let expected = expected.ok_or("a record of nobody is in the log")?;
        let number = expected.number;
        if expected.next() != self.record {
            return Err(
                format!("record {number} of writer {writer} is not the next in the log").into(),
            );
        }
        Ok(())
    }

    /// How many whole records of each writer were there.
    pub fn end(self) -> Outcome<Vec<u64>> {
        match self.filled {
            0 => Ok(self.expected.iter().map(|records| records.number).collect()),
            filled => Err(format!("{filled} bytes are behind the last record of the log").into()),
        }
    }
}

/// Whether the file holds just `records` records of each writer, in order.
pub fn check(path: &Path, len: usize, writers: usize, records: u64) -> Outcome<()> {
    let mut checker = Checker::new(len, writers);
    let mut log = BufReader::new(File::open(path)?);
    let mut block = vec![0; 1 << 16];
    loop {
        match log.read(&mut block) {
            Ok(0) => break,
            Ok(len) => checker.take(&block[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let found = checker.end()?;
    if found.iter().any(|found| *found != records) {
        return Err(
            format!("the log holds {found:?} records, not {records} of each writer").into(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Checker, Records};

    fn log() -> Vec<u8> {
        let mut writers = [Records::new(16, 0), Records::new(16, 1)];
        let order = [0, 1, 1, 0, 0];
        order.map(|writer| writers[writer].next().to_vec()).concat()
    }

    fn found(log: &[u8], piece: usize) -> Result<Vec<u64>, String> {
        let mut checker = Checker::new(16, 2);
        for piece in log.chunks(piece) {
            checker.take(piece).map_err(|error| error.to_string())?;
        }
        checker.end().map_err(|error| error.to_string())
    }

    #[test]
    fn a_log_in_pieces_is_whole() {
        for piece in [1, 7, 16, 100] {
            assert_eq!(found(&log(), piece), Ok(vec![3, 2]), "{piece}");
        }
    }

    #[test]
    fn whatever_is_wrong_is_found() {
        let whole = log();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 2;
            assert!(found(&damaged, 100).is_err(), "byte {at}");
        }
        assert!(found(&whole[..79], 100).is_err(), "half a record");
        assert!(
            found(&[&whole[..16], &whole[..16]].concat(), 100).is_err(),
            "twice"
        );
        assert!(
            found(&whole[16..], 100).is_ok_and(|found| found != [3, 2])
                || found(&whole[16..], 100).is_err()
        );
    }
}
