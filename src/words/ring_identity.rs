//! What a ring file says of itself: which ring it is, what the ring is for, and how its records are
//! framed. docs/format.md lists the words.

use core::fmt;

use super::ring_file::checksum;
use super::{Framing, Geometry, Layout, RingFileProblem as Problem, Wrap};

/// Identifies a ring file: 128 random bits, which are made with the file.
///
/// They stay the same for as long as the file serves one log, over all openings and all kills. A
/// file that becomes the ring of another log gets new ones. [`Sink::opened`](crate::Sink::opened)
/// gets them, so that a sink can tell two writers apart.
///
/// ```
/// let id = alq::RingId::from_bytes([0x0f; 16]);
/// assert_eq!(id.to_string(), "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f");
/// assert_eq!(id.to_bytes(), [0x0f; 16]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RingId([u8; 16]);

impl RingId {
    /// Makes an id of these bytes, for example of bytes that a sink has stored.
    ///
    /// ```
    /// let id = alq::RingId::from_bytes([1; 16]);
    /// assert_ne!(id, alq::RingId::from_bytes([2; 16]));
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, in the order of the file.
    ///
    /// ```
    /// assert_eq!(alq::RingId::from_bytes([1; 16]).to_bytes(), [1; 16]);
    /// ```
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for RingId {
    /// Formats the bytes as 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingId({self})")
    }
}

/// How the records in a ring file are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RingFraming {
    #[default]
    Raw,
    Lines,
    Fixed(u32),
    Lengths,
    /// Frames of the log with this id; the flags are those of its header.
    Checked {
        log: [u8; 16],
        flags: u32,
    },
}

impl RingFraming {
    /// Returns the framing as an option; `None` if this build does not have it.
    #[cfg_attr(
        feature = "frames",
        expect(clippy::unnecessary_wraps, reason = "without it, one is missing")
    )]
    pub const fn option(self) -> Option<Framing> {
        Some(match self {
            Self::Raw => Framing::Raw,
            Self::Lines => Framing::Lines,
            Self::Fixed(len) => Framing::Fixed(len as usize),
            Self::Lengths => Framing::Lengths,
            #[cfg(feature = "frames")]
            Self::Checked { .. } => Framing::Checked,
            #[cfg(not(feature = "frames"))]
            Self::Checked { .. } => return None,
        })
    }

    /// Returns the framing that `wrap` adds.
    pub fn of(wrap: Wrap) -> Self {
        match wrap {
            Wrap::Raw => Self::Raw,
            Wrap::Lines => Self::Lines,
            Wrap::Fixed(len) => Self::Fixed(len),
            Wrap::Lengths => Self::Lengths,
            #[cfg(feature = "frames")]
            Wrap::Checked(frames) => Self::Checked {
                log: frames.header(0, 0).id.0,
                flags: frames.header(0, 0).flags(),
            },
        }
    }

    fn to_words(self) -> [u64; 4] {
        match self {
            Self::Raw => [0, 0, 0, 0],
            Self::Lines => [1, 0, 0, 0],
            Self::Fixed(len) => [2, u64::from(len), 0, 0],
            Self::Lengths => [3, 0, 0, 0],
            Self::Checked { log, flags } => {
                let [first, second] = halves(log);
                [4, u64::from(flags), first, second]
            }
        }
    }

    fn from_words(words: [u64; 4]) -> Option<Self> {
        let [kind, more, first, second] = words;
        let more = u32::try_from(more).ok()?;
        let found = match kind {
            0 => Self::Raw,
            1 => Self::Lines,
            2 => Self::Fixed(more),
            3 => Self::Lengths,
            4 => Self::Checked {
                log: joined([first, second]),
                flags: more,
            },
            _ => return None,
        };
        (found.to_words() == words).then_some(found)
    }
}

impl fmt::Display for RingFraming {
    /// Formats the framing as the option that asks for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("Raw"),
            Self::Lines => f.write_str("Lines"),
            Self::Fixed(len) => write!(f, "Fixed({len})"),
            Self::Lengths => f.write_str("Lengths"),
            Self::Checked { .. } => f.write_str("Checked"),
        }
    }
}

/// What a ring is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is drained to a log.
    #[default]
    Queue,
    /// It keeps its newest records.
    Recorder,
}

/// The line of the header that says which ring this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: RingId,
    pub mode: Mode,
    pub framing: RingFraming,
}

impl Identity {
    /// The number of words: one cache line.
    pub const WORDS: usize = 8;

    /// Packs this identity.
    pub fn to_words(self) -> [u64; Self::WORDS] {
        let [first, second] = halves(self.id.0);
        let [kind, more, log_first, log_second] = self.framing.to_words();
        let mut words = [
            first,
            second,
            self.mode as u64,
            kind,
            more,
            log_first,
            log_second,
            0,
        ];
        words[7] = checksum(&words[..7]);
        words
    }

