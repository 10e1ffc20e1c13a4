//! What can be wrong with a rotation that is asked for.

use core::fmt;
use std::io;
use std::path::PathBuf;

/// Why a log cannot be rotated as asked: of [`Error::Rotation`](crate::Error::Rotation).
///
/// ```
/// # #[cfg(feature = "rotate")] {
/// use alq::rotate::Every;
/// use alq::{Error, RotationProblem};
///
/// match "fortnight".parse::<Every>() {
///     Err(Error::Rotation(problem)) => {
///         assert!(matches!(*problem, RotationProblem::UnknownPeriod { .. }));
///         println!("{problem}"); // what is wrong, and what to do about it
///     }
///     other => panic!("{other:?}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationProblem {
    /// Somebody else rotates the same log, in this process or in another.
    InUse {
        /// The log.
        log: PathBuf,
        /// The process, where the system tells.
        pid: Option<u32>,
    },
    /// There is something at its path, and it is no regular file.
    NotAFile {
        /// The log.
        log: PathBuf,
    },
    /// The text names no period.
    UnknownPeriod {
        /// What was given.
        text: String,
    },
    /// The text names no form of compression, or one that was not compiled in.
    UnknownCompression {
        /// What was given.
        text: String,
    },
    /// The system knows no time zone of that name.
    UnknownZone {
        /// What was given.
        name: String,
    },
    /// Something beside the log cannot be had: its lock, the link to it, the names of the files to come.
    Impossible {
        /// What cannot be done.
        doing: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        errno: i32,
    },
}

impl RotationProblem {
    /// The errno that says the same.
    pub(crate) const fn errno(&self) -> i32 {
        match self {
            Self::InUse { .. } => libc::EBUSY,
            Self::Impossible { errno, .. } => *errno,
            _ => libc::EINVAL,
        }
    }
}

impl fmt::Display for RotationProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { log, pid } => {
                write!(f, "{}: rotated already", log.display())?;
                match pid {
                    Some(pid) => write!(f, ", by process {pid}")?,
                    None => write!(f, ", by another queue or process")?,
                }
                f.write_str(
                    "; only one may, so close that one first, or give this one a log of its own",
                )
            }
            Self::NotAFile { log } => {
                write!(f, "{}: only a regular file can be rotated", log.display())
            }
            Self::UnknownPeriod { text } => write!(
                f,
                "no period: {text:?}; it must be hour, day, week, month, or minutes or hours up to a day, as in 10m or 6h"
            ),
            Self::UnknownCompression { text } => write!(
                f,
                "no form of compression: {text:?}; it must be none, gzip or zstd, and the last two only where they are compiled in"
            ),
            Self::UnknownZone { name } => write!(
                f,
                "no time zone that this system knows: {name:?}; it must be a name as Europe/Berlin, or a rule as TZ has it"
            ),
            Self::Impossible { doing, path, errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                let way_out = match *errno {
                    libc::EACCES | libc::EPERM | libc::EROFS => {
                        "; rotation makes files beside the log, so its directory must be writable"
                    }
                    libc::ENOENT | libc::ENOTDIR => "; the directory of the log must exist",
                    libc::EEXIST => "; something else than a symbolic link is there",
                    libc::ENAMETOOLONG => "; give the log a shorter name",
                    _ => "",
                };
                write!(f, "{}: cannot {doing}: {error}{way_out}", path.display())
            }
        }
    }
}
