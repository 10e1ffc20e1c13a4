//! The write cursor of an entry: how much of its bytes a post would append.

use core::fmt;

use crate::words::Error;

/// How far an entry is filled. It starts as the whole of it; the first write sets it to 0, and each one appends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    used: u32,
    /// Whether it has been set, or written to.
    started: bool,
}

impl Fill {
    /// An entry of `len` bytes that nobody has written to.
    #[inline]
    pub(super) fn whole(len: usize) -> Self {
        Self {
            used: len as u32,
            started: false,
        }
    }

    #[inline]
    pub(super) fn used(self) -> usize {
        self.used as usize
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
        self.used = used as u32;
        self.started = true;
    }

    /// Appends what fits of `bytes` to those of the entry, and says how much that was.
    pub(super) fn append(&mut self, entry: &mut [u8], bytes: &[u8]) -> usize {
        if !self.started {
            self.started = true;
            self.used = 0;
        }
        let free = &mut entry[self.used as usize..];
        let len = bytes.len().min(free.len());
        free[..len].copy_from_slice(&bytes[..len]);
        self.used += len as u32;
        len
    }

    /// Appends formatted text; what fits of it is kept.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if it does not fit, [`Error::InvalidLength`] if a `Display` failed by itself.
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
            (0, Err(fmt::Error)) => Err(Error::InvalidLength { len: used }),
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
