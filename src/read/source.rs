//! One open file of a log as a stream of its plain bytes: read with read(2), or unpacked.
//!
//! read(2) copies into the buffer of the reader. A mapping would save the copy, but a log that is
//! truncated while it is read would then end the process with SIGBUS.

use core::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::logs::{Compression, FileId, origin};

/// The largest window of zstd that is accepted, as an exponent: 128 MiB, as zstd(1) does. Files
/// that alq has packed need 2 MiB.
#[cfg(feature = "zstd")]
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// An open file of a log.
pub(super) struct Source {
    /// The file itself, for its identity and length.
    file: File,
    pub id: FileId,
    /// The file that it was packed from, if it says so. Otherwise the same as `id`.
    pub origin: FileId,
    form: Form,
}

enum Form {
    Plain,
    /// Plain bytes that come from a descriptor once.
    Stream,
    #[cfg(feature = "gzip")]
    Gzip(Box<flate2::read::MultiGzDecoder<File>>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::stream::read::Decoder<'static, io::BufReader<File>>>),
}

impl Source {
    /// Reads `file` from its start.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the form was not compiled in; those of fstat(2) and dup(2).
    pub fn new(file: File, form: Compression) -> io::Result<Self> {
        let id = FileId::of(&file)?;
        let origin = match form {
            Compression::None => id,
            _ => origin(&file)?.unwrap_or(id),
        };
        let form = match form {
            Compression::None => Form::Plain,
            #[cfg(feature = "gzip")]
            Compression::Gzip => {
                let packed = file.try_clone()?;
                Form::Gzip(Box::new(flate2::read::MultiGzDecoder::new(packed)))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                let mut unpacked = zstd::stream::read::Decoder::new(file.try_clone()?)?;
                unpacked.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Form::Zstd(Box::new(unpacked))
            }
            #[allow(unreachable_patterns, reason = "with all features there is no other")]
            other => {
                let what = format!("this program was compiled without the feature for {other:?}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        };
        Ok(Self {
            file,
            id,
            origin,
            form,
        })
    }

    /// Reads what comes from a descriptor.
    ///
    /// # Errors
    ///
    /// Those of fstat(2).
    pub fn stream(file: File) -> io::Result<Self> {
        let id = FileId::of(&file)?;
        Ok(Self {
            file,
            id,
            origin: id,
            form: Form::Stream,
        })
    }

    /// Reads the same file from its start. A stream is not read again.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn again(self) -> io::Result<Self> {
        let compression = match self.form {
            Form::Plain | Form::Stream => Compression::None,
            #[cfg(feature = "gzip")]
            Form::Gzip(_) => Compression::Gzip,
            #[cfg(feature = "zstd")]
            Form::Zstd(_) => Compression::Zstd,
        };
        let mut file = self.file;
        file.rewind()?; // the decoder shares the offset
        Self::new(file, compression)
    }

    pub const fn is_plain(&self) -> bool {
        matches!(self.form, Form::Plain)
    }

    pub const fn is_stream(&self) -> bool {
        matches!(self.form, Form::Stream)
    }

    /// Reads into `buffer`; `at` is the offset in the plain bytes. Returns 0 at the end.
    ///
    /// # Errors
    ///
    /// Those of pread(2); errors without an errno if what the file was packed into is damaged.
    pub fn read(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            let read = match &mut self.form {
                Form::Plain => self.file.read_at(buffer, at),
                Form::Stream => self.file.read(buffer),
                #[cfg(feature = "gzip")]
                Form::Gzip(unpacked) => unpacked.read(buffer),
                #[cfg(feature = "zstd")]
                Form::Zstd(unpacked) => unpacked.read(buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.is_stream() => {
                    wait_for_input(&self.file)?;
                }
                read => return read,
            }
        }
    }

    /// Reads `buffer.len()` bytes at `at` of a plain file. Returns false if it ends before.
    ///
    /// # Errors
    ///
    /// Those of pread(2).
    pub fn read_exact(&self, buffer: &mut [u8], at: u64) -> io::Result<bool> {
        match self.file.read_exact_at(buffer, at) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How many names the file has: 0 if it was deleted.
    pub fn links(&self) -> io::Result<u64> {
        use std::os::unix::fs::MetadataExt;

        Ok(self.file.metadata()?.nlink())
    }

    /// The length of the file itself, in bytes.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// Waits until a descriptor in non-blocking mode has data, or has ended.
fn wait_for_input(file: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(file, PollFlags::IN)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.id).finish()
    }
}
