//! The group sync: one sync for all waiting callers, and what is on disk when they get their
//! result.

use std::io::{self, IoSlice};
use std::sync::Mutex;

use alq::SyncOp;
use alq::model::{Flusher, Heap, Pace, Pending, Reach, Shared, Sink, drive, syncer};
use alq_loom_tests::{Cells, Memory, explore, queue_that_syncs, queue_with_sync, write};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

const DATA: Reach = Reach::Durable(SyncOp::Data);

fn pending(target: u64, reach: Reach) -> Arc<Pending> {
    Arc::new(Pending::new(target, reach))
}

/// A sink that stores, when a sync has returned, how far the ring was drained when that sync began.
#[derive(Default)]
struct Disk {
    shared: Mutex<Option<Arc<Shared<Heap>>>>,
    durable: Mutex<Option<Arc<AtomicU64>>>,
}

impl Disk {
    /// A queue on this sink, its flusher, and the durable position.
    fn queue(self: &std::sync::Arc<Self>) -> (Arc<Shared<Heap>>, Flusher<Heap>, Arc<AtomicU64>) {
        let (shared, flusher) = queue_with_sync(8, std::sync::Arc::<Self>::clone(self));
        let durable = Arc::new(AtomicU64::new(0));
        *self.shared.lock().unwrap() = Some(Arc::clone(&shared));
        *self.durable.lock().unwrap() = Some(Arc::clone(&durable));
        (shared, flusher, durable)
    }

    /// Drops the handle of the queue, which holds this sink.
    fn let_go(&self) {
        *self.shared.lock().unwrap() = None;
        *self.durable.lock().unwrap() = None;
    }
}

impl Sink for Disk {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(runs.iter().map(|run| run.len()).sum())
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        let shared = self.shared.lock().unwrap().clone().unwrap();
        let durable = self.durable.lock().unwrap().clone().unwrap();
        let began_at = shared.intake.ring.tail().pos;
        thread::yield_now(); // the disk takes time
        durable.fetch_max(began_at, Ordering::SeqCst);
        Ok(())
    }
}

/// One thread syncs; another posts, drains, and adds a late wait. No wait is resolved before a sync
/// has returned that began after its bytes were written. The late wait is resolved by this sync or
/// needs the next one.
#[test]
fn no_wait_is_durable_before_a_sync_that_began_after_its_bytes() {
    let name = "no_wait_is_durable_before_a_sync_that_began_after_its_bytes";
    explore(name, 2, || {
        let disk = std::sync::Arc::new(Disk::default());
        let (shared, mut flusher, durable) = disk.queue();
        write(&shared, b'a', 1, true);
        flusher.step();
        let first = pending(1, DATA);
        shared.outcome.watch.add(Arc::clone(&first)).unwrap();
        let late = pending(3, DATA);
        let theirs = Arc::clone(&shared);
        let syncer = thread::spawn(move || syncer::step(&theirs));
        write(&shared, b'b', 2, true);
        shared.outcome.watch.add(Arc::clone(&late)).unwrap();
        shared.settle();
        flusher.step();
        let check = |one: &Pending| {
            if let Some(result) = one.result() {
                assert_eq!(result, Ok(()));
                assert!(durable.load(Ordering::SeqCst) >= one.target);
                return true;
            }
            false
        };
        check(&late);
        check(&first);
        syncer.join().unwrap();
        assert!(check(&first));
        let is_done = check(&late);
        assert_eq!(
            syncer::step(&shared),
            !is_done,
            "the late wait needs another sync unless it is resolved"
        );
        assert!(check(&late));
        assert!(!syncer::step(&shared), "nothing is due any more");
        disk.let_go();
    });
}

/// The end of a queue with a sync thread. The bytes of the last drain that a caller waits for are
/// synced before the sync thread ends. The wait begins before the close, so its result must not be
/// `Closed`.
#[test]
fn the_last_sync_that_is_due_is_done_before_the_end() {
    explore(
        "the_last_sync_that_is_due_is_done_before_the_end",
        2,
        || {
            let sink = std::sync::Arc::new(Memory::default());
            let (shared, mut flusher) = queue_with_sync(4, sink);
            syncer::start(&shared).unwrap();
            write(&shared, b'a', 1, true);
            let last = pending(1, DATA);
            shared.outcome.watch.add(Arc::clone(&last)).unwrap();
            shared.settle();
            shared.intake.ring.close();
            drive(&mut flusher, Pace::parking(4));
            drop(flusher);
            shared.flusher_ended();
            let finished = || shared.has_finished().then_some(());
            shared.outcome.progress.wait_until(None, finished).unwrap();
            assert_eq!(last.result(), Some(Ok(())));
        },
    );
}

/// A sink whose first sync fails.
#[derive(Default)]
struct Failing {
    has_failed: Mutex<bool>,
    cells: Cells,
}

impl Sink for Failing {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(runs.iter().map(|run| run.len()).sum())
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        let mut has_failed = self.has_failed.lock().unwrap();
        self.cells.write(usize::from(*has_failed), 1);
        if !core::mem::replace(&mut *has_failed, true) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}

