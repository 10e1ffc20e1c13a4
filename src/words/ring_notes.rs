//! What a ring file notes besides the records: which log they are for, and what its queue is doing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::LogEnd;
use super::ring_file::checksum;

/// Which log the records of a ring file are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogNote {
    /// The file, when it was opened; `inode` 0 for what is no regular file.
    pub end: LogEnd,
    /// Where it was then, if that is known.
    pub path: Option<PathBuf>,
}

impl LogNote {
    /// How many words one takes: a page.
    pub const WORDS: usize = 512;
    /// Longer ones are not noted.
    const PATH_MAX: usize = (Self::WORDS - 5) * 8;

    /// Whether both are notes of one log: the same file, or another at the same path.
    pub fn is_same_log(&self, other: &Self) -> bool {
        let is_same_place = self.path.is_some() && self.path == other.path;
        let are_no_files = self.end.inode == 0 && other.end.inode == 0;
        are_no_files || is_same_place || self.end.is_same_file(&other.end)
    }

    /// The words that hold it.
    pub fn to_words(&self) -> Vec<u64> {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let path = Some(path.as_os_str().as_bytes()).filter(|path| path.len() <= Self::PATH_MAX);
        let path = path.unwrap_or_default();
        let LogEnd {
            device,
            inode,
            birth_ns,
            ..
        } = self.end;
        let mut words = vec![0, device, inode, birth_ns, path.len() as u64];
        words.extend(path.chunks(8).map(|chunk| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(bytes)
        }));
        words[0] = checksum(&words[1..]);
        words
    }

    /// The note that `words` hold; `None` if they were not stored to the end.
    pub fn from_words(words: &[u64]) -> Option<Self> {
        let &[check, device, inode, birth_ns, len, ref path @ ..] = words else {
            return None;
        };
        let len = usize::try_from(len).ok()?;
        let used = 5 + len.div_ceil(8);
        if len > Self::PATH_MAX || used > words.len() || check != checksum(&words[1..used]) {
            return None;
        }
        let bytes: Vec<u8> = path.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let path = PathBuf::from(OsStr::from_bytes(&bytes[..len]));
        Some(Self {
            end: LogEnd {
                device,
                inode,
                birth_ns,
                size_bytes: 0,
            },
            path: (len > 0).then_some(path),
        })
    }
}

/// What a queue with a ring file shows of itself, for whoever looks at the file.
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
    /// The process that has it, or had it last.
    pub pid: u32,
    /// When it was opened, in nanoseconds since 1970.
    pub opened_ns: u64,
    /// When this was shown, in nanoseconds since 1970. The flusher does so whenever it has done something.
    pub shown_ns: u64,
    /// Bytes of records written since it was opened.
    pub written_bytes: u64,
    /// Appends refused because the ring was full.
    pub refused_records: u64,
    /// Bytes of them.
    pub refused_bytes: u64,
    /// Writes to the log that took bytes.
    pub drains: u64,
    /// The highest fill that was seen, in bytes.
    pub high_water_bytes: u64,
    /// Why the log takes nothing, as errno; 0 while it does.
    pub stall_errno: u32,
    /// For how long it has taken nothing, in nanoseconds.
    pub stall_ns: u64,
    /// With what the queue has failed, as errno; 0 if it has not.
    pub failure_errno: u32,
    /// Records written since it was opened; those of a lane once all of the span is written that they are in.
    pub written_records: u64,
    /// Appends that had to wait, for room or for their turn.
    pub waits: u64,
    /// The longest of these waits, in nanoseconds.
    pub longest_wait_ns: u64,
    /// How often the flusher woke up.
    pub wakeups: u64,
}

impl Live {
    /// How many words it takes.
    pub(crate) const WORDS: usize = 16;

    /// The words that hold it.
    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        words[..15].copy_from_slice(&[
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
        ]);
        words
    }

    /// What `words` hold; each is right by itself.
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
        for path in [
            None,
            Some("/x"),
            Some("/var/log/12345"),
            Some("/var/log/123456"),
        ] {
            let path = path.map(PathBuf::from);
            let note = LogNote { end, path };
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
    fn what_is_shown_round_trips() {
        let words = std::array::from_fn(|at| if at < 15 { at as u64 + 1 } else { 0 });
        assert_eq!(Live::from_words(&words).to_words(), words);
    }
}
