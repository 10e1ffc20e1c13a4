//! The way from one file of a log to the next.
//!
//! ```text
//!  at the end of a file ---> more bytes? ---> read on
//!                       ---> truncated? ----> its beginning
//!                       ---> a next file? --> read the rest of this one, then that one
//! ```
//!
//! A writer has written its last byte to a file before it renames the file. So what is read after
//! the reader has seen the next file is all.

use std::path::Path;

use super::ReadError;
use super::notice::{Notice, Place};
use super::reader::Reader;
use super::shelf::{Shelf, Volume, is_gone};
use super::step::Tail;
use super::window::MARK_LEN;

impl Reader {
    /// Looks for more at the end of the current file: in it, or in the next one. Returns whether
    /// there is more, or a notice.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        if let Some((next, shelf)) = self.next.take_if(|_| self.tail == Tail::Closed) {
            self.begin(next);
            self.shelf = shelf.or(self.shelf.take());
            return Ok(true);
        }
        if self.is_truncated()? {
            self.notify(Notice::Truncated, self.window.end_offset());
            self.known = None;
            #[cfg(feature = "chain")]
            {
                self.checker = self.options.checker();
            }
            self.restart();
            return Ok(true);
        }
        if self.read_more(self.window.unread().len() + 1)? > 0 {
            self.tail = Tail::Open;
            return Ok(true);
        }
        Ok(self.notice.is_some() || self.look()?)
    }

    /// Whether the bytes of the log itself changed before the place of the reader.
    fn is_truncated(&mut self) -> Result<bool, ReadError> {
        let Some(current) = self.current.as_ref().filter(|one| one.source.is_plain()) else {
            return Ok(false);
        };
        let failed = |error| ReadError::new("read the log", &current.path, error);
        let end = self.window.end_offset();
        if current.source.len().map_err(failed)? < end {
            return Ok(true);
        }
        let history = self.window.last_read();
        let mut found = [0; MARK_LEN];
        let found = &mut found[..history.len()];
        let at = end - history.len() as u64;
        let is_read = current.source.read_exact(found, at).map_err(failed)?;
        Ok(!is_read || found != history)
    }

    /// Finds the file that follows the current one. Returns whether there is one to go on in.
    fn look(&mut self) -> Result<bool, ReadError> {
        let (Some(current), Some(shelf)) = (&mut self.current, &mut self.shelf) else {
            return Ok(false);
        };
        self.empty = None;
        let id = current.source.id;
        // Whether the file is still at the path, or at least in the place of the log in its folder.
        if current.key.is_none() && is_at(&self.path, id.pair()) {
            return Ok(false);
        }
        let mut is_last = current.key.is_none() && shelf.log_id()? == Some(id.pair());
        if current.key.is_none() && !is_last {
            current.key = shelf.find(id, current.after)?;
            is_last = current.key.is_none() && shelf.log_id()? == Some(id.pair());
        }
        let mut next = None;
        if !is_last {
            let is_gone = current.key.is_none();
            next = shelf
                .after(current.floor(), Some(id))?
                .map(|next| (next, None));
            // What came between a file that is gone and the next one that is there is not known.
            let is_rotated = next.as_ref().is_some_and(|(next, _)| next.key.is_some());
            if is_gone && is_rotated && current.source.links().is_ok_and(|links| links == 0) {
                self.notice = next.as_ref().map(|(next, _)| {
                    let file = next.path.clone();
                    (Notice::Gone, Place { file, offset: 0 })
                });
            }
        }
        if next.is_none() {
            next = other_shelf(&self.path, shelf)?;
        }
        let Some((next, other)) = next else {
            return Ok(self.notice.is_some());
        };
        let failed = |error| ReadError::new("read the log", &next.path, error);
        if next.key.is_none() && next.source.len().map_err(failed)? == 0 {
            // Its writer may not use it yet, and still append to the current file.
            self.empty = Some(next);
            return Ok(false);
        }
        self.next = Some((next, other));
        // The last bytes may have come just before.
        self.tail = if self.is_unreadable {
            Tail::Closed
        } else {
            Tail::Open
        };
        Ok(true)
    }
}

/// Whether the file with this device and inode is at `path`.
fn is_at(path: &Path, id: (u64, u64)) -> bool {
    use std::os::unix::fs::MetadataExt;

    std::fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == id)
}

/// If another folder is at the place of the log's by now: its first file.
fn other_shelf(path: &Path, shelf: &Shelf) -> Result<Option<(Volume, Option<Shelf>)>, ReadError> {
    let mut other = match Shelf::open(path) {
        Ok(other) => other,
        Err(error) if is_gone(error.io_error()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let failed = |error| ReadError::new("check the folder of the log", path, error);
    if other.is_same(shelf).map_err(failed)? {
        return Ok(None);
    }
    let first = other.after(None, None)?;
    Ok(first.map(|first| (first, Some(other))))
}
