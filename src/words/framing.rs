//! How the records of a log are separated.

/// How the records of a log are separated in the file;
/// [`Options::framing`](crate::Options::framing) sets it.
///
/// | framing | in the file | a reader finds | what a crash leaves is |
/// |---|---|---|---|
/// | `Raw` | the bytes of the records | what the records themselves say | left as it is |
/// | `Lines` | lines | lines | ended with a newline |
/// | `Fixed` | records of one length | records by their length | cut |
/// | `Lengths` | a length before each record | records | cut |
/// | `Checked` | a header, and checked frames | records, damage and gaps | cut, and noted |
///
/// docs/frames.md shows the bytes.
///
/// Only `Raw` is implemented so far: opening a queue refuses the others.
///
/// ```
/// use alq::{Flags, Framing, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = Options::new().framing(Framing::Raw).open(&path)?;
/// queue.writen(b"a record", Flags::WAITOK)?;
/// queue.close(None)?;
/// assert_eq!(std::fs::read(&path)?, b"a record");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// The file gets the bytes of the records and nothing else. The default.
    #[default]
    Raw,
    /// A record is a line. A record that does not end with a newline gets one.
    Lines,
    /// Each record has exactly this many bytes: 1 to the capacity.
    Fixed(usize),
    /// Before each record stands its length: 32 bits, the least significant byte first.
    Lengths,
    /// The file has a header, and each record stands in a frame with its length, a CRC32C, its
    /// position and, if [asked for](crate::Options::stamps), the time.
    #[cfg(feature = "frames")]
    #[cfg_attr(docsrs, doc(cfg(feature = "frames")))]
    Checked,
}
