//! What a ring file notes besides the records: which log they belong to, and the queue's counters.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::LogEnd;
use super::ring_file::checksum;

/// The log that the records of a ring file belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogNote {
    /// The file when it was opened. `inode` is 0 if it is not a regular file.
    pub end: LogEnd,
    /// Its path at that time, if known.
    pub path: Option<PathBuf>,
    /// Where it is, if it is no file: a URI. A log with a place has no path.
    pub place: Option<String>,
}

impl LogNote {
    /// The number of words of a note: a page.
    pub const WORDS: usize = 512;
    /// Longer paths and places are not noted.
    pub const NAME_MAX: usize = (Self::WORDS - 5) * 8;
    /// The bit of the length that says that the name is a place.
    const PLACE: u64 = 1 << 32;

    /// Whether both notes name one log: the same place, the same file, or another file at the same
    /// path.
    pub fn is_same_log(&self, other: &Self) -> bool {
        if self.place.is_some() || other.place.is_some() {
            return self.place == other.place;
        }
        let is_same_place = self.path.is_some() && self.path == other.path;
        let are_no_files = self.end.inode == 0 && other.end.inode == 0;
        are_no_files || is_same_place || self.end.is_same_file(&other.end)
    }

    /// Packs this note.
    pub fn to_words(&self) -> Vec<u64> {
        let (name, kind) = match (&self.place, &self.path) {
            (Some(place), _) => (place.as_bytes(), Self::PLACE),
            (None, Some(path)) => (path.as_os_str().as_bytes(), 0),
            (None, None) => (&[][..], 0),
        };
        let name = Some(name).filter(|name| name.len() <= Self::NAME_MAX);
        let name = name.unwrap_or_default();
        let LogEnd {
            device,
            inode,
            birth_ns,
            ..
        } = self.end;
        let mut words = vec![0, device, inode, birth_ns, kind | name.len() as u64];
        words.extend(name.chunks(8).map(|chunk| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(bytes)
        }));
        words[0] = checksum(&words[1..]);
        words
    }

    /// Unpacks a note. `None` if it was not stored completely.
    pub fn from_words(words: &[u64]) -> Option<Self> {
        let &[check, device, inode, birth_ns, len, ref name @ ..] = words else {
            return None;
        };
        let is_place = len & Self::PLACE != 0;
        let len = usize::try_from(len & !Self::PLACE).ok()?;
        let used = 5 + len.div_ceil(8);
        if len > Self::NAME_MAX || used > words.len() || check != checksum(&words[1..used]) {
            return None;
        }
        let bytes: Vec<u8> = name.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let name = Some(&bytes[..len]).filter(|name| !name.is_empty());
        let place = name.filter(|_| is_place);
        let path = name.filter(|_| !is_place);
        Some(Self {
            end: LogEnd {
                device,
                inode,
                birth_ns,
                size_bytes: 0,
            },
            path: path.map(|path| PathBuf::from(OsStr::from_bytes(path))),
            place: place.map(|place| String::from_utf8_lossy(place).into_owned()),
        })
    }
}

/// The counters that a queue publishes in its ring file, for other processes to read.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let queue = alq::Options::new().ring_file(&ring).open(&log)?;
/// queue.writen(b"12345\n", alq::Flags::WAITOK)?;
/// queue.close(None)?;
/// let live = alq::ring_file::inspect(&ring)?.live;
/// assert_eq!((live.pid, live.written_bytes), (std::process::id(), 6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Live {
    /// The process that has the ring file open, or had it open last.
    pub pid: u32,
    /// When the process opened it, in nanoseconds since 1970.
    pub opened_ns: u64,
    /// When these counters were published, in nanoseconds since 1970. The flusher publishes them
    /// after each step that did something.
    pub shown_ns: u64,
    /// Bytes of records written since the process opened it.
    pub written_bytes: u64,
    /// Appends that did not get in, for any cause.
    pub refused_records: u64,
    /// Bytes of those appends.
    pub refused_bytes: u64,
    /// Writes that the log accepted, at least in part.
    pub drains: u64,
    /// The highest fill observed, in bytes.
    pub high_water_bytes: u64,
    /// Why the log accepts nothing, as errno. 0 if it accepts data.
    pub stall_errno: u32,
    /// How long the log has accepted nothing, in nanoseconds.
    pub stall_ns: u64,
    /// Why the queue has failed, as errno. 0 if it has not.
    pub failure_errno: u32,
    /// Records written since the process opened it. A lane's records count once their whole span is
    /// written.
    pub written_records: u64,
    /// Appends that waited for room or for their turn.
    pub waits: u64,
    /// The longest such wait, in nanoseconds.
    pub longest_wait_ns: u64,
    /// Wake-ups of the flusher.
    pub wakeups: u64,
    /// Syncs that had succeeded when these counters were published.
    pub syncs: u64,
    /// When the write that is in progress began, in nanoseconds since 1970; 0 if none is. While a
    /// write does not return, the other counters keep their values.
    pub write_began_ns: u64,
}

