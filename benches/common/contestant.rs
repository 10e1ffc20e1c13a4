//! Contestants: ways to append records to a file.

use std::path::Path;

use super::workloads::{self, Figures, Kind, Work};

/// The output of a contestant in the folder of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Nothing: it is a limit, which only copies.
    Nothing,
    /// The file at the given path.
    TheFile,
    /// Files with names that it chooses, so it cannot write to `/dev/null` or a pipe.
    NamedFiles,
}

/// One way to append.
pub trait Log: Sized {
    const NAME: &'static str;

    /// Whether the file finally holds every accepted record.
    const LOSSLESS: bool = true;

    /// How many producers it can have.
    const PRODUCERS: usize = usize::MAX;

    const LEAVES: Leaves = Leaves::TheFile;

    type Producer: Append + Send;

    /// Opens a log on a file that does not exist yet (or on a pipe, or on `/dev/null`).
    fn open(path: &Path) -> Self;

    /// The end of one thread.
    fn producer(&mut self) -> Self::Producer;

    /// Ends the log once the producers have ended. Returns when the kernel has all records: the
    /// number of drops that the log itself counts.
    fn finish(self) -> u64;
}

/// The end of one thread. A record is ASCII and ends with its only newline.
pub trait Append {
    /// Appends a record, and waits for room if the log is lossless.
    fn append(&mut self, record: &[u8]);

    /// Tries to append without waiting, and returns whether it did. A log without such a call
    /// appends as `append` does.
    fn try_append(&mut self, record: &[u8]) -> bool {
        self.append(record);
        true
    }
}

/// A log, as a value.
#[derive(Clone, Copy, Debug)]
pub struct Contestant {
    pub name: &'static str,
    pub lossless: bool,
    pub producers: usize,
    pub leaves: Leaves,
    /// What it can do.
    pub kinds: &'static [Kind],
    pub run: fn(&Work, &Path) -> Figures,
}

impl Contestant {
    pub const fn of<L: Log>() -> Self {
        Self {
            name: L::NAME,
            lossless: L::LOSSLESS,
            producers: L::PRODUCERS,
            leaves: L::LEAVES,
            kinds: match L::LEAVES {
                Leaves::TheFile => &Kind::ALL,
                Leaves::Nothing => &[Kind::Bursts, Kind::Sustained],
                Leaves::NamedFiles => Kind::WITHOUT_PIPE,
            },
            run: workloads::run::<L>,
        }
    }
}
