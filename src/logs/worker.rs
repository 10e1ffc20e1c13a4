//! Lists what the background thread has to do. It knows nothing of the log and touches no file;
//! `background` does the work.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::RotateError;
use super::error::Reason;
use super::name::Key;
use crate::primitives::Event;
use crate::primitives::sync::{AtomicBool, Mutex, Ordering, ThreadId};

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) work: Mutex<Work>,
    /// Notified when a part of the work is done.
    pub(super) changed: Event,
    is_stopped: AtomicBool,
    /// Whether it was reported that too little room is free.
    is_short: AtomicBool,
}

/// The failed tries to pack one file.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failed: u32,
    /// How many passes skip the file before the next try.
    skip: u64,
}

#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) thread: Thread,
    /// Whether a rotation or a check was requested, which may be possible at once.
    wants_look: bool,
    /// Whether a pass over the rotated files is due.
    wants_pass: bool,
    /// Rotated files for which the hook has not been called.
    rotated: Vec<Key>,
    /// Files that a ring file may still name as the place of a write. They are not touched.
    pinned: Vec<Key>,
    errors: VecDeque<RotateError>,
    tries: BTreeMap<Key, Tries>,
    /// Why packing failed when that was last reported; `None` once a file is packed.
    pack_failure: Option<Reason>,
    /// Which files this process cut off, and when.
    cuts: Vec<(Key, Instant)>,
    /// A rotation is due and fails.
    pub(super) is_failing: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Thread {
    #[default]
    None,
    /// Started; its id is not known yet.
    Starting,
    Running(ThreadId),
}

pub(super) enum Job {
    Report(RotateError),
    Look,
    Pass(Vec<Key>),
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        !self.wants_look && !self.wants_pass && self.errors.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<Job> {
        if let Some(error) = self.errors.pop_front() {
            return Some(Job::Report(error));
        }
        if core::mem::take(&mut self.wants_look) {
            return Some(Job::Look);
        }
        let wants_pass = core::mem::take(&mut self.wants_pass);
        wants_pass.then(|| Job::Pass(core::mem::take(&mut self.rotated)))
    }
}

/// How many errors may wait for the hook. Further ones are dropped.
const ERRORS_MAX: usize = 64;

impl Worker {
    pub fn new() -> Self {
        Self {
            work: Mutex::new(Work::default()),
            changed: Event::new(),
            is_stopped: AtomicBool::new(false),
            is_short: AtomicBool::new(false),
        }
    }

