//! Completions and the group sync: who is told, by whom, and what is on disk then. A wake-up that is lost is a dead-lock
//! of the model. Preemption bounds stand at each model.

use std::io::{self, IoSlice};
use std::sync::Mutex;

use alq::model::sync::Futex;
use alq::model::{
    Flusher, Heap, Order, Pace, Pending, Reach, Shared, Sink, Subscriber, WOKEN, Watch, drive,
};
use alq::{Error, SyncOp};
use alq_loom_tests::{Memory, explore, queue, queue_with_sync, write};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

const DATA: Reach = Reach::Durable(SyncOp::Data);

/// Sleeps until `word` is woken, as `suspend` does.
fn sleep(word: &Futex) {
    while word.load(Ordering::Acquire) != WOKEN {
        word.wait(0, None);
    }
}

fn pending(target: u64, reach: Reach) -> Arc<Pending> {
    Arc::new(Pending::new(target, reach))
}

/// Subscribes a sleeper; or says that it is done already.
fn sleeper(pending: &Pending, key: u64) -> Option<Arc<Futex>> {
    let word = Arc::new(Futex::new(0));
    let sleeper = Subscriber::Sleeper(Arc::clone(&word));
    pending.subscribe(key, sleeper).is_ok().then_some(word)
}

/// The hand-shake of `Watch` alone: a mark is raised once, and whoever has raised it settles if anybody is awaited. Two
/// who add and then look at the mark are both resolved, by one side or the other.
#[test]
fn one_advance_resolves_two_who_come_meanwhile() {
    explore("one_advance_resolves_two_who_come_meanwhile", 3, || {
        let watch = Arc::new(Watch::new(8));
        let mark = Arc::new(AtomicU64::new(0));
        let settle = |watch: &Watch, mark: &AtomicU64| {
            if watch.is_awaited() {
                let mark = mark.load(Ordering::Relaxed);
                watch.settle(|one| (one.target <= mark).then_some(Ok(())));
            }
        };
        let waiter = || {
            let (watch, mark) = (Arc::clone(&watch), Arc::clone(&mark));
            move || {
                let one = pending(1, Reach::Written);
                watch.add(Arc::clone(&one)).unwrap();
                settle(&watch, &mark);
                sleeper(&one, 1).inspect(|word| sleep(word));
                assert_eq!(one.result(), Some(Ok(())));
            }
        };
        let (first, second) = (thread::spawn(waiter()), waiter());
        let (theirs, raised) = (Arc::clone(&watch), Arc::clone(&mark));
        let advance = thread::spawn(move || {
            raised.store(1, Ordering::Relaxed);
            settle(&theirs, &raised);
        });
        second();
        first.join().unwrap();
        advance.join().unwrap();
        assert!(!watch.is_awaited(), "nothing is left");
    });
}

/// A handle that goes away while its completion is being resolved: its subscriber is told or taken back, never both kept
/// and forgotten; another one on the same completion is told in any case.
#[test]
fn who_unsubscribes_while_it_is_resolved_does_not_keep_others_from_being_told() {
    let name = "who_unsubscribes_while_it_is_resolved_does_not_keep_others_from_being_told";
    explore(name, 4, || {
        let one = pending(1, Reach::Written);
        let goes = sleeper(&one, 1).unwrap();
        let stays = sleeper(&one, 2).unwrap();
        let theirs = Arc::clone(&one);
        let resolver = thread::spawn(move || theirs.resolve(&Ok(())));
        one.unsubscribe(1);
        sleep(&stays);
        assert_eq!(one.result(), Some(Ok(())));
        resolver.join().unwrap();
        one.resolve(&Err(Error::Closed));
        assert_eq!(one.result(), Some(Ok(())), "the first result stays");
        assert!(goes.load(Ordering::Relaxed) <= WOKEN);
        assert!(sleeper(&one, 3).is_none());
    });
}

/// `suspend` on two completions, of which another thread resolves one: it wakes up, and sees the result.
#[test]
fn a_sleeper_on_two_completions_is_woken_by_either() {
    explore("a_sleeper_on_two_completions_is_woken_by_either", 4, || {
        let all = [pending(1, Reach::Written), pending(2, Reach::Written)];
        let (first, second) = (Arc::clone(&all[0]), Arc::clone(&all[1]));
        let resolver = thread::spawn(move || second.resolve(&Ok(())));
        let word = Arc::new(Futex::new(0));
        let subscribed = all.iter().all(|one| {
            let sleeper = Subscriber::Sleeper(Arc::clone(&word));
            one.subscribe(1, sleeper).is_ok()
        });
        if subscribed {
            sleep(&word);
        }
        all.iter().for_each(|one| one.unsubscribe(1));
        assert_eq!(all[1].result(), Some(Ok(())));
        assert_eq!(first.result(), None);
        resolver.join().unwrap();
    });
}

