//! A queue or a lane as a writer: one call appends one record.

use core::fmt;
use std::io;

use super::lane::Lane;
use super::queue::Queue;
use crate::words::{Error, Flags};

/// Text up to this length is collected on the stack, longer text on the heap.
const ON_STACK: usize = 512;

/// Collects formatted text until its length is known.
struct Draft {
    stack: [u8; ON_STACK],
    on_stack: usize,
    heap: Vec<u8>,
}

impl Draft {
    fn text(&self) -> &[u8] {
        if self.heap.is_empty() {
            &self.stack[..self.on_stack]
        } else {
            &self.heap
        }
    }
}

impl fmt::Write for Draft {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = &mut self.stack[self.on_stack..];
        if self.heap.is_empty() && text.len() <= free.len() {
            free[..text.len()].copy_from_slice(text.as_bytes());
            self.on_stack += text.len();
        } else {
            if self.heap.is_empty() {
                self.heap.extend_from_slice(&self.stack[..self.on_stack]);
            }
            self.heap.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }
}

/// Collects formatted text and appends it as one record. Empty text appends nothing.
///
/// # Errors
///
/// The errors of `append`; [`Error::Format`] if a `Display` implementation returned an error.
pub fn with_text(
    args: fmt::Arguments<'_>,
    append: impl FnOnce(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut draft = Draft {
        stack: [0; ON_STACK],
        on_stack: 0,
        heap: Vec::new(),
    };
    let result = fmt::Write::write_fmt(&mut draft, args);
    let text = draft.text();
    if result.is_err() {
        return Err(Error::Format);
    }
    if text.is_empty() {
        return Ok(());
    }
    append(text)
}

impl Queue {
    /// Appends formatted text as one record, and waits for room ([`Flags::WAITOK`]).
    /// `write!(&queue, ..)` and `writeln!(&queue, ..)` call this method. Empty text appends
    /// nothing.
    ///
    /// No room is reserved while the text is formatted, so a `Display` implementation may use the
    /// queue itself, or panic. Text of more than 512 bytes is collected on the heap; an
    /// [`Entry`](crate::Entry) allocates nothing.
    ///
    /// # Errors
    ///
    /// As [`writen`](Queue::writen); [`Error::Format`] if a `Display` implementation returned an
    /// error, and then nothing is appended.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// writeln!(queue, "x={}, y={}", 1, 2)?;
    /// queue.flush()?;
    /// assert_eq!(std::fs::read(&path)?, b"x=1, y=2\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_fmt(&self, args: fmt::Arguments<'_>) -> Result<(), Error> {
        with_text(args, |text| self.writen(text, Flags::WAITOK).map(drop))
    }
}

/// Appends one record with each `write`: whole or not at all, and never a short count. It waits for
/// room. `flush` is [`Queue::flush`].
///
/// ```
/// use std::io::Write;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// # let queue = alq::Options::new().open(&path)?;
/// let mut writer: Box<dyn Write> = Box::new(queue);
/// writer.write_all(b"one record\n")?;
/// writer.flush()?;
/// assert_eq!(std::fs::read(&path)?, b"one record\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl io::Write for &Queue {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if !record.is_empty() {
            self.writen(record, Flags::WAITOK)?;
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(Queue::flush(self)?)
    }

    /// Appends one record. The default method would append one for each piece of the format.
    fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
        Ok(Queue::write_fmt(self, args)?)
    }
}

/// Appends as `&Queue` does.
impl io::Write for Queue {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        (&*self).write(record)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(Queue::flush(self)?)
    }

    fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
        Ok(Queue::write_fmt(self, args)?)
    }
}

impl Lane {
    /// Appends formatted text as one record, and waits for room, as [`Queue::write_fmt`].
    ///
    /// # Errors
    ///
    /// As [`Queue::write_fmt`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// writeln!(lane, "x={}, y={}", 1, 2)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> Result<(), Error> {
        with_text(args, |text| self.writen(text, Flags::WAITOK).map(drop))
    }
}

/// Appends one record with each `write`, as the [`Queue`] does; `flush` is [`Queue::flush`].
impl io::Write for Lane {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if !record.is_empty() {
            self.writen(record, Flags::WAITOK)?;
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.queue().flush()?)
    }

    fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
        Ok(Lane::write_fmt(self, args)?)
    }
}

/// Appends one record with each `write_str` or `write_fmt`. The trait's error carries no cause; the
/// inherent [`write_fmt`](Lane::write_fmt) returns it.
impl fmt::Write for Lane {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        io::Write::write(self, text.as_bytes()).map_err(|_| fmt::Error)?;
        Ok(())
    }

    fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> fmt::Result {
        Lane::write_fmt(self, args).map_err(|_| fmt::Error)
    }
}
