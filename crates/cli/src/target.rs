//! The file that is appended to.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::args::Append;
use crate::report::Failure;

/// FILE, open for appending.
#[derive(Debug)]
pub struct Target<'a> {
    path: &'a Path,
    file: File,
    metadata: Metadata,
    sync: Option<Sync>,
}

/// What `--fsync` syncs besides the file.
#[derive(Debug)]
struct Sync {
    /// The directory of a new file, with its name.
    directory: Option<(PathBuf, File)>,
}

impl<'a> Target<'a> {
    /// Opens the file, creating it if need be. Blocks as open(2) does: a FIFO waits for its reader.
    pub fn open(options: &'a Append) -> Result<Self, Failure> {
        let path = &*options.file;
        let before = identity_at(path, options.follow_links);
        let file = open(options).map_err(|errno| refusal(errno, options))?;
        let failure = |error| Failure::new(path.display(), error);
        let metadata = file.metadata().map_err(failure)?;
        let is_new = before != Some(identity(&metadata));
        let mut target = Self {
            path,
            file,
            metadata,
            sync: None,
        };
        if options.fsync {
            target.sync = Some(target.prepare_sync(is_new, options.follow_links)?);
        }
        Ok(target)
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn path(&self) -> &Path {
        self.path
    }

    /// Whether `other` is the same regular file: to append a file to itself would never end.
    pub fn is_same_file(&self, other: &Metadata) -> bool {
        self.metadata.is_file() && identity(&self.metadata) == identity(other)
    }

    /// Finds out before anything is written whether `--fsync` can be kept, and what there is to sync.
    fn prepare_sync(&self, is_new: bool, follow_links: bool) -> Result<Sync, Failure> {
        let kind = self.metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            self.sync_file()?; // it has written nothing yet, so this costs nothing
            return Ok(Sync { directory: None });
        }
        if !is_new {
            return Ok(Sync { directory: None });
        }
        let directory = directory_of(self.path, follow_links)
            .and_then(|name| File::open(&name).map(|directory| (name, directory)))
            .map_err(|error| {
                let problem = format!("--fsync cannot open its directory: {error}");
                Failure::new(self.path.display(), problem)
            })?;
        Ok(Sync {
            directory: Some(directory),
        })
    }

    /// With `--fsync`, puts on disk what was written; otherwise does nothing.
    pub fn sync(&self) -> Result<(), Failure> {
        let Some(sync) = &self.sync else {
            return Ok(());
        };
        self.sync_file()?;
        if let Some((name, directory)) = &sync.directory {
            directory.sync_all().map_err(|error| {
                Failure::new(
                    name.display(),
                    format!("--fsync of the directory failed: {error}"),
                )
            })?;
        }
        Ok(())
    }

    fn sync_file(&self) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| {
            let way_out = match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::INVAL | Errno::NOTSUP | Errno::ROFS) => {
                    "; this is no file on a disk, so leave out --fsync"
                }
                _ => "",
            };
            let problem = format!("--fsync failed: {error}{way_out}");
            Failure::new(self.path.display(), problem)
        })
    }
}

fn open(options: &Append) -> Result<File, Errno> {
    let mut flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    // A log that is a terminal must not become the controlling one.
    flags |= OFlags::CLOEXEC | OFlags::NOCTTY;
    if !options.follow_links {
        flags |= OFlags::NOFOLLOW;
    }
    let mode = Mode::from_raw_mode(options.mode);
    retry_on_intr(|| rustix::fs::open(&options.file, flags, mode)).map(File::from)
}

/// What to say when open(2) says `errno`.
fn refusal(errno: Errno, options: &Append) -> Failure {
    let path = &*options.file;
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let way_out = match errno {
        Errno::LOOP if is_link && !options.follow_links => {
            "; it is a symbolic link, which --follow-links follows"
        }
        Errno::NOENT if path.as_os_str().is_empty() => "; the name is empty",
        Errno::NOENT => "; its directory must exist",
        Errno::ISDIR => "; name a file in it",
        _ => "",
    };
    let error = io::Error::from(errno);
    Failure::new(path.display(), format!("cannot open: {error}{way_out}"))
}

/// What tells one file from another.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn identity_at(path: &Path, follow_links: bool) -> Option<(u64, u64)> {
    let found = if follow_links {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    };
    found.ok().as_ref().map(identity)
}

/// The directory that holds the entry of `path`.
fn directory_of(path: &Path, follow_links: bool) -> io::Result<PathBuf> {
    let real;
    let path = if follow_links {
        real = path.canonicalize()?;
        &real
    } else {
        path
    };
    Ok(match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    })
}
