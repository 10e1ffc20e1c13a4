//! If any call of the flusher or the sync thread to the sink fails, files and counters still
//! account for every posted byte: `posted = written + lost + still in the ring`. Bytes that are in
//! both files are counted as repeated.
//!
//! Each test lets every call fail once, in turn, with each errno that the call can return, under a
//! mixed workload.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{Log, NEVER_STALLS, Numbers, Record, TRY, WAIT, small, wait_for};
use alq::{Completion, Error, Flags, Operation, Options, Queue, Sink, SyncOp};

/// The calls of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Write,
    Ready,
    Sync,
}

/// The call that fails: the `number`-th call of this kind.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: Call,
    number: usize,
    errno: i32,
}

/// Stands for an errno: the call panics.
const PANIC: i32 = -1;

/// A file that accepts small pieces, so that there are many calls and most end inside a record.
struct Faulty {
    file: File,
    fault: Fault,
    /// Each write with a multiple of this number fails with `EAGAIN`, so that there are calls of
    /// `wait_ready`.
    refused: usize,
    writes: AtomicUsize,
    readies: AtomicUsize,
    syncs: AtomicUsize,
}

const PIECE: usize = 47;

impl Faulty {
    fn new(log: &Log, fault: Fault) -> Arc<Self> {
        let options = || OpenOptions::new().append(true).create(true).to_owned();
        Arc::new(Self {
            file: options().open(log.path()).unwrap(),
            fault,
            refused: if fault.call == Call::Ready {
                5
            } else {
                usize::MAX
            },
            writes: AtomicUsize::new(0),
            readies: AtomicUsize::new(0),
            syncs: AtomicUsize::new(0),
        })
    }

    fn count(&self, call: Call) -> &AtomicUsize {
        match call {
            Call::Write => &self.writes,
            Call::Ready => &self.readies,
            Call::Sync => &self.syncs,
        }
    }

    /// Whether the fault has happened.
    fn has_failed(&self) -> bool {
        self.count(self.fault.call).load(Ordering::SeqCst) > self.fault.number
    }

    /// Counts the call, and fails it if it is the chosen one.
    fn enter(&self, call: Call) -> io::Result<usize> {
        let number = self.count(call).fetch_add(1, Ordering::SeqCst);
        let Fault { errno, .. } = self.fault;
        if call != self.fault.call || number != self.fault.number {
            return Ok(number);
        }
        assert_ne!(errno, PANIC, "this sink panics, as it was told");
        Err(io::Error::from_raw_os_error(errno))
    }
}

impl Sink for Faulty {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let number = self.enter(Call::Write)?;
        if number % self.refused == self.refused - 1 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        (&self.file).write(&bytes[..bytes.len().min(PIECE)])
    }

    fn wait_ready(&self, _limit: Duration) -> io::Result<()> {
        self.enter(Call::Ready).map(drop)
    }

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        self.enter(Call::Sync)?;
        match op {
            SyncOp::Data => self.file.sync_data(),
            SyncOp::Full => self.file.sync_all(),
        }
    }
}

/// A queue under test, and what was posted to it.
struct Run {
    queue: Queue,
    sink: Arc<Faulty>,
    old: Log,
    posted: Vec<u8>,
    syncs: Vec<Completion>,
    seq: u32,
    numbers: Numbers,
}

impl Run {
    fn new(fault: Fault, options: Options) -> Self {
        let old = Log::new();
        let sink = Faulty::new(&old, fault);
        Self {
            queue: options.open_sink(Arc::clone(&sink)).unwrap(),
            sink,
            old,
            posted: Vec::new(),
            syncs: Vec::new(),
            seq: 0,
            numbers: Numbers::new(fault.number),
        }
    }

    fn record(&mut self) -> String {
        let len = Record::MIN_LEN + self.numbers.below(100);
        let (writer, seq) = (0, self.seq);
        self.seq += 1;
        Record { writer, seq, len }.text()
    }

    /// Appends records in every way, until one is refused for good.
    fn work(&mut self) -> Result<(), Error> {
        let queue = self.queue.clone();
        for round in 0..4 {
            let text = self.record();
            queue.writen(text.as_bytes(), WAIT | Flags::NOACTIVATE)?;
            self.posted.extend_from_slice(text.as_bytes());

            let text = self.record();
            let mut entry = queue.getn(text.len() + 30, WAIT)?;
            let dropped = queue.getn(10, WAIT)?;
            write!(entry, "{text}")?;
            drop(dropped);
            entry.post(); // never fails
            self.posted.extend_from_slice(text.as_bytes());

            let mut lane = queue.lane();
            for _ in 0..3 {
                let text = self.record();
                lane.writen(text.as_bytes(), WAIT)?;
                self.posted.extend_from_slice(text.as_bytes());
            }
            drop(lane); // so that the order holds
            match round {
                0 => queue.flush()?,
                1 => self.syncs.push(queue.fsync(SyncOp::Data)?),
                _ => self.syncs.push(queue.fsync(SyncOp::Full)?),
            }
        }
        queue.flush()
    }

