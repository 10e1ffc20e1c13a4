//! Going on in another file while the queue runs.

use std::os::fd::AsFd;
use std::path::Path;

use super::completion::Completion;
use super::options::Options;
use super::queue::Queue;
use super::ring_file::check_appending;
use crate::actors::Shared;
use crate::ends::FileSink;
use crate::primitives::sync::PlainArc;
use crate::words::{Error, Target};

/// Going on in another file.
impl Queue {
    /// Has the queue go on with another descriptor, which is duplicated: after a rotation of the log, or when the old one
    /// has failed. Returns at once; the completion is done when the new one has taken over.
    ///
    /// What was posted before the call goes to the old file, what is posted after the completion is done to the new one,
    /// and what is posted meanwhile to either. The cut is between two records. Nothing is lost, and posts are not delayed.
    ///
    /// If the old file takes no more, because a write has failed, because the disk is full, or because the other side has
    /// not read for the [stall limit](crate::Options::stall_limit), the cut is made at once, and what was not written
    /// goes to the new one. That ends the failure: appends are taken again. If `fd` is the same file (by device and inode),
    /// the next write goes on at the very byte. In any other, a record that was written in part is written from its
    /// first byte on: it is whole there, and [`Stats::repeated`](crate::Stats::repeated) counts the bytes that are in both
    /// files.
    ///
    /// The old file is synced, by the sync thread, before anything in the new one counts as durable. If a sync has failed,
    /// what was written by then is never durable; what lies behind it may be, from the reopen on. The same holds for
    /// what went to a descriptor that cannot be synced.
    ///
    /// In a child of fork(2), where the handles of the parent append synchronously, it makes a queue of the child's own and
    /// puts that in the place of the parent's, for all handles of it and their lanes: with the same options, but for a
    /// ring in memory. Then they append, flush and sync as anywhere; the parent notices nothing. Entries that are open in
    /// the child are not part of it.
    ///
    /// A queue [to a sink](crate::Options::to_sink) of the caller's can be reopened too: the sink is dropped, and the
    /// descriptor takes its place.
    ///
    /// Any thread may call it; calls take effect in their order. While an open reservation lies in front of something
    /// posted, the cut waits for it, as [`flush`](Queue::flush) does.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if `fd` is not open for writing; [`Error::Closed`] after a close;
    /// [`Error::TooManyOutstanding`]; [`Error::Io`] if it cannot be duplicated, the sync thread not started, or if the
    /// flusher itself has failed. The old descriptor stays in use then.
    ///
    /// ```
    /// use std::fs::{self, File};
    ///
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, old) = (dir.path().join("app.log"), dir.path().join("app.log.1"));
    /// let queue = Options::new().open(&path)?;
    /// queue.writen(b"before\n", Flags::WAITOK)?;
    /// fs::rename(&path, &old)?;
    /// let new = File::options().append(true).create(true).open(&path)?;
    /// queue.reopen(&new)?.wait()?;
    /// queue.writen(b"after\n", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!((fs::read(&old)?, fs::read(&path)?), (b"before\n".to_vec(), b"after\n".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen(&self, fd: impl AsFd) -> Result<Completion, Error> {
        self.reopen_on(self.options().opening.duplicate(fd.as_fd())?)
    }

    /// [`reopen`](Queue::reopen) on the log at `path`, which is created if need be: what a program does when its log was
    /// renamed. The [mode](crate::Options::mode) and [`follow_links`](crate::Options::follow_links) that the queue was
    /// made with hold here too.
    ///
    /// Blocks as open(2) does (a FIFO waits for its reader).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with what open(2) said; otherwise as [`reopen`](Queue::reopen). The old file stays in use then.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// std::fs::rename(&path, path.with_extension("log.1"))?;
    /// queue.reopen_path(&path)?.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen_path(&self, path: impl AsRef<Path>) -> Result<Completion, Error> {
        self.reopen_on(self.options().opening.open(path.as_ref())?)
    }

    fn reopen_on(&self, (sink, target): (FileSink, Target)) -> Result<Completion, Error> {
        let Ok(here) = self.here() else {
            return self.reopen_in_child(sink, target);
        };
        if let Some((_, ring_file)) = here.in_file() {
            check_appending(ring_file, &sink)?;
        }
        Shared::start_syncer_before(here.handle(), &sink)?;
        let pending = here.shared().reopen(PlainArc::new(sink), target)?;
        Ok(Completion::new(here.handle(), pending))
    }

    /// Puts a queue of this process in the place of one of its parent, for all handles of that.
    fn reopen_in_child(&self, sink: FileSink, target: Target) -> Result<Completion, Error> {
        let current = self.current();
        let shared = current.shared();
        if shared.aside.is_closed_in_child() || shared.ring.ended().is_some() {
            return Err(Error::Closed);
        }
        let options = Options {
            ring_file: None, // the parent goes on with that
            ..self.options().clone()
        };
        let heir = options.start(options.layout()?, PlainArc::new(sink), target)?;
        current.heir().get_or_set(heir);
        Ok(self.here()?.settled(&Ok(())))
    }
}
