//! The words of a ring file that change with each write: the tail, and the note of what is being
//! written. docs/format.md goes through the stores one by one.

use super::ring_file::checksum;
use super::{Head, LogEnd};

/// Notes a write before it begins: `bytes` bytes of records, from the position `start` of the ring,
/// go to the `end` of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Grows with every intent. If two intents count, the one with the greater number is used.
    pub generation: u64,
    /// The tail at which the write begins.
    pub start: Head,
    /// The number of bytes of records.
    pub bytes: u32,
    /// The high half of the position at which the write begins; `start` has the low half.
    pub high: u32,
    /// Where they go. `inode` is 0 for a pipe or a socket, whose bytes cannot be compared.
    pub end: LogEnd,
}

impl Intent {
    /// The number of words of an intent: one cache line.
    pub const WORDS: usize = 8;

    /// Packs this intent.
    pub fn to_words(self) -> [u64; Self::WORDS] {
        let mut words = [
            self.generation,
            self.start.to_bits(),
            u64::from(self.high) << 32 | u64::from(self.bytes),
            self.end.size_bytes,
            self.end.device,
            self.end.inode,
            self.end.birth_ns,
            0,
        ];
        words[7] = checksum(&words[..7]);
        words
    }

    /// Returns the stores that note this intent, each as the index of a word and its value. The
    /// intent does not count before the last store.
    pub fn stores(self) -> [(usize, u64); Self::WORDS + 1] {
        let words = self.to_words();
        let mut stores = [(Self::WORDS - 1, 0); Self::WORDS + 1]; // clears the check
        for (word, value) in words.into_iter().enumerate() {
            stores[word + 1] = (word, value);
        }
        stores
    }

    /// Returns whether `words` are damaged: neither a complete intent nor one whose stores a kill
    /// has cut short.
    pub fn is_damaged(words: &[u64; Self::WORDS]) -> bool {
        words[7] != 0 && Self::from_words(words).is_none()
    }

    /// Unpacks an intent. `None` if its stores were not completed.
    pub fn from_words(words: &[u64; Self::WORDS]) -> Option<Self> {
        let [
            generation,
            start,
            bytes,
            size_bytes,
            device,
            inode,
            birth_ns,
            check,
        ] = *words;
        (check == checksum(&words[..7])).then_some(Self {
            generation,
            start: Head::from_bits(start),
            bytes: bytes as u32,
            high: (bytes >> 32) as u32,
            end: LogEnd {
                device,
                inode,
                birth_ns,
                size_bytes,
            },
        })
    }
}

/// The words of the header that change: the tail, and the two intents.
#[derive(Clone, Copy, Debug)]
pub struct Entries {
    /// The previous tail, the tail, and the complement of the tail.
    pub tail: [u64; 3],
    /// The two intents, written in turn.
    pub intents: [[u64; Intent::WORDS]; 2],
}

impl Entries {
    /// Returns the stores that move the tail from `before` to `tail`, each as the index of a word
    /// and its value. After a kill between any two of them, [`tail`](Entries::tail) returns one of
    /// the two tails. This also holds if an earlier process was killed in the same way.
    pub const fn tail_stores(before: u64, tail: u64) -> [(usize, u64); 4] {
        // The first store repairs the complement: an earlier process may have been killed before it
        // stored that.
        [(2, !before), (0, before), (1, tail), (2, !tail)]
    }

    /// Returns the tail; `None` if the words contradict each other.
    pub fn tail(&self) -> Option<Head> {
        let [previous, tail, check] = self.tail;
        // After a kill between the last two stores, the complement is that of the previous tail.
        (!check == tail || !check == previous).then_some(Head::from_bits(tail))
    }

    /// Returns the write that was in progress, if there was one: the newer of the intents that
    /// start at the tail. The other intent may be for the bytes after it.
    pub fn intent(&self) -> Option<Intent> {
        let tail = self.tail()?;
        let intents = self.intents.iter().filter_map(Intent::from_words);
        let counting = intents.filter(|intent| intent.start == tail);
        counting.max_by_key(|intent| intent.generation)
    }

    /// Returns the intent that was noted last.
    pub fn newest(&self) -> Option<Intent> {
        let intents = self.intents.iter().filter_map(Intent::from_words);
        intents.max_by_key(|intent| intent.generation)
    }

    /// Returns the index of the intent that the next one overwrites: not the one that counts,
    /// because that one must count until the next one is complete.
    pub fn next_place(&self) -> usize {
        let kept = self.intent().or_else(|| self.newest());
        usize::from(kept.is_some() && kept == Intent::from_words(&self.intents[0]))
    }

    /// Returns whether an intent is damaged: no killed process leaves such words.
    pub fn has_damaged_intent(&self) -> bool {
        self.intents.iter().any(Intent::is_damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, Intent, LogEnd};

    #[test]
    fn every_flipped_bit_of_an_intent_is_seen() {
        let intent = Intent {
            generation: 7,
            start: Head { seq: 64, pos: 12 },
            bytes: 100,
            high: 5,
            end: LogEnd {
                device: 1,
                inode: 2,
                birth_ns: 3,
                size_bytes: 4,
            },
        };
        assert_eq!(Intent::from_words(&intent.to_words()), Some(intent));
        assert_eq!(Intent::from_words(&[0; 8]), None);
        for bit in 0..512 {
            let mut words = intent.to_words();
            words[bit / 64] ^= 1 << (bit % 64);
            assert_eq!(Intent::from_words(&words), None);
        }
    }
}
