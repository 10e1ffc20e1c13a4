//! Why a log accepts no data, in the words of its sink, as a ring file says it.

use super::Live;
use super::ring_file::checksum;

/// What a sink says of a stall.
///
/// Two threads may store a reason at once, and a reader in another process may read during a store.
/// The check covers all other words, so a mixture of two reasons is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// When the write began that has not returned, in nanoseconds since 1970; 0 if it is the stall
    /// that the counters tell of.
    pub write_began_ns: u64,
    pub text: String,
}

impl Reason {
    /// The number of words: the check, `write_began_ns`, the length, and the text.
    pub const WORDS: usize = 64;
    /// The most bytes of the text.
    pub const TEXT_MAX: usize = (Self::WORDS - 3) * 8;
    /// The end of a text that was cut.
    const CUT: &str = "...";

    /// Packs this reason. A text that is too long is cut, and says so.
    pub fn to_words(&self) -> [u64; Self::WORDS] {
        let (text, end) = if self.text.len() <= Self::TEXT_MAX {
            (&*self.text, "")
        } else {
            let mut most = Self::TEXT_MAX - Self::CUT.len();
            while !self.text.is_char_boundary(most) {
                most -= 1;
            }
            (&self.text[..most], Self::CUT)
        };
        let mut bytes = [0; Self::TEXT_MAX];
        let len = text.len() + end.len();
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes[text.len()..len].copy_from_slice(end.as_bytes());
        let mut words = [0; Self::WORDS];
        words[1] = self.write_began_ns;
        words[2] = len as u64;
        for (word, chunk) in words[3..].iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_ne_bytes(chunk.try_into().expect("8 bytes"));
        }
        words[0] = checksum(&words[1..]);
        words
    }

    /// Unpacks a reason. `None` if there is none, or if it was not stored completely. Bytes that are
    /// not UTF-8 are replaced.
    pub fn from_words(words: &[u64; Self::WORDS]) -> Option<Self> {
        let len = usize::try_from(words[2]).ok();
        let len = len.filter(|len| (1..=Self::TEXT_MAX).contains(len))?;
        if words[0] != checksum(&words[1..]) {
            return None;
        }
        let bytes: Vec<u8> = words[3..]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        Some(Self {
            write_began_ns: words[1],
            text: String::from_utf8_lossy(&bytes[..len]).into_owned(),
        })
    }

    /// Returns whether it is the reason of the stall that `live` tells of. A thread that reports a
    /// write that hangs may store its reason after that write has returned.
    pub const fn is_of(&self, live: &Live) -> bool {
        match self.write_began_ns {
            0 => live.stall_errno != 0,
            began => began == live.write_began_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Live, Reason, checksum};

    fn reason(text: &str) -> Reason {
        Reason {
            write_began_ns: 17,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_reason_round_trips_and_a_mixture_of_two_is_none() {
        let texts = ["no quorum: 1 of 3 nodes", "no answer", &"y".repeat(488)];
        let words = texts.map(|text| reason(text).to_words());
        for (text, words) in texts.iter().zip(&words) {
            assert_eq!(Reason::from_words(words), Some(reason(text)));
        }
        // The words of two that differ, in each order in which two threads may have stored them.
        for [first, second] in [[0, 1], [0, 2], [1, 0], [2, 1]] {
            for cut in 1..Reason::WORDS {
                let mut mixed = words[first];
                mixed[cut..].copy_from_slice(&words[second][cut..]);
                let is_whole = mixed == words[first];
                let found = Reason::from_words(&mixed);
                assert_eq!(found.is_some(), is_whole, "{first} {second} {cut}");
            }
        }
        for words in [[0; Reason::WORDS], [u64::MAX; Reason::WORDS]] {
            assert_eq!(Reason::from_words(&words), None);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_two_letters() {
        let long = reason(&"äöü".repeat(100));
        let read = Reason::from_words(&long.to_words()).unwrap().text;
        assert!(read.len() > 480 && read.len() <= Reason::TEXT_MAX);
        let kept = read.strip_suffix("...").unwrap();
        assert!(long.text.starts_with(kept));
    }

    #[test]
    fn bytes_that_are_no_text_and_lengths_that_are_too_long_are_harmless() {
        let mut words = reason("abcdefgh").to_words();
        words[3] = u64::from_ne_bytes(*b"ab\xff\xfe\x1b[2J");
        words[0] = checksum(&words[1..]);
        let read = Reason::from_words(&words).unwrap();
        assert_eq!(read.text, "ab\u{fffd}\u{fffd}\u{1b}[2J");
        for len in [0, 489, u64::MAX] {
            words[2] = len;
            words[0] = checksum(&words[1..]);
            assert_eq!(Reason::from_words(&words), None);
        }
    }

    #[test]
    fn a_reason_is_of_one_write_or_of_the_stall() {
        let live = |stall_errno, write_began_ns| Live {
            stall_errno,
            write_began_ns,
            ..Live::default()
        };
        let hung = reason("hung");
        let stalled = Reason {
            write_began_ns: 0,
            ..hung.clone()
        };
        assert!(hung.is_of(&live(0, 17)) && hung.is_of(&live(11, 17)));
        assert!(!hung.is_of(&live(0, 18)) && !hung.is_of(&live(11, 0)));
        assert!(stalled.is_of(&live(11, 17)) && !stalled.is_of(&live(0, 17)));
    }
}
