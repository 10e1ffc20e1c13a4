//! The files of a log, in order: the rotated ones by name, then the log itself. `listing.rs` says
//! which files a listing is sure to have.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use rustix::fs::fstat;

use super::ReadError;
use super::listing::{Form, Listing};
use super::source::Source;
use crate::logs::{Compression, FileId, Folder, Key, Kind, Names, is_file, origin, place_of};
use crate::primitives::os::file::id_of;

/// The folder of a log, and the names of its files.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: Folder,
    names: Names,
    /// The last listing.
    listing: Listing,
}

/// An open file of the log.
#[derive(Debug)]
pub(super) struct Volume {
    pub source: Source,
    pub path: PathBuf,
    /// Of a rotated file.
    pub key: Option<Key>,
    /// Of the log itself: the newest rotated file when it was opened.
    pub after: Option<Key>,
}

impl Volume {
    /// The newest rotated file that is not after this one.
    pub fn floor(&self) -> Option<Key> {
        self.key.or(self.after)
    }
}

impl Shelf {
    /// Finds the log at `path`. The log itself may be missing; its folder must exist.
    ///
    /// # Errors
    ///
    /// Those of open(2).
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |error| ReadError::new("open the log", path, error);
        let (folder, name) = place_of(path, true, true).map_err(failed)?;
        Ok(Self {
            folder,
            listing: Listing::before(&name),
            names: Names::of(name),
        })
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path_of(&self.listing.newest)
    }

    /// Whether the other one is the same folder and the same log.
    pub fn is_same(&self, other: &Self) -> io::Result<bool> {
        let (here, there) = (fstat(&self.folder)?, fstat(&other.folder)?);
        let is_same_folder = id_of(&here) == id_of(&there);
        Ok(is_same_folder && self.names.log() == other.names.log())
    }

    /// Lists the files.
    fn list(&mut self) -> Result<(), ReadError> {
        let failed = |error| ReadError::new("list the rotated files", self.folder.path(), error);
        let listing = Listing::of(&self.folder, &self.names).map_err(failed)?;
        self.listing = listing;
        Ok(())
    }

    /// Returns the rotated files in order, and opens the log, if it exists.
    ///
    /// # Errors
    ///
    /// Those of open(2) and of the listing.
    pub fn all(&mut self) -> Result<(Vec<Key>, Option<Volume>), ReadError> {
        self.list()?;
        let certain = self.listing.certain;
        let keys = self.listing.rotated.keys().copied();
        let mut keys: Vec<Key> = keys.take_while(|key| Some(*key) <= certain).collect();
        loop {
            let next = self.after(keys.last().copied(), None)?;
            match next.as_ref().and_then(|next| next.key) {
                Some(key) => keys.push(key),
                None => return Ok((keys, next)),
            }
        }
    }

    /// Opens the file `id`, whether it is the log, or was rotated or packed. `None` if it is gone.
    ///
    /// # Errors
    ///
    /// Those of open(2) and of the listing.
    pub fn locate(&mut self, id: FileId) -> Result<Option<Volume>, ReadError> {
        loop {
            // A file goes from the place of the log to the rotated ones, and not back.
            let log = self.open_file(&self.listing.newest, false)?;
            let Some(source) = log.filter(|log| log.id.is_same(id)) else {
                return match self.find(id, None)? {
                    Some(key) => self.open_key(key),
                    None => Ok(None),
                };
            };
            self.list()?;
            if self.log_id()? == Some(source.id.pair()) {
                return Ok(Some(self.log_volume(source, None)));
            }
        }
    }

    /// The log itself, which has not changed since before the last listing.
    fn log_volume(&self, source: Source, floor: Option<Key>) -> Volume {
        Volume {
            source,
            path: self.path(),
            key: None,
            after: self.listing.rotated.keys().last().copied().max(floor),
        }
    }

    /// Device and inode of the log itself; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Those of fstatat(2).
    pub fn log_id(&self) -> Result<Option<(u64, u64)>, ReadError> {
        match self.folder.stat(&self.listing.newest) {
            Ok(stat) => Ok(Some(id_of(&stat))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(ReadError::new("check the log", self.path(), error)),
        }
    }

    /// Opens the first rotated file after `key`, or the log itself. `None` if there is neither.
    /// Passes over `current`.
    ///
    /// # Errors
    ///
    /// Those of open(2) and of the listing.
    pub fn after(
        &mut self,
        key: Option<Key>,
        current: Option<FileId>,
    ) -> Result<Option<Volume>, ReadError> {
        if key.is_some_and(|key| self.listing.rotated.contains_key(&key)) {
            // The list of the last step: no file gets a name between the names in it.
            if let Listed::Found(volume) =
                self.first_listed(key, self.listing.certain, current, None)?
            {
                return Ok(Some(volume));
            }
        }
        loop {
            // The log is opened before the listing. If it is still the log after that, each file
            // between `key` and it is in the list.
            let log = self.open_file(&self.listing.newest, false)?;
            let id = log.as_ref().map(|log| log.id.pair());
            self.list()?;
            match self.first_listed(key, self.listing.certain, current, id)? {
                Listed::Found(volume) => return Ok(Some(volume)),
                Listed::Stale => continue,
                Listed::Nothing if self.log_id()? != id => continue, // it was rotated
                Listed::Nothing => {}
            }
            let newest = self.listing.rotated.keys().last().copied();
            match self.first_listed(key, newest, current, id)? {
                Listed::Found(volume) => return Ok(Some(volume)),
                Listed::Stale => continue,
                Listed::Nothing => {}
            }
            let log = log.filter(|log| current.is_none_or(|current| log.id != current));
            return Ok(log.map(|log| self.log_volume(log, key)));
        }
    }

    /// Opens the first listed file after `key`, up to `last`, that is neither `current` nor the
    /// log.
    fn first_listed(
        &self,
        key: Option<Key>,
        last: Option<Key>,
        current: Option<FileId>,
        log: Option<(u64, u64)>,
    ) -> Result<Listed, ReadError> {
        let current = current.map(FileId::pair);
        let range = self.listing.rotated.range(bounds(key));
        for (key, forms) in range.take_while(|(key, _)| Some(**key) <= last) {
            let is_one = |id| forms.iter().any(|form| Some(form.id) == id);
            if is_one(current) || is_one(log) {
                continue; // a second name, which a kill left
            }
            return match self.open_first(*key, forms)? {
                Some(volume) => Ok(Listed::Found(volume)),
                None => Ok(Listed::Stale),
            };
        }
        Ok(Listed::Nothing)
    }

    /// Opens a rotated file, in the first of its forms that still exists.
    ///
    /// # Errors
    ///
    /// Those of open(2) and of the listing.
    pub fn open_key(&mut self, key: Key) -> Result<Option<Volume>, ReadError> {
        loop {
            self.list()?;
            let Some(forms) = self.listing.rotated.get(&key) else {
                return Ok(None);
            };
            if let Some(volume) = self.open_first(key, forms)? {
                return Ok(Some(volume));
            } // it was packed or deleted meanwhile
        }
    }

    fn open_first(&self, key: Key, forms: &[Form]) -> Result<Option<Volume>, ReadError> {
        for form in forms {
            if let Some(source) = self.open_file(&form.name, form.is_packed)? {
                return Ok(Some(Volume {
                    source,
                    path: self.folder.path_of(&form.name),
                    key: Some(key),
                    after: None,
                }));
            }
        }
        Ok(None)
    }

    /// Opens a regular file; `None` if no file has this name. FIFOs and devices are refused,
    /// and block nothing.
    fn open_file(&self, name: &OsStr, is_packed: bool) -> Result<Option<Source>, ReadError> {
        let failed = |error| ReadError::new("read the log", self.folder.path_of(name), error);
        let Some(file) = self.open_plainly(name)? else {
            return Ok(None);
        };
        if !is_file(&fstat(&file).map_err(|error| failed(error.into()))?) {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        let form = match self.names.parse(name) {
            Some((_, Kind::Rotated(form))) if is_packed => form,
            _ => Compression::None,
        };
        Source::new(file, form).map(Some).map_err(failed)
    }

    fn open_plainly(&self, name: &OsStr) -> Result<Option<File>, ReadError> {
        match self.folder.open_existing(name) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => {
                let path = self.folder.path_of(name);
                Err(ReadError::new("read the log", path, error))
            }
        }
    }

    /// The newest rotated file that was cut off before the second `seconds`.
    ///
    /// # Errors
    ///
    /// Those of the listing.
    pub fn last_before(&mut self, seconds: i64) -> Result<Option<Key>, ReadError> {
        self.list()?;
        let keys = self
            .listing
            .rotated
            .keys()
            .take_while(|key| key.seconds < seconds);
        Ok(keys.last().copied())
    }

    /// Finds the rotated file after `floor` that is the file `id`, or was packed from it.
    ///
    /// # Errors
    ///
    /// Those of open(2) and of the listing.
    pub fn find(&mut self, id: FileId, floor: Option<Key>) -> Result<Option<Key>, ReadError> {
        'again: loop {
            self.list()?;
            for (key, forms) in self.listing.rotated.range(bounds(floor)) {
                let may_be = |form: &&Form| form.is_packed || form.id.1 == id.inode;
                for form in forms.iter().filter(may_be) {
                    let Some([of, own]) = self.identity(form)? else {
                        continue 'again; // it was packed or deleted meanwhile
                    };
                    if of.or(own).is_some_and(|of| of.is_same(id)) {
                        return Ok(Some(*key));
                    }
                }
            }
            return Ok(None);
        }
    }

    /// Which file it was packed from, if it says so, and which file it is. `None` if it is gone.
    fn identity(&self, form: &Form) -> Result<Option<[Option<FileId>; 2]>, ReadError> {
        let Some(file) = self.open_plainly(&form.name)? else {
            return Ok(None);
        };
        let failed = |error| ReadError::new("identify", self.folder.path_of(&form.name), error);
        let of = if form.is_packed {
            origin(&file).map_err(failed)?
        } else {
            None
        };
        Ok(Some([of, Some(FileId::of(&file).map_err(failed)?)]))
    }

    /// The rotated files that do not say what they were packed from.
    ///
    /// # Errors
    ///
    /// Those of open(2) and of the listing.
    pub fn unidentified(&mut self) -> Result<Vec<Key>, ReadError> {
        self.list()?;
        let mut keys = Vec::new();
        for (key, forms) in &self.listing.rotated {
            let Some(form) = forms.first() else { continue };
            if form.is_packed && matches!(self.identity(form)?, Some([None, _])) {
                keys.push(*key);
            }
        }
        Ok(keys)
    }
}

/// The keys after `key`.
fn bounds(key: Option<Key>) -> (Bound<Key>, Bound<Key>) {
    (
        key.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

/// What a search in the list of rotated files finds.
enum Listed {
    Found(Volume),
    Nothing,
    /// The file was packed or deleted: the list is old.
    Stale,
}

/// Whether a name leads nowhere: to no file, or to a link, where there was none when the folder was
/// opened.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(errno, Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP))
}
