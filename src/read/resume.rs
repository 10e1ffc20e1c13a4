//! The saved place of a reader, and the way back to it.

use super::cursor::Mark;
use super::notice::{Notice, Place};
use super::reader::Reader;
use super::shelf::{Shelf, Volume};
use super::split::Splitter;
use super::{Cursor, ReadError};
use crate::logs::Key;

impl Reader {
    /// Returns the place after the last record that was returned.
    ///
    /// ```
    /// # use alq::read::Reader;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # std::fs::write(&path, "one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// reader.next()?;
    /// std::fs::write(dir.path().join("app.cursor"), reader.cursor().to_string())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let current = self.current.as_ref();
        let known = match &self.splitter {
            Some(Splitter::Frames(frames)) => frames.known(),
            _ => self.known,
        };
        Cursor {
            file: current.map(|current| current.source.origin),
            key: current.and_then(|current| current.key),
            after: current.and_then(|current| current.after),
            offset: self.window.offset(),
            mark: Mark::of(self.window.history()),
            frames: known.map(|known| (known.id, known.stamps, known.end)),
        }
    }

    /// Continues at a saved place.
    ///
    /// The file is found by its identity, also if it was rotated or packed since. If it was
    /// truncated or is gone, the next item is the notice that says so, and reading continues at
    /// the start of the file or in the next file that exists.
    ///
    /// # Errors
    ///
    /// As [`next`](Reader::next).
    ///
    /// ```
    /// use alq::read::{Item, Reader};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "one\ntwo\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// reader.next()?;
    /// let cursor = reader.cursor();
    ///
    /// std::fs::rename(&path, dir.path().join("app.log.20261201T060000Z-000000"))?;
    /// std::fs::write(&path, "three\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// reader.resume(&cursor)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.bytes(), b"two");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(&mut self, cursor: &Cursor) -> Result<(), ReadError> {
        let Some(id) = cursor.file else {
            return Ok(());
        };
        let Some(mut shelf) = self.shelf()? else {
            return Ok(());
        };
        if let Some(volume) = shelf.locate(id)? {
            let is_plain = volume.source.is_plain();
            if self.try_at(volume, cursor)? {
                self.shelf = Some(shelf);
                return Ok(());
            }
            if is_plain {
                self.restart();
                self.known = None;
                let file = self.current.as_ref().map_or(&self.path, |one| &one.path);
                let (file, offset) = (file.clone(), cursor.offset);
                self.notice = Some((Notice::Truncated, Place { file, offset }));
                self.shelf = Some(shelf);
                return Ok(());
            }
        }
        if !self.resume_by_content(&mut shelf, cursor)? {
            self.resume_after_gone(&mut shelf, cursor)?;
        }
        self.shelf = Some(shelf);
        Ok(())
    }

    /// Looks for the file of the cursor among those that another program has packed or copied: they
    /// do not say what they are, but the bytes before the place do.
    fn resume_by_content(&mut self, shelf: &mut Shelf, cursor: &Cursor) -> Result<bool, ReadError> {
        if cursor.mark.len == 0 {
            return Ok(false);
        }
        let unknown = shelf.unidentified()?;
        let floor = cursor.after;
        let may_be = |key: &&Key| match cursor.key {
            Some(of) => **key == of,
            None => Some(**key) > floor,
        };
        for key in unknown.iter().filter(may_be) {
            if let Some(volume) = shelf.open_key(*key)? {
                if self.try_at(volume, cursor)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn resume_after_gone(&mut self, shelf: &mut Shelf, cursor: &Cursor) -> Result<(), ReadError> {
        let next = shelf.after(cursor.key.or(cursor.after), None)?;
        self.known = cursor.known();
        let file = next
            .as_ref()
            .map_or_else(|| shelf.path(), |next| next.path.clone());
        self.splitter = None;
        match next {
            Some(next) => self.begin(next),
            None => self.current = None,
        }
        self.notice = Some((Notice::Gone, Place { file, offset: 0 }));
        Ok(())
    }

    /// Goes to the place of the cursor in this file. Returns whether its bytes are those of the
    /// cursor.
    fn try_at(&mut self, volume: Volume, cursor: &Cursor) -> Result<bool, ReadError> {
        self.splitter = None;
        self.known = None;
        self.notice = None;
        self.begin(volume);
        self.known = cursor.known();
        if cursor.offset == 0 {
            return Ok(true);
        }
        self.read_header()?;
        if !self.jump(cursor.offset, cursor.mark.len)? {
            return Ok(false);
        }
        if let Some(Splitter::Frames(frames)) = &mut self.splitter {
            frames.continue_after(cursor.known().and_then(|known| known.end));
        }
        let history = self.window.history();
        let marked = history.len().checked_sub(cursor.mark.len);
        let is_it = marked.is_some_and(|from| Mark::of(&history[from..]) == cursor.mark);
        Ok(is_it && self.notice.is_none())
    }
}
