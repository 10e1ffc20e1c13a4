//! Appending past the ring, on the caller's own thread: in a child of fork(2), and in a process that ends.

use core::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::descriptor::is_unsupported;
use super::sink::Sink;
use super::stats::{Counter, Stats};
use crate::primitives::os;
use crate::primitives::os::process::with_write_signals_blocked;
use crate::primitives::sync::plain::{AtomicBool, AtomicUsize, Ordering};
use crate::primitives::sync::{Mutex, PlainArc, PlainWeak};
use crate::words::{Error, Operation};

/// How long one wait for a sink that takes nothing lasts before it is tried again.
const READY_LIMIT: Duration = Duration::from_secs(1);

/// The way past the ring of one queue.
pub struct Aside {
    /// The far end, for as long as the flusher has it (none in models): in the slot that `current` names. The other one
    /// is where the next is put, so a fork at any moment finds the current one whole, and its lock free.
    sinks: [Mutex<Option<PlainWeak<dyn Sink>>>; 2],
    current: AtomicUsize,
    /// The far end once the process ends; the lock puts the appends of its last threads in order.
    kept: Mutex<Option<PlainArc<dyn Sink>>>,
    /// In a child: whether the queue was closed there.
    closed: AtomicBool,
    /// What went this way.
    pub bytes: Counter,
    pub records: Counter,
    /// What was to go this way, and could not.
    pub lost_bytes: Counter,
    pub lost_records: Counter,
    /// In a child: entries of the parent's that were posted or dropped.
    pub foreign: Counter,
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside").finish_non_exhaustive()
    }
}

impl Aside {
    pub fn new(sink: Option<&PlainArc<dyn Sink>>) -> Self {
        Self {
            sinks: [Mutex::new(sink.map(PlainArc::downgrade)), Mutex::new(None)],
            current: AtomicUsize::new(0),
            kept: Mutex::new(None),
            closed: AtomicBool::new(false),
            bytes: Counter::default(),
            records: Counter::default(),
            lost_bytes: Counter::default(),
            lost_records: Counter::default(),
            foreign: Counter::default(),
        }
    }

    /// The flusher is about to go on in another sink. For the flusher, which still holds the one before.
    pub fn goes_on_in(&self, sink: &PlainArc<dyn Sink>) {
        // Relaxed: only the flusher stores it.
        let next = 1 - self.current.load(Ordering::Relaxed);
        *self.sinks[next].lock() = Some(PlainArc::downgrade(sink));
        // [aside.goes_on] Release, pairs with [aside.sink] and [aside.keep]: the slot is filled, and its lock free.
        self.current.store(next, Ordering::Release);
        if let Some(kept) = &mut *self.kept.lock() {
            *kept = PlainArc::clone(sink);
        }
    }

    /// Where the flusher writes to, unless it has let go of it. Never waits, for a child of fork(2); nobody has the lock
    /// but one who has read `current` before it changed twice.
    fn sink(&self) -> Option<PlainArc<dyn Sink>> {
        // [aside.sink] Acquire, pairs with [aside.goes_on].
        let current = self.current.load(Ordering::Acquire);
        let sink = self.sinks[current].try_lock()?;
        sink.as_ref().and_then(PlainWeak::upgrade)
    }

    /// Keeps the sink when the flusher lets go of it.
    pub fn keep(&self) {
        // [aside.keep] Acquire, pairs with [aside.goes_on]. A slot that has been filled anew meanwhile is as good.
        let current = self.current.load(Ordering::Acquire);
        let sink = self.sinks[current].lock();
        *self.kept.lock() = sink.as_ref().and_then(PlainWeak::upgrade);
    }

    /// Takes that back: the sink is dropped, and nothing is appended any more.
    pub fn let_go(&self) {
        // Whoever has the lock may be in a write for as long as its sink likes: the sink goes with the queue then.
        let kept = self.kept.try_lock().and_then(|mut kept| kept.take());
        drop(kept); // it may call into the queue: not under the lock
    }

    /// Appends `record` in the process that the queue was made in, after its ring was drained; `position` is called
    /// when it is written, before any other can be. Without `wait` it takes no lock that is taken, and gives up if the
    /// sink takes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] without `wait`; [`Error::Closed`] once the sink was let go; [`Error::Io`].
    pub fn append<T>(
        &self,
        record: &[u8],
        wait: bool,
        position: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        let kept = if wait {
            self.kept.lock()
        } else {
            self.kept.try_lock().ok_or(Error::WouldBlock)?
        };
        let sink = kept.as_ref().ok_or(Error::Closed)?;
        let write = |bytes: &[u8]| sink.write(&[IoSlice::new(bytes)]);
        write_all(record, wait, write, |limit| sink.wait_ready(limit))?;
        self.count(record);
        Ok(position())
    }

