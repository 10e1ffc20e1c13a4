//! Ring files: their sizes, and the messages about them.

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use alq::ring_file::{State, inspect, on_disk};
use alq::{Error, Operation, Options, Recovery, RingFileProblem as Problem};
use rustix::io::Errno;

use crate::args::Append;
use crate::report::{self, Failure};

/// The default capacity in bytes.
const CAPACITY: usize = 1 << 20;

/// The longest wait for the reason that a queue reports.
const REASON_TIME_MAX: Duration = Duration::from_secs(10);

/// The owner of a ring file whose pid cannot be seen from this PID namespace.
pub const ELSEWHERE: &str = "in use, by a process of another namespace";

/// The capacity that the options ask for, or else the capacity of the ring file, or else the
/// default.
pub fn capacity(options: &Append) -> Result<usize, Failure> {
    let Append { capacity, ring, .. } = options;
    match (capacity, ring) {
        (Some(capacity), _) => Ok(*capacity),
        (None, None) => Ok(CAPACITY),
        (None, Some(ring)) => match inspect(ring) {
            Ok(state) if state.capacity_bytes == 0 => Ok(CAPACITY), // not initialised yet
            Ok(state) => Ok(state.capacity_bytes as usize),
            Err(error) if is_missing(&error) || options.ring_optional => Ok(CAPACITY),
            Err(error) => Err(refusal(ring, &error)),
        },
    }
}

/// Adds the ring file of the command line to the options of a queue, and what it reports of itself.
pub fn in_file(queue: Options, options: &Append) -> (Options, Refused) {
    let (says, refused) = channel();
    let has_policy = options.sync.policy().is_some();
    let mut queue = queue.ring_optional(options.ring_optional);
    if let Some(ring) = &options.ring {
        queue = queue.ring_file(ring).ring_on_disk(true); // `warn_of_disk` warns
    }
    if options.ring_optional || has_policy {
        queue = queue.on_error(move |found| {
            let is_sync = matches!(
                &found.error,
                Error::Io {
                    operation: Operation::Sync,
                    ..
                }
            );
            if is_sync && has_policy {
                report::line(found); // no call waits for it
            }
            // Other errors are in the statistics of the queue, or in the answers of its calls.
            let _ = says.send(found.error.clone());
        });
    }
    (queue, Refused(refused))
}

/// Receives the reason for which a queue has opened without its ring file.
#[derive(Debug)]
pub struct Refused(Receiver<Error>);

impl Refused {
    /// Warns that the ring at `path` could not be used. The queue reports the reason before its
    /// opening returns, and a thread passes it on.
    pub fn warn(&self, path: &Path) {
        let reason = self.0.recv_timeout(REASON_TIME_MAX).map_or_else(
            |_| format!("{}: it cannot be used", report::shown(path)),
            |error| refusal(path, &error).to_string(),
        );
        report::line(&format_args!(
            "warning: {reason}; the ring is in memory now, and a kill -9 loses it"
        ));
    }
}

/// Returns true if the error means that the ring file does not exist.
pub fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Io { errno, .. } if *errno == Errno::NOENT.raw_os_error())
}

/// Reads the state of the ring file at `path`.
pub fn look(path: &Path) -> Result<State, Failure> {
    inspect(path).map_err(|error| refusal(path, &error))
}

/// Options with the sizes and the framing of a ring file.
pub fn sizes(state: &State) -> Options {
    let options = match state.fixed {
        Some((len, count)) => Options::new().fixed(len, count),
        None => Options::new().capacity(state.capacity_bytes as usize),
    };
    options.framing(state.framing.unwrap_or_default())
}

/// The message if the ring file at `path` cannot be used.
pub fn refusal(path: &Path, error: &Error) -> Failure {
    let ring = report::shown(path);
    let problem = match error {
        Error::RingFile { problem, .. } => match &**problem {
            Problem::OtherGeometry { found, .. } => format!(
                "it was made for {found}, by another program: \
                 `alq recover {ring}` writes what it holds"
            ),
            Problem::OtherLog { log, bytes } => format!(
                "it holds {bytes} bytes for another log, {}: \
                 first run `alq recover {ring}`, or `alq recover {ring} --into FILE`",
                report::shown(log)
            ),
            problem => problem.to_string(),
        },
        Error::Io {
            operation: Operation::RingFile,
            errno,
            ..
        } => {
            let error = io::Error::from_raw_os_error(*errno);
            format!(
                "cannot open the ring file: {error}{}",
                way_out(path, *errno)
            )
        }
        error => error.to_string(),
    };
    Failure::new(ring, problem)
}

fn way_out(path: &Path, errno: i32) -> &'static str {
    let is_folder_there = path
        .parent()
        .is_some_and(|parent| parent.as_os_str().is_empty() || parent.is_dir());
    match Errno::from_raw_os_error(errno) {
        Errno::LOOP if path.is_symlink() => "; it is a symbolic link: name the file itself",
        Errno::NOENT if !is_folder_there => "; its folder must exist",
        Errno::ROFS => "; choose a path on a tmpfs, such as a folder in /run",
        Errno::NOSPC => "; the ring file takes all of its space at once",
        Errno::FBIG => "; this process may not make a file of that size (ulimit -f)",
        _ => "",
    }
}

/// Reports what an earlier run left in the ring file at `path`, if it left anything.
pub fn report_recovery(path: &Path, recovery: &Recovery) {
    let mut in_ring = *recovery;
    in_ring.torn_bytes = 0; // that is at the end of the log
    if in_ring == Recovery::default() {
        return;
    }
    let counts = [
        (recovery.already_written_bytes, "of them already written"),
        (
            recovery.possibly_repeated_bytes,
            "of them possibly written twice",
        ),
        (recovery.skipped_entries, "reservations never posted"),
        (recovery.damaged_slots, "damaged slots left out"),
    ];
    let done = match recovery.dumped_bytes {
        0 => "appended",
        _ => "dumped",
    };
    let mut text = format!(
        "{} bytes of an earlier run are {done} first",
        recovery.bytes
    );
    for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {what}"); // a `String` accepts every write
    }
    report::line(&format_args!("{}: {text}", report::shown(path)));
}

/// Warns on standard error if the ring file at `path` is on a disk.
pub fn warn_of_disk(path: &Path) {
    if let Ok(Some(problem)) = on_disk(path) {
        let way_out = "or accept it with --ring-on-disk";
        let path = report::shown(path);
        report::line(&format_args!("warning: {path}: {problem}, {way_out}"));
    }
}
