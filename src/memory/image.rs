//! The words of a ring file that somebody else may have open: read, never mapped, so that nobody's cut is our SIGBUS.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::words::{Entries, Layout, Live, LogNote};

/// Where the words of the header are, in words.
const TAIL_AT: usize = 8;
const INTENTS_AT: usize = 16;
const LIVE_AT: usize = 32;

/// What a ring file held when it was read.
#[derive(Debug)]
pub struct Image {
    pub entries: Entries,
    pub log: Option<LogNote>,
    pub live: Live,
    slots: Vec<u64>,
}

impl Image {
    /// Reads the words of `file`, which has this layout.
    ///
    /// # Errors
    ///
    /// Those of read(2); `UnexpectedEof` if it has become shorter.
    pub fn read(file: &File, layout: Layout) -> io::Result<Self> {
        let header = read_words(file, 0, Layout::SLOTS_AT / 8)?;
        let slots = layout.geometry.slots() as usize;
        Ok(Self {
            entries: Entries {
                tail: words_at(&header, TAIL_AT),
                intents: [INTENTS_AT, INTENTS_AT + 8].map(|at| words_at(&header, at)),
            },
            log: LogNote::from_words(&header[Layout::PATH_AT / 8..]),
            live: Live::from_words(&words_at(&header, LIVE_AT)),
            slots: read_words(file, Layout::SLOTS_AT, slots * 2)?,
        })
    }

    /// The place and the state of a descriptor.
    pub fn slot(&self, slot: usize) -> (u64, u64) {
        (self.slots[2 * slot], self.slots[2 * slot + 1])
    }
}

fn words_at<const N: usize>(words: &[u64], at: usize) -> [u64; N] {
    words[at..at + N].try_into().expect("as long as asked for")
}

/// Reads `count` words from the byte `at` on.
pub(super) fn read_words(file: &File, at: usize, count: usize) -> io::Result<Vec<u64>> {
    const PART: usize = 1 << 13;
    let mut words = Vec::new();
    words
        .try_reserve_exact(count)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = vec![0; PART.min(count) * 8];
    while words.len() < count {
        let part = &mut bytes[..PART.min(count - words.len()) * 8];
        file.read_exact_at(part, (at + words.len() * 8) as u64)?;
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("8 bytes"));
        words.extend(part.chunks_exact(8).map(word));
    }
    Ok(words)
}
