//! `alq`, the command-line tool: appends its standard input to a file through an [`alq::Queue`], looks after ring files, and measures.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | all input was written (and with `--fsync` is on disk); what the ring file held is written; it was shown, or measured |
//! | 1 | an input or output error; the message says how much was not written |
//! | 2 | wrong usage |
//! | 3 | `alq recover`: as 0, but parts of the ring file were damaged |
//!
//! After SIGINT or SIGTERM the tool writes what it has read and then dies by that signal, so that its parent
//! sees what happened. A signal that was ignored when the tool started stays ignored.

mod append;
mod args;
mod bench;
mod catch_args;
#[cfg(test)]
mod generated;
mod input;
mod intake;
mod lines;
mod progress;
mod recover;
mod report;
mod requests;
mod resume;
mod ring;
mod rotate;
mod rotate_args;
mod screen;
mod signals;
mod stamp;
mod stat;
mod target;
mod watch;

use std::process::ExitCode;

use args::{Cli, Command};

/// What clap itself uses for wrong usage.
const WRONG_USAGE: u8 = 2;

/// A ring file was recovered, but for what was damaged.
const DAMAGED: u8 = 3;

fn main() -> ExitCode {
    if let Some(code) = bench::turn::asked() {
        return code;
    }
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let ended = match &cli.command {
        Command::Append(options) => append::run(options).map(|ending| match ending {
            append::Ending::Input => ExitCode::SUCCESS,
            append::Ending::Signal(signal) => signals::die_by(signal),
        }),
        Command::Recover(options) => recover::run(options).map(|recovery| match recovery.damaged {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(DAMAGED),
        }),
        Command::Stat(options) if options.watch => watch::run(options).map(signals::die_by),
        Command::Stat(options) => stat::run(options).map(|()| ExitCode::SUCCESS),
        Command::Bench(options) => bench::run(options).map(|ending| match ending {
            bench::Ending::Measured => ExitCode::SUCCESS,
            bench::Ending::Signal(signal) => signals::die_by(signal),
        }),
    };
    ended.unwrap_or_else(|failure| {
        report::line(&failure);
        ExitCode::FAILURE
    })
}

/// Prints what clap has to say: a help text, a version, or what is wrong with the command line.
fn refuse(error: &clap::Error) -> ExitCode {
    if let Some(complaint) = args::complaint(error) {
        report::line(&complaint);
        return ExitCode::from(WRONG_USAGE);
    }
    match error.print() {
        Ok(()) if !error.use_stderr() => ExitCode::SUCCESS,
        Err(_) if !error.use_stderr() => ExitCode::FAILURE, // the help was asked for and nobody got it
        _ => ExitCode::from(WRONG_USAGE),
    }
}
