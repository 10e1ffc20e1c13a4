//! The command line of `alq bench`.

use std::path::PathBuf;

use clap::Args;

/// Measure what an append costs on this machine.
///
/// Caller cost, throughput, a stalled sink and an idle queue, next to the limits that no queue of this kind can beat (the bare copy, the
/// copy with one compare-and-swap, write(2) with 64 KiB), in rounds in which each has its turn, in a process of its own. Every
/// record that was appended is looked for. Near and far are kept apart: whether the two cores of a turn share a cache.
#[derive(Debug, Args)]
#[command(after_help = BENCH_EXIT_CODES)]
pub struct Bench {
    /// An eighth of the work, and two rounds: some ten seconds in place of two minutes or so
    #[arg(long)]
    pub quick: bool,

    /// How often each has its turn: 1 to 1000 [default: 5, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = rounds)]
    pub rounds: Option<u32>,

    /// The folder for the logs, which are removed again [default: /dev/shm, or else that for temporary files]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Write all figures to FILE, as one JSON object
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write FILE, a page for a browser with curves, bars and tables; it needs nothing but itself
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl Bench {
    /// How many rounds that is.
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
  0  measured; whether the machine was quiet enough to trust it is said in the last lines
  1  a turn failed, or a record was missing; or a file could not be written
  2  wrong usage";
