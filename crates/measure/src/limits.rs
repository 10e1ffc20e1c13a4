//! The limits of a queue of this kind, and the alternatives without a queue.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Outcome;
use crate::contestant::{Append, Contestant, Leaves, Log};

/// The capacity of each contestant's ring in bytes.
pub const CAPACITY: usize = 1 << 20;

/// [`struct@Copy`], as a value.
pub const COPY: Contestant = Contestant::of::<Copy>();
/// [`CopyAndCas`], as a value.
pub const COPY_AND_CAS: Contestant = Contestant::of::<CopyAndCas>();
/// [`Blocks`], as a value.
pub const WRITE_64K: Contestant = Contestant::of::<Blocks>();
/// [`WriteEach`], as a value.
pub const WRITE_EACH: Contestant = Contestant::of::<WriteEach>();
/// [`Buffered`], as a value.
pub const BUFFERED: Contestant = Contestant::of::<Buffered>();
/// [`Locked`], as a value.
pub const LOCKED: Contestant = Contestant::of::<Locked>();

/// Opens a file to append to, and creates it if it is missing.
///
/// # Errors
///
/// If the file cannot be opened.
pub fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The error of a second producer.
fn one_producer() -> String {
    "there is one producer at most".to_owned()
}

/// A buffer that copies go to, again and again.
#[derive(Debug)]
pub struct Ring(Vec<u8>);

impl Ring {
    fn new() -> Self {
        Self(vec![1; CAPACITY + (1 << 16)])
    }

    #[inline]
    fn copy(&mut self, pos: usize, record: &[u8]) {
        let start = pos & (CAPACITY - 1);
        self.0[start..start + record.len()].copy_from_slice(record);
        black_box(&mut self.0);
    }
}

/// A copy into a ring, and nothing else.
#[derive(Debug)]
pub struct Copy;

impl Log for Copy {
    const NAME: &'static str = "memcpy";
    const LEAVES: Leaves = Leaves::Nothing;
    type Producer = Copier;

    fn open(_: &Path) -> Outcome<Self> {
        Ok(Self)
    }

    fn producer(&mut self) -> Outcome<Copier> {
        let ring = Ring::new();
        Ok(Copier { ring, pos: 0 })
    }

    fn finish(self) -> Outcome<u64> {
        Ok(0)
    }
}

/// The producer of [`struct@Copy`].
#[derive(Debug)]
pub struct Copier {
    ring: Ring,
    pos: usize,
}

impl Append for Copier {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.ring.copy(self.pos, record);
        self.pos += record.len();
        Ok(())
    }
}

/// One compare-and-swap claims from a shared head, then the copy. Each producer copies to a private
/// ring, because nothing here prevents two producers from copying to the same place. With several
/// producers, a real shared ring costs more.
#[derive(Debug)]
pub struct CopyAndCas(Arc<AtomicU64>);

impl Log for CopyAndCas {
    const NAME: &'static str = "memcpy + CAS";
    const LEAVES: Leaves = Leaves::Nothing;
    type Producer = Claimer;

    fn open(_: &Path) -> Outcome<Self> {
        Ok(Self(Arc::default()))
    }

    fn producer(&mut self) -> Outcome<Claimer> {
        let head = self.0.clone();
        let ring = Ring::new();
        Ok(Claimer { ring, head })
    }

    fn finish(self) -> Outcome<u64> {
        Ok(0)
    }
}

/// The producer of [`CopyAndCas`].
#[derive(Debug)]
pub struct Claimer {
    ring: Ring,
    head: Arc<AtomicU64>,
}

impl Append for Claimer {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let len = record.len() as u64;
        let mut head = self.head.load(Ordering::Acquire);
        while let Err(now) =
            self.head
                .compare_exchange_weak(head, head + len, Ordering::AcqRel, Ordering::Acquire)
        {
            head = now;
        }
        self.ring.copy(head as usize, record);
        Ok(())
    }
}

/// Blocks of 64 KiB, filled and written by the caller.
#[derive(Debug)]
pub struct Blocks(Option<File>);

impl Log for Blocks {
    const NAME: &'static str = "write(2), 64 KiB";
    const PRODUCERS: usize = 1;
    type Producer = Block;

    fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(Some(append_to(path)?)))
    }

    fn producer(&mut self) -> Outcome<Block> {
        Ok(Block {
            file: self.0.take().ok_or_else(one_producer)?,
            bytes: Vec::with_capacity(1 << 16),
        })
    }

    fn finish(self) -> Outcome<u64> {
        Ok(0)
    }
}

/// The producer of [`Blocks`].
#[derive(Debug)]
pub struct Block {
    file: File,
    bytes: Vec<u8>,
}

impl Block {
    fn write(&mut self) -> io::Result<()> {
        self.file.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

impl Append for Block {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if self.bytes.len() + record.len() > self.bytes.capacity() {
            self.write()?;
        }
        self.bytes.extend_from_slice(record);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.write()
    }
}

/// One write(2) a record.
#[derive(Debug)]
pub struct WriteEach(Arc<File>);

impl Log for WriteEach {
    const NAME: &'static str = "write(2) each";
    type Producer = Arc<File>;

    fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(Arc::new(append_to(path)?)))
    }

    fn producer(&mut self) -> Outcome<Arc<File>> {
        Ok(self.0.clone())
    }

    fn finish(self) -> Outcome<u64> {
        Ok(0)
    }
}

impl Append for Arc<File> {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        (&**self).write_all(record)
    }
}

/// A `BufWriter` of 64 KiB, used by one thread.
#[derive(Debug)]
pub struct Buffered(Option<File>);

impl Log for Buffered {
    const NAME: &'static str = "BufWriter";
    const PRODUCERS: usize = 1;
    type Producer = BufWriter<File>;

    fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(Some(append_to(path)?)))
    }

    fn producer(&mut self) -> Outcome<BufWriter<File>> {
        let file = self.0.take().ok_or_else(one_producer)?;
        Ok(BufWriter::with_capacity(1 << 16, file))
    }

    /// The producer has written the rest.
    fn finish(self) -> Outcome<u64> {
        Ok(0)
    }
}

impl Append for BufWriter<File> {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.write_all(record)
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// A `BufWriter` with a lock, for any number of producers.
#[derive(Debug)]
pub struct Locked(Arc<Mutex<BufWriter<File>>>);

impl Log for Locked {
    const NAME: &'static str = "Mutex<BufWriter>";
    type Producer = Arc<Mutex<BufWriter<File>>>;

    fn open(path: &Path) -> Outcome<Self> {
        let writer = BufWriter::with_capacity(1 << 16, append_to(path)?);
        Ok(Self(Arc::new(Mutex::new(writer))))
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        Ok(self.0.clone())
    }

    fn finish(self) -> Outcome<u64> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.flush()?;
        Ok(0)
    }
}

impl Append for Arc<Mutex<BufWriter<File>>> {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let mut writer = self.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(record)
    }
}
