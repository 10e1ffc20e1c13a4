//! The names of the files of one log, and what is found under them.

use core::fmt;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Compression, RotateError};

/// What tells one rotated file from another: when it was, in seconds since 1970, and a number. A later one is greater, and
/// its name too: `20261124T114620Z-000017`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub seconds: i64,
    pub number: u32,
}

impl Key {
    const NUMBER_MAX: u32 = 999_999;
    const LEN: usize = 23;

    /// The key of a rotation at `now`, behind `last`, though the clock may have been set back; `None` at the end of the calendar.
    pub fn behind(last: Option<Self>, now: i64) -> Option<Self> {
        let now = Self {
            seconds: now.clamp(0, Timestamp::MAX.as_second()),
            number: 0,
        };
        match last {
            Some(last) => last.next().map(|next| next.max(now)),
            None => Some(now),
        }
    }

    /// The one behind it.
    pub fn next(self) -> Option<Self> {
        if self.number < Self::NUMBER_MAX {
            return Some(Self {
                number: self.number + 1,
                ..self
            });
        }
        let seconds = self.seconds + 1;
        let is_in_calendar = seconds <= Timestamp::MAX.as_second();
        is_in_calendar.then_some(Self { seconds, number: 0 })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let digits = |from: usize, to: usize| {
            let part = &text[from..to];
            let is_number = part.iter().all(u8::is_ascii_digit);
            is_number.then(|| {
                part.iter()
                    .fold(0, |sum: u32, digit| sum * 10 + u32::from(digit - b'0'))
            })
        };
        if text.len() != Self::LEN || text[8] != b'T' || text[15] != b'Z' || text[16] != b'-' {
            return None;
        }
        let two = |from| digits(from, from + 2).map(|value| value as i8);
        let year = digits(0, 4)? as i16;
        let (hour, minute, second) = (two(9)?, two(11)?, two(13)?);
        let local = DateTime::new(year, two(4)?, two(6)?, hour, minute, second, 0).ok()?;
        let at = TimeZone::UTC.to_timestamp(local).ok()?;
        Some(Self {
            seconds: at.as_second(),
            number: digits(17, 23)?,
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Timestamp::from_second(self.seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        let stamp = at.strftime("%Y%m%dT%H%M%SZ");
        write!(f, "{stamp}-{:06}", self.number)
    }
}

/// What a name of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A rotated file, as it is or packed.
    Rotated(Compression),
    /// One that was not packed to the end.
    Packing,
    /// What was to become the log.
    Fresh,
}

/// A regular file under a name of ours.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub key: Key,
    pub kind: Kind,
    pub path: PathBuf,
    pub len: u64,
    /// Device and inode.
    pub id: (u64, u64),
}

/// The names of one log.
#[derive(Clone, Debug)]
pub(super) struct Names {
    directory: PathBuf,
    name: OsString,
}

impl Names {
    /// Those of the log at `path`, which is absolute; `None` if it does not end in a name.
    pub fn of(path: &Path) -> Option<Self> {
        Some(Self {
            directory: path.parent()?.to_owned(),
            name: path.file_name()?.to_owned(),
        })
    }

    /// Whether the longest of them can be.
    ///
    /// # Errors
    ///
    /// Those of lstat(2), but that there is nothing.
    pub fn check(&self) -> Result<(), RotateError> {
        let first = Key {
            seconds: 0,
            number: 0,
        };
        let longest = self.packing(first);
        match fs::symlink_metadata(&longest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RotateError::new(
                "have a file of that name beside the log",
                longest,
                error,
            )),
            _ => Ok(()),
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn log(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    pub fn lock(&self) -> PathBuf {
        self.with(format_args!("lock"))
    }

    pub fn rotated(&self, key: Key, form: Compression) -> PathBuf {
        self.with(format_args!("{key}{}", form.suffix()))
    }

    pub fn packing(&self, key: Key) -> PathBuf {
        self.with(format_args!("{key}.packing"))
    }

    pub fn fresh(&self, key: Key) -> PathBuf {
        self.with(format_args!("{key}.fresh"))
    }

    fn with(&self, rest: fmt::Arguments<'_>) -> PathBuf {
        let mut name = self.name.as_bytes().to_vec();
        name.extend(format!(".{rest}").into_bytes());
        self.directory.join(OsString::from_vec(name))
    }

    fn parse(&self, name: &OsStr) -> Option<(Key, Kind)> {
        let rest = name.as_bytes().strip_prefix(self.name.as_bytes())?;
        let rest = rest.strip_prefix(b".")?;
        let (key, suffix) = rest.split_at_checked(Key::LEN)?;
        let kind = match suffix {
            b".packing" => Kind::Packing,
            b".fresh" => Kind::Fresh,
            _ => Kind::Rotated(Compression::of_suffix(suffix)?),
        };
        Some((Key::parse(key)?, kind))
    }

    /// The regular files that have names of ours, in order of time.
    ///
    /// # Errors
    ///
    /// Those of opendir(3), and of fstatat(2), but for files that go away meanwhile.
    pub fn list(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let Some((key, kind)) = self.parse(&entry.file_name()) else {
                continue;
            };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata, // of a link, its own
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file() {
                found.push(Found {
                    key,
                    kind,
                    path: entry.path(),
                    len: metadata.len(),
                    id: (metadata.dev(), metadata.ino()),
                });
            }
        }
        found.sort_by_key(|one| one.key);
        Ok(found)
    }
}
