//! The limits of a queue of this kind, and the alternatives without a queue.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::contestant::{Append, Contestant, Leaves, Log};

/// The ring of each contestant that has one.
pub const CAPACITY: usize = 1 << 20;

pub const COPY: Contestant = Contestant::of::<Copy>();
pub const COPY_AND_CAS: Contestant = Contestant::of::<CopyAndCas>();
pub const WRITE_64K: Contestant = Contestant::of::<Blocks>();
pub const WRITE_EACH: Contestant = Contestant::of::<WriteEach>();
pub const BUFFERED: Contestant = Contestant::of::<Buffered>();
pub const LOCKED: Contestant = Contestant::of::<Locked>();

pub fn append_to(path: &Path) -> File {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.expect("a file to append to")
}

/// A buffer that copies go to, again and again.
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
pub struct Copy;

impl Log for Copy {
    const NAME: &'static str = "memcpy";
    const LEAVES: Leaves = Leaves::Nothing;
    type Producer = Copier;

    fn open(_: &Path) -> Self {
        Self
    }

    fn producer(&mut self) -> Copier {
        let ring = Ring::new();
        Copier { ring, pos: 0 }
    }

    fn finish(self) -> u64 {
        0
    }
}

pub struct Copier {
    ring: Ring,
    pos: usize,
}

impl Append for Copier {
    #[inline]
    fn append(&mut self, record: &[u8]) {
        self.ring.copy(self.pos, record);
        self.pos += record.len();
    }
}

/// One compare-and-swap claims from a shared head, then the copy. Each producer copies to a private
/// ring, because nothing here prevents two producers from copying to the same place. With several
/// producers, a real shared ring costs more.
pub struct CopyAndCas(Arc<AtomicU64>);

impl Log for CopyAndCas {
    const NAME: &'static str = "memcpy + CAS";
    const LEAVES: Leaves = Leaves::Nothing;
    type Producer = Claimer;

    fn open(_: &Path) -> Self {
        Self(Arc::default())
    }

    fn producer(&mut self) -> Claimer {
        let head = self.0.clone();
        let ring = Ring::new();
        Claimer { ring, head }
    }

    fn finish(self) -> u64 {
        0
    }
}

pub struct Claimer {
    ring: Ring,
    head: Arc<AtomicU64>,
}

impl Append for Claimer {
    #[inline]
    fn append(&mut self, record: &[u8]) {
        let len = record.len() as u64;
        let mut head = self.head.load(Ordering::Acquire);
        while let Err(now) =
            self.head
                .compare_exchange_weak(head, head + len, Ordering::AcqRel, Ordering::Acquire)
        {
            head = now;
        }
        self.ring.copy(head as usize, record);
    }
}

/// Blocks of 64 KiB, filled and written by the caller.
pub struct Blocks(Option<File>);

impl Log for Blocks {
    const NAME: &'static str = "write(2), 64 KiB";
    const PRODUCERS: usize = 1;
    type Producer = Block;

    fn open(path: &Path) -> Self {
        Self(Some(append_to(path)))
    }

    fn producer(&mut self) -> Block {
        Block {
            file: self.0.take().expect("one producer"),
            bytes: Vec::with_capacity(1 << 16),
        }
    }

    fn finish(self) -> u64 {
        0
    }
}

pub struct Block {
    file: File,
    bytes: Vec<u8>,
}

impl Block {
    fn write(&mut self) {
        self.file.write_all(&self.bytes).expect("it takes all");
        self.bytes.clear();
    }
}

impl Append for Block {
    #[inline]
    fn append(&mut self, record: &[u8]) {
        if self.bytes.len() + record.len() > self.bytes.capacity() {
            self.write();
        }
        self.bytes.extend_from_slice(record);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.write();
    }
}

/// One write(2) a record.
pub struct WriteEach(Arc<File>);

impl Log for WriteEach {
    const NAME: &'static str = "write(2) each";
    type Producer = Arc<File>;

    fn open(path: &Path) -> Self {
        Self(Arc::new(append_to(path)))
    }

    fn producer(&mut self) -> Arc<File> {
        self.0.clone()
    }

    fn finish(self) -> u64 {
        0
    }
}

impl Append for Arc<File> {
    #[inline]
    fn append(&mut self, record: &[u8]) {
        (&**self).write_all(record).expect("it takes all");
    }
}

/// A `BufWriter` of 64 KiB, used by one thread.
pub struct Buffered(Option<File>);

impl Log for Buffered {
    const NAME: &'static str = "BufWriter";
    const PRODUCERS: usize = 1;
    type Producer = BufWriter<File>;

    fn open(path: &Path) -> Self {
        Self(Some(append_to(path)))
    }

    fn producer(&mut self) -> BufWriter<File> {
        BufWriter::with_capacity(1 << 16, self.0.take().expect("one producer"))
    }

    /// The drop of the writer writes the rest.
    fn finish(self) -> u64 {
        0
    }
}

impl Append for BufWriter<File> {
    #[inline]
    fn append(&mut self, record: &[u8]) {
        self.write_all(record).expect("it takes all");
    }
}

/// A `BufWriter` with a lock, for any number of producers.
pub struct Locked(Arc<Mutex<BufWriter<File>>>);

impl Log for Locked {
    const NAME: &'static str = "Mutex<BufWriter>";
    type Producer = Arc<Mutex<BufWriter<File>>>;

    fn open(path: &Path) -> Self {
        let writer = BufWriter::with_capacity(1 << 16, append_to(path));
        Self(Arc::new(Mutex::new(writer)))
    }

    fn producer(&mut self) -> Self::Producer {
        self.0.clone()
    }

    fn finish(self) -> u64 {
        let mut writer = self.0.lock().expect("no producer panicked");
        writer.flush().expect("it takes all");
        0
    }
}

impl Append for Arc<Mutex<BufWriter<File>>> {
    #[inline]
    fn append(&mut self, record: &[u8]) {
        let mut writer = self.lock().expect("no producer panicked");
        writer.write_all(record).expect("it takes all");
    }
}
