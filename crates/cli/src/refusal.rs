//! The messages if FILE or its queue cannot be opened.

use std::fs;
use std::io;
use std::path::Path;

use alq::{Error, Operation};
use rustix::io::Errno;

use crate::args::Append;
use crate::report::{self, Failure};
use crate::ring;

/// The message if the queue cannot be opened.
pub fn refusal(error: &Error, options: &Append) -> Failure {
    let path = &*options.file;
    let links = if options.follow_links {
        ""
    } else {
        "; it is a symbolic link: allow that with --follow-links"
    };
    let Error::Io {
        operation, errno, ..
    } = error
    else {
        return match (error, &options.ring) {
            (Error::RingFile { .. }, Some(ring)) => ring::refusal(ring, error),
            (Error::Rotation(problem), _) => Failure::whole(problem),
            (Error::NotSyncable, _) => not_syncable(options),
            _ => Failure::new(report::shown(path), error.reason()),
        };
    };
    match (operation, &options.ring) {
        (Operation::Open, _) => cannot_open(path, *errno, links),
        (Operation::Map, _) => Failure::new("--capacity", error.reason()),
        (Operation::RingFile, Some(ring)) => ring::refusal(ring, error),
        _ => Failure::new(report::shown(path), error.reason()),
    }
}

/// The message if FILE cannot be synced and an option asks for it.
fn not_syncable(options: &Append) -> Failure {
    let option = options.sync.last().map_or("", |(_, option)| option);
    let problem = format!("{option}: {}{}", Error::NotSyncable, not_a_disk(option));
    Failure::new(report::shown(&options.file), problem)
}

/// What to do if FILE cannot be synced.
pub fn not_a_disk(option: &str) -> String {
    format!("; this is not a file on a disk: leave out {option}")
}

/// The message if open(2) has failed. `links` says what to do about a symbolic link.
pub fn cannot_open(path: &Path, errno: i32, links: &str) -> Failure {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let way_out = match Errno::from_raw_os_error(errno) {
        Errno::LOOP if is_link => links,
        Errno::NOENT if path.as_os_str().is_empty() => "; the name is empty",
        Errno::NOENT => "; its folder must exist",
        Errno::ROFS => "; in a container, mount a volume there that can be written to",
        Errno::ISDIR => "; name a file in it",
        _ => "",
    };
    let error = io::Error::from_raw_os_error(errno);
    Failure::new(
        report::shown(path),
        format!("cannot open: {error}{way_out}"),
    )
}
