//! Appends that bypass the ring: in a child of fork(2), and at the end of the process.
//!
//! The caller's own thread writes to the descriptor of the sink. In a child, only the thread that
//! forked exists, so nothing here waits for a lock there.

use core::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::counter::Counter;
use super::descriptor::{is_unsupported, too_long};
use super::refusals::RefusalCounters;
use super::sink::Sink;
use super::stats::Stats;
use crate::primitives::os;
use crate::primitives::os::process::with_write_signals_blocked;
use crate::primitives::sync::plain::{AtomicBool, AtomicUsize, Ordering};
use crate::primitives::sync::{Mutex, PlainArc, PlainWeak, unless_mutant};
use crate::words::{Error, Operation};

/// How long one wait for a stalled sink lasts before the write is tried again.
const READY_LIMIT: Duration = Duration::from_secs(1);

/// Appends to the sink of one queue without its ring.
pub struct Aside {
    /// Two slots for the sink. `current` is the index of the slot with the sink of the flusher (in
    /// models it is empty). The next sink goes into the other slot, so a fork at any moment finds
    /// the current slot complete and its lock free.
    sinks: [Mutex<Option<PlainWeak<dyn Sink>>>; 2],
    current: AtomicUsize,
    /// The sink at the end of the process. The lock orders the appends of the last threads.
    kept: Mutex<Option<PlainArc<dyn Sink>>>,
    /// In a child: whether the queue was closed there.
    closed: AtomicBool,
    /// What was written aside.
    pub bytes: Counter,
    pub records: Counter,
    /// What could not be written aside.
    pub lost_bytes: Counter,
    pub lost_records: Counter,
    /// What was refused aside.
    pub refused: RefusalCounters,
    /// In a child: entries of the parent that were posted or dropped here.
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
            refused: RefusalCounters::default(),
            foreign: Counter::default(),
        }
    }

    /// Stores the next sink, which the flusher is about to use. Only the flusher calls it, and it
    /// still holds the sink before.
    pub fn switch_to(&self, sink: &PlainArc<dyn Sink>) {
        // Relaxed: only the flusher stores it.
        let next = 1 - self.current.load(Ordering::Relaxed);
        *self.sinks[next].lock() = Some(PlainArc::downgrade(sink));
        // [aside.switch] Release, pairs with [aside.sink]: the slot is filled, and its lock is free.
        let order = unless_mutant("aside.switch", Ordering::Release);
        self.current.store(next, order);
        if let Some(kept) = &mut *self.kept.lock() {
            *kept = PlainArc::clone(sink);
        }
    }

    /// The sink of the flusher, unless the flusher has released it. Never waits, because a child of
    /// fork(2) calls it. Only a thread that read `current` before it changed twice can hold the
    /// lock.
    pub fn sink(&self) -> Option<PlainArc<dyn Sink>> {
        // [aside.sink] Acquire, pairs with [aside.switch].
        let order = unless_mutant("aside.sink", Ordering::Acquire);
        let current = self.current.load(order);
        let sink = self.sinks[current].try_lock()?;
        sink.as_ref().and_then(PlainWeak::upgrade)
    }

    /// Returns why the sink accepts no data, in its own words. Any thread may call it, also while
    /// the flusher is in a write.
    pub fn own_stall_reason(&self) -> Option<String> {
        let ask = || self.sink()?.stall_reason();
        // A panic there must not end the thread that asks.
        catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|payload| {
            core::mem::forget(payload); // its drop might panic again
            None
        })
    }

    /// Returns why the sink accepts no data, in its own words or in those for `errno`. Any thread
    /// may call it, as above.
    pub fn stall_reason(&self, errno: i32, is_hung: bool) -> String {
        let own = self.own_stall_reason();
        own.unwrap_or_else(|| stall_words(errno, is_hung))
    }

    /// Keeps the sink when the flusher releases it.
    pub fn keep(&self) {
        // Under this lock, either `switch_to` has shown its slot, or it replaces what is kept here.
        let mut kept = self.kept.lock();
        // Relaxed: the locks show the slot. If it has been filled again since, the newer sink is as
        // good.
        let current = self.current.load(Ordering::Relaxed);
        let sink = self.sinks[current].lock();
        *kept = sink.as_ref().and_then(PlainWeak::upgrade);
    }

    /// Drops the kept sink. Nothing is appended from then on.
    pub fn let_go(&self) {
        // The thread that holds the lock may be in a write of any length. Then the sink is dropped
        // with the queue.
        let kept = self.kept.try_lock().and_then(|mut kept| kept.take());
        drop(kept); // not under the lock: its drop may call into the queue
    }

    /// Appends `record` in the process that created the queue, after its ring was drained. Its
    /// first part is the header of a file, and is written only if the file is empty. Calls
    /// `position` once the record is written and before any other record can be. Without `wait` it
    /// returns an error if another thread holds the lock or if the sink accepts no data.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] without `wait`; [`Error::Closed`] once the sink was released;
    /// [`Error::Io`].
    pub fn append<T>(
        &self,
        record: [&[u8]; 4],
        wait: bool,
        position: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        let kept = if wait {
            self.kept.lock()
        } else {
            self.kept.try_lock().ok_or(Error::WouldBlock)?
        };
        let sink = kept.as_ref().ok_or(Error::Closed)?;
        let record = without_head(record, || sink.end().is_some_and(|end| end.size_bytes == 0));
        let whole;
        let record = if sink.message_max().is_some() {
            whole = record.concat(); // a message is one run
            [&[][..], &[], &whole, &[]]
        } else {
            record
        };
        let write = |runs: &[IoSlice<'_>]| sink.write(runs);
        let wait_ready = |limit| sink.wait_ready(limit);
        write_all(record, wait, write, wait_ready).map_err(|error| match error {
            // The record may be in the log: a caller must not take it for refused, and repeat it.
            Error::WouldBlock if sink.is_in_doubt() => {
                Error::io(Operation::Write, &io::ErrorKind::WouldBlock.into())
            }
            error => error,
        })?;
        self.count(record);
        Ok(position())
    }

    /// Appends `record`, as [`append`](Aside::append) does, in a child of the process that created
    /// the queue. It writes to the descriptor and waits for no lock: in a child, the parent's
    /// thread that holds a lock does not exist.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] without `wait`; [`Error::Forked`] if the sink has no descriptor;
    /// [`Error::Closed`] if the child closed the queue, or the parent did before the fork;
    /// [`Error::Io`].
    pub fn append_in_child(&self, record: [&[u8]; 4], wait: bool) -> Result<(), Error> {
        // Relaxed: it orders nothing.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        // The sink is not dropped while its count of owners is above 0. The threads that would drop
        // it do not exist in this process, so its descriptor stays open.
        let sink = self.sink().ok_or(Error::Closed)?;
        let own = sink.open_in_child().transpose();
        let own = own.map_err(|error| Error::io(Operation::Write, &error))?;
        let fd = match &own {
            Some(own) => own.as_fd(),
            None => sink.descriptor().ok_or(Error::Forked)?,
        };
        let record = without_head(record, || os::file::is_empty(fd));
        let len: usize = record.iter().map(|part| part.len()).sum();
        if sink.message_max().is_some_and(|max| len as u64 > max) {
            return Err(Error::io(Operation::Write, &too_long()));
        }
        append_parts_to(fd, record, wait)?;
        self.count(record);
        Ok(())
    }

    /// Closes the queue in a child: nothing is appended from then on.
    pub fn close_in_child(&self) {
        // Relaxed: as above.
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether this child has closed the queue.
    pub fn is_closed_in_child(&self) -> bool {
        // Relaxed: as above.
        self.closed.load(Ordering::Relaxed)
    }

    /// Counts a record that could not be written aside.
    pub fn lost(&self, record: &[u8]) {
        self.lost_bytes.add(record.len() as u64);
        self.lost_records.add(1);
    }

    /// The statistics of the queue in a child of fork(2): only what the child has done itself.
    pub fn stats(&self) -> Stats {
        let (written, lost) = (self.bytes.get(), self.lost_bytes.get());
        let (written_records, lost_records) = (self.records.get(), self.lost_records.get());
        let refused = self.refused.now();
        Stats {
            posted_bytes: written + lost,
            posted_records: written_records + lost_records,
            written_bytes: written,
            written_records,
            lost_bytes: lost,
            lost_records,
            refused_records: refused.total().records,
            refused_bytes: refused.total().bytes,
            refused,
            foreign: self.foreign.get(),
            ..Stats::default()
        }
    }

    fn count(&self, record: [&[u8]; 4]) {
        let len: usize = record.iter().map(|part| part.len()).sum();
        self.bytes.add(len as u64);
        self.records.add(1);
    }
}

/// Returns why a sink accepts no data, if it does not say so itself.
pub fn stall_words(errno: i32, is_hung: bool) -> String {
    match errno {
        _ if is_hung => "a write has not returned".to_owned(),
        libc::EAGAIN => "its reader does not read".to_owned(),
        errno => io::Error::from_raw_os_error(errno).to_string(),
    }
}

/// Takes the first part from `record`, the header of a file, unless the file is empty.
fn without_head(record: [&[u8]; 4], is_empty: impl FnOnce() -> bool) -> [&[u8]; 4] {
    let [head, front, record, back] = record;
    let head = if !head.is_empty() && is_empty() {
        head
    } else {
        &[]
    };
    [head, front, record, back]
}

/// Appends all of `bytes` to `fd` on this thread. Without `wait` it returns an error if `fd`
/// accepts no data, in blocking and non-blocking mode. Once the first byte is written, it waits for
/// the rest.
///
/// # Errors
///
/// [`Error::WouldBlock`] without `wait`; [`Error::Io`].
pub fn append_to(fd: BorrowedFd<'_>, bytes: &[u8], wait: bool) -> Result<(), Error> {
    append_parts_to(fd, [&[], &[], bytes, &[]], wait)
}

/// Appends as [`append_to`] does; the parts reach `fd` together.
fn append_parts_to(fd: BorrowedFd<'_>, parts: [&[u8]; 4], wait: bool) -> Result<(), Error> {
    let mut begun = wait;
    let write = |runs: &[IoSlice<'_>]| {
        if begun {
            return os::write_runs(fd, runs);
        }
        let taken = match os::write_nowait(fd, runs) {
            Err(error) if is_unsupported(&error) && os::file::never_waits(fd) => {
                os::write_runs(fd, runs)
            }
            Err(error) if is_unsupported(&error) => os::write_when_ready(fd, runs),
            result => result,
        }?;
        begun = true;
        Ok(taken)
    };
    write_all(parts, wait, write, |limit| {
        os::wait_writable(fd, limit).map(drop)
    })
}

/// Writes all of `parts` with `write`, which may take fewer. Between two tries it calls
/// `wait_ready`.
fn write_all(
    parts: [&[u8]; 4],
    wait: bool,
    mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    wait_ready: impl Fn(Duration) -> io::Result<()>,
) -> Result<(), Error> {
    let failed = |error: &io::Error| Error::io(Operation::Write, error);
    let mut runs = [IoSlice::new(&[]); 4];
    let mut count = 0;
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        runs[count] = IoSlice::new(part);
        count += 1;
    }
    let mut runs = &mut runs[..count];
    let mut has_begun = false;
    while !runs.is_empty() {
        let error = match with_write_signals_blocked(|| write(runs)) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(taken) => {
                IoSlice::advance_slices(&mut runs, taken);
                has_begun = true;
                continue;
            }
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock if !wait && !has_begun => {
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
    fn a_child_appends_to_the_sink_of_the_flusher_until_the_flusher_drops_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let sink = |name: &str| -> PlainArc<dyn Sink> {
            let file = File::create(path(name)).unwrap();
            PlainArc::new(FileSink::new(file.into()).unwrap())
        };
        let mut held = sink("0");
        let aside = Aside::new(Some(&held));
        aside.append_in_child([&[], &[], b"a", &[]], false).unwrap();
        for name in ["1", "2", "3"] {
            let next = sink(name);
            aside.switch_to(&next);
            held = next;
            aside
                .append_in_child([&[], b"<", name.as_bytes(), b">"], true)
                .unwrap();
        }
        drop(held);
        assert_eq!(
            aside.append_in_child([&[], &[], b"late", &[]], true),
            Err(Error::Closed)
        );
        let text = |name| fs::read_to_string(path(name)).unwrap();
        assert_eq!(["0", "1", "2", "3"].map(text), ["a", "<1>", "<2>", "<3>"]);
        assert_eq!(aside.stats().written_records, 4);
    }
}
