//! The options that say how the records of a log are separated.

use super::options::Options;
use crate::words::Error;
use crate::words::Framing;
#[cfg(feature = "chain")]
use crate::words::frame::chain::ChainKey;

impl Options {
    /// Sets how the records are separated in the file: [`Framing::Raw`] by default, which adds
    /// nothing.
    ///
    /// What a framing adds takes room in the ring, so a record may have that much less than the
    /// [capacity](Options::capacity). The bytes of an entry are those of the record: the framing
    /// lies around them, in place. With [`Framing::Fixed`], a record of another length is refused
    /// with [`Error::InvalidLength`], and an entry that is posted with
    /// fewer bytes gets zeros for the rest.
    ///
    /// If the log ends with a torn record, it is put right first: a torn line gets its newline
    /// ([`end_torn_line`](Options::end_torn_line)), any other torn record is cut off.
    /// [`Recovery::torn_bytes`](crate::Recovery::torn_bytes) counts its bytes. Two queues must not
    /// have one log with lengths or of fixed records open at the same time. (A file that is not
    /// open for appending, a pipe and a socket are not looked at.)
    ///
    /// # Errors
    ///
    /// Opening the queue fails with [`Error::Framing`] if the log cannot be
    /// continued with this framing, and with [`Error::InvalidOption`]
    /// for a length of 0 or above the capacity.
    ///
    /// ```
    /// use alq::{Flags, Framing, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = Options::new().framing(Framing::Lengths).open(&path)?;
    /// queue.writen(b"abc", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"\x03\0\0\0abc");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn framing(mut self, framing: Framing) -> Self {
        self.opening.framing = framing;
        self
    }

    /// Sets whether a line that an earlier writer has left open at the end of the log is ended with
    /// a newline when the queue opens, so that the first record does not become a part of it. On by
    /// default with [`Framing::Lines`], otherwise off.
    ///
    /// It matters for a regular file that is open for appending and that this user may read.
    /// [`Recovery::torn_bytes`](crate::Recovery::torn_bytes) counts the bytes of the torn line.
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, b"a line that a crash")?;
    /// let queue = Options::new().end_torn_line(true).open(&path)?;
    /// assert_eq!(queue.recovery().unwrap().torn_bytes, 19);
    /// queue.writen(b"next\n", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"a line that a crash\nnext\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end_torn_line(mut self, end: bool) -> Self {
        self.opening.end_torn_line = Some(end);
        self
    }

    /// Sets whether a torn record that is cut off the log is kept: its bytes are appended to the
    /// file at the path of the log with `.torn` after it. Off by default.
    ///
    /// The file is created with the permissions 0600, and its bytes are on disk before they are
    /// removed from the log. It is never a symbolic link, nor a file of another user or with a
    /// second name. Nothing removes it. [`Framing::Lines`] cuts nothing off.
    ///
    /// # Errors
    ///
    /// If there is a torn record and it cannot be kept, opening fails with
    /// [`Error::Io`], whose target is that file, and the log stays as it is.
    ///
    /// ```
    /// use alq::{Framing, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, b"\x03\0\0\0abc\x09\0\0\0torn")?;
    /// let queue = Options::new().framing(Framing::Lengths).keep_torn(true).open(&path)?;
    /// assert_eq!(queue.recovery().unwrap().torn_bytes, 8);
    /// assert_eq!(std::fs::read(&path)?, b"\x03\0\0\0abc");
    /// assert_eq!(std::fs::read(dir.path().join("app.log.torn"))?, b"\x09\0\0\0torn");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_torn(mut self, keep: bool) -> Self {
        self.opening.keep_torn = keep;
        self
    }

    /// Adds a keyed chain to a log of [checked](Framing::Checked) frames. A holder of the key can
    /// then tell, with [`ReadOptions::chain`](crate::read::ReadOptions::chain) or `alq check
    /// --chain`, whether a frame was changed, removed, inserted or moved, also across rotated and
    /// packed files. Off by default.
    ///
    /// The flusher hashes each frame as it writes it (BLAKE3, keyed). After 64 KiB, after a second,
    /// in each new file and at the close, it writes a checkpoint, which proves the frames before
    /// it. Nothing changes for the threads that append.
    ///
    /// A holder of the key can also forge. So keep it where the log cannot be read from, and never
    /// in the log's folder. docs/frames.md says what a chain shows, and what it does not show.
    ///
    /// With a chain, no record bypasses the ring, because the chain would not have it: in a child
    /// of fork(2), an append returns [`Error::Forked`], and after the drain
    /// at the end of the process [`Error::Closed`].
    ///
    /// # Errors
    ///
    /// Opening the queue fails with [`Error::InvalidOption`] without
    /// checked frames, and with [`Error::Framing`] if the log has frames and
    /// no chain, or a chain with another key. A queue without the key refuses a log with a chain.
    ///
    /// ```
    /// use alq::{Flags, Framing, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let key = [7; 32]; // from a file that only this user may read
    /// let queue = Options::new().framing(Framing::Checked).chain(key).open(&path)?;
    /// queue.writen(b"a record", Flags::WAITOK)?;
    /// queue.close(None)?;
    ///
    /// let other = Options::new().framing(Framing::Checked).chain([8; 32]).open(&path);
    /// assert!(other.unwrap_err().to_string().contains("another key"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "chain")]
    #[cfg_attr(docsrs, doc(cfg(feature = "chain")))]
    pub fn chain(mut self, key: [u8; 32]) -> Self {
        self.opening.chain = Some(ChainKey(key));
        self
    }

    /// Checks that there are frames for the chain.
    #[cfg_attr(
        not(feature = "chain"),
        expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "for chains")
    )]
    pub(super) fn check_chain(&self) -> Result<(), Error> {
        #[cfg(feature = "chain")]
        if self.opening.chain.is_some() && self.opening.framing != Framing::Checked {
            return Err(Error::InvalidOption {
                option: "chain",
                value: 1,
                allowed: "with Framing::Checked only",
            });
        }
        Ok(())
    }

    /// Sets whether the frames of a new [checked](Framing::Checked) log have time stamps: when the
    /// record was posted, in nanoseconds since 1970. Off by default. A stamp costs 8 bytes in the
    /// file and a look at the clock. A log that exists keeps what it has.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let options = alq::Options::new().stamps(true);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "frames")]
    #[cfg_attr(docsrs, doc(cfg(feature = "frames")))]
    pub fn stamps(mut self, stamps: bool) -> Self {
        self.opening.stamps = stamps;
        self
    }
}
