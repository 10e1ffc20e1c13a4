//! The command line of `alq dump`.

use std::path::PathBuf;

use clap::Args;

use crate::help;

/// Write the records that a recorder keeps in RING, oldest first.
///
/// A recorder is a queue that keeps its newest records and writes them only when something goes
/// wrong. RING may be in use, or left by a process that was killed. It is neither locked nor
/// changed, and the process does not notice.
#[derive(Debug, Args)]
#[command(after_help = help::DUMP)]
pub struct Dump {
    /// The ring file of a recorder
    pub ring: PathBuf,

    /// Append to LOG, created if it does not exist, instead of writing to standard output
    #[arg(long, value_name = "LOG")]
    pub to: Option<PathBuf>,

    /// The reason in the first line [default: alq dump]
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "alq dump",
        hide_default_value = true
    )]
    pub reason: String,

    /// Print one JSON object that counts the records, which are written only with --to
    #[arg(long)]
    pub json: bool,
}
