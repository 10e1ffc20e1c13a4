//! The buffer of a reader: a part of a file, of which the first bytes are already returned.
//!
//! ```text
//!   history          unread             free
//! +----------+---------------------+------------+
//! | ≤ MARK   |                     |            |
//! +----------+---------------------+------------+
//!            ^ start (at `offset`)  ^ end
//! ```
//!
//! The buffer grows only if one record needs it, up to the longest record. The last bytes that
//! were returned stay, because a cursor has a checksum of them.

use std::io;

/// How many bytes are read at a time: the buffer has twice as many.
const PART_LEN: usize = 128 << 10;

/// How many bytes before the place of a cursor its checksum covers, at most.
pub(super) const MARK_LEN: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Window {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The offset in the file of the byte at `start`.
    offset: u64,
}

impl Window {
    /// Forgets everything. The next byte is at `offset` of a file.
    pub fn clear(&mut self, offset: u64) {
        (self.start, self.end, self.offset) = (0, 0, offset);
    }

    /// The bytes that are not returned yet.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The offset in the file of the first unread byte.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The offset in the file of the first byte that is not in the buffer.
    pub fn end_offset(&self) -> u64 {
        self.offset + (self.end - self.start) as u64
    }

    /// Counts the first `len` unread bytes as returned, and returns them.
    pub fn take(&mut self, len: usize) -> &[u8] {
        let start = self.start;
        self.start += len;
        self.offset += len as u64;
        &self.buffer[start..self.start]
    }

    /// Counts the last `len` bytes as unread again. They were taken just before.
    pub fn untake(&mut self, len: usize) {
        self.start -= len;
        self.offset -= len as u64;
    }

    /// The last bytes before the first unread one: at most [`MARK_LEN`].
    pub fn history(&self) -> &[u8] {
        &self.buffer[self.start.saturating_sub(MARK_LEN)..self.start]
    }

    /// The last bytes that were read: at most [`MARK_LEN`].
    pub fn last_read(&self) -> &[u8] {
        &self.buffer[self.end.saturating_sub(MARK_LEN)..self.end]
    }

    /// Reads more bytes, with `read`, which gets the free part and the offset. Makes room for
    /// `needed` unread bytes in all. Returns how many bytes were read.
    pub fn fill(
        &mut self,
        needed: usize,
        read: impl FnOnce(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let unread = self.end - self.start;
        let wanted = needed.max(unread) + PART_LEN;
        if self.buffer.len() - self.start < wanted {
            let kept = self.start.saturating_sub(MARK_LEN);
            self.buffer.copy_within(kept..self.end, 0);
            self.end -= kept;
            self.start -= kept;
            if self.buffer.len() < self.start + wanted {
                // Doubling keeps the number of copies of a long record low.
                let len = (self.start + wanted).max(2 * self.buffer.len());
                // The system supplies zeroed pages, which a `resize` would write again.
                let mut longer = vec![0; len.max(2 * PART_LEN)];
                longer[..self.end].copy_from_slice(&self.buffer[..self.end]);
                self.buffer = longer;
            }
        }
        let at = self.end_offset();
        let read = read(&mut self.buffer[self.end..], at)?;
        self.end += read;
        Ok(read)
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::{MARK_LEN, Window};

    #[test]
    fn history_stays_and_the_buffer_grows_only_for_a_long_record() {
        let file: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 7) as u8).collect();
        let read = |buffer: &mut [u8], at: u64| {
            let rest = &file[at as usize..];
            let len = rest.len().min(buffer.len()).min(50_000);
            buffer[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        };
        let mut window = Window::default();
        let mut at = 0;
        while at < 2_000_000 {
            if window.unread().len() < 1000 {
                assert!(window.fill(1000, read).unwrap() > 0);
                continue;
            }
            assert_eq!(window.take(1000), &file[at..at + 1000]);
            at += 1000;
            assert_eq!(window.history(), &file[at - MARK_LEN..at]);
            assert_eq!(window.offset(), at as u64);
        }
        assert_eq!(window.buffer.len(), 256 << 10);
        while window.unread().len() < 900_000 {
            assert!(window.fill(900_000, read).unwrap() > 0);
        }
        assert_eq!(&window.unread()[..900_000], &file[at..at + 900_000]);
        assert!(window.buffer.len() <= 900_000 + MARK_LEN + (512 << 10));
        assert_eq!(window.history(), &file[at - MARK_LEN..at]);
    }
}
