//! The options of a reader.

use std::io;

#[cfg(feature = "chain")]
use super::Proven;
#[cfg(feature = "chain")]
use super::chain::Checker;
use crate::words::Framing;
#[cfg(feature = "chain")]
use crate::words::frame::chain::ChainKey;

/// The longest record by default: 64 MiB.
const RECORD_MAX: usize = 64 << 20;

/// How a log is read.
///
/// ```
/// use alq::read::ReadOptions;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// # std::fs::write(&path, "one\n")?;
/// let reader = ReadOptions::new().record_max(1 << 20).open(&path)?;
/// # drop(reader);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct ReadOptions {
    pub(super) framing: Framing,
    pub(super) record_max: usize,
    pub(super) may_be_missing: bool,
    #[cfg(feature = "chain")]
    pub(super) chain: Option<ChainKey>,
    #[cfg(feature = "chain")]
    pub(super) proven: Option<Proven>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadOptions {
    /// The default options.
    ///
    /// ```
    /// let options = alq::read::ReadOptions::new();
    /// # drop(options);
    /// ```
    pub const fn new() -> Self {
        Self {
            framing: Framing::Raw,
            record_max: RECORD_MAX,
            may_be_missing: false,
            #[cfg(feature = "chain")]
            chain: None,
            #[cfg(feature = "chain")]
            proven: None,
        }
    }

    /// Sets how the records of the log are separated. By default the reader looks at each file: if
    /// it begins with the header of a framed log, its records are frames, otherwise lines
    /// ([`Framing::Raw`] means this choice). Files of fixed records and of lengths do not say what
    /// they are, so a reader of one must.
    ///
    /// ```
    /// use alq::Framing;
    /// use alq::read::{Item, ReadOptions};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, b"\x03\0\0\0one")?;
    /// let mut reader = ReadOptions::new().framing(Framing::Lengths).open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.bytes(), b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Sets the longest record, in bytes: 1 to 2^31, by default 64 MiB. The buffer of the reader
    /// grows to twice this at most, for records that need it.
    ///
    /// A longer line is returned in parts ([`End::Continues`](super::End::Continues)). A longer
    /// frame counts as damaged. A longer length ends the reading of its file.
    ///
    /// ```
    /// use alq::read::{End, Item, ReadOptions};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "abcdef\n")?;
    /// let mut reader = ReadOptions::new().record_max(4).open(&path)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!((record.bytes(), record.end()), (&b"abcd"[..], End::Continues));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn record_max(mut self, bytes: usize) -> Self {
        self.record_max = bytes;
        self
    }

    /// Opens a log that does not exist yet, and whose folder may not exist yet either. Off by
    /// default: opening then fails. The reader finds it as soon as it is there.
    ///
    /// ```
    /// use alq::read::ReadOptions;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let mut reader = ReadOptions::new().may_be_missing(true).open(&path)?;
    /// assert!(reader.next()?.is_none());
    /// std::fs::write(&path, "one\n")?;
    /// assert!(reader.next()?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn may_be_missing(mut self, yes: bool) -> Self {
        self.may_be_missing = yes;
        self
    }

    /// Whether every option is in its range.
    /// Proves the log with the key of its [chain](crate::Options::chain): that no frame was changed,
    /// removed, inserted or moved, in any of its files. What does not fit is a notice, at the place
    /// of the first such frame. It follows the records up to the next checkpoint, which the reader
    /// has returned by then.
    ///
    /// The proof begins with the oldest file, so such a reader cannot go to another place.
    ///
    /// ```
    /// use alq::read::{Item, Notice, ReadOptions};
    /// use alq::{Flags, Framing, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let key = [7; 32]; // from a file that only this user may read
    /// let queue = Options::new().framing(Framing::Checked).chain(key).open(&path)?;
    /// queue.writen(b"a record", Flags::WAITOK)?;
    /// queue.close(None)?;
    ///
    /// let mut reader = ReadOptions::new().chain(key).open(&path)?;
    /// while let Some(item) = reader.next()? {
    ///     assert!(matches!(item, Item::Record(_)));
    /// }
    /// assert!(reader.finish().is_none()); // nothing is wrong, and the queue was closed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "chain")]
    #[cfg_attr(docsrs, doc(cfg(feature = "chain")))]
    pub const fn chain(mut self, key: [u8; 32]) -> Self {
        self.chain = Some(ChainKey(key));
        self
    }

    /// Sets what an earlier proof has found ([`Reader::proven`](super::Reader::proven)). If the log
    /// no longer holds that, [`Reader::finish`](super::Reader::finish) returns
    /// [`OtherPast`](super::Notice::OtherPast). Does nothing without [`chain`](Self::chain).
    ///
    /// ```
    /// use alq::read::{Proven, ReadOptions};
    ///
    /// let options = ReadOptions::new().chain([7; 32]).proven(Proven::frames_only(1000));
    /// # let _ = options;
    /// ```
    #[cfg(feature = "chain")]
    #[cfg_attr(docsrs, doc(cfg(feature = "chain")))]
    pub const fn proven(mut self, proven: Proven) -> Self {
        self.proven = Some(proven);
        self
    }

    /// What proves the frames, if there is a key.
    #[cfg(feature = "chain")]
    pub(super) fn checker(&self) -> Option<Box<Checker>> {
        let key = self.chain?;
        Some(Box::new(Checker::new(key, self.proven)))
    }

    pub(super) fn check(&self) -> io::Result<()> {
        let is_in_range = (1..=1 << 31).contains(&self.record_max);
        if is_in_range && self.framing != Framing::Fixed(0) {
            return Ok(());
        }
        let what = "the longest record must have 1 byte to 2 GiB, and a fixed one 1 or more";
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
}
