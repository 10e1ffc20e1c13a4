//! The option that makes a queue sync although no caller waits.

use super::options::Options;
use crate::ends::Sink;
use crate::words::{Error, SyncPolicy};

/// Durability without requests.
impl Options {
    /// Syncs the log at least as often as `policy` says, while there are bytes that are written and
    /// not synced. By default, a queue syncs only if a caller asks for it.
    ///
    /// The sync thread of the queue (`alq-sync`) starts when the queue is opened, and calls
    /// `fdatasync(2)`. Completions at [`Level::Durable`](crate::Level::Durable) and the requests of
    /// [`fsync`](crate::Queue::fsync) are served by the same syncs; they still make a sync begin at
    /// once. While everything is synced, no thread wakes up. A close, a drop and a
    /// [`shutdown`](crate::shutdown) sync what is left.
    ///
    /// A failed sync has the same consequences as one that was requested: `on_error` gets the
    /// error, and nothing becomes durable until the queue is [reopened](crate::Queue::reopen). A
    /// reopen on a descriptor that cannot be synced is refused.
    ///
    /// The policy does not cover bytes that bypass the ring: the appends of a child of fork(2), and
    /// those at the end of the process after the queue is drained.
    ///
    /// Opening fails with [`Error::InvalidOption`] if the policy has neither a time nor a number of
    /// bytes, or one of them is 0, and with [`Error::NotSyncable`] for a pipe, a socket or a
    /// terminal.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use alq::{Error, Options, SyncPolicy};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let policy = SyncPolicy::new().time(Duration::from_millis(100));
    /// let queue = Options::new().sync_every(policy).open(dir.path().join("app.log"))?;
    ///
    /// let (_other, socket) = std::os::unix::net::UnixStream::pair()?;
    /// let error = Options::new().sync_every(policy).open_fd(socket).unwrap_err();
    /// assert_eq!(error, Error::NotSyncable);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync_every(mut self, policy: SyncPolicy) -> Self {
        self.sync_policy = Some(policy);
        self
    }

    /// Checks the policy, except the sink.
    pub(super) fn check_sync_policy(&self) -> Result<(), Error> {
        if self.sync_policy.is_none_or(SyncPolicy::is_valid) {
            return Ok(());
        }
        Err(Error::InvalidOption {
            option: "sync_every",
            value: 0,
            allowed: "a policy with a time, a number of bytes, or both, and neither of them 0",
        })
    }

    /// Checks that the policy can be followed on `sink`.
    pub(super) fn check_syncable(&self, sink: &dyn Sink) -> Result<(), Error> {
        if self.sync_policy.is_some() && !sink.can_sync() {
            return Err(Error::NotSyncable);
        }
        Ok(())
    }
}