/// A sink whose sync remembers how far the ring had been drained when it began, once it has returned.
#[derive(Default)]
struct Disk {
    shared: Mutex<Option<Arc<Shared<Heap>>>>,
    durable: Mutex<Option<Arc<AtomicU64>>>,
}

impl Disk {
    /// A queue in front of it, and how far it has come.
    fn queue(self: &std::sync::Arc<Self>) -> (Arc<Shared<Heap>>, Flusher<Heap>, Arc<AtomicU64>) {
        let (shared, flusher) = queue_with_sync(8, std::sync::Arc::<Self>::clone(self));
        let durable = Arc::new(AtomicU64::new(0));
        *self.shared.lock().unwrap() = Some(Arc::clone(&shared));
        *self.durable.lock().unwrap() = Some(Arc::clone(&durable));
        (shared, flusher, durable)
    }

    /// Lets go of the queue, which holds the sink.
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
        let began_at = shared.ring.tail().pos;
        thread::yield_now(); // the disk turns
        durable.fetch_max(began_at, Ordering::SeqCst);
        Ok(())
    }
}

/// One thread syncs, another posts, drains, and comes late: nobody is done before a sync that began after its bytes were
/// written has returned; and the late-comer is seen by this sync or needs the next.
#[test]
fn nobody_is_durable_before_a_sync_that_began_after_its_bytes_were_written() {
    let name = "nobody_is_durable_before_a_sync_that_began_after_its_bytes_were_written";
    explore(name, 2, || {
        let disk = std::sync::Arc::new(Disk::default());
        let (shared, mut flusher, durable) = disk.queue();
        write(&shared, b'a', 1, false);
        flusher.step();
        let first = pending(1, DATA);
        shared.watch.add(Arc::clone(&first)).unwrap();
        let late = pending(3, DATA);
        let theirs = Arc::clone(&shared);
        let syncer = thread::spawn(move || theirs.sync_step());
        write(&shared, b'b', 2, false);
        shared.watch.add(Arc::clone(&late)).unwrap();
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
            shared.sync_step(),
            !is_done,
            "who came late is looked at again"
        );
        assert!(check(&late));
        assert!(!shared.sync_step(), "nothing is due any more");
        disk.let_go();
    });
}

/// The end of a queue with its own sync thread: what is written by the last drain, and waited for, is synced before the
/// sync thread ends. The wait is made before the close, so it must not be told that the queue is closed.
#[test]
fn the_last_sync_that_is_due_is_done_before_the_end() {
    explore(
        "the_last_sync_that_is_due_is_done_before_the_end",
        2,
        || {
            let sink = std::sync::Arc::new(Memory::default());
            let (shared, mut flusher) = queue_with_sync(4, sink);
            Shared::start_syncer(&shared).unwrap();
            write(&shared, b'a', 1, false);
            let last = pending(1, DATA);
            shared.watch.add(Arc::clone(&last)).unwrap();
            shared.settle();
            shared.ring.close();
            drive(&mut flusher, Pace::parking(4));
            drop(flusher);
            shared.flusher_ended();
            let finished = || shared.has_finished().then_some(());
            shared.progress.wait_until(None, finished).unwrap();
            assert_eq!(last.result(), Some(Ok(())));
        },
    );
}

/// Whether a model has seen all outcomes that it is for.
static OUTCOMES: Mutex<[bool; 2]> = Mutex::new([false; 2]);

/// An fsync against the end of a queue: it is synced, or told that the queue is closed, and never left.
#[test]
fn who_comes_as_the_queue_ends_is_told() {
    explore("who_comes_as_the_queue_ends_is_told", 2, || {
        let (shared, mut flusher, _file) = queue(4, Order::Any);
        write(&shared, b'a', 1, false);
        flusher.step();
        let theirs = Arc::clone(&shared);
        let end = thread::spawn(move || theirs.finish());
        let one = pending(1, DATA);
        shared.watch.add(Arc::clone(&one)).unwrap();
        shared.settle();
        let early = one.result();
        OUTCOMES.lock().unwrap()[usize::from(early.is_some())] = true;
        sleeper(&one, 1).inspect(|word| sleep(word));
        assert_eq!(one.result(), Some(Err(Error::Closed)));
        end.join().unwrap();
    });
    assert_eq!(*OUTCOMES.lock().unwrap(), [true; 2], "both sides have told");
}
