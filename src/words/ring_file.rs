//! The format of a ring file: its sizes and their words, and the check of each group of words.
//! docs/format.md shows it in pictures.

use super::Geometry;
use super::RingFileProblem as Problem;

/// The sizes of one ring file.
///
/// ```text
/// 0            4096         8192            +16 a slot        +capacity
/// +------------+------------+---------------+-----------------+
/// |   header   | log's path |     slots     |      bytes      |
/// +------------+------------+---------------+-----------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The sizes of the ring.
    pub geometry: Geometry,
    /// The length of every record of a fixed queue; 0 on a variable one.
    pub entry_len: u32,
}

impl Layout {
    /// The offset of the note of the log, in bytes.
    pub const PATH_AT: usize = 4096;
    /// The offset of the slots, in bytes.
    pub const SLOTS_AT: usize = 8192;
    /// The number of words at the start that never change.
    pub const FIXED_WORDS: usize = 8;

    const MAGIC: u64 = u64::from_ne_bytes(*b"alq ring");
    /// A number that reads differently on a machine with the other byte order.
    const ORDER: u64 = 0x0102_0304_0506_0708;
    /// The version of the format that this library writes. It also reads the earlier ones.
    pub const VERSION: u64 = 3;

    /// Returns the offset of the bytes of the ring: the first page after the slots.
    pub const fn bytes_at(self) -> usize {
        let slots = self.geometry.slots() as usize * 16;
        Self::SLOTS_AT + slots.next_multiple_of(4096)
    }

    /// The most entries of a fixed queue: 1 GiB of slots.
    pub const ENTRIES_MAX: u32 = 1 << 26;

    /// The greatest length of a ring file, in bytes.
    pub const LEN_MAX: u64 =
        Self::SLOTS_AT as u64 + Geometry::MAX_CAPACITY + 16 * Self::ENTRIES_MAX as u64;

    /// Returns the length of the file, in bytes.
    pub const fn file_len(self) -> usize {
        self.bytes_at() + self.geometry.capacity() as usize
    }

    /// Returns the words at the start of the file. The sizes of a file that is being made are 0.
    pub fn to_words(layout: Option<Self>) -> [u64; Self::FIXED_WORDS] {
        Self::words_of(Self::VERSION, layout)
    }

    fn words_of(version: u64, layout: Option<Self>) -> [u64; Self::FIXED_WORDS] {
        let sizes = layout.map_or([0; 4], |layout| {
            [
                layout.geometry.capacity(),
                layout.geometry.slots(),
                layout.geometry.spans_max(),
                layout.entry_len,
            ]
        });
        let [capacity, slots, spans_max, entry_len] = sizes.map(u64::from);
        let mut words = [
            Self::MAGIC,
            Self::ORDER,
            version,
            capacity,
            slots,
            spans_max,
            entry_len,
            0,
        ];
        words[7] = checksum(&words[..7]);
        words
    }

    /// Reads the words at the start of a file of `len` bytes: the version, and the sizes unless the
    /// file is being made.
    ///
    /// # Errors
    ///
    /// The problem of the file, if these words are not those of a ring file of that length.
    pub fn from_words(
        words: &[u64; Self::FIXED_WORDS],
        len: u64,
    ) -> Result<(u64, Option<Self>), Problem> {
        let [
            magic,
            order,
            version,
            capacity,
            slots,
            spans_max,
            entry_len,
            check,
        ] = *words;
        if magic != Self::MAGIC {
            let begins_with = magic.to_ne_bytes().to_vec();
            return Err(Problem::NotARingFile { begins_with });
        }
        if order == Self::ORDER.swap_bytes() {
            return Err(Problem::OtherByteOrder);
        }
        if order == Self::ORDER && !(1..=Self::VERSION).contains(&version) && version < 1 << 16 {
            return Err(Problem::OtherVersion { version });
        }
        if version > 1 && *words == Self::words_of(version, None) {
            return Ok((version, None));
        }
        let is_whole = check == checksum(&words[..7]) && order == Self::ORDER;
        let is_size = |value: u64, min: u32, max: u64| {
            value.is_power_of_two() && value >= u64::from(min) && value <= max
        };
        let is_sane = is_size(capacity, 4096, Geometry::MAX_CAPACITY)
            && is_size(slots, Geometry::MIN_SLOTS, u64::from(Self::ENTRIES_MAX))
            && (1..=slots).contains(&spans_max)
            && entry_len <= capacity
            && slots <= most_slots(capacity, spans_max, entry_len);
        if !(is_whole && is_sane) {
            return Err(Problem::Damaged {
                part: "the sizes in its header",
            });
        }
        let geometry = Geometry::new(capacity as u32, slots as u32);
        let layout = Self {
            geometry: geometry.with_spans_max(spans_max as u32),
            entry_len: entry_len as u32,
        };
        let expected = layout.file_len() as u64;
        if len != expected {
            return Err(Problem::WrongLength { len, expected });
        }
        Ok((version, Some(layout)))
    }
}

