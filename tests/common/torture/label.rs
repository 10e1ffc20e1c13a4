//! Points at which a process kills itself, and a sink that has some of them.

use std::io::{self, IoSlice, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use alq::{FileSink, LogEnd, Sink, SyncOp};
use rustix::process::{Signal, getpid, kill_process};

use crate::common::{Numbers, append_to};

/// A point in the run of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Label {
    AfterReserve,
    InFill,
    AfterPost,
    AfterAcknowledge,
    /// The drain has not noted yet what it is about to write.
    BeforeIntent,
    /// The drain has noted what it is about to write.
    AfterIntent,
    /// The log has a part of the run.
    InWrite,
    /// The log has all bytes that the write took, and the tail has not moved.
    AfterWrite,
    /// The recovery has not changed the ring file yet.
    RecoveryBegins,
    /// The slots are repaired, and the tail has not moved.
    RecoveryCompares,
    /// The slots are repaired and the bytes compared, and the tail has not moved.
    RecoveryCompared,
}

impl Label {
    pub const ALL: [Self; 11] = [
        Self::AfterReserve,
        Self::InFill,
        Self::AfterPost,
        Self::AfterAcknowledge,
        Self::BeforeIntent,
        Self::AfterIntent,
        Self::InWrite,
        Self::AfterWrite,
        Self::RecoveryBegins,
        Self::RecoveryCompares,
        Self::RecoveryCompared,
    ];

    pub fn is_of_recovery(self) -> bool {
        self as u32 >= Self::RecoveryBegins as u32
    }
}

/// The deadly label: 0 if no label is deadly, otherwise its number plus one.
static ARMED: AtomicU32 = AtomicU32::new(0);

/// The pass at which the process dies.
static PASSES: AtomicU32 = AtomicU32::new(0);

/// How many processes have died at each label.
pub type Deaths = [AtomicU32; Label::ALL.len()];

/// The counters, in memory that outlives the process.
static DEATHS: OnceLock<&'static Deaths> = OnceLock::new();

pub fn count_deaths(deaths: &'static Deaths) {
    DEATHS.set(deaths).expect("only once");
}

/// Makes this process die when it passes `label` for the `nth` time, counted from 1.
pub fn arm(label: Label, nth: u32) {
    PASSES.store(nth, Ordering::Relaxed);
    ARMED.store(label as u32 + 1, Ordering::Relaxed);
}

pub fn pass(label: Label) {
    let is_armed = ARMED.load(Ordering::Relaxed) == label as u32 + 1;
    if is_armed && PASSES.fetch_sub(1, Ordering::Relaxed) == 1 {
        if let Some(deaths) = DEATHS.get() {
            deaths[label as usize].fetch_add(1, Ordering::Relaxed);
        }
        die();
    }
}

pub fn die() -> ! {
    kill_process(getpid(), Signal::KILL).unwrap();
    unreachable!("nobody outlives SIGKILL")
}

/// A log that takes its bytes in pieces, and passes the labels.
pub struct Labelled {
    pub file: FileSink,
    numbers: Mutex<Numbers>,
}

impl Labelled {
    pub fn new(file: FileSink, seed: usize) -> Self {
        let numbers = Mutex::new(Numbers::new(seed));
        Self { file, numbers }
    }

    fn below(&self, limit: usize) -> usize {
        self.numbers.lock().unwrap().below(limit)
    }
}

impl Sink for Labelled {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        pass(Label::AfterIntent);
        match self.below(16) {
            0 => return Err(io::ErrorKind::Interrupted.into()),
            1 => return Err(io::ErrorKind::WouldBlock.into()),
            _ => {}
        }
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        let cut = 1 + self.below(bytes.len());
        // No caller learns how much a write took that the kill cut short.
        let first = self.file.write(&[IoSlice::new(&bytes[..cut])])?;
        pass(Label::InWrite);
        let rest = match self.below(3) {
            0 => 0, // a short write
            _ if cut == bytes.len() => 0,
            _ => self.file.write(&[IoSlice::new(&bytes[cut..])])?,
        };
        pass(Label::AfterWrite);
        Ok(first + rest)
    }

    fn wait_ready(&self, _limit: Duration) -> io::Result<()> {
        Ok(())
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.file)
    }

    fn end(&self) -> Option<LogEnd> {
        pass(Label::BeforeIntent);
        self.file.end()
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        pass(Label::RecoveryCompares);
        let held = self.file.holds(end, runs);
        pass(Label::RecoveryCompared);
        held
    }

    fn path(&self) -> Option<PathBuf> {
        pass(Label::RecoveryBegins);
        self.file.path()
    }
}

/// A log that takes a number of bytes of the first write, and then kills the process.
pub struct Deadly {
    pub file: FileSink,
    pub bytes: usize,
    /// The bytes that another process appends just before.
    pub others: Option<(PathBuf, &'static [u8])>,
}

impl Sink for Deadly {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some((path, bytes)) = &self.others {
            append_to(path).write_all(bytes)?;
        }
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        let taken = self.bytes.min(bytes.len());
        if taken > 0 {
            self.file.write(&[IoSlice::new(&bytes[..taken])])?;
        }
        die();
    }

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        self.file.sync(op)
    }

    fn end(&self) -> Option<LogEnd> {
        self.file.end()
    }

    fn file_id(&self) -> Option<(u64, u64)> {
        self.file.file_id()
    }

    fn path(&self) -> Option<PathBuf> {
        self.file.path()
    }
}

/// A log that fails with an errno once it has taken a number of bytes, until it is released.
pub struct Failing {
    pub file: FileSink,
    pub left: AtomicUsize,
    pub errno: i32,
}

impl Sink for Failing {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        let taken = bytes.len().min(self.left.load(Ordering::Relaxed));
        if taken == 0 {
            return Err(io::Error::from_raw_os_error(self.errno));
        }
        self.left.fetch_sub(taken, Ordering::Relaxed);
        self.file.write(&[IoSlice::new(&bytes[..taken])])
    }

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        self.file.sync(op)
    }

    fn end(&self) -> Option<LogEnd> {
        self.file.end()
    }

    fn file_id(&self) -> Option<(u64, u64)> {
        self.file.file_id()
    }

    fn path(&self) -> Option<PathBuf> {
        self.file.path()
    }
}