    /// Unpacks an identity.
    ///
    /// # Errors
    ///
    /// The problem with the words.
    pub fn from_words(words: &[u64; Self::WORDS]) -> Result<Self, Problem> {
        let [
            first,
            second,
            mode,
            kind,
            more,
            log_first,
            log_second,
            check,
        ] = *words;
        let framing = RingFraming::from_words([kind, more, log_first, log_second]);
        match framing.filter(|_| check == checksum(&words[..7])) {
            None => Err(Problem::Damaged {
                part: "the words of its identity",
            }),
            Some(framing) => Ok(Self {
                id: RingId(joined([first, second])),
                mode: match mode {
                    0 => Mode::Queue,
                    1 => Mode::Recorder,
                    mode => return Err(Problem::OtherMode { mode }),
                },
                framing,
            }),
        }
    }
}

fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let half = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    [half(0), half(8)]
}

fn joined(halves: [u64; 2]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&halves[0].to_ne_bytes());
    bytes[8..].copy_from_slice(&halves[1].to_ne_bytes());
    bytes
}

/// The words of a header that only an opening changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Title {
    /// The version of the format; 0 in a file that holds nothing.
    pub version: u64,
    /// The sizes; `None` in a file that is being made, whose ring does not exist yet.
    pub layout: Option<Layout>,
    /// `None` in a file of version 1, and in one that holds nothing.
    pub identity: Option<Identity>,
}

impl Title {
    /// The number of words from the start of the file to the end of the identity. The words between
    /// the sizes and the identity are not part of the title.
    pub const WORDS: usize = Self::IDENTITY_AT + Identity::WORDS;
    /// Where the identity begins, in words.
    const IDENTITY_AT: usize = 48;

    /// Reads the title of a file of `len` bytes that does not hold nothing.
    ///
    /// # Errors
    ///
    /// The problem of the file.
    pub fn from_words(words: &[u64; Self::WORDS], len: u64) -> Result<Self, Problem> {
        let sizes = words.first_chunk().expect("the words begin with them");
        let (version, layout) = Layout::from_words(sizes, len)?;
        let identity = words.last_chunk().expect("the words end with it");
        let identity = match version {
            1 => None,
            _ => Some(Identity::from_words(identity)?),
        };
        let title = Self {
            version,
            layout,
            identity,
        };
        let capacity = layout.map_or(0, |layout| layout.geometry.capacity());
        if title.mode() == Mode::Recorder && capacity > Geometry::RECORDER_MAX {
            return Err(Problem::Damaged {
                part: "the sizes in its header",
            });
        }
        Ok(title)
    }

    /// Returns what the ring is for.
    pub fn mode(&self) -> Mode {
        self.identity.map_or(Mode::Queue, |identity| identity.mode)
    }

    /// Stores a title of the present version in `words`.
    pub fn store(layout: Option<Layout>, identity: Identity, words: &mut [u64]) {
        words[..Layout::FIXED_WORDS].copy_from_slice(&Layout::to_words(layout));
        words[Self::IDENTITY_AT..Self::WORDS].copy_from_slice(&identity.to_words());
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Mode, Problem, RingFraming, RingId, checksum};

    const FRAMINGS: [RingFraming; 5] = [
        RingFraming::Raw,
        RingFraming::Lines,
        RingFraming::Fixed(77),
        RingFraming::Lengths,
        RingFraming::Checked {
            log: *b"an id of a log!!",
            flags: 1,
        },
    ];

    fn identity(framing: RingFraming) -> Identity {
        let id = RingId::from_bytes(*b"0123456789abcdef");
        let mode = match framing {
            RingFraming::Lines => Mode::Recorder,
            _ => Mode::Queue,
        };
        Identity { id, mode, framing }
    }

    #[test]
    fn an_identity_round_trips_and_every_flipped_bit_is_seen() {
        for framing in FRAMINGS {
            let words = identity(framing).to_words();
            assert_eq!(Identity::from_words(&words), Ok(identity(framing)));
            for bit in 0..512 {
                let mut words = words;
                words[bit / 64] ^= 1 << (bit % 64);
                let found = Identity::from_words(&words);
                assert!(matches!(found, Err(Problem::Damaged { .. })), "{bit}");
            }
        }
        assert!(Identity::from_words(&[0; 8]).is_err());
    }

    #[test]
    fn an_unknown_mode_is_named_and_an_unknown_framing_is_refused() {
        let with = |at: usize, value| {
            let mut words = identity(RingFraming::Raw).to_words();
            words[at] = value;
            words[7] = checksum(&words[..7]);
            Identity::from_words(&words)
        };
        assert_eq!(with(2, 2), Err(Problem::OtherMode { mode: 2 }));
        for (at, value) in [(3, 5), (3, u64::MAX), (4, 1), (4, 1 << 32), (5, 1)] {
            assert!(matches!(with(at, value), Err(Problem::Damaged { .. })));
        }
    }
}
