//! What a recovery found in a ring file, and what can be wrong with one.

use core::fmt;
use std::path::PathBuf;

use super::target::Escaped;

/// Counts what a queue found in its [ring file](crate::Options::ring_file) and at the end of its
/// log when it was opened, and what it did with that. From
/// [`Queue::recovery`](crate::Queue::recovery).
///
/// All counts are 0 if both were new, or if an earlier process had drained it.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let queue = alq::Options::new().ring_file(&ring).open(&log)?;
/// let found = queue.recovery().expect("it has a ring file");
/// if found.possibly_repeated_bytes > 0 {
///     eprintln!("up to {} bytes may be in the log twice", found.possibly_repeated_bytes);
/// }
/// # assert_eq!(found.bytes, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Bytes that were posted and, according to the ring file, not written. The log may hold some
    /// of them already: see `already_written_bytes`.
    pub bytes: u64,
    /// The number of spans that held these bytes. A span is one record, or a run of records of a
    /// [lane](crate::Lane).
    pub spans: u64,
    /// Reservations that were never posted. They are not written.
    pub skipped_entries: u64,
    /// The part of `bytes` that the log already held. The rest is appended before any new record.
    pub already_written_bytes: u64,
    /// The part of `bytes` that is appended although a log may hold it already. This happens if a
    /// write was in progress when the process was killed, and the log is not a regular file, or
    /// another process has written to it, truncated it or replaced it since. It also happens if a
    /// [sink](crate::Sink::is_in_doubt) did not know whether its bytes arrived.
    pub possibly_repeated_bytes: u64,
    /// Bytes of a torn record at the end of the log, which an earlier writer has left. The queue
    /// has [ended that line, or cut the record off](crate::Options::framing).
    pub torn_bytes: u64,
    /// Bytes of the log before its end that are in no [frame](crate::Framing): it is damaged there.
    /// They stay as they are.
    pub unreadable_bytes: u64,
    /// Slots with invalid words. The spans that they described are not written, and all others are.
    pub damaged_slots: u64,
    /// The part of `bytes` that was appended before the queue opened, because the ring had another
    /// capacity and was created again. The [`Stats`](crate::Stats) of the queue do not count it.
    pub drained_bytes: u64,
    /// The part of `bytes` that a [recorder](crate::Options::recorder) writes as a dump, before any
    /// record that is appended now ([`after_kill`](crate::Options::after_kill)).
    pub dumped_bytes: u64,
    /// The part of `bytes` that a recorder has discarded.
    pub discarded_bytes: u64,
}

impl Recovery {
    /// Returns the sum of these counts and those that were found `before` in the same ring.
    pub(crate) const fn after(self, before: Self) -> Self {
        Self {
            bytes: self.bytes + before.bytes,
            spans: self.spans + before.spans,
            skipped_entries: self.skipped_entries + before.skipped_entries,
            already_written_bytes: self.already_written_bytes + before.already_written_bytes,
            possibly_repeated_bytes: self.possibly_repeated_bytes + before.possibly_repeated_bytes,
            damaged_slots: self.damaged_slots + before.damaged_slots,
            drained_bytes: self.drained_bytes + before.drained_bytes,
            dumped_bytes: self.dumped_bytes + before.dumped_bytes,
            discarded_bytes: self.discarded_bytes + before.discarded_bytes,
            torn_bytes: self.torn_bytes + before.torn_bytes,
            unreadable_bytes: self.unreadable_bytes + before.unreadable_bytes,
        }
    }
}

/// Says what is wrong with a ring file. Part of [`Error::RingFile`](crate::Error::RingFile). Its
/// `Display` also says what to do.
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
    /// Another queue, of this process or of another, has it open.
    InUse {
        /// The process; `None` if it cannot be seen from here.
        pid: Option<u32>,
    },
    /// It belongs to another user, or other users may write to it. They could put anything into the
    /// log.
    NotOurs {
        /// The number of the user that it belongs to.
        uid: u32,
        /// Its permissions.
        mode: u32,
    },
    /// It has several names (hard links). Through one of them another user may reach it.
    Linked {
        /// The number of names.
        names: u64,
    },
    /// It is not a regular file.
    NotAFile,
    /// It does not begin as a ring file does.
    NotARingFile {
        /// Its first eight bytes.
        begins_with: Vec<u8>,
    },
    /// It has another version of the format.
    OtherVersion {
        /// The version in its header.
        version: u64,
    },
    /// It is a ring of a mode that this release does not have.
    OtherMode {
        /// The mode in its header: 0 is a queue, 1 a recorder.
        mode: u64,
    },
    /// It holds records of a queue that is no [recorder](crate::Options::recorder), and is opened
    /// for one, or the reverse.
    OtherUse {
        /// Whether the records are those of a recorder.
        is_recorder: bool,
        /// The number of bytes of these records.
        bytes: u64,
    },
    /// It is the ring of a queue, and not of a recorder: there is nothing to dump.
    NotARecorder,
    /// A process has overwritten its records again and again while they were copied.
    KeepsChanging,
    /// It was created on a machine with the other byte order.
    OtherByteOrder,
    /// It is shorter or longer than its header says.
    WrongLength {
        /// Its length in bytes.
        len: u64,
        /// The length in bytes that follows from its header.
        expected: u64,
    },
    /// Its header contradicts itself.
    Damaged {
        /// The part that is damaged.
        part: &'static str,
    },
    /// It was created for entries of another length or number, or with another capacity.
    OtherGeometry {
        /// The options with which it was created: `capacity(..)` or `fixed(..)`.
        found: String,
        /// The options with which it is opened now.
        asked: String,
    },
    /// It holds records that are framed in another way, and they cannot be written first: the log
    /// is another one ([`other_log`](crate::Options::other_log)), or this build lacks the framing.
    OtherFraming {
        /// The [framing](crate::Framing) of the records.
        found: String,
        /// The framing with which it is opened now.
        asked: String,
        /// The number of bytes of these records.
        bytes: u64,
    },
    /// It holds frames of another log. The check of each frame contains the id of its log, so they
    /// would be damage in this one.
    OtherFrames {
        /// The path of this log.
        log: PathBuf,
        /// The number of bytes of these frames.
        bytes: u64,
    },
    /// It holds frames whose positions the log has used since for other records: the log went on
    /// without it.
    LogWentOn {
        /// The number of bytes of these frames.
        bytes: u64,
    },
    /// It holds records for another log.
    OtherLog {
        /// The path of that log, as it was given, or its [place](crate::Sink::place).
        log: PathBuf,
        /// The number of bytes of these records.
        bytes: u64,
    },
    /// The log is a file that is not open for appending (`O_APPEND`), so a recovery could not find
    /// what was written.
    NotAppending,
    /// The ring file and the log are the same file.
    IsTheLog,
    /// It is on a file system where an append may wait for the disk. This is a warning to
    /// [`on_error`](crate::Options::on_error): the queue opens.
    OnDisk {
        /// The type of the file system, as in statfs(2).
        file_system: u64,
    },
}

