//! What the last message of a publish says about the log: see the table in the documentation of the
//! crate.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use alq::LogEnd;
use async_nats::{HeaderMap, HeaderValue};

/// The header with the length of the log, up to the end of this message, in bytes.
const END: &str = "Alq-End";
/// The header with the number of the write that this message belongs to.
const WRITE: &str = "Alq-Write";
/// The header with the identity of the writer.
const WRITER: &str = "Alq-Writer";
/// The header of a message whose record continues in the next one.
pub const MORE: &str = "Alq-More";

/// The headers of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub end: u64,
    pub write: u64,
    pub writer: String,
}

impl Mark {
    /// Reads the mark of a message. `None` if the message has none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).map(HeaderValue::as_str);
        Some(Self {
            end: text(END)?.parse().ok()?,
            write: u64::from_str_radix(text(WRITE)?, 16).ok()?,
            writer: text(WRITER)?.to_owned(),
        })
    }

    /// Adds this mark to the headers of a message.
    pub fn put(&self, headers: &mut HeaderMap) {
        headers.insert(END, self.end.to_string());
        headers.insert(WRITE, format!("{:016x}", self.write));
        headers.insert(WRITER, self.writer.as_str());
    }
}

/// The last message of the subject, by its leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Its number in the stream; 0 if there is none.
    pub seq: u64,
    /// `None` if it was not published by a queue.
    pub mark: Option<Mark>,
}

impl Tail {
    pub fn end(&self) -> u64 {
        self.mark.as_ref().map_or(0, |mark| mark.end)
    }

    pub fn writer(&self) -> Option<&str> {
        self.mark.as_ref().map(|mark| &*mark.writer)
    }
}

/// Where the next publish goes: after the message `seq` of the stream, which ends at byte `end` of
/// the log. `write` marks what is published there, until it is known whether it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    pub seq: u64,
    pub end: u64,
    pub write: u64,
}

impl Base {
    /// Begins a write after this message.
    pub fn after(seq: u64, end: u64) -> Self {
        Self {
            seq,
            end,
            write: random(),
        }
    }

    /// Packs this place for the intent in the ring file. `log` is not 0.
    pub fn to_log_end(self, log: u64) -> LogEnd {
        LogEnd {
            device: log,
            inode: self.seq + 1, // 0 would mean that the place is not known
            birth_ns: self.write,
            size_bytes: self.end,
        }
    }

    /// Unpacks the place in an intent; `None` if it is in another log.
    pub fn from_log_end(packed: &LogEnd, log: u64) -> Option<Self> {
        (packed.device == log && packed.inode > 0).then(|| Self {
            seq: packed.inode - 1,
            end: packed.size_bytes,
            write: packed.birth_ns,
        })
    }
}

/// Returns the number of a log in intents: FNV-1a over the names of its stream and subject.
pub fn log_number(stream: &str, subject: &str) -> u64 {
    let bytes = stream.bytes().chain([0]).chain(subject.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

/// Returns a number that no other call returns, but for a chance of 2^-64: the standard library
/// takes its keys from the system.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_put() {
        let mark = Mark {
            end: u64::MAX,
            write: 0x0a,
            writer: "00ff".into(),
        };
        let mut headers = HeaderMap::new();
        assert_eq!(Mark::of(&headers), None);
        mark.put(&mut headers);
        assert_eq!(Mark::of(&headers), Some(mark));
    }

    #[test]
    fn a_base_survives_in_an_intent_of_the_same_log_only() {
        let (log, other) = (log_number("a", "bc"), log_number("ab", "c"));
        assert_ne!(log, other);
        let base = Base::after(0, 17);
        let packed = base.to_log_end(log);
        assert_eq!(Base::from_log_end(&packed, log), Some(base));
        assert_eq!(Base::from_log_end(&packed, other), None);
        assert_eq!(Base::from_log_end(&LogEnd::default(), 0), None);
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random(), random());
    }
}
