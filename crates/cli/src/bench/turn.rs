//! Turns. Each runs in a separate process, so that threads, memory and caches of one turn do not
//! disturb another.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio, exit};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

use super::case::Case;
use super::work::{self, Measured};
use crate::signals::{self, Signals};
use alq_measure::Outcome;
use alq_measure::machine::{Distance, line_ns};
use alq_measure::records::check_folder;

/// The result of one turn, and the distance of the cores.
#[derive(Clone, Debug)]
pub struct Turn {
    pub round: u32,
    /// The time in ns that a cache line takes from core to core, before and after the turn.
    pub line_ns: [f64; 2],
    pub measured: Measured,
}

impl Turn {
    pub fn distance(&self) -> Distance {
        Distance::of(self.line_ns[0], self.line_ns[1])
    }
}

/// The word with which this program starts itself for a turn. It is not a subcommand, because it is
/// not meant for users.
const WORD: &str = "bench-turn";

/// The longest time of a turn; a longer one counts as hung.
const LIMIT: Duration = Duration::from_secs(120);

/// If this process was started for a turn, runs it and prints the result. Otherwise returns `None`.
pub fn asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let (case, path) = (arguments.next()?, arguments.next()?);
    let measured = case
        .to_str()
        .ok_or_else(|| "the case is not text".into())
        .and_then(|case| here(case, path.as_ref()));
    Some(match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}"); // the process that started this one reads it
            ExitCode::FAILURE
        }
    })
}

fn here(case: &str, path: &Path) -> Outcome<()> {
    signals::release(); // inherited as blocked from the process that started this one
    let case: Case = serde_json::from_str(case)?;
    thread::spawn(|| {
        thread::sleep(LIMIT);
        let _ = writeln!(io::stderr(), "the turn has not ended after {LIMIT:?}");
        exit(1);
    });
    let measured = work::run(&case, path)?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&measured)?)?;
    Ok(())
}

/// Runs a turn in another process, with its log in `folder`, and checks that log. A signal ends
/// that process.
pub fn run(case: &Case, round: u32, folder: &Path, signals: &Signals) -> Outcome<Turn> {
    let log = folder.join("log");
    let before = line_ns();
    let turn = Command::new("/proc/self/exe")
        .arg0("alq") // for ps(1)
        .arg(WORD)
        .arg(serde_json::to_string(case)?)
        .arg(&log)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = output(turn, signals)?;
    let line_ns = [before, line_ns()];
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = why.trim();
        return Err(if why.is_empty() {
            output.status.to_string()
        } else {
            why.to_owned()
        }
        .into());
    }
    if case.leaves_a_file() {
        let found = check_folder(folder, case.record_bytes, case.producers)?;
        if !found.is_all(case.records()) {
            let (of_each, records) = (found.of_each, case.records());
            return Err(format!("the log holds {of_each:?} records, not {records} of each").into());
        }
    }
    let _ = fs::remove_file(&log); // if this fails, it goes with the folder
    Ok(Turn {
        round,
        line_ns,
        measured: serde_json::from_slice(&output.stdout)?,
    })
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
