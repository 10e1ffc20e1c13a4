//! The write cursor of an entry: how much of its bytes a post would append.

use core::fmt;

use crate::words::Error;

/// How far an entry is filled. It starts as the whole of it; the first write sets it to 0, and each one appends.
///
/// One word, `{ started 1, used 63 }`: an entry is moved about, and two small fields that are stored one by one and
/// copied together make the copy wait for the stores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill(u64);

/// It has been set, or written to.
const STARTED: u64 = 1 << 63;

impl Fill {
    /// An entry of `len` bytes that nobody has written to.
    #[inline]
    pub(super) fn whole(len: usize) -> Self {
        Self(len as u64)
    }

    #[inline]
    pub(super) fn used(self) -> usize {
        (self.0 & !STARTED) as usize
    }

    /// Sets how much is used of an entry of `len` bytes.
    ///
    /// # Panics
    ///
    /// If that is more than all of it.
    #[inline]
    #[track_caller]
    pub(super) fn set(&mut self, used: usize, len: usize) {
        assert!(
            used <= len,
            "set_bytes_used({used}) on an entry of {len} bytes"
        );
        self.0 = used as u64 | STARTED;
    }

    /// Appends what fits of `bytes` to those of the entry, and says how much that was.
    pub(super) fn append(&mut self, entry: &mut [u8], bytes: &[u8]) -> usize {
        if self.0 & STARTED == 0 {
            self.0 = STARTED;
        }
        let free = &mut entry[self.used()..];
        let len = bytes.len().min(free.len());
        free[..len].copy_from_slice(&bytes[..len]);
        self.0 += len as u64;
        len
    }

    /// Appends formatted text; what fits of it is kept.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if it does not fit, [`Error::Format`] if a `Display` failed by itself.
    pub(super) fn append_fmt(
        &mut self,
        entry: &mut [u8],
        args: fmt::Arguments<'_>,
    ) -> Result<(), Error> {
        let max = entry.len();
        let mut appender = Appender {
            fill: self,
            entry,
            missing: 0,
        };
        let result = fmt::Write::write_fmt(&mut appender, args);
        let (missing, used) = (appender.missing, self.used());
        // A Display may go on after an error, or fail without one.
        match (missing, result) {
            (0, Ok(())) => Ok(()),
            (0, Err(fmt::Error)) => Err(Error::Format),
            (missing, _) => Err(Error::TooLarge {
                len: used + missing,
                max,
            }),
        }
    }
}

struct Appender<'a> {
    fill: &'a mut Fill,
    entry: &'a mut [u8],
    /// Bytes that did not fit; nothing is appended behind the first of them.
    missing: usize,
}

impl fmt::Write for Appender<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fitted = match self.missing {
            0 => self.fill.append(self.entry, text.as_bytes()),
            _ => 0,
        };
        self.missing += text.len() - fitted;
        if self.missing == 0 {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}