    pub fn stop_packing(&self) {
        // Relaxed: it carries no data, and the packer checks it again and again.
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        // Relaxed: as above.
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Whether this pass tries to pack the file at `key`. Each failure doubles the number of passes
    /// that skip the file, so the work for failing files does not grow quadratically.
    pub fn may_try(&self, key: Key) -> bool {
        let mut work = self.work.lock();
        let Some(tries) = work.tries.get_mut(&key) else {
            return true;
        };
        let may_try = tries.skip == 0;
        tries.skip = tries.skip.saturating_sub(1);
        may_try
    }

    pub fn has_failed(&self, key: Key) {
        let mut work = self.work.lock();
        let tries = work.tries.entry(key).or_default();
        tries.skip = (1 << tries.failed.min(16)) - 1;
        tries.failed += 1;
    }

    /// The file at `key` is packed or deleted: forgets it.
    pub fn forget(&self, key: Key) {
        let mut work = self.work.lock();
        work.tries.remove(&key);
        work.cuts.retain(|(cut, _)| *cut != key);
    }

    /// Which files this process cut off, and when.
    pub fn cuts(&self) -> Vec<(Key, Instant)> {
        self.work.lock().cuts.clone()
    }

    /// The file at `key` now has the name of `to`.
    pub fn renamed(&self, key: Key, to: Key) {
        let mut work = self.work.lock();
        for (cut, _) in &mut work.cuts {
            if *cut == key {
                *cut = to;
            }
        }
        for unhooked in &mut work.rotated {
            if *unhooked == key {
                *unhooked = to;
            }
        }
    }

    /// Asks for a pass over the rotated files. The caller starts the thread.
    pub fn want_pass(&self) {
        self.work.lock().wants_pass = true;
    }

    /// Sets `request`, and notes that it may be possible to serve it at once.
    pub fn request(&self, request: &AtomicBool) {
        let mut work = self.work.lock();
        // Relaxed: the lock, which `take` waits for, carries what the caller did before.
        request.store(true, Ordering::Relaxed);
        work.wants_look = true;
    }

    /// Withdraws `request`, if it is set. What its caller did before it is visible then, such as
    /// the rename of a file.
    pub fn take(&self, request: &AtomicBool) -> bool {
        // Relaxed on both: see `request`.
        let is_set = || request.load(Ordering::Relaxed);
        is_set() && {
            let _work = self.work.lock();
            request.swap(false, Ordering::Relaxed)
        }
    }

    /// Takes the note that a request may be possible; the caller serves it now.
    pub fn take_look(&self) -> bool {
        core::mem::take(&mut self.work.lock().wants_look)
    }

    /// Keeps the file at `key` from being packed or deleted, until `unpin`.
    pub fn pin(&self, key: Key) {
        self.work.lock().pinned.push(key);
    }

    /// Releases all pinned files: no ring file names a file that was cut off.
    pub fn unpin(&self) {
        let mut work = self.work.lock();
        if !work.pinned.is_empty() {
            work.pinned.clear();
            work.wants_pass = true;
        }
    }

    pub fn pinned(&self) -> Vec<Key> {
        self.work.lock().pinned.clone()
    }

    /// Another file has taken over; the old one is now at `key`.
    pub fn has_rotated(&self, key: Option<Key>) {
        let mut work = self.work.lock();
        work.is_failing = false;
        work.wants_pass = true;
        work.rotated.extend(key);
        work.cuts.extend(key.map(|key| (key, Instant::now())));
    }

    /// Returns files for which the hook must be called in the next pass.
    pub fn hook_later(&self, keys: Vec<Key>) {
        let mut work = self.work.lock();
        let later = core::mem::replace(&mut work.rotated, keys);
        work.rotated.extend(later);
    }

    /// A rotation has failed. `error` is set if the hook has not been called with it yet.
    pub fn report_failing(&self, error: Option<RotateError>) {
        self.work.lock().is_failing = true;
        if let Some(error) = error {
            self.report(error);
        }
        self.notify();
    }

    pub fn report(&self, error: RotateError) {
        let mut work = self.work.lock();
        if work.errors.len() < ERRORS_MAX {
            work.errors.push_back(error);
        }
    }

    /// A file could not be packed. Reports it, unless packing has failed for the same reason since
    /// the last file was packed: a full disk would be reported for each file, again and again.
    pub fn report_packing(&self, error: RotateError) {
        let reason = Some(error.reason());
        let before = core::mem::replace(&mut self.work.lock().pack_failure, reason);
        if before != reason {
            self.report(error);
        }
    }

    /// Too little room is free, or that is unknown. Reports it, unless that was reported since there
    /// was enough.
    pub fn report_short(&self, error: RotateError) {
        // Relaxed: only the background thread uses it.
        if !self.is_short.swap(true, Ordering::Relaxed) {
            self.report(error);
        }
    }

    /// Enough room is free: the next lack of it is reported.
    pub fn has_room(&self) {
        // Relaxed: as above.
        self.is_short.store(false, Ordering::Relaxed);
    }

    /// A file is packed: the next failure is reported.
    pub fn has_packed(&self) {
        self.work.lock().pack_failure = None;
    }

    /// Calls the hook for all errors at once, on this thread.
    #[cfg(test)]
    pub fn call_hook_for_errors(&self, rotation: &super::Rotation) {
        let errors = core::mem::take(&mut self.work.lock().errors);
        let hook = rotation.on_error.as_ref().unwrap();
        errors.iter().for_each(|error| hook(error));
    }

    /// Wakes the callers that wait for this work.
    pub fn notify(&self) {
        self.changed.notify();
    }
}