    /// Appends `record` in a child of the process that the queue was made in: to the descriptor, and without any
    /// lock, since no thread of the parent's is there to give one back.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] without `wait`; [`Error::Forked`] if the queue ends in no descriptor; [`Error::Closed`]
    /// if it was closed, by the child, or by the parent before; [`Error::Io`].
    pub fn append_in_child(&self, record: &[u8], wait: bool) -> Result<(), Error> {
        // Relaxed: it orders nothing.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        // While the count of its owners is not 0 the sink has not been dropped; and the threads that would drop it are
        // not in this process, so its descriptor stays what it is.
        let sink = self.sink().ok_or(Error::Closed)?;
        let own = sink.open_in_child().transpose();
        let own = own.map_err(|error| Error::io(Operation::Write, &error))?;
        let fd = match &own {
            Some(own) => own.as_fd(),
            None => sink.descriptor().ok_or(Error::Forked)?,
        };
        append_to(fd, record, wait)?;
        self.count(record);
        Ok(())
    }

    /// In a child: nothing is appended any more.
    pub fn close_in_child(&self) {
        // Relaxed: as above.
        self.closed.store(true, Ordering::Relaxed);
    }

    /// In a child: whether it has closed the queue.
    pub fn is_closed_in_child(&self) -> bool {
        // Relaxed: as above.
        self.closed.load(Ordering::Relaxed)
    }

    /// Counts a record that was to go this way, and could not.
    pub fn lost(&self, record: &[u8]) {
        self.lost_bytes.add(record.len() as u64);
        self.lost_records.add(1);
    }

    /// What a child of fork(2) can tell about a queue: what it has done itself.
    pub fn stats(&self) -> Stats {
        let (written, lost) = (self.bytes.get(), self.lost_bytes.get());
        let (written_records, lost_records) = (self.records.get(), self.lost_records.get());
        Stats {
            posted_bytes: written + lost,
            posted_records: written_records + lost_records,
            written_bytes: written,
            written_records,
            lost_bytes: lost,
            lost_records,
            foreign: self.foreign.get(),
            ..Stats::default()
        }
    }

    fn count(&self, record: &[u8]) {
        self.bytes.add(record.len() as u64);
        self.records.add(1);
    }
}

/// Appends all of `bytes` to `fd` on this thread. Without `wait` it gives up if that takes nothing, whatever mode it
/// is in; what was begun is finished all the same.
///
/// # Errors
///
/// [`Error::WouldBlock`] without `wait`; [`Error::Io`].
pub fn append_to(fd: BorrowedFd<'_>, bytes: &[u8], wait: bool) -> Result<(), Error> {
    let mut begun = wait;
    let write = |bytes: &[u8]| {
        if begun {
            return os::write(fd, bytes);
        }
        let taken = match os::write_nowait(fd, &[IoSlice::new(bytes)]) {
            Err(error) if is_unsupported(&error) => os::write(fd, bytes),
            result => result,
        }?;
        begun = true;
        Ok(taken)
    };
    write_all(bytes, wait, write, |limit| os::wait_writable(fd, limit))
}

/// Writes all of `bytes` with `write`, which may take fewer; between two tries, `wait_ready` waits.
fn write_all(
    mut bytes: &[u8],
    wait: bool,
    mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    wait_ready: impl Fn(Duration) -> io::Result<()>,
) -> Result<(), Error> {
    let len = bytes.len();
    let failed = |error: &io::Error| Error::io(Operation::Write, error);
    while !bytes.is_empty() {
        let error = match with_write_signals_blocked(|| write(bytes)) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(taken) => {
                bytes = &bytes[taken..];
                continue;
            }
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock if !wait && bytes.len() == len => {
                return Err(Error::WouldBlock);
            }
            io::ErrorKind::WouldBlock => {
                wait_ready(READY_LIMIT).map_err(|error| failed(&error))?;
            }
            _ => return Err(failed(&error)),
        }
    }
    Ok(())
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use std::fs::{self, File};

    use super::{Aside, PlainArc, Sink};
    use crate::ends::FileSink;
    use crate::words::Error;

    #[test]
    fn a_child_appends_to_the_sink_that_the_flusher_has_and_to_none_that_it_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let sink = |name: &str| -> PlainArc<dyn Sink> {
            let file = File::create(path(name)).unwrap();
            PlainArc::new(FileSink::new(file.into()).unwrap())
        };
        let mut held = sink("0");
        let aside = Aside::new(Some(&held));
        aside.append_in_child(b"a", false).unwrap();
        for name in ["1", "2", "3"] {
            let next = sink(name);
            aside.goes_on_in(&next);
            held = next;
            aside.append_in_child(name.as_bytes(), true).unwrap();
        }
        drop(held);
        assert_eq!(aside.append_in_child(b"late", true), Err(Error::Closed));
        let text = |name| fs::read_to_string(path(name)).unwrap();
        assert_eq!(["0", "1", "2", "3"].map(text), ["a", "1", "2", "3"]);
        assert_eq!(aside.stats().written_records, 4);
    }
}
