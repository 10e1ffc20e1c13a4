//! A place in a log that outlives the reader, and the names of the files.

use core::fmt;
use core::str::FromStr;

use super::frames::Known;
use super::window::MARK_LEN;
use crate::logs::{FileId, Key};
use crate::words::frame::LogId;

/// The place of a reader in a log: after the last record that it returned.
///
/// Its text ([`Display`](fmt::Display), [`FromStr`]) is one line, to be saved. It names the file by
/// device, inode and time of birth, so [`Reader::resume`](super::Reader::resume) finds the place
/// also after the file was rotated, packed, deleted or truncated. It also has a checksum of the 64
/// bytes before the place.
///
/// ```
/// use alq::read::{Cursor, Item, Reader};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// std::fs::write(&path, "one\ntwo\n")?;
/// let mut reader = Reader::open(&path)?;
/// reader.next()?;
/// let saved = reader.cursor().to_string();
///
/// let mut reader = Reader::open(&path)?;
/// reader.resume(&saved.parse::<Cursor>()?)?;
/// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
/// assert_eq!(record.bytes(), b"two");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// `None` before the first file of a log.
    pub(super) file: Option<FileId>,
    /// The rotated file that it is in.
    pub(super) key: Option<Key>,
    /// The newest rotated file before the log, if it is in the log itself.
    pub(super) after: Option<Key>,
    pub(super) offset: u64,
    pub(super) mark: Mark,
    /// The log and the position, if it is framed.
    pub(super) frames: Option<(LogId, bool, Option<u64>)>,
}

/// A checksum of the bytes before a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    pub len: usize,
    sum: u32,
}

impl Mark {
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            len: bytes.len(),
            sum: crc32c::crc32c(bytes),
        }
    }
}

impl Cursor {
    pub(super) fn known(&self) -> Option<Known> {
        let (id, stamps, end) = self.frames?;
        Some(Known {
            id,
            stamps,
            is_chained: false,
            end,
        })
    }
}

/// The first word of the text: the version of its form.
const VERSION: &str = "alq-cursor-1";

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION} offset={}", self.offset)?;
        if let Some(id) = self.file {
            write!(
                f,
                " device={} inode={} born={}",
                id.device, id.inode, id.born_ns
            )?;
        }
        if let Some(key) = self.key {
            write!(f, " rotated={key}")?;
        }
        if let Some(key) = self.after {
            write!(f, " after={key}")?;
        }
        let Mark { len, sum } = self.mark;
        write!(f, " mark={len}:{sum:08x}")?;
        if let Some((id, stamps, end)) = self.frames {
            write!(f, " log={id} stamps={}", u8::from(stamps))?;
            if let Some(end) = end {
                write!(f, " position={end}")?;
            }
        }
        Ok(())
    }
}

/// The text is no cursor.
///
/// ```
/// let error = "4711".parse::<alq::read::Cursor>().unwrap_err();
/// assert!(error.to_string().starts_with("not a cursor"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseCursorError(());

impl fmt::Display for ParseCursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a cursor: it must be one line that begins with {VERSION}"
        )
    }
}

impl core::error::Error for ParseCursorError {}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        parse(text.trim_end_matches('\n')).ok_or(ParseCursorError(()))
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let mut words = text.split(' ');
    words.next().filter(|word| *word == VERSION)?;
    let mut cursor = Cursor {
        file: None,
        key: None,
        after: None,
        offset: 0,
        mark: Mark::default(),
        frames: None,
    };
    let (mut file, mut born) = ([None, None], None);
    for word in words {
        let (name, value) = word.split_once('=')?;
        let number = || value.parse::<u64>().ok();
        match name {
            "offset" => cursor.offset = number()?,
            "device" => file[0] = Some(number()?),
            "inode" => file[1] = Some(number()?),
            "born" => born = Some(value.parse().ok()?),
            "rotated" => cursor.key = Some(Key::parse(value.as_bytes())?),
            "after" => cursor.after = Some(Key::parse(value.as_bytes())?),
            "mark" => {
                let (len, sum) = value.split_once(':')?;
                let len = len.parse().ok().filter(|len| *len <= MARK_LEN)?;
                let sum = u32::from_str_radix(sum, 16).ok()?;
                cursor.mark = Mark { len, sum };
            }
            "log" => cursor.frames = Some((log_id(value)?, false, None)),
            "stamps" => cursor.frames.as_mut()?.1 = value == "1",
            "position" => cursor.frames.as_mut()?.2 = Some(number()?),
            _ => {} // of a later release
        }
    }
    cursor.file = match (file, born) {
        ([Some(device), Some(inode)], Some(born_ns)) => Some(FileId {
            device,
            inode,
            born_ns,
        }),
        ([None, None], None) => None,
        _ => return None,
    };
    (cursor.mark.len as u64 <= cursor.offset).then_some(cursor)
}

fn log_id(text: &str) -> Option<LogId> {
    let mut id = LogId::default();
    let digits = text.as_bytes().chunks_exact(2);
    if text.len() != 2 * id.0.len() {
        return None;
    }
    for (byte, digits) in id.0.iter_mut().zip(digits) {
        *byte = u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(id)
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::{Cursor, Mark};
    use crate::logs::{FileId, Key};
    use crate::words::frame::LogId;

    #[test]
    fn text_gives_the_same_cursor_back() {
        let key = Key {
            seconds: 1_795_520_780,
            number: 17,
        };
        let plain = Cursor {
            file: Some(FileId {
                device: 1,
                inode: 2,
                born_ns: -3,
            }),
            key: Some(key),
            after: None,
            offset: 100,
            mark: Mark::of(b"bytes"),
            frames: None,
        };
        let framed = Cursor {
            key: None,
            after: Some(key),
            frames: Some((LogId([0xfe; 16]), true, Some(9))),
            ..plain.clone()
        };
        let first = Cursor {
            file: None,
            offset: 0,
            mark: Mark::default(),
            key: None,
            ..plain.clone()
        };
        for cursor in [plain, framed, first] {
            let text = cursor.to_string();
            assert_eq!(text.parse(), Ok(cursor.clone()), "{text}");
            assert_eq!((text.clone() + "\n").parse(), Ok(cursor.clone()));
            assert_eq!((text.clone() + " later=1").parse(), Ok(cursor));
            assert_eq!(text.lines().count(), 1);
        }
    }

    #[test]
    fn other_text_is_refused() {
        let good = "alq-cursor-1 offset=9 device=1 inode=2 born=3 mark=5:00000000";
        assert!(good.parse::<Cursor>().is_ok());
        for text in [
            "",
            "alq-cursor-2 offset=9 mark=5:00000000",
            "alq-cursor-1 offset=-9",
            "alq-cursor-1 offset=9 device=1",
            "alq-cursor-1 offset=9 mark=65:00000000",
            "alq-cursor-1 offset=4 mark=5:00000000",
            "alq-cursor-1 offset=9 rotated=20261301T000000Z-000000",
            "alq-cursor-1 offset=9 log=00",
            "alq-cursor-1 offset=9 position=3",
            "alq-cursor-1 nonsense",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
