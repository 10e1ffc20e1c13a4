//! The command line of `alq bench`.

use std::path::PathBuf;

use clap::Args;

/// Measure what an append costs on this machine.
///
/// Measures the cost for the caller, throughput, a stalled sink and an idle queue, next to limits
/// that no queue of this kind can beat (the bare copy, the copy with one compare-and-swap, write(2)
/// with 64 KiB). In each round every contestant has one turn, in a separate process. Every record
/// that was appended is checked. Near and far turns are reported separately: whether the two cores
/// of a turn share a cache.
#[derive(Debug, Args)]
#[command(after_help = BENCH_EXIT_CODES)]
pub struct Bench {
    /// Do an eighth of the work, in two rounds: about ten seconds instead of two minutes
    #[arg(long)]
    pub quick: bool,

    /// Number of turns of each contestant: 1 to 1000 [default: 5, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = rounds)]
    pub rounds: Option<u32>,

    /// The folder for the logs, which are removed afterwards [default: /dev/shm, or the folder for
    /// temporary files]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Write all figures to FILE as one JSON object
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write FILE, a page for a browser with curves, bars and tables; it loads no other file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl Bench {
    /// The number of rounds.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 })
    }
}

fn rounds(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .ok()
        .filter(|rounds| (1..=1000).contains(rounds))
        .ok_or("1 to 1000, such as 5")
}

const BENCH_EXIT_CODES: &str = "\
Exit codes:
  0  measured; the last line says whether the machine was quiet enough to trust the figures
  1  a turn failed, a record was missing, or a file could not be written
  2  wrong usage";
