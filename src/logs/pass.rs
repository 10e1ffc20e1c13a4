//! The work after a rotation: packs the rotated files, calls the hook, and deletes old files.
//!
//! The folder says what there is to do, so the next pass finds what a failure or a kill has left.
//! It touches only regular files that have exactly one of our names, belong to our user and have
//! one link. It never touches the log.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::age::{ages, is_from_the_future};
use super::folder::Folder;
use super::found::{self, Found};
use super::log::Log;
use super::name::{Key, Kind};
use super::rotation::Hook;
use super::{Compression, RotateError};

/// One rotated file in all its forms. More than one form exists only after a kill.
#[derive(Debug)]
pub(super) struct Rotated {
    pub key: Key,
    pub plain: Option<Found>,
    pub packed: Vec<Found>,
}

impl Rotated {
    pub fn files(&self) -> impl Iterator<Item = &Found> {
        self.plain.iter().chain(&self.packed)
    }

    pub fn len(&self) -> u64 {
        self.files().map(|one| one.len).sum()
    }

    /// The time of the last write.
    pub fn modified(&self) -> i64 {
        self.files()
            .map(|one| one.modified)
            .min()
            .unwrap_or(i64::MAX)
    }
}

impl Log {
    /// Goes through the rotated files once. The hook has not yet been called for the files in
    /// `unhooked`. Called by the background thread.
    pub(super) fn go_through(&self, unhooked: Vec<Key>) {
        let last = self.state.lock().last;
        let folder = self.folder.snapshot();
        let found = folder.and_then(|folder| Ok((self.rotated(&folder)?, folder)));
        let (mut rotated, folder) = match found {
            Ok(found) => found,
            Err(error) => {
                let error = RotateError::new("list the rotated files", self.folder.path(), error);
                self.worker.report(error);
                return self.worker.hook_later(unhooked);
            }
        };
        let mut unhooked = unhooked;
        self.put_names_right(&folder, &mut rotated, &mut unhooked, last)
            .unwrap_or_else(|error| self.worker.report(error));
        // Read after the list: a cut pins a file before the list can hold it.
        let pinned = self.worker.pinned();
        rotated.retain(|one| !pinned.contains(&one.key));
        self.delete_by_count_and_age(&folder, &mut rotated);
        let is_pinned = |key: &&Key| pinned.contains(key);
        let mut later: Vec<Key> = unhooked.iter().filter(is_pinned).copied().collect();
        for one in &mut rotated {
            if self.worker.take_look() {
                self.attend(); // a requested rotation does not wait until all files are packed
            }
            let is_new = unhooked.contains(&one.key);
            match self.pack(&folder, one) {
                Packed::Now => {
                    self.worker.has_packed();
                    self.call_hook(&folder, one);
                }
                Packed::Before if is_new => self.call_hook(&folder, one),
                Packed::Before => {}
                Packed::Later => later.extend(is_new.then_some(one.key)),
                Packed::Failed(error) => {
                    self.worker.report_packing(error);
                    later.extend(is_new.then_some(one.key));
                }
            }
        }
        if !later.is_empty() {
            self.worker.hook_later(later);
        }
        let rest = self.delete_by_bytes(&folder, &rotated);
        self.delete_for_room(&folder, rest);
    }

    fn rotated(&self, folder: &Folder) -> io::Result<Vec<Rotated>> {
        let found = found::list(folder, &self.names)?;
        // Read after the list: a cut renames the log before another file takes over.
        let log = self.durable.id();
        let mut rotated: Vec<Rotated> = Vec::new();
        for found in found {
            let Kind::Rotated(form) = found.kind else {
                continue;
            };
            if found.id == log || !found.is_ours {
                continue; // the log itself, after a rotation that failed half-way, or not our file
            }
            if rotated.last().is_none_or(|last| last.key != found.key) {
                rotated.push(Rotated {
                    key: found.key,
                    plain: None,
                    packed: Vec::new(),
                });
            }
            let last = rotated.last_mut().expect("pushed if there was none");
            match form {
                Compression::None => last.plain = Some(found),
                _ => last.packed.push(found),
            }
        }
        Ok(rotated)
    }

    /// Gives trusted times, in order, to files with names from the future, which come from a wrong
    /// clock. Later names then need not continue from the wrong time. `last` was the newest name
    /// before the files were listed.
    fn put_names_right(
        &self,
        folder: &Folder,
        rotated: &mut [Rotated],
        unhooked: &mut [Key],
        last: Option<Key>,
    ) -> Result<(), RotateError> {
        let now = self.rotation.now();
        if last.is_none_or(|last| !is_from_the_future(last, now)) {
            return Ok(());
        }
        let first = rotated.partition_point(|one| !is_from_the_future(one.key, now));
        let (before, wrong) = rotated.split_at_mut(first);
        let pinned = self.worker.pinned();
        if wrong.iter().any(|one| pinned.contains(&one.key)) {
            return Ok(());
        }
        let times: Vec<_> = wrong.iter().map(|one| (one.key, one.modified())).collect();
        let ages = ages(&times, &self.worker.cuts(), now);
        let failed = |error| RotateError::new("rename rotated files", folder.path(), error);
        for one in &*wrong {
            let settled = self.durable.settle(one.key, folder, &self.names);
            settled.map_err(failed)?;
        }
        let mut state = self.state.lock();
        if state.last != last {
            return Ok(()); // the log was cut in between, so another pass follows
        }
        let mut newest = before.last().map(|one| one.key);
        for (one, age) in wrong.iter_mut().zip(ages) {
            let key = Key::after(newest, now - age)
                .ok_or_else(|| failed(io::Error::from_raw_os_error(libc::EOVERFLOW)))?;
            for file in one.plain.iter_mut().chain(&mut one.packed) {
                let Kind::Rotated(form) = file.kind else {
                    continue;
                };
                let name = self.names.rotated(key, form);
                folder.rename_new(&file.name, &name).map_err(failed)?;
                (file.name, file.key) = (name, key);
            }
            unhooked
                .iter_mut()
                .filter(|unhooked| **unhooked == one.key)
                .for_each(|unhooked| *unhooked = key);
            self.worker.renamed(one.key, key);
            one.key = key;
            newest = Some(key);
        }
        state.last = newest;
        Ok(())
    }

    fn call_hook(&self, folder: &Folder, rotated: &Rotated) {
        if let Some(file) = rotated.files().next() {
            let hook = self.rotation.on_rotated.as_deref();
            call(hook, &folder.path_of(&file.name));
        }
    }
}

/// Calls a hook, if there is one. A panic in it must not keep it from the other files.
pub(super) fn call(hook: Option<&Hook>, path: &Path) {
    let Some(hook) = hook else { return };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hook(path))) {
        core::mem::forget(payload); // its drop might panic again
    }
}

/// The result of packing one file.
#[derive(Debug)]
pub(super) enum Packed {
    Now,
    /// It was packed before, or stays plain.
    Before,
    /// Not in this pass: packing was stopped, or the file is still being written to.
    Later,
    Failed(RotateError),
}

pub(super) fn unless_gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}
