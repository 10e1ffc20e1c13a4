//! What a reader says beside the records, and the place that it says it about.

use core::fmt;
use std::path::{Path, PathBuf};

use crate::words::Escaped;

/// A place in a file of a log.
///
/// ```
/// # use alq::Framing;
/// # use alq::read::{Item, ReadOptions};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// std::fs::write(&path, "aabbc")?;
/// let mut reader = ReadOptions::new().framing(Framing::Fixed(2)).open(&path)?;
/// while reader.next()?.is_some() {}
/// let Some(Item::Notice(notice, place)) = reader.finish() else { panic!("no notice") };
/// assert!(place.to_string().ends_with("app.log, byte 4"));
/// # let _ = notice;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub(super) file: PathBuf,
    pub(super) offset: u64,
}

impl Place {
    /// The file, by the name that it had when the reader opened it.
    ///
    /// ```
    /// # use alq::Framing;
    /// # use alq::read::{Item, ReadOptions};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "aabbc")?;
    /// let mut reader = ReadOptions::new().framing(Framing::Fixed(2)).open(&path)?;
    /// while reader.next()?.is_some() {}
    /// let Some(Item::Notice(notice, place)) = reader.finish() else { panic!("no notice") };
    /// assert_eq!(place.file(), path);
    /// # let _ = notice;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The offset in the file, in bytes; in a packed file, in the bytes that it unpacks to.
    ///
    /// ```
    /// # use alq::Framing;
    /// # use alq::read::{Item, ReadOptions};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "aabbc")?;
    /// let mut reader = ReadOptions::new().framing(Framing::Fixed(2)).open(&path)?;
    /// while reader.next()?.is_some() {}
    /// let Some(Item::Notice(notice, place)) = reader.finish() else { panic!("no notice") };
    /// assert_eq!(place.offset(), 4);
    /// # let _ = notice;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, byte {}", Escaped(&self.file), self.offset)
    }
}

/// Something that a reader reports beside the records.
///
/// ```
/// # use alq::Framing;
/// # use alq::read::{Item, ReadOptions};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// std::fs::write(&path, "aabbc")?;
/// let mut reader = ReadOptions::new().framing(Framing::Fixed(2)).open(&path)?;
/// while reader.next()?.is_some() {}
/// let Some(Item::Notice(notice, place)) = reader.finish() else { panic!("no notice") };
/// assert_eq!(notice, alq::read::Notice::Torn { bytes: 1 });
/// # let _ = place;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// These bytes are no frame of this log. The reader has skipped them.
    Damaged {
        /// How many bytes.
        bytes: u64,
    },
    /// The file ends inside a frame, a header or a record of fixed length. Lines that end this way
    /// are records with [`End::Torn`](super::End::Torn).
    Torn {
        /// How many bytes of it the file has.
        bytes: u64,
    },
    /// The queue noted that it refused or lost records here.
    Lost {
        /// How many records.
        records: u64,
        /// How many bytes these records had.
        bytes: u64,
    },
    /// A queue that opened the log noted that it removed a torn end here.
    Cut {
        /// How many bytes it removed.
        bytes: u64,
    },
    /// No frame has these positions, and no note says why: frames were removed or damaged.
    Missing {
        /// The first missing position.
        from: u64,
        /// The position of the next frame.
        to: u64,
    },
    /// From here on the frames are those of another log: the log was made anew.
    OtherLog,
    /// The file that the cursor names, or that was read last, is gone. What it held after that
    /// place, and whatever files followed it up to this place, was not read.
    Gone,
    /// The file became shorter than what was read of it, or its bytes changed. Reading continues
    /// at its beginning.
    Truncated,
    /// The frame here is not the one that was written with this number: it was changed, removed,
    /// inserted or moved. Frames before the last checkpoint in front of it are as they were; so are
    /// all frames before this one, unless a checkpoint was changed too. (Only with a
    /// [key](super::ReadOptions), as all notices after this one.)
    Broken {
        /// The number of the frame, from 0. Headers count, checkpoints do not.
        frame: u64,
        /// How many frames stand here between two checkpoints.
        found: u64,
        /// How many frames were written there.
        written: u64,
    },
    /// A process was killed before these frames had a checkpoint, and the next one has taken them
    /// into the chain. Nothing proves what they were between the two.
    Adopted {
        /// How many frames.
        frames: u64,
    },
    /// The checkpoints were made with another key, so nothing is proved.
    OtherKey,
    /// The log has no checkpoint, so nothing is proved.
    NoChain,
    /// The log does not end with the checkpoint of a close: it is in use, its process was killed,
    /// or its end was cut off.
    NotClosed {
        /// How many frames follow the last checkpoint. Nothing proves them.
        frames: u64,
    },
    /// The log is shorter than an earlier proof has found it, or has another past, or the files
    /// of that past are gone.
    OtherPast {
        /// How many frames it had.
        frames: u64,
    },
    /// The rest of the file cannot be read: what it was packed into is damaged, or has a form that
    /// was not compiled in, or the frames have a later version. Reading continues in the next file.
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl Notice {
    /// Whether the log is not sound here. The other notices say what a queue has noted itself:
    /// [`Lost`](Notice::Lost), [`Cut`](Notice::Cut), [`Adopted`](Notice::Adopted).
    ///
    /// ```
    /// # use alq::Framing;
    /// # use alq::read::{Item, ReadOptions};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "aabbc")?;
    /// let mut reader = ReadOptions::new().framing(Framing::Fixed(2)).open(&path)?;
    /// while reader.next()?.is_some() {}
    /// let Some(Item::Notice(notice, place)) = reader.finish() else { panic!("no notice") };
    /// assert!(notice.is_fault());
    /// # let _ = place;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::Lost { .. } | Self::Cut { .. } | Self::Adopted { .. }
        )
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { bytes } => write!(f, "{bytes} bytes are damaged"),
            Self::Torn { bytes } => write!(f, "the file ends inside a record, after {bytes} bytes"),
            Self::Lost { records, bytes } => {
                write!(f, "{records} records of {bytes} bytes were refused or lost")
            }
            Self::Cut { bytes } => write!(f, "a torn end of {bytes} bytes was removed"),
            Self::Missing { from, to } => {
                write!(f, "the positions from {from} to {to} are missing")
            }
            Self::OtherLog => write!(f, "another log begins: it was made anew"),
            Self::Gone => write!(
                f,
                "files before this place are gone: what they held was not read"
            ),
            Self::Truncated => write!(f, "the file was truncated: reading continues at its start"),
            Self::Broken {
                frame,
                found,
                written,
            } => write!(
                f,
                "frame {frame} of the chain was changed, removed, inserted or moved (between the \
                 checkpoints, {written} frames were written and {found} are here)"
            ),
            Self::Adopted { frames } => write!(
                f,
                "{frames} frames were left without a checkpoint by a killed process, and taken in"
            ),
            Self::OtherKey => write!(f, "the chain was made with another key: nothing is proved"),
            Self::NoChain => write!(f, "the log has no checkpoint: nothing is proved"),
            Self::NotClosed { frames } => write!(
                f,
                "the chain does not end with a close, and nothing proves the last {frames} frames: \
                 the log is in use, its process was killed, or its end was cut off"
            ),
            Self::OtherPast { frames } => write!(
                f,
                "the first {frames} frames are not those of the earlier proof, or some are gone"
            ),
            Self::Unreadable { reason } => {
                write!(f, "the rest of the file is unreadable: {reason}")
            }
        }
    }
}
