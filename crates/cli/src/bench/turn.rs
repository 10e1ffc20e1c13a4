//! Turns: each in a process of its own, so that nobody's threads, memory or caches are in another's way.

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

/// What came of one turn, and how near the cores were to each other.
#[derive(Clone, Debug)]
pub struct Turn {
    pub round: u32,
    /// A cache line from core to core, before and after.
    pub line_ns: [f64; 2],
    pub measured: Measured,
}

impl Turn {
    pub fn distance(&self) -> Distance {
        Distance::of(self.line_ns[0], self.line_ns[1])
    }
}

/// The word with which this program starts itself for a turn; no subcommand, since it is nobody else's.
const WORD: &str = "bench-turn";

/// How long a turn may take before it counts as hung.
const LIMIT: Duration = Duration::from_secs(120);

/// If this process is for a turn: does it, and says what came of it.
pub fn asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let (case, path) = (arguments.next()?, arguments.next()?);
    let measured = case
        .to_str()
        .ok_or_else(|| "the case is no text".into())
        .and_then(|case| here(case, path.as_ref()));
    Some(match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}"); // whoever started it takes it from there
            ExitCode::FAILURE
        }
    })
}

fn here(case: &str, path: &Path) -> Outcome<()> {
    signals::release(); // this process was started with those blocked that the other one handles
    let case: Case = serde_json::from_str(case)?;
    thread::spawn(|| {
        thread::sleep(LIMIT);
        let _ = writeln!(io::stderr(), "it is not over after {LIMIT:?}");
        exit(1);
    });
    let measured = work::run(&case, path)?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&measured)?)?;
    Ok(())
}

/// Has another process do it, with its log in `folder`, and looks through that log. A signal ends that process.
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
    let _ = fs::remove_file(&log); // the folder goes anyway
    Ok(Turn {
        round,
        line_ns,
        measured: serde_json::from_slice(&output.stdout)?,
    })
}

/// What a turn says in the end. A signal does not wait for that: a second one would leave the folder behind.
fn output(mut turn: Child, signals: &Signals) -> io::Result<Output> {
    if let Some(said) = &turn.stdout {
        let mut ready = [
            PollFd::from_borrowed_fd(signals.descriptor(), PollFlags::IN),
            PollFd::new(said, PollFlags::IN), // it is silent until it is over
        ];
        retry_on_intr(|| poll(&mut ready, None))?;
        if !ready[0].revents().is_empty() {
            turn.kill()?;
        }
    }
    turn.wait_with_output()
}
