//! The forms of a rotated file, plain or packed, and the conversion from plain to packed.

use core::str::FromStr;
use std::fs::File;
use std::io::{self, Read, Write};

#[cfg(any(feature = "gzip", feature = "zstd"))]
use super::origin::FileId;
#[cfg(feature = "gzip")]
use super::origin::gzip_field;
#[cfg(feature = "zstd")]
use super::origin::zstd_frame;
use crate::words::{Error, RotationProblem as Problem};

/// Selects how a rotated file is packed, in the background.
///
/// ```
/// use alq::rotate::Compression;
///
/// assert_eq!("none".parse(), Ok(Compression::None));
/// assert!("rar".parse::<Compression>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// The file stays plain.
    #[default]
    None,
    /// Packs with gzip, level 6. The name ends in `.gz`. Needs feature `gzip`; `open` refuses
    /// without it.
    Gzip,
    /// Packs with zstd, level 3. The name ends in `.zst`. Needs feature `zstd`; `open` refuses
    /// without it.
    Zstd,
}

impl Compression {
    /// Whether this form was compiled in.
    pub(super) const fn is_there(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    pub(super) fn of_suffix(suffix: &[u8]) -> Option<Self> {
        let forms = [Self::None, Self::Gzip, Self::Zstd];
        forms
            .into_iter()
            .find(|form| form.suffix().as_bytes() == suffix)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    pub(super) fn check(self) -> Result<(), Error> {
        if self.is_there() {
            return Ok(());
        }
        Err(unknown(self.name()))
    }

    /// Packs all of `from` into `to`, and returns how many bytes `from` had. Notes in `to` which
    /// file `from` is. Calls `check` before each part and stops if it fails.
    pub(super) fn pack(self, from: &File, to: &File, check: Check<'_>) -> io::Result<u64> {
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => {
                let level = flate2::Compression::default();
                let note = gzip_field(FileId::of(from)?);
                let mut packer = flate2::GzBuilder::new().extra(note).write(to, level);
                let len = copy(from, &mut packer, check)?;
                packer.finish()?;
                Ok(len)
            }
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut to = to;
                to.write_all(&zstd_frame(FileId::of(from)?))?;
                let mut packer =
                    zstd::stream::write::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                packer.include_checksum(true)?;
                let len = copy(from, &mut packer, check)?;
                packer.finish()?;
                Ok(len)
            }
            _ => copy(from, &mut { to }, check),
        }
    }
}

/// Called before each part; an error stops the packing.
pub(super) type Check<'a> = &'a dyn Fn() -> io::Result<()>;

/// How many bytes are read at a time.
const PART_LEN: usize = 1 << 17;

/// Copies like `io::copy`, but with read(2). `io::copy` passes files to `copy_file_range(2)`, which
/// may find no bytes in a file that is still being written.
fn copy(mut from: &File, to: &mut impl Write, check: Check<'_>) -> io::Result<u64> {
    let mut part = vec![0; PART_LEN];
    let mut len = 0;
    loop {
        check()?;
        match from.read(&mut part) {
            Ok(0) => return Ok(len),
            Ok(read) => {
                to.write_all(&part[..read])?;
                len += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn unknown(text: &str) -> Error {
    let text = text.to_owned();
    Error::Rotation(Box::new(Problem::UnknownCompression { text }))
}

impl FromStr for Compression {
    type Err = Error;

    /// Parses `none`, and of `gzip` and `zstd` those that were compiled in.
    fn from_str(text: &str) -> Result<Self, Error> {
        let forms = [Self::None, Self::Gzip, Self::Zstd];
        let form = forms.into_iter().find(|form| form.name() == text);
        form.filter(|form| form.is_there())
            .ok_or_else(|| unknown(text))
    }
}