/// A sync fails, another sink takes over, and its sync succeeds. A thread that reads in between
/// never takes the bytes of the failed sync for durable. If it finds the later bytes durable, their
/// sync has returned.
#[test]
fn bytes_of_a_failed_sync_are_never_durable() {
    explore("bytes_of_a_failed_sync_are_never_durable", 3, || {
        let sink = std::sync::Arc::new(Failing::default());
        let cells = sink.cells.clone();
        let (shared, mut flusher) = queue_with_sync(8, std::sync::Arc::<Failing>::clone(&sink));
        write(&shared, b'a', 1, true);
        flusher.step();
        let full = |target| pending(target, Reach::Durable(SyncOp::Full));
        shared.outcome.watch.add(full(1)).unwrap();
        let theirs = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            for op in [SyncOp::Data, SyncOp::Full] {
                let later = theirs.outcome.durability.verdict(2, op);
                if later == Some(Ok(())) {
                    cells.read(1, 1);
                }
                let doubted = theirs.outcome.durability.verdict(1, op);
                assert_ne!(doubted, Some(Ok(())));
                assert!(later != Some(Ok(())) || doubted.is_some());
            }
        });
        assert!(syncer::step(&shared));
        shared.outcome.durability.replace_sink(sink, 1, true);
        write(&shared, b'b', 1, true);
        flusher.step();
        shared.outcome.watch.add(full(2)).unwrap();
        while syncer::step(&shared) {}
        reader.join().unwrap();
        assert_eq!(
            shared.outcome.durability.verdict(2, SyncOp::Full),
            Some(Ok(()))
        );
    });
}

/// A thread that finds a position durable also sees that the sync has returned, and everything done
/// before it.
#[test]
fn a_durable_position_is_visible_only_after_its_sync_returned() {
    for op in [SyncOp::Data, SyncOp::Full] {
        let name = format!("a_durable_position_is_visible_only_after_its_sync_returned/{op:?}");
        explore(&name, 3, move || {
            let sink = std::sync::Arc::new(Failing::default());
            *sink.has_failed.lock().unwrap() = true; // later syncs succeed
            let cells = sink.cells.clone();
            let (shared, mut flusher) = queue_with_sync(8, sink);
            write(&shared, b'a', 1, true);
            flusher.step();
            let one = pending(1, Reach::Durable(op));
            shared.outcome.watch.add(one).unwrap();
            let theirs = Arc::clone(&shared);
            let reader = thread::spawn(move || {
                if theirs.outcome.durability.verdict(1, op) == Some(Ok(())) {
                    cells.read(1, 1);
                }
            });
            assert!(syncer::step(&shared));
            reader.join().unwrap();
            assert_eq!(shared.outcome.durability.verdict(1, op), Some(Ok(())));
        });
    }
}

/// A queue with a policy. The flusher writes while the sync thread looks for the last time before
/// it sleeps. Either the thread sees the byte, or the flusher sees the alarm and wakes it. No
/// caller waits for the sync, so no other wake-up comes.
#[test]
fn a_byte_that_is_due_by_policy_wakes_the_sync_thread() {
    explore(
        "a_byte_that_is_due_by_policy_wakes_the_sync_thread",
        2,
        || {
            let sink = std::sync::Arc::new(Memory::default());
            let (shared, mut flusher) = queue_that_syncs(4, sink, 1);
            syncer::start(&shared).unwrap();
            write(&shared, b'a', 1, true);
            flusher.step();
            let is_durable = || shared.outcome.durability.verdict(1, SyncOp::Data);
            let result = shared.outcome.progress.wait_until(None, is_durable);
            assert_eq!(result, Some(Ok(())));
            shared.intake.ring.close();
            drop(flusher);
            shared.flusher_ended();
            let finished = || shared.has_finished().then_some(());
            shared.outcome.progress.wait_until(None, finished).unwrap();
        },
    );
}

/// A caller asks for a sync while the flusher writes the record. Either the caller sees that it is
/// written and wakes the sync thread, or the flusher sees the caller and does.
#[test]
fn a_wait_that_comes_as_its_bytes_are_written_gets_its_sync() {
    let name = "a_wait_that_comes_as_its_bytes_are_written_gets_its_sync";
    explore(name, 2, || {
        let sink = std::sync::Arc::new(Memory::default());
        let (shared, mut flusher) = queue_with_sync(4, sink);
        syncer::start(&shared).unwrap();
        write(&shared, b'a', 1, true);
        let theirs = Arc::clone(&shared);
        let asks = thread::spawn(move || {
            let wait = pending(1, DATA);
            theirs.watch(Arc::clone(&wait)).unwrap();
            let result = theirs.outcome.resolved.wait_until(None, || wait.result());
            assert_eq!(result, Some(Ok(())));
        });
        flusher.step();
        asks.join().unwrap();
        shared.intake.ring.close();
        drop(flusher);
        shared.flusher_ended();
        let finished = || shared.has_finished().then_some(());
        shared.outcome.progress.wait_until(None, finished).unwrap();
    });
}
