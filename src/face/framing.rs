//! The options that say how the records of a log are separated.

use super::options::Options;
use crate::words::Framing;

impl Options {
    /// Sets how the records are separated in the file: [`Framing::Raw`] by default, which adds
    /// nothing.
    ///
    /// ```
    /// use alq::{Flags, Framing, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = Options::new().framing(Framing::Raw).open(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn framing(mut self, framing: Framing) -> Self {
        self.opening.framing = framing;
        self
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
