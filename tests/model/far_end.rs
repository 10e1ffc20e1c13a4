//! The far end: a file in memory that does as it is told; and, after a reopen, files on a disk.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use alq::{Sink, SyncOp};
use tempfile::TempDir;

use super::op::Trouble;

pub const EIO: i32 = 5;
const EAGAIN: i32 = 11;
const ENOSPC: i32 = 28;

impl Trouble {
    const fn errno(self) -> i32 {
        match self {
            Self::NotReady => EAGAIN,
            Self::NoSpace => ENOSPC,
            Self::Failed => EIO,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    synced: usize,
    /// How many bytes fit in all, and what comes then.
    limit: Option<(usize, Trouble)>,
    piece: Option<usize>,
    next_sync_fails: bool,
}

/// The first far end of a queue.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Memory {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (state, changed) = &*self.state;
        let result = change(&mut state.lock().unwrap());
        changed.notify_all();
        result
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.change(|state| state.bytes.clone())
    }

    pub fn synced(&self) -> usize {
        self.change(|state| state.synced)
    }

    /// Takes `room` bytes more; says how many that are in all.
    pub fn limit(&self, room: usize, trouble: Trouble) -> usize {
        self.change(|state| {
            let limit = state.bytes.len() + room;
            state.limit = Some((limit, trouble));
            limit
        })
    }

    pub fn unlimit(&self) {
        self.change(|state| state.limit = None);
    }

    pub fn take_in_pieces(&self, len: usize) {
        self.change(|state| state.piece = (len > 0).then_some(len));
    }

    pub fn fail_next_sync(&self, fails: bool) {
        self.change(|state| state.next_sync_fails = fails);
    }
}

impl Sink for Memory {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.change(|state| {
            let len = runs.iter().map(|run| run.len()).sum::<usize>();
            let mut taken = state.piece.map_or(len, |piece| len.min(piece));
            if let Some((limit, trouble)) = state.limit {
                taken = taken.min(limit - state.bytes.len());
                if taken == 0 {
                    return Err(io::Error::from_raw_os_error(trouble.errno()));
                }
            }
            let bytes = runs.iter().flat_map(|run| run.iter());
            state.bytes.extend(bytes.take(taken));
            Ok(taken)
        })
    }

    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        let (state, changed) = &*self.state;
        let is_full = |state: &mut State| {
            state
                .limit
                .is_some_and(|(limit, _)| limit == state.bytes.len())
        };
        let state = state.lock().unwrap();
        // A close that has given up need not wait longer.
        let limit = limit.min(Duration::from_millis(5));
        drop(changed.wait_timeout_while(state, limit, is_full).unwrap());
        Ok(())
    }

    fn sync(&self, _op: SyncOp) -> io::Result<()> {
        self.change(|state| {
            if std::mem::take(&mut state.next_sync_fails) {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            state.synced = state.bytes.len();
            Ok(())
        })
    }
}

/// Files that have taken over, in their order.
#[derive(Debug, Default)]
pub struct Files {
    dir: Option<TempDir>,
    count: usize,
}

impl Files {
    fn path(&self, index: usize) -> PathBuf {
        self.dir
            .as_ref()
            .expect("there is one")
            .path()
            .join(index.to_string())
    }

    /// The file that is to take over: the last one once more, or a new one.
    pub fn next(&mut self, same: bool) -> File {
        // In memory where that can be: nothing here is about disks.
        let dir = || {
            tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap()
        };
        self.dir.get_or_insert_with(dir);
        if !(same && self.count > 0) {
            self.count += 1;
        }
        let path = self.path(self.count - 1);
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap()
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn bytes(&self) -> Vec<u8> {
        (0..self.count)
            .flat_map(|index| fs::read(self.path(index)).unwrap())
            .collect()
    }
}
