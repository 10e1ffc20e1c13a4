//! What errors say: one line that names the target, what failed, why, and what to do.

use core::fmt;
use core::time::Duration;
use std::io;

use super::target::Escaped;
use super::{Error, Operation};

impl Error {
    /// The text without the target, for a message that names it already.
    ///
    /// ```
    /// let error = alq::Options::new().open("/no/such/directory/app.log").unwrap_err();
    /// assert!(error.reason().to_string().starts_with("cannot be opened: "));
    /// ```
    pub fn reason(&self) -> impl fmt::Display + '_ {
        Reason {
            error: self,
            with_advice: true,
        }
    }

    /// What failed and why, without the target and without advice: for a queue that has ended,
    /// where nothing is retried.
    pub(super) fn fact(&self) -> impl fmt::Display + '_ {
        Reason {
            error: self,
            with_advice: false,
        }
    }
}

impl Operation {
    /// What failed, to follow the target: `app.log: cannot be opened`.
    const fn what(self) -> &'static str {
        match self {
            Self::Open => "cannot be opened",
            Self::Duplicate => "cannot be duplicated",
            Self::Map => "cannot get memory for the ring",
            Self::Spawn => "cannot start a thread",
            Self::Write => "cannot be written",
            Self::Sync => "cannot be made durable",
            Self::Signal => "cannot queue the signal",
            Self::Flusher => "the flusher thread panicked",
            Self::RingFile => "the ring file cannot be opened, created or read",
        }
    }
}

/// The text of an error without its target.
struct Reason<'a> {
    error: &'a Error,
    /// Whether it ends with what to do, or with what the queue does.
    with_advice: bool,
}

impl Reason<'_> {
    /// `advice`, if this text has any.
    const fn advice(&self, advice: &'static str) -> &'static str {
        if self.with_advice { advice } else { "" }
    }
}

/// Writes what an open reservation holds up. The one of a recorder has no age.
fn holds(f: &mut fmt::Formatter<'_>, age: Duration) -> fmt::Result {
    if age.is_zero() {
        f.write_str("keeps the room of the oldest record")
    } else {
        write!(f, "has blocked the drain for {age:?}")
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Error as E;

        match *self.error {
            E::WouldBlock => f.write_str("the queue is full"),
            E::TooLarge { len, max } => write!(
                f,
                "a record of {len} bytes never fits; at most {max} bytes do"
            ),
            E::InvalidLength { len } => write!(f, "a record cannot have {len} bytes"),
            E::Format => f.write_str("a `Display` implementation returned an error"),
            E::InvalidFlags { flags } => write!(
                f,
                "the flags are {flags:?}; pass exactly one of WAITOK and NOWAIT"
            ),
            E::WrongMode => f.write_str(
                "wrong call for this queue: writen and getn need a variable one, write_fixed and \
                 get a fixed one, dump a recorder, fsync and completions any other one",
            ),
            E::InvalidOption {
                option,
                value,
                allowed,
            } => write!(f, "option {option} is {value}; it must be {allowed}"),
            E::Closed => f.write_str("the queue is closed"),
            E::TimedOut => f.write_str("the call timed out"),
            E::NoneCompleted => f.write_str("no completion of the list came in time"),
            E::Held { position, age } => {
                write!(f, "an open reservation at {position} ")?;
                holds(f, age)?;
                f.write_str(self.advice("; post it or drop it"))
            }
            E::Stalled { errno, .. } => write!(
                f,
                "accepts no data: {}{}",
                why_stalled(errno),
                self.advice("; the queue keeps it and retries")
            ),
            E::NotSyncable => f.write_str("a pipe, a socket or a terminal cannot be synced"),
            E::TooManyOutstanding => f.write_str(
                "too many outstanding completions; wait for some, or raise outstanding_max",
            ),
            E::InvalidPosition => f.write_str("the position belongs to another queue"),
            E::NothingToWaitFor => f.write_str("the list has no completion to wait for"),
            E::Interrupted => f.write_str("interrupted by a signal handler"),
            E::WouldDeadlock => {
                f.write_str("a sink waits for its queue; the wait would never end on this thread")
            }
            E::BadDescriptor => f.write_str("the descriptor is not open for writing"),
            E::Forked => f.write_str("this queue belongs to the parent process; open a new one"),
            E::Framing { ref problem, .. } => problem.fmt(f),
            E::SinkRefused { ref reason, .. } => {
                write!(f, "refuses the ring file of this queue: {reason}")
            }
            E::Rotation(ref problem) => problem.fmt(f),
            E::RingFile {
                ref path,
                ref problem,
            } => write!(f, "ring file {}: {problem}", Escaped(path)),
            E::Io {
                operation, errno, ..
            } => {
                let (what, system) = (operation.what(), io::Error::from_raw_os_error(errno));
                let way_out = self.advice(way_out(operation, errno));
                write!(f, "{what}: {system}{way_out}")
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(target) = self.target() {
            write!(f, "{target}: ")?;
        }
        self.reason().fmt(f)
    }
}

/// What to do about `errno`, where the text of the system does not suggest it.
const fn way_out(operation: Operation, errno: i32) -> &'static str {
    match (operation, errno) {
        (Operation::Open, libc::ENOENT) => "; its folder must exist",
        (Operation::Open, libc::ELOOP) => {
            "; it is a symbolic link: name the file itself, or allow follow_links"
        }
        (Operation::Map, libc::ENOMEM) => "; a smaller capacity needs less",
        (Operation::Write, libc::EMSGSIZE) => "; this record is lost, and the queue goes on",
        (Operation::Write, _) => "; reopen the queue to go on",
        (Operation::Flusher, _) => "; open another queue: this one writes nothing more",
        _ => "",
    }
}

/// As `Display`, after `alq: `.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alq: {self}")
    }
}

