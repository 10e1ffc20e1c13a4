//! What the flusher of a queue does while it finds nothing to write.

/// Selects what the flusher does while no records come. For
/// [`Options::idle`](crate::Options::idle).
///
/// The choice is between the cost of an idle queue and the delay of the first record after a pause.
/// While records come, `Park` and `Nap` are the same: the flusher sleeps for short, limited times,
/// and an append makes no system call while less than a quarter of the ring is in use.
///
/// | | an append after a pause | its record is taken | a queue without appends |
/// |---|---|---|---|
/// | [`Park`](Idle::Park) | wakes the flusher: one futex(2) call | after that wake-up | costs nothing |
/// | [`Nap`](Idle::Nap) | makes no system call | within a quarter of [`max_delay`](crate::Options::max_delay) | wakes up as often: 400 times a second by default |
/// | [`Spin`](Idle::Spin) | makes no system call, but each append waits for a cache line | at once | takes a whole core |
///
/// `flush`, `fsync`, a completion and an append that finds no room wake the flusher in any case. A
/// [recorder](crate::Options::recorder) always parks: only a request for a dump wakes its flusher.
///
/// ```
/// use alq::{Flags, Idle, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().idle(Idle::Nap).open(dir.path().join("app.log"))?;
/// queue.writen(b"no system call\n", Flags::NOWAIT)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Idle {
    /// Sleep until an append wakes the flusher, once it has found nothing 16 times in a row: after
    /// a pause of 40 ms with the default [`max_delay`](crate::Options::max_delay).
    #[default]
    Park,
    /// Look again after a quarter of [`max_delay`](crate::Options::max_delay), however long no
    /// record comes. With a `max_delay` of 0, the flusher looks all the time, with a system call
    /// each time.
    Nap,
    /// Look all the time, without a sleep or a system call. If there are fewer idle cores than such
    /// queues, the flushers take the cores from the threads that append.
    Spin,
}