impl Live {
    /// The number of words of the counters.
    pub(crate) const WORDS: usize = 16;

    /// Packs the counters, without `write_began_ns`, which stands elsewhere.
    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        [
            u64::from(self.pid),
            self.opened_ns,
            self.shown_ns,
            self.written_bytes,
            self.refused_records,
            self.refused_bytes,
            self.drains,
            self.high_water_bytes,
            u64::from(self.stall_errno),
            self.stall_ns,
            u64::from(self.failure_errno),
            self.written_records,
            self.waits,
            self.longest_wait_ns,
            self.wakeups,
            self.syncs,
        ]
    }

    /// Unpacks the counters. Each is valid by itself.
    pub(crate) fn from_words(words: &[u64; Self::WORDS]) -> Self {
        Self {
            pid: words[0] as u32,
            opened_ns: words[1],
            shown_ns: words[2],
            written_bytes: words[3],
            refused_records: words[4],
            refused_bytes: words[5],
            drains: words[6],
            high_water_bytes: words[7],
            stall_errno: words[8] as u32,
            stall_ns: words[9],
            failure_errno: words[10] as u32,
            written_records: words[11],
            waits: words[12],
            longest_wait_ns: words[13],
            wakeups: words[14],
            syncs: words[15],
            write_began_ns: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Live, LogEnd, LogNote};

    #[test]
    fn a_note_round_trips_and_a_part_of_one_is_none() {
        let end = LogEnd {
            device: 1,
            inode: 2,
            birth_ns: 3,
            size_bytes: 0,
        };
        for (path, place) in [
            (None, None),
            (Some("/x"), None),
            (Some("/var/log/12345"), None),
            (Some("/var/log/123456"), None),
            (None, Some("far://host/log")),
        ] {
            let path = path.map(PathBuf::from);
            let place = place.map(str::to_owned);
            let note = LogNote { end, path, place };
            let mut words = note.to_words();
            assert_eq!(LogNote::from_words(&words), Some(note));
            let last = words.len() - 1;
            words[last] ^= 1 << 40;
            assert_eq!(LogNote::from_words(&words), None);
        }
        assert_eq!(LogNote::from_words(&[0; LogNote::WORDS]), None);
        assert_eq!(LogNote::from_words(&[u64::MAX; LogNote::WORDS]), None);
    }

    #[test]
    fn a_place_is_one_log_and_no_path_whatever_it_looks_like() {
        let note = |path: Option<&str>, place: Option<&str>| LogNote {
            end: LogEnd::default(),
            path: path.map(PathBuf::from),
            place: place.map(str::to_owned),
        };
        let [place, path, pipe] = [
            note(None, Some("/x")),
            note(Some("/x"), None),
            note(None, None),
        ];
        assert!(place.is_same_log(&place));
        for other in [&path, &pipe, &note(None, Some("/y"))] {
            assert!(!place.is_same_log(other) && !other.is_same_log(&place));
        }
    }

    #[test]
    fn what_is_shown_round_trips() {
        let words = std::array::from_fn(|at| at as u64 + 1);
        assert_eq!(Live::from_words(&words).to_words(), words);
    }
}
