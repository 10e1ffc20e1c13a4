//! Behind a rotation: rotated files are packed, told of, and deleted when it is time.
//!
//! What is to be done is seen by what is there, so whatever was left undone, by a failure or a kill, is done the next time.
//! Only regular files are touched that have a name of ours to the letter, and never the log.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use super::log::Log;
use super::name::{Found, Key, Kind};
use super::point::point;
use super::{Compression, RotateError};
use crate::primitives::os::file::open_existing;

/// One rotated file, in all forms in which it is there: more than one only after a kill.
#[derive(Debug)]
struct Rotated {
    key: Key,
    plain: Option<Found>,
    packed: Vec<Found>,
}

impl Rotated {
    fn files(&self) -> impl Iterator<Item = &Found> {
        self.plain.iter().chain(&self.packed)
    }

    fn len(&self) -> u64 {
        self.files().map(|one| one.len).sum()
    }

    fn path(&self) -> Option<PathBuf> {
        self.files().next().map(|one| one.path.clone())
    }
}

impl Log {
    /// Goes through the rotated files once. `told` are those of which the hook does not know. For the worker.
    pub(super) fn go_through(&self, told: Vec<Key>) {
        let mut rotated = match self.rotated() {
            Ok(rotated) => rotated,
            Err(error) => {
                let directory = self.names.directory();
                let error = RotateError::new("look for rotated files", directory, error);
                self.worker.report(error);
                return self.worker.tell_later(told);
            }
        };
        let pinned = self.worker.pinned(); // looked at behind the log in hand
        rotated.retain(|one| !pinned.contains(&one.key));
        self.delete_by_count_and_age(&mut rotated);
        let mut later: Vec<Key> = told
            .iter()
            .copied()
            .filter(|key| pinned.contains(key))
            .collect();
        for one in &mut rotated {
            if self.worker.take_look() {
                self.attend(); // who asks for a rotation does not wait until all is packed
            }
            let is_new = told.contains(&one.key);
            match self.pack(one) {
                Ok(is_packed) if is_packed || is_new => self.tell(one),
                Ok(_) => {}
                Err(error) => {
                    self.worker.report(error);
                    later.extend(is_new.then_some(one.key));
                }
            }
        }
        if !later.is_empty() {
            self.worker.tell_later(later);
        }
        self.delete_by_bytes(&rotated);
    }

    fn rotated(&self) -> io::Result<Vec<Rotated>> {
        let log = self.durable.id();
        let mut rotated: Vec<Rotated> = Vec::new();
        for found in self.names.list()? {
            let Kind::Rotated(form) = found.kind else {
                continue;
            };
            if found.id == log {
                continue; // a rotation has failed half-way, and it is still being written to
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

    fn delete_by_count_and_age(&self, rotated: &mut Vec<Rotated>) {
        let too_many = match self.rotation.keep_files {
            Some(count) => rotated.len().saturating_sub(count),
            None => 0,
        };
        let now = self.rotation.now();
        let is_old = |one: &Rotated, age: Duration| {
            let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            now.saturating_sub(one.key.seconds) > age
        };
        let mut number = 0;
        rotated.retain(|one| {
            number += 1;
            let goes =
                number <= too_many || self.rotation.keep_age.is_some_and(|age| is_old(one, age));
            if goes {
                self.delete(one);
            }
            !goes
        });
    }

    fn delete_by_bytes(&self, rotated: &[Rotated]) {
        let Some(keep_bytes) = self.rotation.keep_bytes else {
            return;
        };
        let mut sum = 0_u64;
        for one in rotated.iter().rev() {
            sum = sum.saturating_add(one.len());
            if sum > keep_bytes {
                self.delete(one);
            }
        }
    }

    fn delete(&self, rotated: &Rotated) {
        for one in rotated.files() {
            let deleted = point("delete").and_then(|()| fs::remove_file(&one.path));
            if let Err(error) = deleted.or_else(unless_gone) {
                let error = RotateError::new("delete the rotated file", &one.path, error);
                self.worker.report(error);
                return;
            }
        }
        self.durable.forget(rotated.key);
    }

    fn tell(&self, rotated: &Rotated) {
        if let (Some(hook), Some(path)) = (&self.rotation.on_rotated, rotated.path()) {
            // A panic is the hook's own: the other files get their turn all the same.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hook(&path))) {
                core::mem::forget(payload); // its drop might panic again
            }
        }
    }

    /// Packs a file that is to be; says whether it did. If both forms are there, somebody was killed who had not made sure of
    /// the packed one.
    fn pack(&self, rotated: &mut Rotated) -> Result<bool, RotateError> {
        let form = self.rotation.compression;
        let Some(plain) = rotated.plain.as_ref().filter(|_| form != Compression::None) else {
            return Ok(false);
        };
        let path = self.names.rotated(rotated.key, form);
        let packing = self.names.packing(rotated.key);
        let packed = self
            .pack_into(plain, form, &packing, &path)
            .map_err(|error| {
                let _ = fs::remove_file(&packing); // the next try, or the next to open the log, does it otherwise
                RotateError::new("pack the rotated file", &plain.path, error)
            })?;
        rotated.plain = None;
        let others = core::mem::replace(&mut rotated.packed, vec![packed]);
        for other in others.iter().filter(|other| other.path != path) {
            // Of a process that had another form, and was killed.
            let deleted = fs::remove_file(&other.path).or_else(unless_gone);
            deleted
                .map_err(|error| RotateError::new("delete the other form", &other.path, error))?;
        }
        self.durable.forget(rotated.key);
        Ok(true)
    }

    fn pack_into(
        &self,
        plain: &Found,
        form: Compression,
        packing: &PathBuf,
        path: &PathBuf,
    ) -> io::Result<Found> {
        let from = open_existing(&plain.path, false)?;
        let metadata = from.metadata()?;
        if (metadata.dev(), metadata.ino()) != plain.id {
            return Err(io::Error::other("another file has taken its place"));
        }
        fs::remove_file(packing).or_else(unless_gone)?;
        point("make the packed file")?;
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        let to = options.open(packing)?;
        to.set_permissions(metadata.permissions())?;
        point("pack")?;
        let read = form.pack(&from, &to)?;
        point("sync the packed file")?;
        to.sync_all()?;
        point("name the packed file")?;
        fs::rename(packing, path)?;
        point("sync the directory")?;
        File::open(self.names.directory())?.sync_all()?;
        if from.metadata()?.len() != read {
            // By a child of fork(2) that had the log from before.
            return Err(io::Error::other("it was written to meanwhile"));
        }
        point("remove the plain file")?;
        fs::remove_file(&plain.path)?;
        point("packed")?;
        let metadata = to.metadata()?;
        Ok(Found {
            key: plain.key,
            kind: Kind::Rotated(form),
            path: path.clone(),
            len: metadata.len(),
            id: (metadata.dev(), metadata.ino()),
        })
    }
}

fn unless_gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}
