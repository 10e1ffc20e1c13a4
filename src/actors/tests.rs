//! The flusher against a sink that fails by a script. The flusher must never lose, repeat or tear a
//! byte.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::config::{Config, Last};
use super::flusher::{Flusher, Step};
use super::pace::Pace;
use super::shared::Shared;
use super::thread::start;
use crate::ends::{Kind, Sink};
use crate::memory::heap::Heap;
use crate::primitives::Interest;
use crate::primitives::sync::Arc;
use crate::words::{Error, Geometry, Idle, Operation, Order, SyncOp};

/// What the sink does with one write.
#[derive(Clone, Copy, Debug)]
enum Act {
    Take(usize),
    Fail(i32),
    Panic,
}

/// A sink that follows a script. After the end of the script it takes all bytes.
#[derive(Clone, Debug)]
struct Scripted {
    script: Arc<Mutex<VecDeque<Act>>>,
    file: Arc<Mutex<Vec<u8>>>,
}

impl Scripted {
    fn new(script: impl IntoIterator<Item = Act>) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            file: Arc::default(),
        }
    }

    fn file(&self) -> Vec<u8> {
        self.file.lock().unwrap().clone()
    }
}

impl Sink for Scripted {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        let act = self.script.lock().unwrap().pop_front();
        let taken = match act.unwrap_or(Act::Take(usize::MAX)) {
            Act::Take(most) => most.min(bytes.len()),
            Act::Fail(errno) => return Err(io::Error::from_raw_os_error(errno)),
            Act::Panic => panic!("the script says so"),
        };
        self.file.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn wait_ready(&self, _limit: Duration) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

fn queue(script: impl IntoIterator<Item = Act>) -> (Arc<Shared<Heap>>, Flusher<Heap>, Scripted) {
    let (shared, drain) = Shared::new(Heap::new(Geometry::new(64, 16)), &CONFIG, None);
    let shared = Arc::new(shared);
    let sink = Scripted::new(script);
    let flusher = Flusher::new(Arc::clone(&shared), drain, Arc::new(sink.clone()));
    (shared, flusher, sink)
}

fn append(shared: &Shared<Heap>, record: &[u8]) -> Result<(), Error> {
    let mut reservation = shared.intake.try_reserve(record.len() as u32)?;
    reservation.fill(record);
    shared.intake.posted(reservation.post(record.len() as u32));
    Ok(())
}

const CONFIG: Config = Config {
    order: Order::Any,
    lane_span: 4,
    stall_limit: None,
    outstanding_max: 16,
    refuse_when_stalled: false,
    loss_lines: None,
    recorder: false,
    dump_line: None,
    sync_policy: None,
};

/// Checks that `posted = written + still in the ring`.
fn assert_accounts(shared: &Shared<Heap>, posted: u64, sink: &Scripted) {
    let stats = shared.stats();
    assert_eq!(stats.posted_bytes, posted);
    assert_eq!(stats.written_bytes, sink.file().len() as u64);
}

#[test]
fn the_flusher_continues_after_interruptions_and_short_writes() {
    for first in 1..=5 {
        let script = [
            Act::Fail(libc::EINTR),
            Act::Take(first),
            Act::Fail(libc::EINTR),
            Act::Take(1),
        ];
        let (shared, mut flusher, sink) = queue(script);
        append(&shared, b"abc").unwrap();
        append(&shared, b"def").unwrap();
        let mut steps = Vec::new();
        while sink.file().len() < 6 {
            steps.push(flusher.step());
            assert_accounts(&shared, 6, &sink);
        }
        assert_eq!((steps[0], steps[2]), (Step::Again, Step::Again));
        assert_eq!(sink.file(), b"abcdef");
        assert_eq!(shared.failure(), None);
    }
}

#[test]
fn a_sink_that_would_block_is_waited_for() {
    let (shared, mut flusher, sink) = queue([Act::Fail(libc::EAGAIN)]);
    append(&shared, b"abc").unwrap();
    assert_eq!(flusher.step(), Step::Busy);
    assert_eq!(
        flusher.step(),
        Step::Moved {
            bytes: 3,
            more: false
        }
    );
    assert_eq!(sink.file(), b"abc");
}

#[test]
fn a_full_sink_is_tried_again_and_gets_every_byte_once() {
    for errno in [libc::ENOSPC, libc::EDQUOT] {
        for room in 1..6 {
            let script = [
                Act::Fail(errno),
                Act::Take(room),
                Act::Fail(errno),
                Act::Fail(errno),
                Act::Take(0),
            ];
            let (shared, mut flusher, sink) = queue(script);
            append(&shared, b"abc").unwrap();
            append(&shared, b"def").unwrap();
            let mut steps = Vec::new();
            while sink.file().len() < 6 {
                steps.push(flusher.step());
                assert_accounts(&shared, 6, &sink);
            }
            let full = Step::Full { errno };
            let none_taken = Step::Full {
                errno: libc::ENOSPC,
            };
            assert_eq!(steps[0], full);
            assert!(matches!(steps[1], Step::Moved { more: true, .. }));
            assert_eq!(steps[2..5], [full, full, none_taken]);
            assert_eq!(sink.file(), b"abcdef");
            assert_eq!(shared.failure(), None);
        }
    }
}

/// The first sink fails at each possible place. The stream then is what the first sink got, without
/// the start of a record that the second sink gets again, followed by what the second sink got.
#[test]
fn a_second_sink_gets_the_record_in_hand_from_its_first_byte_on() {
    for taken in 0..6 {
        let act = if taken == 0 {
            Act::Fail(libc::EINTR)
        } else {
            Act::Take(taken)
        };
        let (shared, mut flusher, first) = queue([act, Act::Fail(libc::EIO)]);
        append(&shared, b"abc").unwrap();
        append(&shared, b"def").unwrap();
        while shared.failure().is_none() {
            flusher.step();
        }
        let second = Scripted::new([Act::Take(1), Act::Fail(libc::EINTR), Act::Take(1)]);
        let reopened = shared
            .reopen((
                Arc::new(second.clone()),
                crate::words::Target::default(),
                false,
            ))
            .unwrap();
        while flusher.step() != Step::Empty {}
        assert_eq!(reopened.result(), Some(Ok(())));
        assert_eq!(shared.failure(), None);
        let torn = taken % 3;
        assert_eq!(first.file(), &b"abcdef"[..taken]);
        assert_eq!(second.file(), &b"abcdef"[taken - torn..]);
        let stats = shared.stats();
        assert_eq!(
            (stats.written_bytes, stats.repeated_bytes),
            (6, torn as u64)
        );
    }
}

#[test]
fn any_other_error_is_kept_and_returned_to_every_caller() {
    for errno in [libc::EIO, libc::EPIPE, libc::EBADF, libc::EFBIG] {
        let (shared, mut flusher, sink) = queue([Act::Take(2), Act::Fail(errno)]);
        append(&shared, b"abc").unwrap();
        assert_eq!(
            flusher.step(),
            Step::Moved {
                bytes: 2,
                more: true
            }
        );
        assert_eq!(flusher.step(), Step::Failed);
        let error = Error::Io {
            operation: Operation::Write,
            errno,
            target: crate::words::Target::default(),
        };
        assert_eq!(append(&shared, b"later"), Err(error.clone()));
        assert_eq!(
            shared
                .intake
                .wait_reserve(1, Kind::Writen, None)
                .map(drop)
                .map_err(Error::from),
            Err(error.clone())
        );
        assert_eq!(shared.stats().last_error, Some(error));
        assert_eq!(flusher.step(), Step::Failed, "it stays failed");
        assert_eq!(sink.file(), b"ab");
        assert_accounts(&shared, 3, &sink);
        shared.intake.ring.close();
        assert_eq!(flusher.step(), Step::Finished);
    }
}

/// A claim reaches the mark with its whole length, even if the record leaves that part unused.
#[test]
fn a_nap_ends_at_a_mark_that_lies_in_padding() {
    let (shared, _flusher, _sink) = queue([]);
    let interest = || shared.intake.bell.interest_after_publication();
    let is_woken = thread::scope(|scope| {
        scope.spawn(|| shared.intake.bell.nap(Duration::from_secs(60)));
        while interest() != Interest::Mark {
            thread::yield_now();
        }
        append(&shared, b"a").unwrap();
        // Crosses the end of the first quarter, at 16 bytes.
        let long = shared.intake.try_reserve(20).unwrap();
        append(&shared, b"behind").unwrap();
        assert_eq!(interest(), Interest::Mark);
        shared.intake.posted(long.post(2));
        let is_woken = interest() == Interest::Nothing;
        shared.intake.bell.ring();
        is_woken
    });
    assert!(is_woken);
}

#[test]
fn the_flusher_is_finished_only_at_the_end_of_a_closed_queue() {
    let (shared, mut flusher, sink) = queue([]);
    let held = shared.intake.try_reserve(4).unwrap();
    shared.intake.ring.close();
    assert!(matches!(flusher.step(), Step::Blocked { .. }));
    let posted = held.post(2);
    shared.intake.posted(posted);
    assert_eq!(
        flusher.step(),
        Step::Moved {
            bytes: 2,
            more: false
        }
    );
    assert_eq!(flusher.step(), Step::Finished);
    assert_eq!(sink.file().len(), 2);
}

#[test]
fn a_flusher_that_must_stop_writes_nothing_more() {
    let (shared, mut flusher, sink) = queue([]);
    append(&shared, b"abc").unwrap();
    shared.set_last(Last::Stop);
    assert_eq!(flusher.step(), Step::Finished);
    assert_eq!(sink.file(), b"");
    assert_accounts(&shared, 3, &sink);
}

#[test]
fn a_panic_in_the_sink_fails_the_queue_and_every_wait_ends() {
    let (shared, flusher, _) = queue([Act::Panic]);
    append(&shared, b"abc").unwrap();
    start(flusher, Duration::from_millis(1), Idle::Park).unwrap();
    let finished = || shared.has_finished().then_some(());
    shared.outcome.progress.wait_until(None, finished).unwrap();
    let error = Error::Io {
        operation: Operation::Flusher,
        errno: libc::EIO,
        target: crate::words::Target::default(),
    };
    assert_eq!(shared.failure(), Some(error));
    assert_eq!(shared.stats().posted_bytes, 3);
}

/// However long no record comes, no post needs to wake a flusher that is not to park.
#[test]
fn a_post_never_wakes_a_flusher_that_naps_or_spins() {
    for idle in [Idle::Nap, Idle::Spin] {
        let (shared, flusher, sink) = queue([]);
        start(flusher, Duration::from_micros(50), idle).unwrap();
        let looks = shared.stats().wakeups + 4 * u64::from(Pace::IDLE_NAPS_MAX);
        let began = Instant::now();
        let is_over = || match idle {
            Idle::Nap => shared.stats().wakeups >= looks,
            _ => began.elapsed() >= Duration::from_millis(5), // many looks, each below 100 us
        };
        until(|| {
            let interest = shared.intake.bell.interest_after_publication();
            assert!(
                matches!(interest, Interest::Nothing | Interest::Mark),
                "{idle:?}"
            );
            is_over()
        });
        append(&shared, b"a").unwrap(); // without a ring
        until(|| sink.file() == b"a");
        shared.intake.ring.close();
        until(|| shared.has_finished());
    }
}

/// Two writers wait, and there is room for only one. It continues and posts without a wake-up. The
/// flusher must still look again, or the other writer would sleep without end.
#[test]
fn the_next_waiting_writer_is_served_after_the_first_one() {
    let (shared, mut flusher, sink) = queue([]);
    append(&shared, &[b'x'; 64]).unwrap();
    let wait = |len: u32| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let mut reservation = shared.intake.wait_reserve(len, Kind::Writen, None).unwrap();
            reservation.fill(&vec![b'w'; len as usize]);
            shared.intake.posted(reservation.post_as(len, false));
        })
    };
    let waiting = || shared.stats().waits.writen_room;
    let first = wait(40);
    until(|| waiting() == 1);
    let second = wait(30);
    until(|| waiting() == 2);
    let soon = Some(Duration::from_millis(1));
    // Consumes the wake-ups that the writers sent before they slept.
    shared.intake.bell.park(Interest::Any, soon, || false);
    flusher.step();
    first.join().unwrap();

    let theirs = Arc::clone(&shared);
    let flusher = thread::spawn(move || {
        while theirs.outcome.last() != Last::Stop {
            theirs.intake.bell.park(Interest::Any, None, || false);
            while flusher.step() == Step::Again {}
        }
    });
    until(|| second.is_finished());
    second.join().unwrap();
    shared.set_last(Last::Stop);
    flusher.join().unwrap();
    assert!(sink.file().len() >= 104);
}

/// Waits until `condition` holds; fails a test that would hang.
fn until(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(300); // far above the expected time: a hang
    while !condition() {
        assert!(Instant::now() < end, "it did not hold within 300 s");
        thread::yield_now();
    }
}
