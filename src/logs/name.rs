//! The names of the files of one log: how they are built and parsed. No file is touched here.

use core::fmt;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Compression;

/// Identifies one rotated file: the time of the cut, in seconds since 1970, and a number. A later
/// file has a greater key, and its name, `20261124T114620Z-000017`, sorts later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub seconds: i64,
    pub number: u32,
}

impl Key {
    const NUMBER_MAX: u32 = 999_999;
    const LEN: usize = 23;

    /// The key of a rotation at `now`. It is greater than `last`, even if the clock was set back.
    /// `None` at the end of the calendar.
    pub fn after(last: Option<Self>, now: i64) -> Option<Self> {
        let now = Self {
            seconds: now.clamp(0, Timestamp::MAX.as_second()),
            number: 0,
        };
        match last {
            Some(last) => last.next().map(|next| next.max(now)),
            None => Some(now),
        }
    }

    /// The smallest greater key; `None` at the end of the calendar.
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

    /// Parses the text that `Display` writes.
    pub fn parse(text: &[u8]) -> Option<Self> {
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

/// What a name says about its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A rotated file, plain or packed.
    Rotated(Compression),
    /// A file whose packing is not finished.
    Packing,
    /// A new file that was about to become the log.
    Fresh,
}

/// The names of one log.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    name: OsString,
}

impl Names {
    pub fn of(name: OsString) -> Self {
        Self { name }
    }

    pub fn log(&self) -> &OsStr {
        &self.name
    }

    pub fn lock(&self) -> OsString {
        self.with(format_args!("lock"))
    }

    pub fn rotated(&self, key: Key, form: Compression) -> OsString {
        self.with(format_args!("{key}{}", form.suffix()))
    }

    pub fn packing(&self, key: Key) -> OsString {
        self.with(format_args!("{key}.packing"))
    }

    pub fn fresh(&self, key: Key) -> OsString {
        self.with(format_args!("{key}.fresh"))
    }

    /// A name as long as the longest of them.
    pub fn longest(&self) -> OsString {
        let (seconds, number) = (0, 0);
        self.packing(Key { seconds, number })
    }

    fn with(&self, rest: fmt::Arguments<'_>) -> OsString {
        let mut name = self.name.as_bytes().to_vec();
        name.extend(format!(".{rest}").into_bytes());
        OsString::from_vec(name)
    }

    /// Parses a name in the folder. `None` unless it is exactly one of ours.
    pub fn parse(&self, name: &OsStr) -> Option<(Key, Kind)> {
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
}