    /// Checks what must hold at the end, with `new` in the place of the old file.
    fn assert_accounts(&self, new: &[u8]) {
        let (old, stats) = (self.old.bytes(), self.queue.stats());
        let context = format!("{:?}, {stats:?}", self.sink.fault);
        assert_eq!(stats.posted_bytes, self.posted.len() as u64, "{context}");
        assert_eq!(stats.held, 0, "{context}");
        assert_eq!(
            stats.posted_bytes,
            stats.written_bytes + stats.lost_bytes,
            "{context}"
        );
        assert_eq!(
            (old.len() + new.len()) as u64,
            stats.written_bytes + stats.repeated_bytes,
            "{context}"
        );
        let repeated = stats.repeated_bytes as usize;
        let files = [&old[..old.len() - repeated], new].concat();
        assert!(self.posted.starts_with(&files), "{context}");
        assert!(
            new.is_empty() || new.starts_with(b"0:"),
            "it begins with a record: {context}"
        );
    }
}

/// After these errors the queue continues by itself.
const PASSING: [i32; 4] = [libc::EINTR, libc::EAGAIN, libc::ENOSPC, libc::EDQUOT];

/// The other errors of write(2), and some that only a driver could return.
const FINAL: [i32; 9] = [
    libc::EIO,
    libc::EPIPE,
    libc::EBADF,
    libc::EFBIG,
    libc::EINVAL,
    libc::EPERM,
    libc::EFAULT,
    libc::EDESTADDRREQ,
    libc::ENODEV,
];

/// Returns the minimum number of calls of one kind that a run without faults makes.
fn calls(call: Call) -> usize {
    let fault = Fault {
        call,
        number: usize::MAX,
        errno: 0,
    };
    let mut run = Run::new(fault, small());
    run.work().unwrap();
    run.queue.close(None).unwrap();
    run.assert_accounts(b"");
    assert_eq!(run.old.bytes(), run.posted);
    run.sink.count(call).load(Ordering::SeqCst)
}

/// Each of `errnos` at each such call of a run.
fn faults(call: Call, errnos: &[i32]) -> impl Iterator<Item = Fault> {
    let calls = calls(call);
    errnos.iter().flat_map(move |&errno| {
        (0..calls).map(move |number| Fault {
            call,
            number,
            errno,
        })
    })
}

#[test]
fn a_write_that_fails_for_a_while_costs_nothing() {
    for fault in faults(Call::Write, &PASSING) {
        let mut run = Run::new(fault, small());
        run.work().unwrap();
        run.syncs.iter().for_each(|sync| sync.wait().unwrap());
        run.queue.close(None).unwrap();
        assert!(run.sink.has_failed(), "{fault:?}");
        assert_eq!(run.old.bytes(), run.posted, "{fault:?}");
        run.assert_accounts(b"");
    }
}

/// A fault that ends the queue, until it is reopened: everything is in one of the two files.
fn reopened_after(fault: Fault) {
    let mut run = Run::new(fault, small());
    let error = Error::Io {
        operation: Operation::Write,
        errno: fault.errno,
        target: alq::Target::default(),
    };
    assert_eq!(run.work(), Err(error.clone()), "{fault:?}");
    assert_eq!(run.queue.stats().last_error, Some(error), "{fault:?}");
    let new = Log::new();
    run.queue.reopen_path(new.path()).unwrap().wait().unwrap();
    run.work().unwrap();
    run.queue.close(None).unwrap();
    run.assert_accounts(&new.bytes());
    let stats = run.queue.stats();
    assert_eq!(stats.written_bytes, run.posted.len() as u64, "{fault:?}");
}

/// The same without a reopen: bytes that are not in the file are counted as lost, and the cause is
/// reported.
fn closed_after(fault: Fault, operation: Operation, errno: i32) {
    let mut run = Run::new(fault, small());
    let error = Error::Io {
        operation,
        errno,
        target: alq::Target::default(),
    };
    assert_eq!(run.work(), Err(error.clone()), "{fault:?}");
    let left = run.queue.close(None).unwrap_err();
    assert_eq!(left.cause, error, "{fault:?}");
    assert_eq!(left.abandoned, 0, "{fault:?}");
    run.assert_accounts(b"");
    let stats = run.queue.stats();
    assert_eq!(stats.lost_bytes, left.bytes, "{fault:?}");
    assert_eq!(stats.lost_records, left.records, "{fault:?}");
    assert_eq!(stats.late_bytes, 0, "{fault:?}");
    let lost_to = (left.bytes > 0).then_some(error);
    assert_eq!(stats.lost_to, lost_to, "{fault:?}");
    for sync in &run.syncs {
        assert_ne!(sync.status(), alq::Status::InProgress, "{fault:?}");
    }
}

