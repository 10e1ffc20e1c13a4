//! What the rotated files of a log end with, for a queue that goes on in an empty file, and the
//! proof of what a reader takes.

use std::path::Path;

use rustix::fs::fstat;
use rustix::process::geteuid;

use super::reader::Reader;
use super::shelf::Shelf;
use super::split::Splitter;
use super::{ReadError, ReadOptions};
#[cfg(feature = "chain")]
use crate::words::frame::chain::{ChainKey, Verifier};
use crate::words::frame::{Frames, POSITION_END};

/// The longest payload of a frame.
const RECORD_MAX: usize = 1 << 31;

/// The end of the newest rotated file.
#[derive(Debug)]
pub(crate) struct Last {
    /// The frames of the log.
    pub frames: Frames,
    /// The position after the last frame.
    pub end: u64,
    /// Whether the log has a chain.
    pub is_chained: bool,
    /// Its chain, if there is a key.
    #[cfg(feature = "chain")]
    pub verifier: Option<Verifier<(usize, u64)>>,
}

/// Reads the newest rotated file of the log at `path`. `None` if there is none, if it is another
/// user's, or if it has no frames.
///
/// # Errors
///
/// Those of a reader.
pub(crate) fn last(
    path: &Path,
    #[cfg(feature = "chain")] key: Option<ChainKey>,
) -> Result<Option<Last>, ReadError> {
    let mut shelf = Shelf::open(path)?;
    let (keys, _) = shelf.all()?;
    let Some(newest) = keys.last() else {
        return Ok(None);
    };
    let Some(volume) = shelf.open_key(*newest)? else {
        return Ok(None);
    };
    let owner = fstat(&volume.source).map_or(u32::MAX, |stat| stat.st_uid);
    if owner != 0 && owner != geteuid().as_raw() {
        return Ok(None);
    }
    let options = ReadOptions::new().record_max(RECORD_MAX);
    #[cfg(feature = "chain")]
    let options = key.map_or(options, |key| options.chain(key.0));
    let mut reader = Reader::unopened(path.to_owned(), options);
    reader.begin(volume);
    reader.pass_records(u64::MAX)?;
    let known = match &reader.splitter {
        Some(Splitter::Frames(frames)) => frames.known(),
        _ => None,
    };
    let Some(known) = known else { return Ok(None) };
    // Half of all positions are left, so what another program has made of this file is harmless.
    let end = known.end.filter(|end| *end < POSITION_END / 2);
    Ok(end.map(|end| Last {
        frames: Frames::new(known.id, known.stamps),
        end,
        is_chained: known.is_chained,
        #[cfg(feature = "chain")]
        verifier: reader.checker.map(|checker| checker.into_verifier()),
    }))
}

#[cfg_attr(
    not(feature = "chain"),
    expect(clippy::unused_self, unused_variables, reason = "for chains")
)]
impl Reader {
    /// Whether the frames are proved with a key.
    pub(super) const fn is_proving(&self) -> bool {
        #[cfg(feature = "chain")]
        return self.checker.is_some();
        #[cfg(not(feature = "chain"))]
        false
    }

    /// Proves the first `len` unread bytes, which are a header or a frame. Bytes that are no frame
    /// prove nothing.
    pub(super) fn prove(&mut self, len: usize) {
        #[cfg(feature = "chain")]
        if let (Some(checker), Some(Splitter::Frames(frames))) = (&mut self.checker, &self.splitter)
        {
            let Some(known) = frames.known().filter(|_| !frames.is_searching()) else {
                return;
            };
            let bytes = self.window.unread().get(..len).unwrap_or_default();
            let overhead = Frames::new(known.id, known.stamps).overhead();
            let file = self.current.as_ref().map_or(&self.path, |one| &one.path);
            checker.take(bytes, overhead, file, self.window.offset());
        }
    }

    /// Makes what the proof has found the next notice.
    pub(super) fn take_proof(&mut self) {
        #[cfg(feature = "chain")]
        if let (None, Some(checker)) = (&self.notice, &mut self.checker) {
            self.notice = checker.notice();
        }
    }

    /// The log ends here.
    pub(super) fn finish_proof(&mut self) {
        #[cfg(feature = "chain")]
        if let Some(checker) = &mut self.checker {
            let file = self.current.as_ref().map_or(&self.path, |one| &one.path);
            checker.finish(file, self.window.offset());
        }
    }

    /// Returns what is proved up to the last checkpoint, and the number of the first frame of the
    /// log: 0 unless older files were deleted. `None` without a [key](ReadOptions::chain), and
    /// before the first checkpoint.
    ///
    /// ```
    /// use alq::read::ReadOptions;
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
    /// while reader.next()?.is_some() {}
    /// let (first, proven) = reader.proven().unwrap();
    /// assert_eq!((first, proven.frames()), (0, 2)); // the header of the file, and the record
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "chain")]
    #[cfg_attr(docsrs, doc(cfg(feature = "chain")))]
    #[must_use]
    pub fn proven(&self) -> Option<(u64, super::Proven)> {
        self.checker.as_ref()?.proven()
    }
}