/// Says why a sink accepts no data, if all that is known is `errno`.
pub fn why_stalled(errno: i32) -> String {
    match errno {
        libc::EAGAIN => "its reader does not read, or a write does not return".to_owned(),
        errno => io::Error::from_raw_os_error(errno).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use crate::words::{Error, Operation, Target};

    fn failed(operation: Operation, errno: i32) -> Error {
        Error::Io {
            operation,
            errno,
            target: Target::from(Path::new("app.log")),
        }
    }

    #[test]
    fn a_message_says_where_what_why_and_what_to_do_in_one_line() {
        let table = [
            (
                failed(Operation::Open, libc::ENOENT),
                "app.log: cannot be opened: WHY; its folder must exist",
            ),
            (
                failed(Operation::Open, libc::ELOOP),
                "app.log: cannot be opened: WHY; \
                 it is a symbolic link: name the file itself, or allow follow_links",
            ),
            (
                failed(Operation::Write, libc::ENOSPC),
                "app.log: cannot be written: WHY; reopen the queue to go on",
            ),
            (
                failed(Operation::Flusher, libc::EIO),
                "app.log: the flusher thread panicked: WHY; \
                 open another queue: this one writes nothing more",
            ),
            (
                Error::Stalled {
                    errno: libc::ENOSPC,
                    target: Target::descriptor(1),
                },
                "descriptor 1: accepts no data: WHY; the queue keeps it and retries",
            ),
            (
                Error::TooLarge { len: 9, max: 4 },
                "a record of 9 bytes never fits; at most 4 bytes do",
            ),
        ];
        for (error, text) in table {
            // The C library words this part.
            let why = error.raw_os_error().map(io::Error::from_raw_os_error);
            let text = why.map_or(text.to_owned(), |why| text.replace("WHY", &why.to_string()));
            assert_eq!(error.to_string(), text);
            assert_eq!(format!("{error:?}"), format!("alq: {text}"));
        }
    }
}