#[test]
fn a_write_that_fails_for_good_loses_nothing_over_a_reopen() {
    faults(Call::Write, &FINAL).for_each(reopened_after);
}

#[test]
fn a_write_that_fails_for_good_is_accounted_for_by_close() {
    for fault in faults(Call::Write, &FINAL) {
        closed_after(fault, Operation::Write, fault.errno);
    }
}

#[test]
fn a_write_that_panics_is_accounted_for_by_close() {
    for fault in faults(Call::Write, &[PANIC]) {
        closed_after(fault, Operation::Flusher, libc::EIO);
    }
}

#[test]
fn a_wait_for_the_sink_that_fails_is_a_failed_write() {
    for fault in faults(
        Call::Ready,
        &[libc::EBADF, libc::EFAULT, libc::EINVAL, libc::ENOMEM],
    ) {
        reopened_after(fault);
        closed_after(fault, Operation::Write, fault.errno);
    }
}

/// Bytes that a failed sync covered are never durable; all bytes are still written.
#[test]
fn a_sync_that_fails_costs_durability_and_no_byte() {
    for errno in [
        libc::EIO,
        libc::ENOSPC,
        libc::EDQUOT,
        libc::EROFS,
        libc::EINVAL,
        PANIC,
    ] {
        for number in 0..2 {
            let fault = Fault {
                call: Call::Sync,
                number,
                errno,
            };
            let mut run = Run::new(fault, small().stall_limit(Some(NEVER_STALLS)));
            run.work().unwrap();
            // At most as many syncs as waiters: the fault comes at the first or the second sync.
            let results: Vec<_> = run.syncs.iter().map(Completion::wait).collect();
            let all = run.queue.fsync(SyncOp::Full).unwrap().wait();
            if !run.sink.has_failed() {
                assert!(
                    all.is_ok() && results.iter().all(Result::is_ok),
                    "{fault:?}"
                );
                continue;
            }
            let error = Error::Io {
                operation: Operation::Sync,
                errno: if errno == PANIC { libc::EIO } else { errno },
                target: alq::Target::default(),
            };
            assert!(results.is_sorted_by_key(Result::is_err), "{fault:?}");
            if let Some(failed) = results.iter().find(|result| result.is_err()) {
                assert_eq!(*failed, Err(error.clone()), "{fault:?}");
                assert_eq!(all, Err(error), "{fault:?}");
            }
            let new = Log::new();
            run.queue.reopen_path(new.path()).unwrap().wait().unwrap();
            run.work().unwrap();
            run.queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
            for (sync, result) in run.syncs.iter().zip(&results) {
                assert_eq!(sync.wait(), *result, "{fault:?}");
            }
            run.queue.close(None).unwrap();
            run.assert_accounts(&new.bytes());
            assert_eq!(run.queue.stats().lost_bytes, 0, "{fault:?}");
        }
    }
}

#[test]
fn an_interrupted_sync_costs_nothing() {
    for number in 0..2 {
        let fault = Fault {
            call: Call::Sync,
            number,
            errno: libc::EINTR,
        };
        let mut run = Run::new(fault, small());
        run.work().unwrap();
        run.syncs.iter().for_each(|sync| sync.wait().unwrap());
        run.queue.close(None).unwrap();
        run.assert_accounts(b"");
    }
}

/// A stall before any call, and a close during the stall: nothing is counted twice.
#[test]
fn a_disk_that_fills_up_for_good_is_accounted_for_by_close() {
    for room in [0, 1, 46, 47, 48, 300, 1000] {
        let script = crate::common::sink::Script::new();
        script.take_at_most(room, libc::ENOSPC);
        let queue = crate::common::sink::queue_to(&script, small().stall_limit(None));
        let mut posted = 0;
        for i in 0..100 {
            let record = vec![b'x'; 1 + i % 40];
            posted += queue
                .writen(&record, TRY)
                .map_or(0, |_| record.len() as u64);
        }
        wait_for("the stall", || queue.stats().stalled.is_some());
        let left = queue.close(Some(Duration::ZERO)).unwrap_err();
        wait_for("the end", || queue.stats().lost_bytes > 0);
        let stats = queue.stats();
        assert_eq!(stats.posted_bytes, posted);
        assert_eq!(stats.written_bytes, room as u64);
        assert_eq!(
            (stats.lost_bytes, left.bytes),
            (posted - room as u64, posted - room as u64)
        );
    }
}
