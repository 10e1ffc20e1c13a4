//! What a reader returns: records and notices.

use core::time::Duration;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::notice::{Notice, Place};
use super::stamp::line_stamp_ns;

/// What [`Reader::next`](super::Reader::next) finds: a record, or a notice.
///
/// ```
/// # use alq::read::{Item, Reader};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
/// let mut reader = Reader::open(&path)?;
/// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
/// println!("{} bytes", record.bytes().len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A record.
    Record(Record<'a>),
    /// Something else that the log says at this place, or that is wrong there.
    Notice(Notice, Place),
}

/// One record, in the buffer of the reader.
///
/// ```
/// use alq::read::{Item, Reader};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// std::fs::write(&path, "one\ntwo\n")?;
/// let mut reader = Reader::open(&path)?;
/// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
/// assert_eq!((record.bytes(), record.raw()), (&b"one"[..], &b"one\n"[..]));
/// assert_eq!((record.file(), record.offset()), (&*path, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub(super) raw: &'a [u8],
    pub(super) bytes: &'a [u8],
    pub(super) file: &'a Path,
    pub(super) offset: u64,
    pub(super) position: Option<u64>,
    pub(super) stamp_ns: Option<u64>,
    pub(super) is_line: bool,
    pub(super) end: End,
}

/// How a record ends.
///
/// ```
/// # use alq::read::{Item, Reader};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
/// let mut reader = Reader::open(&path)?;
/// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
/// assert_eq!(record.end(), alq::read::End::Whole);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// It is whole.
    #[default]
    Whole,
    /// It is longer than [`record_max`](super::ReadOptions::record_max): the next record continues
    /// it.
    Continues,
    /// The file ends before the record does. The process that wrote it was killed, or the disk was
    /// full, or the log is not a log of lines.
    Torn,
}

impl<'a> Record<'a> {
    /// The bytes of the record: a line without its newline, or the payload of a frame.
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.bytes(), b"2026-12-01T06:00:00Z one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes of the record as the file has them: with the newline, the length or the frame.
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.raw(), b"2026-12-01T06:00:00Z one\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The file that the record is in. The name is the one that the file had when the reader
    /// opened it.
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.file(), path);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn file(&self) -> &'a Path {
        self.file
    }

    /// Where [`raw`](Record::raw) begins in the file, in bytes; in a packed file, in the bytes
    /// that it unpacks to.
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.offset(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The position in the stream of the log. `None` if the log has no positions (it is not
    /// framed), or this record has none (a child of fork(2) wrote it).
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.position(), None); // a log of lines
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn position(&self) -> Option<u64> {
        self.position
    }

    /// When the record was written: the stamp of its frame, or the time at the beginning of the
    /// line, in the form of RFC 3339 or TAI64N (`alq append --timestamp`). `None` if it has none.
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert!(record.stamp().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stamp(&self) -> Option<SystemTime> {
        let ns = self.stamp_ns();
        ns.and_then(|ns| UNIX_EPOCH.checked_add(Duration::from_nanos(ns)))
    }

    /// As [`stamp`](Record::stamp), in nanoseconds since 1970.
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.stamp_ns(), Some(1_796_104_800_000_000_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stamp_ns(&self) -> Option<u64> {
        let of_line = || line_stamp_ns(self.bytes);
        self.stamp_ns.or_else(|| self.is_line.then(of_line)?)
    }

    /// How the record ends.
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.end(), alq::read::End::Whole);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn end(&self) -> End {
        self.end
    }
}
