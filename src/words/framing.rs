//! How the records of a log are separated, and why a log cannot be continued with a framing.

use core::fmt;

/// The first eight bytes of a log of checked frames (docs/frames.md). The first is no UTF-8, so no
/// text begins like this.
pub const FRAMED_MAGIC: [u8; 8] = *b"\x89alqlog\n";

/// How the records of a log are separated in the file;
/// [`Options::framing`](crate::Options::framing) sets it.
///
/// | framing | in the file | a reader finds | what a crash leaves is |
/// |---|---|---|---|
/// | `Raw` | the bytes of the records | what the records themselves say | left as it is |
/// | `Lines` | lines | lines | ended with a newline |
/// | `Fixed` | records of one length | records by their length | cut |
/// | `Lengths` | a length before each record | records | cut |
/// | `Checked` | a header, and checked frames | records, damage and gaps | cut, and noted |
///
/// docs/frames.md shows the bytes.
///
/// ```
/// use alq::{Flags, Framing, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = Options::new().framing(Framing::Lines).open(&path)?;
/// queue.writen(b"a record", Flags::WAITOK)?;
/// queue.close(None)?;
/// assert_eq!(std::fs::read(&path)?, b"a record\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// The file gets the bytes of the records and nothing else. The default.
    #[default]
    Raw,
    /// A record is a line. A record that does not end with a newline gets one.
    Lines,
    /// Each record has exactly this many bytes: 1 to the capacity.
    Fixed(usize),
    /// Before each record stands its length: 32 bits, the least significant byte first.
    Lengths,
    /// The file has a header, and each record stands in a frame with its length, a CRC32C, its
    /// position and, if [asked for](crate::Options::stamps), the time.
    #[cfg(feature = "frames")]
    #[cfg_attr(docsrs, doc(cfg(feature = "frames")))]
    Checked,
}

/// Why a log cannot be continued with a [`Framing`]. Each message says what to do.
///
/// ```
/// use alq::{Error, Framing, FramingProblem, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// std::fs::write(&path, b"\0\0\0\0some text")?;
/// match Options::new().framing(Framing::Lengths).open(&path) {
///     Err(Error::Framing { problem, .. }) => {
///         assert_eq!(*problem, FramingProblem::Damaged { offset: 0 });
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramingProblem {
    /// The log is one of [checked](Framing#variant.Checked) frames, and the queue has another
    /// framing.
    Framed,
    /// The log has no header of a log of frames, and it is not empty.
    NotFramed,
    /// The header of the log names another version of the format.
    OtherVersion {
        /// The version that it names.
        version: u32,
    },
    /// The header of the log has flags that this version does not know.
    UnknownFlags {
        /// These flags.
        flags: u32,
    },
    /// The header of the log is damaged.
    DamagedHeader,
    /// The log does not hold what the framing asks for.
    Damaged {
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
    /// The log is a file that is not open for appending, or that cannot be read, so it is unknown
    /// how it ends.
    Unreadable,
    /// Another queue has the log open.
    InUse,
    /// A [reopen](crate::Queue::reopen) names a file that has frames and is not the current file.
    OtherLog,
    /// The log may be cut inside a record.
    CutsRecords,
    /// The target takes one record in each message, and this queue may write several as one, or is
    /// a stream of frames.
    Messages,
    /// The log has a [chain](crate::Options), and the queue has no key to continue it.
    Chained,
    /// The chain of the log was made with another key.
    OtherKey,
    /// The log has frames, and no chain that could be continued.
    NotChained,
}

impl FramingProblem {
    /// The errno that says the same.
    pub(crate) const fn errno(&self) -> i32 {
        match self {
            Self::InUse => libc::EBUSY,
            _ => libc::EINVAL,
        }
    }
}

impl fmt::Display for FramingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framed => f.write_str(
                "it is a log of checked frames: open it with that framing, or move it away",
            ),
            Self::NotFramed => f.write_str(
                "it is not empty, and no log of checked frames: move it away, or open it without \
                 that framing",
            ),
            Self::OtherVersion { version } => write!(
                f,
                "its frames have format version {version}, and this release writes version 1: \
                 move it away to begin a new one"
            ),
            Self::UnknownFlags { flags } => write!(
                f,
                "its header has the flags {flags:#x}, which this release does not know: move it \
                 away to begin a new one"
            ),
            Self::DamagedHeader => {
                f.write_str("the header of its frames is damaged: move it away to begin a new one")
            }
            Self::Damaged { offset } => write!(
                f,
                "it has no record at byte {offset}, so it is damaged or has another framing: move \
                 it away to begin a new one"
            ),
            Self::Unreadable => f.write_str(
                "its end cannot be read: it must be open for appending (O_APPEND), and this user \
                 must be allowed to read it",
            ),
            Self::InUse => f.write_str(
                "another queue has it open, and frames can have one writer: close that queue first",
            ),
            Self::OtherLog => f.write_str(
                "it has frames already, and this queue can only go on in an empty file: move it away",
            ),
            Self::CutsRecords => f.write_str(
                "its rotation keeps lines whole, not records, so it cannot hold this framing: \
                 leave one of both out",
            ),
            Self::Messages => f.write_str(
                "it takes one record in each message, and this queue does not keep its records \
                 apart: open a new queue on it, and no recorder or log of checked frames",
            ),
            Self::Chained => f.write_str(
                "its frames have a chain, which only its key continues: open it with the key, or \
                 move it away",
            ),
            Self::OtherKey => f.write_str(
                "its chain was made with another key: open it with that one, or move it away",
            ),
            Self::NotChained => f.write_str(
                "its frames have no chain, or one whose beginning was changed: move it away to \
                 begin a new log with a chain",
            ),
        }
    }
}
