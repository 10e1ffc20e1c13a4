//! Reopen: it separates earlier records from later ones, and its caller always gets a result.

use alq::model::{Order, Step, Subscriber};
use alq::{Error, Operation, Target};
use alq_loom_tests::{Memory, explore, queue, queue_on_dropped, start, write};
use loom::sync::Arc;
use loom::thread;

/// A reopen wakes a flusher that is about to park. A record posted before the call is in the old
/// file; a record posted after the completion is in the new file.
#[test]
fn a_reopen_wakes_the_flusher_and_cuts_between_before_and_after() {
    let name = "a_reopen_wakes_the_flusher_and_cuts_between_before_and_after";
    explore(name, [0, 1], || {
        let (shared, flusher, old) = queue(8, Order::Any);
        let new = Memory::default();
        let thread = start(flusher, &shared);
        write(&shared, b'a', 1, false);
        let reopened = shared
            .reopen((std::sync::Arc::new(new.clone()), Target::default(), false))
            .unwrap();
        let done = || reopened.result();
        assert_eq!(shared.outcome.resolved.wait_until(None, done), Some(Ok(())));
        write(&shared, b'b', 1, true);
        shared.intake.ring.close();
        shared.intake.bell.ring();
        thread.join().unwrap();
        assert_eq!((old.contents(), new.contents()), (vec![b'a'], vec![b'b']));
    });
}

/// A reopen runs against the end of a queue. It takes place, is refused, or its completion gets
/// `Closed`; it never stays without a result.
#[test]
fn a_reopen_as_the_queue_ends_gets_a_result() {
    explore("a_reopen_as_the_queue_ends_gets_a_result", 3, || {
        let (shared, mut flusher, _) = queue(4, Order::Any);
        let theirs = Arc::clone(&shared);
        let end = thread::spawn(move || {
            theirs.intake.ring.close();
            while flusher.step() != Step::Finished {}
            drop(flusher);
            theirs.flusher_ended();
        });
        match shared.reopen((
            std::sync::Arc::new(Memory::default()),
            Target::default(),
            false,
        )) {
            Ok(reopened) => {
                let done = || reopened.result();
                let result = shared.outcome.resolved.wait_until(None, done);
                assert!(matches!(result, Some(Ok(()) | Err(Error::Closed))));
            }
            Err(error) => assert_eq!(error, Error::Closed),
        }
        end.join().unwrap();
    });
}

/// A callback of a reopen runs only after the flusher has dropped the old sink, whether the flusher
/// or another thread calls it.
#[test]
fn a_reopen_resolves_only_after_the_old_sink_is_dropped() {
    let name = "a_reopen_resolves_only_after_the_old_sink_is_dropped";
    explore(name, 3, || {
        let (shared, mut flusher, cells) = queue_on_dropped(4);
        write(&shared, b'a', 1, true);
        let new = std::sync::Arc::new(Memory::default());
        let reopened = shared.reopen((new, Target::default(), false)).unwrap();
        let subscriber = Subscriber::Callback(Box::new(move |result| {
            assert_eq!(result, Ok(()));
            cells.read(0, 1);
        }));
        assert!(reopened.subscribe(1, subscriber).is_ok());
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || theirs.settle());
        flusher.step();
        flusher.step();
        other.join().unwrap();
        assert_eq!(reopened.result(), Some(Ok(())));
    });
}

/// A thread asks what became of a record while a reopen discards it. Once the drain has passed the
/// record, the answer is the failure: it never counts as written.
#[test]
fn a_record_that_is_discarded_never_counts_as_written() {
    let name = "a_record_that_is_discarded_never_counts_as_written";
    explore(name, 3, || {
        let (shared, mut flusher, _old) = queue(4, Order::Any);
        let new = Memory::default();
        let end = write(&shared, b'a', 1, true);
        shared.fail(Operation::Write, 5);
        let failure = shared.failure();
        let sink = std::sync::Arc::new(new.clone());
        let reopened = shared.reopen((sink, Target::default(), true)).unwrap();
        let other = Arc::clone(&shared);
        let asker = thread::spawn(move || {
            let is_passed = other.intake.ring.tail().pos >= end;
            let answer = other.outcome.discards.error_at(end);
            assert!(!is_passed || answer.is_some());
        });
        while flusher.step() != Step::Empty {}
        asker.join().unwrap();
        assert_eq!(reopened.result(), Some(Ok(())));
        assert_eq!(shared.outcome.discards.error_at(end), failure);
        let after = write(&shared, b'b', 1, true);
        assert_eq!(shared.outcome.discards.error_at(after), None);
        while flusher.step() != Step::Empty {}
        assert_eq!(new.contents(), vec![b'b']);
    });
}
