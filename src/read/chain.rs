//! The proof that a log is as it was written, while it is read: each header and frame goes into the
//! chain of the key, and each checkpoint is compared with it.

use core::fmt;
use core::str::FromStr;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::Notice;
use super::notice::Place;
use crate::words::frame::Kind;
use crate::words::frame::chain::{ChainKey, Fault, Verifier, header_of};

/// How far the chain of a log was proved: how many frames it has, and their value.
///
/// Its text ([`Display`](fmt::Display), [`FromStr`]) is the number, a colon, and the value as 32
/// hexadecimal digits. It can be published: it gives neither the key nor a record away. Save it
/// where the writer of the log cannot change it, and give it to
/// [`ReadOptions::proven`](super::ReadOptions::proven) the next time.
///
/// ```
/// use alq::read::Proven;
///
/// let proven: Proven = "1000:000102030405060708090a0b0c0d0e0f".parse()?;
/// assert_eq!(proven.frames(), 1000);
/// assert_eq!(proven.to_string(), "1000:000102030405060708090a0b0c0d0e0f");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Proven {
    frames: u64,
    /// The first bytes of the value.
    value: Option<[u8; 16]>,
}

impl Proven {
    /// At least this many frames, whatever their value. Headers count, checkpoints do not.
    ///
    /// ```
    /// assert_eq!(alq::read::Proven::frames_only(5).to_string(), "5");
    /// ```
    #[must_use]
    pub const fn frames_only(frames: u64) -> Self {
        Self {
            frames,
            value: None,
        }
    }

    /// How many frames the chain has. Headers count, checkpoints do not.
    ///
    /// ```
    /// assert_eq!(alq::read::Proven::frames_only(5).frames(), 5);
    /// ```
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.frames)?;
        let Some(value) = self.value else {
            return Ok(());
        };
        f.write_str(":")?;
        value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The error of a text that is no [`Proven`].
///
/// ```
/// assert!("1000:12".parse::<alq::read::Proven>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseProvenError;

impl fmt::Display for ParseProvenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number of frames, or such a number with a colon and 32 hex digits")
    }
}

impl core::error::Error for ParseProvenError {}

impl FromStr for Proven {
    type Err = ParseProvenError;

    fn from_str(text: &str) -> Result<Self, ParseProvenError> {
        let (frames, value) = match text.split_once(':') {
            Some((frames, value)) => (frames, Some(value)),
            None => (text, None),
        };
        let frames = frames.parse().map_err(|_| ParseProvenError)?;
        let value = value.map(|digits| {
            let is_hex = digits.len() == 32 && digits.bytes().all(|c| c.is_ascii_hexdigit());
            let number = u128::from_str_radix(digits, 16).ok().filter(|_| is_hex);
            number.map(u128::to_be_bytes).ok_or(ParseProvenError)
        });
        Ok(Self {
            frames,
            value: value.transpose()?,
        })
    }
}

/// Where a frame is: which file, and the offset in it.
type At = (usize, u64);

/// Proves the frames of a reader.
#[derive(Debug)]
pub(super) struct Checker {
    verifier: Verifier<At>,
    /// What an earlier proof has found.
    earlier: Option<Proven>,
    files: Vec<PathBuf>,
    notices: VecDeque<(Notice, Place)>,
    is_finished: bool,
}

impl Checker {
    pub fn new(key: ChainKey, earlier: Option<Proven>) -> Self {
        let mut verifier = Verifier::new(key);
        if let Some(Proven {
            frames,
            value: Some(value),
        }) = earlier
        {
            verifier.know(frames, value);
        }
        Self {
            verifier,
            earlier,
            files: Vec::new(),
            notices: VecDeque::new(),
            is_finished: false,
        }
    }

    /// Takes a header or a frame, which is at `offset` of `file`. `overhead` bytes come before the
    /// payload of a frame.
    pub fn take(&mut self, bytes: &[u8], overhead: usize, file: &Path, offset: u64) {
        if self.files.last().is_none_or(|last| last != file) {
            self.files.push(file.to_owned());
        }
        let at = (self.files.len() - 1, offset);
        let is_checkpoint = header_of(bytes).is_none()
            && bytes
                .get(15)
                .is_some_and(|last| Kind::of_last(*last) == Kind::Checkpoint);
        let fault = match bytes.get(overhead..) {
            Some(payload) if is_checkpoint => self.verifier.check(bytes, payload, at),
            _ => self.verifier.add(bytes, at),
        };
        match fault {
            None => {}
            Some(Fault::Broken {
                number,
                place,
                found,
                written,
            }) => {
                let frame = number;
                let notice = Notice::Broken {
                    frame,
                    found,
                    written,
                };
                self.note(notice, place);
            }
            Some(Fault::Adopted { frames }) => self.note(Notice::Adopted { frames }, at),
            Some(Fault::OtherKey) => self.note(Notice::OtherKey, at),
            Some(Fault::OtherValue) => self.note_other_past(at),
        }
    }

    fn note(&mut self, notice: Notice, (file, offset): At) {
        let file = self.files.get(file).cloned().unwrap_or_default();
        self.notices.push_back((notice, Place { file, offset }));
    }

    fn note_other_past(&mut self, at: At) {
        if let Some(Proven { frames, .. }) = self.earlier.take() {
            self.note(Notice::OtherPast { frames }, at);
        }
    }

    /// The log ends here, at `offset` of `file`.
    pub fn finish(&mut self, file: &Path, offset: u64) {
        if self.is_finished || self.verifier.has_other_key() {
            return;
        }
        self.is_finished = true;
        self.files.push(file.to_owned());
        let at = (self.files.len() - 1, offset);
        let Some((frames, _)) = self.verifier.covered() else {
            return self.note(Notice::NoChain, at);
        };
        let is_short = |earlier: Proven| earlier.frames > frames;
        if self.earlier.is_some_and(is_short) || self.verifier.knows_more() {
            self.note_other_past(at);
        }
        if !self.verifier.is_ended() {
            let frames = self.verifier.uncovered();
            self.note(Notice::NotClosed { frames }, at);
        }
    }

    pub fn notice(&mut self) -> Option<(Notice, Place)> {
        self.notices.pop_front()
    }

    /// The number of the first frame that is there, and what was proved.
    pub fn proven(&self) -> Option<(u64, Proven)> {
        let (frames, value) = self.verifier.covered()?;
        let value = value.first_chunk().copied();
        Some((self.verifier.begins_at(), Proven { frames, value }))
    }

    pub fn into_verifier(self) -> Verifier<At> {
        self.verifier
    }
}

#[cfg(test)]
mod tests {
    use super::Proven;

    #[test]
    fn a_proven_length_is_text_and_back() {
        for text in ["0", "17", "17:00112233445566778899aabbccddeeff"] {
            assert_eq!(text.parse::<Proven>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ":",
            "x",
            "-1",
            "1:",
            "1:00",
            "1:+0112233445566778899aabbccddeeff",
            "1:2:3",
        ] {
            assert!(text.parse::<Proven>().is_err(), "{text}");
        }
    }
}
