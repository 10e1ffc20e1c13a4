//! The far end: it keeps what it gets, and does to the flusher what descriptors do.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

use alq::{Sink, SyncOp};
use shuttle::thread::yield_now;

use crate::runner::{below, is_one_in};

/// What a far end may do besides taking everything at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing else.
    Calm,
    /// It takes less than it is given, is interrupted, not ready, or full for a while.
    Awkward,
    /// The same, and one write in so many fails for good.
    Failing(usize),
}

/// A file in memory.
#[derive(Clone, Debug)]
pub struct FarEnd {
    mood: Mood,
    /// A lock of the standard library: never held while another thread may get its turn.
    file: Arc<Mutex<File>>,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// How many bytes were there when the last sync began that has returned.
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

    /// What a sync has covered.
    pub fn synced(&self) -> Vec<u8> {
        let file = self.file.lock().unwrap();
        file.bytes[..file.synced].to_vec()
    }

    /// What goes wrong with this write, if anything.
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
        yield_now(); // a system call takes its time
        if let Some(error) = self.trouble() {
            return Err(error);
        }
        let len: usize = runs.iter().map(|run| run.len()).sum();
        let is_short = self.mood != Mood::Calm && is_one_in(4);
        let taken = if is_short { 1 + below(len) } else { len };
        let bytes = runs.iter().flat_map(|run| run.iter());
        self.file.lock().unwrap().bytes.extend(bytes.take(taken));
        yield_now(); // what is written may be seen before the flusher goes on
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
