//! Why a log cannot be rotated as configured.

use core::fmt;
use std::io;
use std::path::PathBuf;

use super::target::Escaped;

/// Says why a log cannot be rotated as configured. Part of
/// [`Error::Rotation`](crate::Error::Rotation).
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
    /// Another queue or process rotates the same log.
    InUse {
        /// The log.
        log: PathBuf,
        /// The process; `None` if it cannot be seen from here.
        pid: Option<u32>,
    },
    /// The path exists and is not a regular file.
    NotAFile {
        /// The log.
        log: PathBuf,
    },
    /// Other users may change a folder above the log, and this process is privileged.
    Insecure {
        /// The log.
        log: PathBuf,
        /// That folder, or a symbolic link in its path.
        folder: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The text is not a period.
    UnknownPeriod {
        /// What was given.
        text: String,
    },
    /// The text is not a form of compression, or names one that was not compiled in.
    UnknownCompression {
        /// What was given.
        text: String,
    },
    /// The system does not know this time zone.
    UnknownZone {
        /// What was given.
        name: String,
    },
    /// A file next to the log cannot be created or used: its lock, the link to it, a rotated file.
    Impossible {
        /// What failed.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        errno: i32,
    },
}

impl RotationProblem {
    /// The closest errno.
    pub(crate) const fn errno(&self) -> i32 {
        match self {
            Self::InUse { .. } => libc::EBUSY,
            Self::Impossible { errno, .. } => *errno,
            Self::Insecure { .. } => libc::EPERM,
            _ => libc::EINVAL,
        }
    }
}

impl fmt::Display for RotationProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { log, pid } => {
                write!(f, "{}: rotated already", Escaped(log))?;
                match pid {
                    Some(pid) => write!(f, ", by process {pid}")?,
                    None => write!(f, ", by another queue or process")?,
                }
                f.write_str(
                    "; only one may rotate a log: close the other one, or choose another log",
                )
            }
            Self::NotAFile { log } => {
                write!(f, "{}: only a regular file can be rotated", Escaped(log))
            }
            Self::Insecure {
                log,
                folder,
                reason,
            } => write!(
                f,
                "{}: cannot be rotated because parent folder {} has insecure permissions \
                 ({reason}): other users could replace the log. If you trust them, as those of \
                 Ubuntu's /var/log, accept it (--shared-folder, shared_folder); if not, choose a \
                 path on which only root may change the folders, or run as the folder's owner",
                Escaped(log),
                Escaped(folder)
            ),
            Self::UnknownPeriod { text } => write!(
                f,
                "{text:?} is not a period: use hour, day, week, month, or minutes or hours up to \
                 a day such as 10m or 6h"
            ),
            Self::UnknownCompression { text } => write!(
                f,
                "{text:?} is not a form of compression: use none, gzip or zstd (gzip and zstd \
                 must be compiled in)"
            ),
            Self::UnknownZone { name } => write!(
                f,
                "{name:?} is not a time zone known to this system: use a name such as \
                 Europe/Berlin, or a rule as in TZ"
            ),
            Self::Impossible { doing, path, errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                let way_out = match *errno {
                    libc::EROFS => "; in a container, mount a volume there that can be written to",
                    libc::EACCES | libc::EPERM => {
                        "; rotation lists the folder of the log and creates files in it, so it \
                         must be readable, writable and searchable"
                    }
                    libc::ENOENT | libc::ENOTDIR => "; the folder must exist",
                    libc::ELOOP => "; it is a symbolic link: remove it",
                    libc::EEXIST => "; a file that is not a symbolic link is there",
                    libc::ENAMETOOLONG => "; give the log a shorter name",
                    _ => "",
                };
                write!(f, "{}: cannot {doing}: {error}{way_out}", Escaped(path))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::RotationProblem;

    #[test]
    fn a_message_escapes_the_control_characters_of_every_path() {
        let path = || PathBuf::from("a\nb\x1b[2J");
        let problems = [
            RotationProblem::InUse {
                log: path(),
                pid: None,
            },
            RotationProblem::NotAFile { log: path() },
            RotationProblem::Insecure {
                log: path(),
                folder: path(),
                reason: "it is writable by everybody",
            },
            RotationProblem::Impossible {
                doing: "create a lock",
                path: path(),
                errno: libc::EACCES,
            },
        ];
        for problem in problems {
            let text = problem.to_string();
            assert!(text.starts_with("a\\nb\\u{1b}[2J: "), "{text}");
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