impl core::fmt::Display for Layout {
    /// Formats the sizes as the options that ask for them.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.entry_len {
            0 => write!(f, "capacity({})", self.geometry.capacity()),
            len => write!(f, "fixed({len}, {})", self.geometry.spans_max()),
        }
    }
}

/// Returns the most slots that the options can ask for. The header of a file is not trusted: with
/// more slots, a recovery would read without need.
const fn most_slots(capacity: u64, spans_max: u64, entry_len: u64) -> u64 {
    let most = if entry_len == 0 {
        capacity / 64
    } else if spans_max > capacity {
        capacity
    } else {
        spans_max.next_power_of_two()
    };
    if most > Geometry::MIN_SLOTS as u64 {
        most
    } else {
        Geometry::MIN_SLOTS as u64
    }
}

/// Returns FNV-1a over the bytes of `words`. It is never 0, so zeros never pass the check.
///
/// Source: The FNV Non-Cryptographic Hash Algorithm (draft-eastlake-fnv), the 64-bit form.
pub fn checksum(words: &[u64]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

/// Identifies a file and an offset in it: the place where the next write to a log begins. A queue
/// with a ring file notes it before each write; see [`Sink::end`](crate::Sink::end).
///
/// The file system may give the inode number of a deleted file to a new file. So a recovery also
/// compares the bytes in the file.
///
/// ```
/// use alq::{FileSink, Sink};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// std::fs::write(&path, b"12345")?;
/// let log = FileSink::new(std::fs::File::options().append(true).open(&path)?.into())?;
/// let end = log.end().expect("a regular file");
/// assert_eq!(end.size_bytes, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// The device of the file.
    pub device: u64,
    /// The inode number of the file on that device; 0 if it is not a regular file.
    pub inode: u64,
    /// When the file was created, in nanoseconds since 1970; 0 if the file system does not say.
    pub birth_ns: u64,
    /// The length of the file in bytes.
    pub size_bytes: u64,
}

impl LogEnd {
    /// Returns whether both are in the same file, according to device, inode and time of creation.
    ///
    /// ```
    /// use alq::LogEnd;
    ///
    /// let (mut before, mut after) = (LogEnd::default(), LogEnd::default());
    /// (before.size_bytes, after.size_bytes) = (100, 250);
    /// assert!(before.is_same_file(&after)); // it has grown
    /// after.inode = 17;
    /// assert!(!before.is_same_file(&after)); // it is another
    /// ```
    #[must_use]
    pub const fn is_same_file(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode && self.birth_ns == other.birth_ns
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, Problem};
    use crate::words::Geometry;

    const LAYOUT: Layout = Layout {
        geometry: Geometry::new(4096, 64),
        entry_len: 0,
    };

    #[test]
    fn the_words_at_the_start_round_trip_and_say_what_is_wrong() {
        let len = LAYOUT.file_len() as u64;
        assert_eq!(len, 8192 + 4096 + 4096);
        let words = Layout::to_words(Some(LAYOUT));
        assert_eq!(Layout::from_words(&words, len), Ok((3, Some(LAYOUT))));
        for version in [2, 3] {
            let being_made = Layout::words_of(version, None);
            let read = Layout::from_words(&being_made, 4096);
            assert_eq!(read, Ok((version, None)));
        }
        let wrong = Problem::WrongLength {
            len: len - 1,
            expected: len,
        };
        assert_eq!(Layout::from_words(&words, len - 1), Err(wrong));
        let with = |at: usize, word| {
            let mut words = words;
            words[at] = word;
            Layout::from_words(&words, len)
        };
        let text = Problem::NotARingFile {
            begins_with: b"some tex".to_vec(),
        };
        assert_eq!(with(0, u64::from_ne_bytes(*b"some tex")), Err(text));
        assert_eq!(with(1, words[1].swap_bytes()), Err(Problem::OtherByteOrder));
        for version in [0, 4] {
            assert_eq!(with(2, version), Err(Problem::OtherVersion { version }));
        }
    }

    #[test]
    fn every_flipped_bit_of_the_sizes_is_seen() {
        let len = LAYOUT.file_len() as u64;
        for bit in 0..512 {
            for layout in [Some(LAYOUT), None] {
                let mut words = Layout::to_words(layout);
                words[bit / 64] ^= 1 << (bit % 64);
                assert!(Layout::from_words(&words, len).is_err());
            }
        }
    }
}
