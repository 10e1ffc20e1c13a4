//! The reader: goes through the bytes of one file after the other.
//!
//! ```text
//!  Shelf --- volumes ---> Source --- bytes ---> Window --- Splitter ---> items
//!  (which file is next)   (unpacks)             (buffer)   (finds records)
//! ```

use std::path::{Path, PathBuf};

#[cfg(feature = "chain")]
use super::chain::Checker;
use super::frames::{FrameWalk, Known, is_framed};
use super::item::{Item, Record};
use super::notice::{Notice, Place};
use super::shelf::{Shelf, Volume, is_gone};
use super::split::Splitter;
use super::step::{Piece, Step, Tail};
use super::window::Window;
use super::{ReadError, ReadOptions};
use crate::logs::FileId;
use crate::words::Framing;
use crate::words::frame::HEADER_LEN;

/// Reads a log with its rotated and packed files as one stream of records.
///
/// It only reads: it takes no lock and changes nothing, so any number of readers may read a log
/// while it is written, rotated and packed. docs/reading.md is a guide.
///
/// ```
/// use alq::read::{Item, Reader};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// # std::fs::write(&path, "one\ntwo\n")?;
/// let mut reader = Reader::open(&path)?;
/// while let Some(item) = reader.next()? {
///     match item {
///         Item::Record(record) => println!("{} bytes", record.bytes().len()),
///         Item::Notice(notice, place) => eprintln!("{place}: {notice}"),
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    pub(super) path: PathBuf,
    pub(super) options: ReadOptions,
    /// `None` until the folder of the log exists.
    pub(super) shelf: Option<Shelf>,
    pub(super) current: Option<Volume>,
    /// The file that follows the current one, and its folder if that is another one.
    pub(super) next: Option<(Volume, Option<Shelf>)>,
    /// The log that is still empty. The current file may grow until it gets its first byte.
    pub(super) empty: Option<Volume>,
    pub(super) window: Window,
    pub(super) splitter: Option<Splitter>,
    pub(super) tail: Tail,
    /// The rest of the current file cannot be read.
    pub(super) is_unreadable: bool,
    /// What is known of a framed log from the files before the current one.
    pub(super) known: Option<Known>,
    /// The next record, which the unread bytes begin with.
    pub(super) ready: Option<Piece>,
    /// A notice to return before anything else.
    pub(super) notice: Option<(Notice, Place)>,
    /// What proves the frames, if there is a key.
    #[cfg(feature = "chain")]
    pub(super) checker: Option<Box<Checker>>,
}