impl RingFileProblem {
    /// Returns the errno of this problem, for C.
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
            Self::WrongLength { len, expected } => write!(
                f,
                "it has {len} bytes, and its header says {expected}: it was truncated or only \
                 partly copied; restore it, or move it away"
            ),
            Self::Damaged { part } => write!(
                f,
                "{part} are damaged, so its records cannot be found; move it away to start with a \
                 new one"
            ),
            Self::NotAppending => f.write_str(
                "the log must be open for appending (O_APPEND), so that a recovery finds what \
                 is written",
            ),
            Self::KeepsChanging => f.write_str(
                "its process overwrites all records while they are copied: try again, or give the \
                 recorder a larger capacity",
            ),
            Self::IsTheLog => f.write_str("it is the log itself: give it another path"),
            Self::OnDisk { file_system } => write!(
                f,
                "it is on {}, not in memory: an append may wait for that disk, and a file system \
                 that shuts down kills the process (SIGBUS); use tmpfs, as in /run",
                file_system_name(*file_system)
            ),
            Self::OtherVersion { .. }
            | Self::OtherMode { .. }
            | Self::OtherByteOrder
            | Self::OtherUse { .. }
            | Self::NotARecorder
            | Self::OtherGeometry { .. }
            | Self::OtherFraming { .. }
            | Self::OtherFrames { .. }
            | Self::LogWentOn { .. }
            | Self::OtherLog { .. } => self.fmt_other(f),
        }
    }
}

impl RingFileProblem {
    /// Formats the problem of a ring file that serves another release, machine, queue or log.
    fn fmt_other(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVersion { version } => write!(
                f,
                "it has format version {version}, and this release reads versions 1 and 2: recover \
                 it with the release that made it (`alq recover`), or give another path"
            ),
            Self::OtherMode { mode } => write!(
                f,
                "it is a ring of mode {mode}, and this release has queues (0) and recorders (1): \
                 open it with the release that made it, or give another path"
            ),
            Self::OtherUse {
                is_recorder: true,
                bytes,
            } => write!(
                f,
                "it holds {bytes} bytes of a recorder: open it as a recorder, or write them \
                 (`alq dump`) and remove it"
            ),
            Self::OtherUse { bytes, .. } => write!(
                f,
                "it holds {bytes} bytes of a queue that is no recorder: recover it first \
                 (`alq recover`)"
            ),
            Self::NotARecorder => f.write_str(
                "it is the ring of a queue that writes all its records: `alq recover` writes what a \
                 killed process has left",
            ),
            Self::OtherByteOrder => f.write_str(
                "it was created on a machine with the other byte order: recover it on such a \
                 machine",
            ),
            Self::OtherGeometry { found, asked } => write!(
                f,
                "it was created with {found}, and is opened with {asked}: open it with the \
                 former, or recover it (`alq recover`) and remove it"
            ),
            Self::OtherFraming {
                found,
                asked,
                bytes,
            } => write!(
                f,
                "it holds {bytes} bytes of records framed as {found}, and is opened with {asked}: \
                 open it with the former, or recover it first (`alq recover`)"
            ),
            Self::OtherLog { log, bytes } => write!(
                f,
                "it holds {bytes} bytes for another log, {}: open it with that log, or recover it \
                 first (`alq recover`)",
                Escaped(log)
            ),
            Self::OtherFrames { log, bytes } => write!(
                f,
                "it holds {bytes} bytes of frames of another log than {}: take them out first \
                 (`alq recover RING --into FILE`)",
                Escaped(log)
            ),
            Self::LogWentOn { bytes } => write!(
                f,
                "it holds {bytes} bytes of frames whose positions the log has used for other \
                 records since: take them out first (`alq recover RING --into FILE`)"
            ),
            _ => Ok(()), // not one of them
        }
    }
}

/// Returns the name of a type of file system. Source: statfs(2).
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
