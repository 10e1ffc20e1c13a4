//! The meaning of FILE on the command line.

use std::fmt::{self, Display};
use std::path::Path;

use crate::report;

/// The path of standard output as a file.
const OUTPUT: &str = "/proc/self/fd/1";

/// The destination of the appends.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    File(&'a Path),
    /// Standard output: descriptor 1.
    Output,
}

impl<'a> Place<'a> {
    /// Interprets FILE. `/dev/stdout` also means descriptor 1, because it cannot be opened if it is
    /// a socket or the pipe of another user.
    pub fn of(file: &'a Path) -> Self {
        if file == Path::new("-") || file == Path::new("/dev/stdout") {
            return Self::Output;
        }
        Self::File(file)
    }

    /// The path for reading it, if it is a file.
    pub fn path(self) -> &'a Path {
        match self {
            Self::File(path) => path,
            Self::Output => Path::new(OUTPUT),
        }
    }
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(&report::shown(path)),
            Self::Output => f.write_str("standard output"),
        }
    }
}
