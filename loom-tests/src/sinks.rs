//! Sinks that check who reads what: cells that are no atomics beside what they keep.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alq::model::{Geometry, Heap, Memory as _, Sink};

/// Cells that are no atomics: an access without a happens-before edge to the last one fails the
/// model, even if the values are right.
#[derive(Clone, Debug)]
pub struct Cells(Arc<Heap>);

impl Cells {
    const COUNT: u32 = 64;

    pub fn new() -> Self {
        Self(Arc::new(Heap::new(Geometry::new(Self::COUNT, 4))))
    }

    pub fn write(&self, first: usize, len: usize) {
        assert!(first + len <= Self::COUNT as usize);
        self.0.begin_write(first as u32, len as u32);
    }

    pub fn read(&self, first: usize, len: usize) {
        self.0.begin_read(first as u32, len as u32);
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::new()
    }
}

/// A sink that keeps its bytes, with a cell for each byte. So the model fails if a thread reads a
/// byte without a happens-before edge from its write.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    file: Arc<Mutex<Vec<u8>>>,
    cells: Cells,
}

impl Memory {
    /// All bytes written so far.
    pub fn contents(&self) -> Vec<u8> {
        let file = self.file.lock().unwrap();
        self.cells.read(0, file.len());
        file.clone()
    }

    /// The first `len` bytes, while more may be written.
    pub fn first(&self, len: u64) -> Vec<u8> {
        let len = len as usize;
        self.cells.read(0, len);
        self.file.lock().unwrap()[..len].to_vec()
    }
}

impl Sink for Memory {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap();
        let before = file.len();
        runs.iter().for_each(|run| file.extend_from_slice(run));
        let taken = file.len() - before;
        self.cells.write(before, taken);
        Ok(taken)
    }

    fn wait_ready(&self, _limit: Duration) -> io::Result<()> {
        unreachable!("this sink is always ready")
    }

    fn sync(&self, _op: alq::SyncOp) -> io::Result<()> {
        Ok(())
    }
}

/// A sink whose drop writes a cell. A thread that reads the cell without a happens-before edge from
/// the drop fails the model.
#[derive(Debug, Default)]
pub struct Dropped {
    pub cells: Cells,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.cells.write(0, 1);
    }
}

impl Sink for Dropped {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(runs.iter().map(|run| run.len()).sum())
    }

    fn sync(&self, _op: alq::SyncOp) -> io::Result<()> {
        Ok(())
    }
}
