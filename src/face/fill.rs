//! The write cursor of an entry: how much of its bytes a post would append.

use core::fmt;

use crate::words::Error;

/// Counts how far an entry is filled. It starts as the whole entry; the first write sets it to 0,
/// and each write appends.
///
/// One word, `{ started 1, used 63 }`. An entry is moved often. If two small fields are stored one
/// by one and then copied together, the copy waits for the stores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill(u64);

/// Set once the entry has been written to, or its length set.
const STARTED: u64 = 1 << 63;

impl Fill {
    /// Makes the cursor of an entry of `len` bytes that was not written to.
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
    /// If `used` is more than `len`.
    #[inline]
    #[track_caller]
    pub(super) fn set(&mut self, used: usize, len: usize) {
        assert!(
            used <= len,
            "set_bytes_used({used}) on an entry of {len} bytes"
        );
        self.0 = used as u64 | STARTED;
    }

    /// Appends the part of `bytes` that fits to the entry, and returns the length of that part.
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

    /// Appends formatted text, and keeps the part that fits.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the text does not fit, [`Error::Format`] if a `Display`
    /// implementation returned an error.
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
        // A `Display` implementation may continue after an error, or fail without one.
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
    /// How many bytes did not fit. After the first of them, nothing is appended.
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
