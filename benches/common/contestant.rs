//! What takes part: something that appends records to a file.

use std::path::Path;

use super::workloads::{self, Figures, Kind, Work};

/// What a contestant leaves in the folder of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Nothing: it is a limit, which only copies.
    Nothing,
    /// The file at the path that it was given.
    TheFile,
    /// Files that it names itself, so that it cannot write to `/dev/null` or a pipe.
    NamedFiles,
}

/// One way to append.
pub trait Log: Sized {
    const NAME: &'static str;

    /// Whether every record that was taken is in the file in the end.
    const LOSSLESS: bool = true;

    /// How many producers it can have.
    const PRODUCERS: usize = usize::MAX;

    const LEAVES: Leaves = Leaves::TheFile;

    type Producer: Append + Send;

    /// A log on a file that is not there yet (or on a pipe, or on `/dev/null`).
    fn open(path: &Path) -> Self;

    /// The end of one thread.
    fn producer(&mut self) -> Self::Producer;

    /// Returns once all is with the kernel and the producers are gone: how many records the log itself says that it dropped.
    fn finish(self) -> u64;
}

/// The end of one thread. A record is ASCII and ends with its only newline.
pub trait Append {
    /// Takes a record, and waits for room where the log is lossless.
    fn append(&mut self, record: &[u8]);

    /// Whether it took the record without waiting; those that cannot be asked that take it as above.
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
