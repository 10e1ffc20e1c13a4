//! Contestants: ways to append records to a file.

use std::io;
use std::path::Path;

use crate::Outcome;
use crate::run;
use crate::work::{Kind, Measured, Work};

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
    /// The name in tables and in JSON.
    const NAME: &'static str;

    /// Whether the file finally holds every accepted record.
    const LOSSLESS: bool = true;

    /// How many producers it can have.
    const PRODUCERS: usize = usize::MAX;

    /// What it leaves.
    const LEAVES: Leaves = Leaves::TheFile;

    /// The end of one thread.
    type Producer: Append + Send;

    /// Opens a log on a file that does not exist yet (or on a pipe, or on `/dev/null`).
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    fn open(path: &Path) -> Outcome<Self>;

    /// Creates the end of one thread.
    ///
    /// # Errors
    ///
    /// If there are [`Log::PRODUCERS`] already.
    fn producer(&mut self) -> Outcome<Self::Producer>;

    /// Ends the log after its producers have ended. Returns when the kernel has all records: the
    /// number of drops that the log itself counts.
    ///
    /// # Errors
    ///
    /// If a write failed.
    fn finish(self) -> Outcome<u64>;
}

/// The end of one thread. A record is ASCII and ends with its only newline.
pub trait Append {
    /// Appends a record, and waits for room if the log is lossless.
    ///
    /// # Errors
    ///
    /// If the log has failed.
    fn append(&mut self, record: &[u8]) -> io::Result<()>;

    /// Tries to append without waiting, and returns whether it did. A log without such a call
    /// appends as `append` does.
    fn try_append(&mut self, record: &[u8]) -> bool {
        self.append(record).is_ok()
    }

    /// Ends the work of this thread.
    ///
    /// # Errors
    ///
    /// If a write failed.
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log, as a value.
#[derive(Clone, Copy, Debug)]
pub struct Contestant {
    /// [`Log::NAME`]
    pub name: &'static str,
    /// [`Log::LOSSLESS`]
    pub lossless: bool,
    /// [`Log::PRODUCERS`]
    pub producers: usize,
    /// [`Log::LEAVES`]
    pub leaves: Leaves,
    /// What it can do.
    pub kinds: &'static [Kind],
    /// Runs one turn, with the log at the path.
    pub run: fn(&Work, &Path) -> Outcome<Measured>,
}

impl Contestant {
    /// The value for a log.
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
            run: run::run::<L>,
        }
    }
}
