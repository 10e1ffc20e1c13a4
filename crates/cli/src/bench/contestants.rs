//! The contestants: the queue, through its shared path and through lanes, and its limits.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alq::{Flags, Lane, Options, Queue};

use alq_measure::Outcome;

/// The capacity of every ring in bytes.
pub const CAPACITY: usize = 1 << 20;

/// The size of a block of [`Blocks`] in bytes.
const BLOCK: usize = 64 << 10;

/// A contestant, from its opening to its end.
pub trait Log: Sized {
    type Producer: Append + Send;

    /// Opens the contestant. It appends to `log`, which is open for appending.
    fn open(log: OwnedFd) -> Outcome<Self>;

    /// Creates the producer of one thread.
    fn producer(&mut self) -> Outcome<Self::Producer>;

    /// Returns when the kernel has everything. The producers must be dropped before.
    fn finish(self) -> Outcome<()>;
}

/// The producer of one thread.
pub trait Append {
    /// Appends a record; waits for room.
    fn append(&mut self, record: &[u8]) -> io::Result<()>;

    /// Appends a record without waiting. Returns false if it was refused.
    fn try_append(&mut self, record: &[u8]) -> bool {
        self.append(record).is_ok()
    }

    /// Ends the work of this thread.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file to append to.
pub fn append_to(path: &std::path::Path) -> io::Result<OwnedFd> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map(OwnedFd::from)
}

/// The destination of the copies, used like a ring.
#[derive(Debug)]
pub struct Bytes(Box<[u8]>);

impl Bytes {
    fn new() -> Self {
        // Not zeros, so that every page is touched. The block is room for the last record.
        Self(vec![1; CAPACITY + BLOCK].into())
    }

    #[inline]
    fn copy(&mut self, position: u64, record: &[u8]) {
        let start = position as usize % CAPACITY;
        self.0[start..start + record.len()].copy_from_slice(record);
        black_box(&mut self.0);
    }
}

/// [`super::case::Contestant::Copy`]
#[derive(Debug)]
pub struct Copy;

#[derive(Debug)]
pub struct Copier {
    bytes: Bytes,
    position: u64,
}

impl Log for Copy {
    type Producer = Copier;

    fn open(_: OwnedFd) -> Outcome<Self> {
        Ok(Self)
    }

    fn producer(&mut self) -> Outcome<Copier> {
        Ok(Copier {
            bytes: Bytes::new(),
            position: 0,
        })
    }

    fn finish(self) -> Outcome<()> {
        Ok(())
    }
}

impl Append for Copier {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.bytes.copy(self.position, record);
        self.position += record.len() as u64;
        Ok(())
    }
}

/// [`super::case::Contestant::CopyAndClaim`]. Each producer copies to separate bytes, because
/// nothing prevents two producers from copying to the same place.
#[derive(Debug, Default)]
pub struct CopyAndClaim(Arc<AtomicU64>);

#[derive(Debug)]
pub struct Claimer {
    bytes: Bytes,
    head: Arc<AtomicU64>,
}

impl Log for CopyAndClaim {
    type Producer = Claimer;

    fn open(_: OwnedFd) -> Outcome<Self> {
        Ok(Self::default())
    }

    fn producer(&mut self) -> Outcome<Claimer> {
        Ok(Claimer {
            bytes: Bytes::new(),
            head: Arc::clone(&self.0),
        })
    }

    fn finish(self) -> Outcome<()> {
        Ok(())
    }
}

impl Append for Claimer {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let claim = |head| Some(head + record.len() as u64);
        // The same ordering as a claim of the ring; nothing here depends on it.
        let start = self
            .head
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, claim)
            .unwrap_or_default();
        self.bytes.copy(start, record);
        Ok(())
    }
}

/// [`super::case::Contestant::Blocks`], for one producer.
#[derive(Debug)]
pub struct Blocks(File);

#[derive(Debug)]
pub struct Block {
    file: File,
    bytes: Vec<u8>,
}

impl Log for Blocks {
    type Producer = Block;

    fn open(log: OwnedFd) -> Outcome<Self> {
        Ok(Self(log.into()))
    }

    fn producer(&mut self) -> Outcome<Block> {
        Ok(Block {
            file: self.0.try_clone()?,
            bytes: Vec::with_capacity(BLOCK),
        })
    }

    fn finish(self) -> Outcome<()> {
        Ok(())
    }
}

impl Append for Block {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if self.bytes.len() + record.len() > BLOCK {
            self.finish()?;
        }
        self.bytes.extend_from_slice(record);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

/// [`super::case::Contestant::Shared`]
#[derive(Debug)]
pub struct Shared(Queue);

/// [`super::case::Contestant::Lane`]
#[derive(Debug)]
pub struct Lanes(Queue);

fn open(log: OwnedFd) -> Outcome<Queue> {
    Ok(Options::new().capacity(CAPACITY).from_fd(log)?)
}

impl Log for Shared {
    type Producer = Queue;

    fn open(log: OwnedFd) -> Outcome<Self> {
        open(log).map(Self)
    }

    fn producer(&mut self) -> Outcome<Queue> {
        Ok(self.0.clone())
    }

    fn finish(self) -> Outcome<()> {
        Ok(self.0.close(None)?)
    }
}

impl Log for Lanes {
    type Producer = Lane;

    fn open(log: OwnedFd) -> Outcome<Self> {
        open(log).map(Self)
    }

    fn producer(&mut self) -> Outcome<Lane> {
        Ok(self.0.lane())
    }

    fn finish(self) -> Outcome<()> {
        Ok(self.0.close(None)?)
    }
}

impl Append for Queue {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.writen(record, Flags::WAITOK)?;
        Ok(())
    }

    #[inline]
    fn try_append(&mut self, record: &[u8]) -> bool {
        self.writen(record, Flags::NOWAIT).is_ok()
    }
}

impl Append for Lane {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.writen(record, Flags::WAITOK)?;
        Ok(())
    }

    #[inline]
    fn try_append(&mut self, record: &[u8]) -> bool {
        self.writen(record, Flags::NOWAIT).is_ok()
    }
}
