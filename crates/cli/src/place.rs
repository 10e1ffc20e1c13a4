//! What FILE on the command line means.

use std::fmt::{self, Display};
use std::path::Path;

use crate::report;

/// Where standard output is to be found as a file.
const OUTPUT: &str = "/proc/self/fd/1";

/// What is appended to.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    File(&'a Path),
    /// Descriptor 1, whatever that is.
    Output,
}

impl<'a> Place<'a> {
    /// What FILE means. /dev/stdout is descriptor 1 too: it cannot be opened where that is a
    /// socket, or another user's pipe.
    pub fn of(file: &'a Path) -> Self {
        if file == "-" || file == "/dev/stdout" {
            return Self::Output;
        }
        Self::File(file)
    }

    /// Where it can be read, if it is a file.
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
