//! The words of a ring file that another process may have open. The file is read and never mapped:
//! if another process truncates it, this process gets an error instead of SIGBUS.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::words::{Entries, Layout, Live, LogNote, Oldest, Reason};

/// Offsets in the header, in words.
const TAIL_AT: usize = 8;
const OLDEST_AT: usize = 11;
const INTENTS_AT: usize = 16;
const LIVE_AT: usize = 32;
const WRITING_AT: usize = 56;
const REASON_AT: usize = 64;

/// The content of a ring file at the time of the read, without the bytes of the records.
#[derive(Debug)]
pub struct Image {
    pub entries: Entries,
    /// Where the oldest record of a recorder is.
    pub oldest: Oldest,
    pub log: Option<LogNote>,
    pub live: Live,
    /// Why the log accepts no data, in words.
    pub reason: Option<Reason>,
    /// The words of the slots, in pieces; `None` for a piece of zeros. So a file that claims
    /// to be long and is not costs no memory.
    slots: Vec<Option<Box<[u64]>>>,
}

/// How many words are read at once; also the length of a piece.
const PIECE: usize = 1 << 13;

impl Image {
    /// Reads the words of `file`, which has this layout.
    ///
    /// # Errors
    ///
    /// The errors of read(2); `UnexpectedEof` if the file has become shorter.
    pub fn read(file: &File, layout: Layout) -> io::Result<Self> {
        let header = read_words(file, 0, Layout::SLOTS_AT / 8)?;
        let slots = layout.geometry.slots() as usize;
        let pieces = (0..2 * slots).step_by(PIECE).map(|at| {
            let words = read_words(file, Layout::SLOTS_AT + 8 * at, PIECE.min(2 * slots - at))?;
            let is_used = words.iter().any(|word| *word != 0);
            Ok(is_used.then(|| words.into_boxed_slice()))
        });
        Ok(Self {
            entries: Entries {
                tail: words_at(&header, TAIL_AT),
                intents: [INTENTS_AT, INTENTS_AT + 8].map(|at| words_at(&header, at)),
            },
            oldest: Oldest::from_words(words_at(&header, OLDEST_AT)),
            log: LogNote::from_words(&header[Layout::PATH_AT / 8..]),
            live: Live {
                write_began_ns: header[WRITING_AT],
                ..Live::from_words(&words_at(&header, LIVE_AT))
            },
            reason: Reason::from_words(&words_at(&header, REASON_AT)),
            slots: pieces.collect::<io::Result<_>>()?,
        })
    }

    /// Reads where the oldest record of a recorder is.
    ///
    /// # Errors
    ///
    /// The errors of read(2).
    pub fn oldest(file: &File) -> io::Result<Oldest> {
        let words = read_words(file, 8 * OLDEST_AT, Oldest::WORDS)?;
        Ok(Oldest::from_words(words_at(&words, 0)))
    }

    /// Returns the place and the state of a slot.
    pub fn slot(&self, slot: usize) -> (u64, u64) {
        let (piece, at) = (2 * slot / PIECE, 2 * slot % PIECE);
        let piece = self.slots[piece].as_deref();
        piece.map_or((0, 0), |words| (words[at], words[at + 1]))
    }
}

fn words_at<const N: usize>(words: &[u64], at: usize) -> [u64; N] {
    words[at..at + N].try_into().expect("as long as asked for")
}

/// Returns the number of the process that last stored its statistics in `file`.
pub fn noted_pid(file: &File) -> Option<u32> {
    let words = read_words(file, 8 * LIVE_AT, Live::WORDS).ok()?;
    Some(Live::from_words(&words_at(&words, 0)).pid)
}

/// Reads `count` words from byte `at` on.
pub(super) fn read_words(file: &File, at: usize, count: usize) -> io::Result<Vec<u64>> {
    let mut bytes = vec![0; 8 * count];
    file.read_exact_at(&mut bytes, at as u64)?;
    let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("8 bytes"));
    Ok(bytes.chunks_exact(8).map(word).collect())
}
