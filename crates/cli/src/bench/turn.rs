//! Turns. Each runs in a separate process, so that threads, memory and caches of one turn do not
//! disturb another.

use std::env;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};

use alq_measure::Outcome;
use alq_measure::records::check_folder;
use alq_measure::turn::{self, Turn};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

use super::case::Case;
use crate::signals::{self, Signals};

/// The word with which this program starts itself for a turn. It is not a subcommand, because it is
/// not meant for users.
const WORD: &str = "bench-turn";

/// If this process was started for a turn, runs it and prints the result. Otherwise returns `None`.
pub fn asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let (case, path) = (arguments.next()?, arguments.next()?);
    signals::release(); // inherited as blocked from the process that started this one
    Some(turn::here(|| {
        let case: Case = serde_json::from_str(case.to_str().ok_or("the case is not text")?)?;
        case.run(path.as_ref())
    }))
}

/// Runs a turn in another process, with its log in `folder`, and checks that log. A signal ends
/// that process.
pub fn run(case: &Case, round: u32, folder: &Path, signals: &Signals) -> Outcome<Turn> {
    let log = folder.join("log");
    let turn = Turn::run(round, || {
        let child = Command::new("/proc/self/exe")
            .arg0("alq") // for ps(1)
            .arg(WORD)
            .arg(serde_json::to_string(case)?)
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        turn::answer(&output(child, signals)?)
    })?;
    if let Some(records) = case.records() {
        let found = check_folder(folder, case.record_bytes, case.producers)?;
        if !found.is_all(records) {
            let of_each = found.of_each;
            return Err(format!("the log holds {of_each:?} records, not {records} of each").into());
        }
    }
    let _ = fs::remove_file(&log); // if this fails, it goes with the folder
    Ok(turn)
}

/// Waits for the output of a turn. A signal kills the turn at once: a second signal would end this
/// process before it has removed the folder.
fn output(mut turn: Child, signals: &Signals) -> io::Result<Output> {
    if let Some(said) = &turn.stdout {
        let mut ready = [
            PollFd::from_borrowed_fd(signals.descriptor(), PollFlags::IN),
            PollFd::new(said, PollFlags::IN), // a turn prints only at its end
        ];
        retry_on_intr(|| poll(&mut ready, None))?;
        if !ready[0].revents().is_empty() {
            turn.kill()?;
        }
    }
    turn.wait_with_output()
}