impl Reader {
    /// Opens the log at `path`, at the beginning of its oldest file. As [`ReadOptions::open`] with
    /// the default options.
    ///
    /// # Errors
    ///
    /// As [`ReadOptions::open`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # std::fs::write(&path, "one\n")?;
    /// let reader = alq::read::Reader::open(&path)?;
    /// # drop(reader);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        ReadOptions::new().open(path)
    }

    /// A reader that has opened nothing yet.
    pub(super) fn unopened(path: PathBuf, options: ReadOptions) -> Self {
        Self {
            path,
            options,
            shelf: None,
            current: None,
            next: None,
            empty: None,
            window: Window::default(),
            splitter: None,
            tail: Tail::Open,
            is_unreadable: false,
            known: None,
            ready: None,
            notice: None,
            #[cfg(feature = "chain")]
            checker: options.checker(),
        }
    }

    /// Opens the first file, if there is one now.
    pub(super) fn start(&mut self) -> Result<bool, ReadError> {
        let mut shelf = match Shelf::open(&self.path) {
            Ok(shelf) => shelf,
            Err(error) if self.options.may_be_missing && is_gone(error.io_error()) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let first = shelf.after(None, None)?;
        self.shelf = Some(shelf);
        let is_one = first.is_some();
        if let Some(first) = first {
            self.begin(first);
        }
        Ok(is_one)
    }

    /// Starts at the beginning of a file.
    pub(super) fn begin(&mut self, volume: Volume) {
        if let Some(Splitter::Frames(frames)) = &self.splitter {
            self.known = frames.known().or(self.known);
        }
        self.current = Some(volume);
        self.restart();
    }

    /// Starts at the beginning of the current file again.
    pub(super) fn restart(&mut self) {
        (self.next, self.empty) = (None, None);
        self.window.clear(0);
        self.splitter = None;
        self.ready = None;
        self.tail = Tail::Open;
        self.is_unreadable = false;
    }

    /// Returns the next record or notice. `None` at the end of the log: it may grow, and then a
    /// later call returns more. [`finish`](Reader::finish) returns what stands after the last whole
    /// record. To wait for more, [`follow`](Reader::follow).
    ///
    /// The record is in the buffer of the reader until the next call. Blocks only for the disk.
    ///
    /// # Errors
    ///
    /// The file, and the error of the system. The next call tries again.
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "one\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// assert!(matches!(reader.next()?, Some(Item::Record(_))));
    /// assert!(reader.next()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator cannot lend its items"
    )]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, ReadError> {
        if !self.has_next()? {
            return Ok(None);
        }
        if let Some((notice, place)) = self.notice.take() {
            return Ok(Some(Item::Notice(notice, place)));
        }
        match self.ready.take() {
            Some(piece) => Ok(Some(self.record(&piece))),
            None => Ok(None),
        }
    }

    /// Goes on up to the next record or notice. Returns false at the end of the log.
    pub(super) fn has_next(&mut self) -> Result<bool, ReadError> {
        loop {
            self.take_proof();
            if self.notice.is_some() || self.ready.is_some() {
                return Ok(true);
            }
            if self.current.is_none() && !self.start()? {
                return Ok(false);
            }
            match self.step() {
                Step::Record(piece) => self.ready = Some(piece),
                Step::More(needed) => self.fill(needed)?,
                Step::End if self.advance()? => {}
                Step::End => return Ok(false),
                other => self.pass(other),
            }
        }
    }

    /// The files that are open at the end of the log.
    pub(super) fn files(&self) -> [Option<FileId>; 2] {
        [&self.current, &self.empty].map(|one| one.as_ref().map(|one| one.source.id))
    }

    /// Returns what stands after the last whole record: a line without its end, or a notice of a
    /// torn frame. To be called after [`next`](Reader::next) has returned `None`, and if the log
    /// will not grow.
    ///
    /// ```
    /// # use alq::read::{End, Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "one\ntw")?;
    /// let mut reader = Reader::open(&path)?;
    /// while reader.next()?.is_some() {}
    /// let Some(Item::Record(record)) = reader.finish() else { panic!("no record") };
    /// assert_eq!((record.bytes(), record.end()), (&b"tw"[..], End::Torn));
    /// assert!(reader.finish().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(&mut self) -> Option<Item<'_>> {
        self.current.as_ref()?;
        self.tail = Tail::Closed;
        loop {
            match self.step() {
                Step::Record(piece) => return Some(self.record(&piece)),
                Step::More(_) | Step::End => {
                    self.tail = Tail::Now;
                    self.finish_proof();
                    self.take_proof();
                    let (notice, place) = self.notice.take()?;
                    return Some(Item::Notice(notice, place));
                }
                other => self.pass(other),
            }
            self.take_proof();
            if let Some((notice, place)) = self.notice.take() {
                return Some(Item::Notice(notice, place));
            }
        }
    }

    /// What the unread bytes begin with.
    pub(super) fn step(&mut self) -> Step {
        let bytes = self.window.unread();
        if self.is_unreadable {
            return Step::End;
        }
        if self.splitter.is_none() {
            self.splitter = match self.options.framing {
                // What has no frames cannot be proved, so it is damage and no lines.
                Framing::Raw if self.is_proving() => {
                    Some(Splitter::Frames(FrameWalk::new(self.known)))
                }
                Framing::Lines => Some(Splitter::Lines { searched: 0 }),
                Framing::Fixed(len) => Some(Splitter::Fixed(len)),
                Framing::Lengths => Some(Splitter::Lengths),
                Framing::Checked => Some(Splitter::Frames(FrameWalk::new(self.known))),
                Framing::Raw => match is_framed(bytes, self.known.is_some()) {
                    Some(false) => Some(Splitter::Lines { searched: 0 }),
                    None if self.tail == Tail::Open => return Step::More(bytes.len() + 1),
                    None if self.tail == Tail::Now || bytes.is_empty() => return Step::End,
                    Some(true) | None => Some(Splitter::Frames(FrameWalk::new(self.known))),
                },
            };
        }
        let max = self.options.record_max;
        match &mut self.splitter {
            Some(splitter) => splitter.step(bytes, self.tail, max),
            None => Step::End,
        }
    }

    /// Takes a step that is no record. What the caller must know of it becomes the notice.
    pub(super) fn pass(&mut self, step: Step) {
        match step {
            Step::Skip(len) => {
                self.prove(len);
                self.window.take(len);
            }
            Step::Notice { len, back, notice } => {
                if matches!(
                    notice,
                    Notice::Lost { .. } | Notice::Cut { .. } | Notice::OtherLog
                ) {
                    self.prove(len);
                }
                self.notify(notice, self.window.offset() - back);
                self.window.take(len);
            }
            Step::Unreadable(reason) => self.give_up(reason),
            Step::Record(_) | Step::More(_) | Step::End => {}
        }
    }

    fn give_up(&mut self, reason: String) {
        self.notify(Notice::Unreadable { reason }, self.window.offset());
        self.window.clear(self.window.end_offset());
        self.is_unreadable = true;
        self.tail = self.end_of_file();
    }

    pub(super) fn notify(&mut self, notice: Notice, offset: u64) {
        let file = self
            .current
            .as_ref()
            .map_or(&self.path, |current| &current.path);
        let file = file.clone();
        self.notice = Some((notice, Place { file, offset }));
    }

    /// Counts a record as returned.
    pub(super) fn record(&mut self, piece: &Piece) -> Item<'_> {
        self.prove(piece.len);
        let offset = self.window.offset();
        let raw = self.window.take(piece.len);
        let file = self
            .current
            .as_ref()
            .map_or(&self.path, |current| &current.path);
        Item::Record(Record {
            raw,
            bytes: &raw[piece.payload.clone()],
            file,
            offset,
            position: piece.position,
            stamp_ns: piece.stamp_ns,
            is_line: matches!(self.splitter, Some(Splitter::Lines { .. })),
            end: piece.end,
        })
    }

    /// Reads until there are `needed` unread bytes, or the file ends.
    pub(super) fn fill(&mut self, needed: usize) -> Result<(), ReadError> {
        while self.window.unread().len() < needed {
            if self.read_more(needed)? == 0 {
                self.tail = self.end_of_file();
                return Ok(());
            }
        }
        Ok(())
    }

    /// What the end of the bytes means for the current file.
    fn end_of_file(&self) -> Tail {
        let is_rotated = self.current.as_ref().is_some_and(|one| one.key.is_some());
        if is_rotated && self.empty.is_none() || self.next.is_some() {
            Tail::Closed
        } else {
            Tail::Now
        }
    }

    pub(super) fn read_more(&mut self, needed: usize) -> Result<usize, ReadError> {
        let Some(current) = self.current.as_mut().filter(|_| !self.is_unreadable) else {
            return Ok(0);
        };
        let source = &mut current.source;
        match self
            .window
            .fill(needed, |buffer, at| source.read(buffer, at))
        {
            Ok(read) => Ok(read),
            // The system reports no error: what the file was packed into is damaged.
            Err(error) if error.raw_os_error().is_none() => {
                self.give_up(error.to_string());
                Ok(0)
            }
            Err(error) => Err(ReadError::new("read the log", &current.path, error)),
        }
    }

    /// Reads the header of the current file, if it has one.
    pub(super) fn read_header(&mut self) -> Result<(), ReadError> {
        self.fill(HEADER_LEN)?;
        let step = self.step();
        if let Some(Splitter::Frames(_)) = self.splitter {
            self.pass(step);
        } else if let Some(splitter) = &mut self.splitter {
            splitter.restart();
        }
        Ok(())
    }
}
