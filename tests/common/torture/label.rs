//! Points at which a process kills itself, and a sink that has some of them.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use alq::{FileSink, LogEnd, Sink, SyncOp};
use rustix::process::{Signal, getpid, kill_process};

use crate::common::Numbers;

/// Where a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Label {
    AfterReserve,
    InFill,
    AfterPost,
    AfterAcknowledge,
    /// The drain has not noted yet what it is about to write.
    BeforeIntent,
    /// It has.
    AfterIntent,
    /// A part of the run is in the log.
    InWrite,
    /// All that the write took is in the log, and the tail has not moved.
    AfterWrite,
    /// Nothing of the ring file is changed yet.
    RecoveryBegins,
    /// The descriptors are made right, and the tail has not moved.
    RecoveryCompares,
    /// As before, and the bytes are compared.
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

/// Which label is deadly: 0 for none, otherwise its number and one.
static ARMED: AtomicU32 = AtomicU32::new(0);

/// At which pass.
static PASSES: AtomicU32 = AtomicU32::new(0);

/// This process dies when it passes `label` for the `nth` time, counted from 1.
pub fn arm(label: Label, nth: u32) {
    PASSES.store(nth, Ordering::Relaxed);
    ARMED.store(label as u32 + 1, Ordering::Relaxed);
}

pub fn pass(label: Label) {
    let is_armed = ARMED.load(Ordering::Relaxed) == label as u32 + 1;
    if is_armed && PASSES.fetch_sub(1, Ordering::Relaxed) == 1 {
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
        // What a write that is cut short by the kill has taken, nobody is told.
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

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        self.file.sync(op)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }

    fn file_id(&self) -> Option<(u64, u64)> {
        self.file.file_id()
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
