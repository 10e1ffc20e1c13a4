//! Completions, and `suspend` on several: every subscriber receives the result, from one thread or
//! another.

use std::sync::Mutex;

use alq::model::sync::Futex;
use alq::model::{Order, Pending, Reach, Subscriber, WOKEN, Watch};
use alq::{Error, SyncOp};
use alq_loom_tests::{explore, queue, write};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

const DATA: Reach = Reach::Durable(SyncOp::Data);

/// Sleeps until `word` is woken, as the shipping code of `suspend` does.
fn sleep(word: &Futex) {
    alq::model::sleep(word, None).unwrap();
}

fn pending(target: u64, reach: Reach) -> Arc<Pending> {
    Arc::new(Pending::new(target, reach))
}

/// Subscribes a sleeper. Returns `None` if `pending` has its result already.
fn sleeper(pending: &Pending, key: u64) -> Option<Arc<Futex>> {
    let word = Arc::new(Futex::new(0));
    let sleeper = Subscriber::Sleeper(Arc::clone(&word));
    pending.subscribe(key, sleeper).is_ok().then_some(word)
}

/// The handshake of `Watch` alone. One thread raises a mark and settles if anything is awaited. Two
/// threads add a wait and then look at the mark. Both waits are resolved, by either side.
#[test]
fn one_advance_resolves_two_concurrent_waits() {
    explore("one_advance_resolves_two_concurrent_waits", [2, 3], || {
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

/// A handle is dropped while its completion is being resolved. Its subscriber is called or removed;
/// it never stays in the list. Another subscriber of the same completion is called in either case.
#[test]
fn an_unsubscribe_during_the_resolution_keeps_other_subscribers() {
    let name = "an_unsubscribe_during_the_resolution_keeps_other_subscribers";
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

/// `suspend` sleeps on two completions, and another thread resolves one. The sleeper wakes up and
/// sees the result.
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

/// The outcomes that the executions of the model have seen.
static OUTCOMES: Mutex<[bool; 2]> = Mutex::new([false; 2]);

/// An fsync runs against the end of a queue. Its completion succeeds or gets `Closed`; it never
/// stays without a result.
#[test]
fn a_wait_added_as_the_queue_ends_gets_a_result() {
    explore("a_wait_added_as_the_queue_ends_gets_a_result", 2, || {
        let (shared, mut flusher, _file) = queue(4, Order::Any);
        write(&shared, b'a', 1, true);
        flusher.step();
        let theirs = Arc::clone(&shared);
        let end = thread::spawn(move || theirs.finish());
        let one = pending(1, DATA);
        shared.outcome.watch.add(Arc::clone(&one)).unwrap();
        shared.settle();
        let early = one.result();
        OUTCOMES.lock().unwrap()[usize::from(early.is_some())] = true;
        sleeper(&one, 1).inspect(|word| sleep(word));
        assert_eq!(one.result(), Some(Err(Error::Closed)));
        end.join().unwrap();
    });
    assert_eq!(
        *OUTCOMES.lock().unwrap(),
        [true; 2],
        "both sides have resolved it"
    );
}
