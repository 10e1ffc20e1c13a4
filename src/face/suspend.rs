//! Waiting for the first of several completions.

use std::time::{Duration, Instant};

use super::barrier::deadline_in;
use super::completion::Completion;
use crate::ends::{Subscriber, WOKEN};
use crate::primitives::sync::{Arc, Futex, Ordering, unique_number};
use crate::words::Error;

/// The longest single sleep. A sleep with a time limit is ended by a signal handler even with
/// `SA_RESTART`.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Waits until at least one completion in `list` is done or has failed; returns at once if one
/// already is. `None` members are ignored. The members may belong to different queues. Source:
/// `aio_suspend(3)`.
///
/// Without a `timeout` it waits without a limit. (A close settles every completion of its queue.)
///
/// # Errors
///
/// [`Error::NoneCompleted`] after at least `timeout` (its errno is `EAGAIN`, as for `aio_suspend`);
/// [`Error::Interrupted`] if a signal handler ran during the wait, even one installed with
/// `SA_RESTART`, and also for a signal that a member sent; [`Error::NothingToWaitFor`] if the list
/// has no members; [`Error::WouldDeadlock`] on a thread that serves the queue of a member.
///
/// ```
/// use alq::{SyncOp, suspend};
///
/// # let dir = tempfile::tempdir()?;
/// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
/// let completion = queue.fsync(SyncOp::Data)?;
/// suspend(&[None, Some(&completion)], Some(std::time::Duration::from_secs(5)))?;
/// assert_ne!(completion.status(), alq::Status::InProgress);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn suspend(list: &[Option<&Completion>], timeout: Option<Duration>) -> Result<(), Error> {
    let members: Vec<&Completion> = list.iter().copied().flatten().collect();
    if members.is_empty() {
        return Err(Error::NothingToWaitFor);
    }
    let deadline = timeout.and_then(deadline_in);
    let word = Arc::new(Futex::new(0));
    let key = unique_number();
    let mut subscribed = 0;
    let mut result = None;
    for member in &members {
        let sleeper = Subscriber::Sleeper(Arc::clone(&word));
        if member.is_foreign() || member.pending.subscribe(key, sleeper).is_err() {
            result = Some(Ok(())); // it has completed already
            break;
        }
        subscribed += 1;
    }
    let result = result.unwrap_or_else(|| {
        if members.iter().any(|member| member.is_for_itself()) {
            return Err(Error::WouldDeadlock);
        }
        sleep(&word, deadline)
    });
    for member in &members[..subscribed] {
        member.pending.unsubscribe(key);
    }
    result
}

/// Sleeps until a member wakes the word.
///
/// # Errors
///
/// [`Error::Interrupted`] and [`Error::NoneCompleted`].
pub fn sleep(word: &Futex, deadline: Option<Instant>) -> Result<(), Error> {
    let mut interrupted = false;
    loop {
        // Relaxed: the result is protected by the lock of the member, which is taken next, to
        // unsubscribe.
        if word.load(Ordering::Relaxed) == WOKEN {
            return Ok(());
        }
        if interrupted {
            return Err(Error::Interrupted);
        }
        let left = match deadline {
            None => SLEEP_MAX,
            Some(at) => at.saturating_duration_since(Instant::now()),
        };
        if left.is_zero() {
            return Err(Error::NoneCompleted);
        }
        interrupted = word.wait_interruptible(0, left.min(SLEEP_MAX));
    }
}
