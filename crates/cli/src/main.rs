//! `alq`, the command-line tool: appends its standard input to a file through an [`alq::Queue`].
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | all input was written (and with `--fsync` is on disk) |
//! | 1 | an input or output error; the message says how much was not written |
//! | 2 | wrong usage |
//!
//! After SIGINT or SIGTERM the tool writes what it has read and then dies by that signal, so that its parent
//! sees what happened. A signal that was ignored when the tool started stays ignored.

mod append;
mod args;
mod input;
mod progress;
mod report;
mod signals;
mod target;

use std::process::ExitCode;

use args::{Cli, Command};

/// What clap itself uses for wrong usage.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let Command::Append(options) = cli.command;
    match append::run(&options) {
        Ok(append::Ending::Input) => ExitCode::SUCCESS,
        Ok(append::Ending::Signal(signal)) => signals::die_by(signal),
        Err(failure) => {
            report::line(&failure);
            ExitCode::FAILURE
        }
    }
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
