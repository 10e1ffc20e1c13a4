//! Which rotated files are kept: the options, and the steps of a pass that delete the others.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{fstat, fstatvfs};

use super::age::ages;
use super::error::KEEP_FREE;
use super::folder::Folder;
use super::log::Log;
use super::pass::{Rotated, call, unless_gone};
use super::point::point;
use super::{RotateError, Rotation};

impl Rotation {
    /// Keeps the newest `count` rotated files, and the log itself. All by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().size_bytes(64 << 20).keep_files(30);
    /// ```
    pub const fn keep_files(mut self, count: usize) -> Self {
        self.keep_files = Some(count);
        self
    }

    /// Deletes rotated files that are older than `age`. No limit by default.
    ///
    /// Files are checked when the log is opened and after each rotation. The age of a file follows
    /// from its name. A wrong clock, also one that is set, does not make a file look older
    /// (docs/rotation.md).
    ///
    /// ```
    /// use std::time::Duration;
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().keep_age(Duration::from_secs(30 * 86_400));
    /// ```
    pub const fn keep_age(mut self, age: Duration) -> Self {
        self.keep_age = Some(age);
        self
    }

    /// Keeps at most `bytes` bytes of the newest rotated files, measured after packing, and the log
    /// itself. No bound by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().size_bytes(64 << 20).keep_bytes(10 << 30);
    /// ```
    pub const fn keep_bytes(mut self, bytes: u64) -> Self {
        self.keep_bytes = Some(bytes);
        self
    }

    /// Keeps `bytes` bytes of the file system free: deletes the oldest rotated files while this user
    /// could write less (statvfs(3)). Off by default.
    ///
    /// It is checked when the log is opened and after each rotation. With
    /// [`size_bytes`](Rotation::size_bytes), what the log can grow by until the next rotation stays
    /// free too. The log itself is never deleted, nor is a file of another program.
    /// [`on_freed`](Rotation::on_freed) gets the deleted files. If no rotated file is left and there
    /// is still less room, [`on_error`](Rotation::on_error) is called once, and the log goes on.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().size_bytes(64 << 20).keep_free(1 << 30);
    /// ```
    pub const fn keep_free(mut self, bytes: u64) -> Self {
        self.keep_free = Some(bytes);
        self
    }

    /// Is called with the path of each file that [`keep_free`](Rotation::keep_free) has deleted, on
    /// the background thread.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new()
    ///     .keep_free(1 << 30)
    ///     .on_freed(|path| eprintln!("{}: deleted for lack of room", path.display()));
    /// ```
    pub fn on_freed(mut self, hook: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        self.on_freed = Some(Arc::new(hook));
        self
    }
}

impl Log {
    pub(super) fn delete_by_count_and_age(&self, folder: &Folder, rotated: &mut Vec<Rotated>) {
        let too_many = match self.rotation.keep_files {
            Some(count) => rotated.len().saturating_sub(count),
            None => 0,
        };
        let times: Vec<_> = rotated
            .iter()
            .map(|one| (one.key, one.modified()))
            .collect();
        let ages = ages(&times, &self.worker.cuts(), self.rotation.now());
        let keep_age = self.rotation.keep_age;
        let keep_age = keep_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let mut number = 0;
        rotated.retain(|one| {
            number += 1;
            let is_old = keep_age.is_some_and(|age| ages[number - 1] > age);
            let goes = number <= too_many || is_old;
            if goes {
                self.delete(folder, one);
            }
            !goes
        });
    }

    /// Returns the files that are left.
    pub(super) fn delete_by_bytes<'a>(
        &self,
        folder: &Folder,
        rotated: &'a [Rotated],
    ) -> &'a [Rotated] {
        let Some(keep_bytes) = self.rotation.keep_bytes else {
            return rotated;
        };
        let mut sum = 0_u64;
        let is_kept = |one: &&Rotated| {
            sum = sum.saturating_add(one.len());
            sum <= keep_bytes
        };
        let kept = rotated.iter().rev().take_while(is_kept).count();
        let (deleted, kept) = rotated.split_at(rotated.len() - kept);
        deleted.iter().rev().for_each(|one| {
            self.delete(folder, one);
        });
        kept
    }

    /// Deletes the oldest files until the file system has the room that is to stay free. What is
    /// deleted counts as free at once, although a reader may have it open.
    pub(super) fn delete_for_room(&self, folder: &Folder, rotated: &[Rotated]) {
        let Some(keep_free) = self.rotation.keep_free else {
            return;
        };
        let failed = |error| RotateError::new(KEEP_FREE, folder.path(), error);
        let (growth, mut free) = match self.growth_and_room() {
            Ok(found) => found,
            Err(error) => return self.worker.report_short(failed(error)),
        };
        let needed = keep_free.saturating_add(growth);
        let mut oldest = rotated.iter();
        while free < needed {
            let Some(one) = oldest.next() else {
                let full = io::Error::from_raw_os_error(libc::ENOSPC);
                return self.worker.report_short(failed(full));
            };
            if self.delete(folder, one) {
                free = free.saturating_add(one.len());
                for file in one.files() {
                    call(
                        self.rotation.on_freed.as_deref(),
                        &folder.path_of(&file.name),
                    );
                }
            }
        }
        self.worker.has_room();
    }

    /// Returns how many bytes the log can grow by until it is rotated, and how many the file system
    /// has for this user. In this order: what the log has grown by in between counts twice, and is
    /// never left out.
    fn growth_and_room(&self) -> io::Result<(u64, u64)> {
        let len = fstat(&self.descriptor)?.st_size.unsigned_abs();
        let growth = (self.rotation.size_bytes).map_or(0, |bound| bound.saturating_sub(len));
        let found = fstatvfs(&self.descriptor)?;
        Ok((growth, found.f_bavail.saturating_mul(found.f_frsize)))
    }

    /// Returns whether it is gone.
    fn delete(&self, folder: &Folder, rotated: &Rotated) -> bool {
        for one in rotated.files() {
            let deleted = point("delete").and_then(|()| folder.remove(&one.name));
            if let Err(error) = deleted.or_else(unless_gone) {
                let path = folder.path_of(&one.name);
                self.worker
                    .report(RotateError::new("delete the rotated file", path, error));
                return false;
            }
        }
        self.durable.forget(rotated.key);
        self.worker.forget(rotated.key);
        true
    }
}
