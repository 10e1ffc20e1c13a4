//! The sink: it keeps its bytes, and makes the same trouble to the flusher as descriptors do.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

use alq::{Sink, SyncOp};
use shuttle::thread::yield_now;

use crate::runner::{below, is_one_in};

/// The trouble that a sink may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It takes all bytes at once.
    Calm,
    /// It may take only a part, be interrupted, not be ready, or be full for a while.
    Awkward,
    /// As `Awkward`, and one write in this many fails for good.
    Failing(usize),
}

/// A file in memory.
#[derive(Clone, Debug)]
pub struct FarEnd {
    mood: Mood,
    /// A lock of the standard library. It is never held while another thread may get its turn.
    file: Arc<Mutex<File>>,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// The number of bytes that the syncs that have returned cover.
    synced: usize,
    has_failed: bool,
}

impl FarEnd {
    pub fn new(mood: Mood) -> Self {
        Self {
            mood,
            file: Arc::default(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.file.lock().unwrap().bytes.clone()
    }

    /// The bytes that syncs have covered.
    pub fn synced(&self) -> Vec<u8> {
        let file = self.file.lock().unwrap();
        file.bytes[..file.synced].to_vec()
    }

    /// The trouble of this write, if any.
    fn trouble(&self) -> Option<io::Error> {
        if self.mood == Mood::Calm {
            return None;
        }
        if let Mood::Failing(count) = self.mood {
            let mut file = self.file.lock().unwrap();
            if file.has_failed || is_one_in(count) {
                file.has_failed = true;
                return Some(io::Error::from_raw_os_error(libc::EIO));
            }
        }
        let errno = match below(20) {
            0 => libc::EINTR,
            1 => libc::EAGAIN,
            2 => libc::ENOSPC,
            _ => return None,
        };
        Some(io::Error::from_raw_os_error(errno))
    }
}

impl Sink for FarEnd {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        yield_now(); // a system call takes time
        if let Some(error) = self.trouble() {
            return Err(error);
        }
        let len: usize = runs.iter().map(|run| run.len()).sum();
        let is_short = self.mood != Mood::Calm && is_one_in(4);
        let taken = if is_short { 1 + below(len) } else { len };
        let bytes = runs.iter().flat_map(|run| run.iter());
        self.file.lock().unwrap().bytes.extend(bytes.take(taken));
        yield_now(); // the bytes may be seen before the flusher continues
        Ok(taken)
    }

    fn sync(&self, _op: SyncOp) -> io::Result<()> {
        let covered = self.file.lock().unwrap().bytes.len();
        yield_now();
        let mut file = self.file.lock().unwrap();
        file.synced = file.synced.max(covered);
        Ok(())
    }
}
