//! Follows a log: waits at its end for more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::watch::Watch;
use super::{Cursor, Item, ReadError, Reader};
use crate::logs::FileId;

impl Reader {
    /// Turns the reader into one that waits for more at the end of the log.
    ///
    /// # Errors
    ///
    /// Those of `inotify_init1(2)`: `EMFILE` if the user has too many inotify instances
    /// (`fs.inotify.max_user_instances`). `Unsupported` for a reader of a
    /// [descriptor](super::ReadOptions::open_fd).
    ///
    /// ```
    /// use alq::read::Reader;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "one\n")?;
    /// let mut follow = Reader::open(&path)?.follow()?;
    /// let first = follow.next()?; // waits for the first record
    /// # drop(first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow(self) -> Result<Follow, ReadError> {
        self.check_can_seek()?;
        let watch = Watch::new();
        let watch = watch.map_err(|error| ReadError::new("watch the log", &self.path, error))?;
        Ok(Follow {
            reader: self,
            watch,
            watched: None,
        })
    }
}

/// A reader that waits for more at the end of the log, also over rotations.
///
/// It waits for events of inotify(7), and uses no processor time while nothing is written. It
/// waits also while the log does not exist yet (if it [may be
/// missing](super::ReadOptions::may_be_missing)), and after it was renamed, deleted, or moved with
/// its folder: then it continues in the file that appears at the path. The old file is read up to
/// the first byte of the new one, because its writer may need a moment to change over.
///
/// Writes from other machines over a network file system make no event.
///
/// ```no_run
/// use alq::read::{Item, Reader};
///
/// let mut follow = Reader::open("app.log")?.follow()?;
/// loop {
///     if let Item::Record(record) = follow.next()? {
///         println!("{}", record.bytes().escape_ascii());
///     }
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Follow {
    reader: Reader,
    watch: Watch,
    /// What the watches are for; `None` if they must be set.
    watched: Option<[Option<FileId>; 2]>,
}

impl Follow {
    /// Returns the next record or notice. Waits until there is one.
    ///
    /// # Errors
    ///
    /// As [`Reader::next`], and those of `inotify_add_watch(2)`.
    ///
    /// ```
    /// use alq::read::{Item, Reader};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "one\n")?;
    /// let mut follow = Reader::open(&path)?.follow()?;
    /// let Item::Record(record) = follow.next()? else { panic!("no record") };
    /// assert_eq!(record.bytes(), b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator cannot lend its items"
    )]
    pub fn next(&mut self) -> Result<Item<'_>, ReadError> {
        while !self.is_ready()? {
            let waited = self.watch.wait();
            waited.map_err(|error| ReadError::new("watch the log", &self.reader.path, error))?;
        }
        let path = self.reader.path.clone();
        let vanished = || ReadError::new("read the log", path, io::ErrorKind::WouldBlock.into());
        self.reader.next()?.ok_or_else(vanished)
    }

    /// Returns the next record or notice if there is one now. `None` if not: then the descriptor
    /// ([`AsFd`]) becomes readable when it is time to call again, for poll(2) or a runtime. (It may
    /// become readable for nothing.)
    ///
    /// # Errors
    ///
    /// As [`next`](Follow::next).
    ///
    /// ```
    /// # use alq::read::Reader;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "one\n")?;
    /// let mut follow = Reader::open(&path)?.follow()?;
    /// assert!(follow.try_next()?.is_some());
    /// assert!(follow.try_next()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> Result<Option<Item<'_>>, ReadError> {
        if self.is_ready()? {
            self.reader.next()
        } else {
            Ok(None)
        }
    }

    /// Returns whether the reader has something to return. If not, an event comes as soon as it
    /// has.
    fn is_ready(&mut self) -> Result<bool, ReadError> {
        loop {
            if self.reader.has_next()? {
                return Ok(true);
            }
            let files = self.reader.files();
            if self.watched == Some(files) {
                let came = self.watch.take();
                let came = came.map_err(|error| self.failed(error))?;
                if !came.any {
                    return Ok(false);
                }
                if came.is_structural {
                    self.watched = None;
                }
                continue;
            }
            // From here on each change makes an event. What came before, the next look finds.
            let open = [self.reader.current.as_ref(), self.reader.empty.as_ref()];
            let open = open
                .into_iter()
                .flatten()
                .map(|volume| volume.source.as_fd());
            let set = self.watch.set(&self.reader.path, open);
            set.map_err(|error| self.failed(error))?;
            self.watched = Some(files);
        }
    }

    fn failed(&self, error: io::Error) -> ReadError {
        let error = match error.raw_os_error() {
            Some(libc::ENOSPC) => {
                let what = "no inotify watch is left (fs.inotify.max_user_watches)";
                io::Error::new(error.kind(), what)
            }
            _ => error,
        };
        ReadError::new("watch the log", &self.reader.path, error)
    }

    /// As [`Reader::cursor`].
    ///
    /// ```
    /// # use alq::read::Reader;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # std::fs::write(&path, "one\n")?;
    /// let mut follow = Reader::open(&path)?.follow()?;
    /// follow.next()?;
    /// println!("{}", follow.cursor());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.reader.cursor()
    }

    /// Returns the reader, at the same place.
    ///
    /// ```
    /// # use alq::read::Reader;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # std::fs::write(&path, "one\n")?;
    /// let reader = Reader::open(&path)?.follow()?.into_reader();
    /// # drop(reader);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_reader(self) -> Reader {
        self.reader
    }
}

impl AsFd for Follow {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}
