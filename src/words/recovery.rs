//! What was found in a ring file, and what can be wrong with one.

use core::fmt;
use std::path::PathBuf;

use super::target::Escaped;

/// What was found in a [ring file](crate::Options::ring_file) when its queue was opened, and what became of it.
///
/// All counts are 0 if the file was made then, or if an earlier process has drained it.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let queue = alq::Options::new().ring_file(&ring).open(&log)?;
/// let found = queue.recovery().expect("it has a ring file");
/// if found.possibly_repeated > 0 {
///     eprintln!("up to {} bytes may be in the log twice", found.possibly_repeated);
/// }
/// # assert_eq!(found.bytes, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Bytes that were posted and, as far as the ring file knew, not written.
    pub bytes: u64,
    /// The spans that held them: one a record, or a run of records of a [lane](crate::Lane).
    pub spans: u64,
    /// Reservations that were never posted. Nothing of them is written.
    pub skipped: u64,
    /// Of the bytes, those that the log was found to hold already. The rest is appended before anything new.
    pub already_written: u64,
    /// Of the bytes, those that are appended although they may be in a log already: a write was under way, and the log was
    /// written by others since, cut, replaced, or is no regular file.
    pub possibly_repeated: u64,
    /// Slots that cannot be right. What they described is not written; all others are.
    pub damaged: u64,
    /// Of the bytes, those that were appended before the queue opened, because the ring had another
    /// capacity and was made anew. The [`Stats`](crate::Stats) of the queue do not count them.
    pub drained: u64,
}

impl Recovery {
    /// This, with what was found `before` in the same ring.
    pub(crate) const fn after(self, before: Self) -> Self {
        Self {
            bytes: self.bytes + before.bytes,
            spans: self.spans + before.spans,
            skipped: self.skipped + before.skipped,
            already_written: self.already_written + before.already_written,
            possibly_repeated: self.possibly_repeated + before.possibly_repeated,
            damaged: self.damaged + before.damaged,
            drained: self.drained + before.drained,
        }
    }
}

/// What is wrong with a ring file. Each message says what to do.
///
/// ```
/// use alq::{Error, Options, RingFileProblem};
///
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let first = Options::new().ring_file(&ring).open(&log)?;
/// match Options::new().ring_file(&ring).open(&log) {
///     Err(Error::RingFile { problem, .. }) => {
///         assert!(matches!(*problem, RingFileProblem::InUse { .. })); // one queue at a time
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingFileProblem {
    /// Another queue has it open, of this process or of another.
    InUse {
        /// The process, where the system tells.
        pid: Option<u32>,
    },
    /// It belongs to another user, or others may write to it: they could put anything into the log.
    NotOurs {
        /// The user that it belongs to.
        uid: u32,
        /// Its permissions.
        mode: u32,
    },
    /// It has several names (hard links), and each of them may stand where others may write.
    Linked {
        /// How many.
        names: u64,
    },
    /// It is not a regular file.
    NotAFile,
    /// It does not begin as a ring file does.
    NotARingFile {
        /// Its first bytes.
        begins_with: Vec<u8>,
    },
    /// It was made by another version of the format.
    OtherVersion {
        /// The version that it names.
        version: u64,
    },
    /// It was made on a machine of the other byte order.
    OtherByteOrder,
    /// It is shorter or longer than its header says.
    WrongLength {
        /// Its length in bytes.
        len: u64,
        /// The length that its header says.
        expected: u64,
    },
    /// Its header contradicts itself.
    Damaged {
        /// Which part of it.
        part: &'static str,
    },
    /// It was made with another capacity, or for entries of another length or number.
    OtherGeometry {
        /// What was made, in the words of [`Options`](crate::Options).
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// It holds records for another log.
    OtherLog {
        /// That log, as it was named.
        log: PathBuf,
        /// How many bytes of records.
        bytes: u64,
    },
    /// The log is a file that is not open for appending, so nobody could tell where a write has begun.
    NotAppending,
    /// The log is the ring file.
    IsTheLog,
    /// It is on a file system that may make an append wait. This is a warning to
    /// [`on_error`](crate::Options::on_error): the queue opens.
    OnDisk {
        /// The type of the file system, as in statfs(2).
        file_system: u64,
    },
}

impl RingFileProblem {
    /// The errno that says the same.
    pub(crate) const fn errno(&self) -> i32 {
        match self {
            Self::InUse { .. } => libc::EBUSY,
            _ => libc::EINVAL,
        }
    }
}

impl fmt::Display for RingFileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { pid: Some(pid) } => write!(f, "process {pid} has it open"),
            Self::InUse { pid: None } => f.write_str(
                "a process that cannot be seen from here (of another PID namespace) has it open",
            ),
            Self::NotOurs { uid, mode } => write!(
                f,
                "it belongs to user {uid} and has mode {mode:o}, so others could put anything into \
                 the log: it must belong to this user, or to root, with mode 600; a folder in /run \
                 that only this user may write to keeps others out"
            ),
            Self::Linked { names } => write!(
                f,
                "it has {names} names (hard links), and a ring file has one: remove the others"
            ),
            Self::NotAFile => f.write_str("it is not a regular file: give another path"),
            Self::NotARingFile { begins_with } => write!(
                f,
                "it is not a ring file of alq (it begins with \"{}\"): give another path",
                begins_with.escape_ascii()
            ),
            Self::OtherVersion { version } => write!(
                f,
                "it has format version {version}, and this release reads version 1: recover it \
                 with the release that made it (`alq recover`), or give another path"
            ),
            Self::OtherByteOrder => f.write_str(
                "it was made on a machine of the other byte order: recover it on such a machine",
            ),
            Self::WrongLength { len, expected } => write!(
                f,
                "it has {len} bytes, and its header says {expected}: it was cut or copied in part; put it right or away"
            ),
            Self::Damaged { part } => write!(
                f,
                "{part} are damaged, so what it holds cannot be told; move it away to begin a new one"
            ),
            Self::OtherGeometry { found, asked } => write!(
                f,
                "it was made for {found}, and {asked} is asked for: open it as it was made, or recover it and remove it"
            ),
            Self::OtherLog { log, bytes } => write!(
                f,
                "it holds {bytes} bytes for another log, {}: open it with that, or recover it first",
                Escaped(log)
            ),
            Self::NotAppending => f.write_str(
                "the log must be open for appending (O_APPEND), lest nobody can tell what is written",
            ),
            Self::IsTheLog => f.write_str("it is the log itself: give it another path"),
            Self::OnDisk { file_system } => write!(
                f,
                "it is on {}, not in memory: an append may wait for the disk there, and a file system \
                 that shuts down kills the process (SIGBUS); use tmpfs, as in /run",
                file_system_name(*file_system)
            ),
        }
    }
}

/// The name of a type of file system. Source: statfs(2).
fn file_system_name(number: u64) -> String {
    let name = match number {
        0xef53 => "ext4",
        0x5846_5342 => "XFS",
        0x9123_683e => "Btrfs",
        0x794c_7630 => "an overlay",
        0x2fc1_2fc1 => "ZFS",
        0x6969 => "NFS",
        0x6573_5546 => "FUSE",
        other => return format!("a file system of type {other:#x}"),
    };
    name.to_owned()
}
