//! `alq`, the command-line tool: appends its standard input to a file through an [`alq::Queue`],
//! recovers and shows ring files, and measures.
//!
//! ```text
//!  append: signals -> pump -> intake (straight, or copied by lines and records) -> target (queue, rotate) -> FILE
//!  cat, follow, check: alq::read -> records (prints) or report
//!  recover, dump, stat, watch: ring (opens and describes a ring file)
//!  append, recover with --nats: shipping (runs alq-nats)
//!  bench: turn (a separate process) -> work -> summary -> table, page
//! ```
//!
//! - `report` prints each message as one line, without control characters.
//! - `signals` is the only module that handles signals; the others read what it has noted.
//! - An error is a `report::Failure`: a text and an exit code. The tool does not panic.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; after `append`, all input is written (with `--fsync`, it is on disk) |
//! | 1 | an input or output error; the message says how much was not written |
//! | 2 | wrong usage |
//! | 3 | `alq recover`, `alq dump`: as 0, but parts of the ring file were damaged; `alq cat`, `alq check`: the log has faults |
//! | 125 | `alq append FILE -- command`: alq itself failed |
//! | 126, 127 | `alq append FILE -- command`: the command cannot be run; it does not exist |
//!
//! After SIGINT or SIGTERM the tool writes what it has read and then dies by that signal, so that
//! its parent sees what happened. A signal that was ignored when the tool started stays ignored.

mod append;
mod args;
mod bench;
mod cat;
mod catch_args;
mod check;
mod children;
mod copied;
mod dump;
mod dump_args;
mod follow;
mod framing;
#[cfg(test)]
mod generated;
mod help;
mod input;
mod intake;
mod key;
mod kind;
mod patience;
mod place;
mod progress;
mod pump;
mod queue_options;
mod read_args;
mod recorder;
mod recorder_args;
mod records;
mod recover;
mod refusal;
mod report;
mod resume;
mod ring;
mod rotate;
mod rotate_args;
mod screen;
mod shipping;
mod signals;
mod stamp;
mod stat;
mod stat_args;
mod straight;
mod sync_args;
mod target;
mod values;
mod watch;

use std::process::ExitCode;

use args::{Cli, Command};

/// The code that clap uses for wrong usage.
const WRONG_USAGE: u8 = 2;

/// A ring file was recovered, or a log was read, except for the damaged parts.
const DAMAGED: u8 = 3;

fn main() -> ExitCode {
    if let Some(code) = bench::turn::asked() {
        return code;
    }
    if let Some(failure) = shipping::hand_over() {
        report::line(&failure);
        return ExitCode::from(failure.code());
    }
    signals::hold();
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    if !matches!(
        cli.command,
        Command::Append(_) | Command::Bench(_) | Command::Follow(_)
    ) {
        signals::release(); // `stat --watch` handles the signals that it needs
    }
    let code_of_faults = |faults| match faults {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(DAMAGED),
    };
    let ended = match cli.command {
        Command::Append(options) => append::run(&options),
        Command::Cat(options) => cat::run(options).map(code_of_faults),
        Command::Follow(options) => follow::run(options).map(signals::die_by),
        Command::Check(options) => check::run(&options).map(code_of_faults),
        Command::Dump(options) => dump::run(&options).map(code_of_faults),
        Command::Recover(options) => {
            recover::run(&options).map(|recovery| match recovery.damaged_slots {
                0 => ExitCode::SUCCESS,
                _ => ExitCode::from(DAMAGED),
            })
        }
        Command::Stat(options) if options.watch => watch::run(&options).map(signals::die_by),
        Command::Stat(options) => stat::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Bench(options) => bench::run(&options).map(|ending| match ending {
            bench::Ending::Measured => ExitCode::SUCCESS,
            bench::Ending::Signal(signal) => signals::die_by(signal),
        }),
    };
    ended.unwrap_or_else(|failure| {
        report::line(&failure);
        ExitCode::from(failure.code())
    })
}

/// Prints the message of clap: a help text, a version, or what is wrong with the command line.
fn refuse(error: &clap::Error) -> ExitCode {
    if let Some(complaint) = args::complaint(error) {
        report::line(&complaint);
        return ExitCode::from(WRONG_USAGE);
    }
    match error.print() {
        Ok(()) if !error.use_stderr() => ExitCode::SUCCESS,
        Err(_) if !error.use_stderr() => ExitCode::FAILURE, // the help could not be printed
        _ => ExitCode::from(WRONG_USAGE),
    }
}
