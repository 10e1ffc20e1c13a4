//! Under everything at once, each record is in the log once, whole, and in its producer's order.
//!
//! Producers append in every way and in lanes, on ordered and other queues, under a storm of
//! signals whose handler appends. At the same time the log is renamed and reopened, moves to a pipe
//! with a slow reader and back, and other threads flush, sync and query. Each round ends with a
//! check.
//!
//! The default is two rounds; `ALQ_STRESS_SECONDS` sets a duration instead.
#![allow(unsafe_code, reason = "signal handlers have no safe form")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use alq::{Error, Level, Queue, SyncOp};
use common::load::{consume, produce};
use common::{
    Log, Numbers, Record, TRY, Watched, append_to, assert_complete, parse, pipe, small, spawn,
};
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Each of them is two writers: through the queue, and through a lane.
const PRODUCERS: usize = 3;

/// The handler of signals is one more writer.
const HANDLER: usize = 2 * PRODUCERS;

const ROUND: Duration = Duration::from_secs(1);

static QUEUE: AtomicPtr<Queue> = AtomicPtr::new(ptr::null_mut());
static HANDLED: AtomicU32 = AtomicU32::new(0);

/// Appends one record if there is room. It always runs on the same thread, which may be inside any
/// call.
extern "C" fn append_one(_: i32) {
    // SAFETY: null, or a queue that is leaked.
    let Some(queue) = (unsafe { QUEUE.load(Ordering::Acquire).as_ref() }) else {
        return;
    };
    let record = Record {
        writer: HANDLER,
        seq: HANDLED.load(Ordering::Relaxed),
        len: 60,
    };
    if let Ok(mut entry) = queue.getn(100, TRY) {
        record.write_to(&mut entry).expect("it fits");
        entry.post();
        HANDLED.store(record.seq + 1, Ordering::Relaxed);
    }
}

fn install_handler() {
    let action = SigAction::new(
        SigHandler::Handler(append_one),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: the handler only calls functions that are async-signal-safe.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
}

/// The destinations of the log, in order.
enum Piece {
    File(PathBuf),
    Pipe(Watched<Vec<u8>>),
}

impl Piece {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::File(path) => {
                let bytes = fs::read(&path).unwrap();
                fs::remove_file(path).unwrap();
                bytes
            }
            Self::Pipe(reader) => reader.join(),
        }
    }
}

/// Moves the log to another destination and returns it.
fn reopen(queue: &Queue, log: &Log, number: usize) -> Piece {
    if number % 3 == 2 {
        let (reader, writer) = pipe().unwrap();
        let taken_over = queue.reopen(&writer).unwrap();
        drop(writer);
        let piece = Piece::Pipe(spawn(move || consume(reader)));
        taken_over.wait().unwrap();
        return piece;
    }
    let path = log.path().with_extension(number.to_string());
    queue.reopen(append_to(&path)).unwrap().wait().unwrap();
    Piece::File(path)
}

/// Makes all other calls on a queue.
fn bother(queue: &Queue, numbers: &mut Numbers) {
    match numbers.below(5) {
        0 => queue.flush().unwrap(),
        1 => {
            let written = queue.completion(queue.position(), Level::Written);
            written.wait().unwrap();
        }
        2 => match queue.fsync(SyncOp::Data) {
            // It may be a pipe by then.
            Ok(completion) => drop(completion.wait().or_else(|error| match error {
                Error::NotSyncable => Ok(()),
                error => Err(error),
            })),
            Err(error) => assert_eq!(error, Error::NotSyncable),
        },
        3 => assert_eq!(queue.stats().lost_bytes, 0),
        _ => queue.activate(),
    }
}

/// Signals one of the producers, at any moment.
fn storm(target: usize, stop: &AtomicBool) {
    let mut numbers = Numbers::new(3);
    while !stop.load(Ordering::Relaxed) {
        pthread_kill(target as Pthread, Signal::SIGUSR1).unwrap();
        (0..numbers.below(20_000)).for_each(|_| std::hint::spin_loop());
    }
}

fn round(ordered: bool, number: usize) {
    let log = Log::new();
    let options = small().ordered(ordered);
    // Leaked, for the handler; some hundred bytes once it is closed.
    let queue: &'static Queue = Box::leak(Box::new(log.open(options)));
    HANDLED.store(0, Ordering::Relaxed);
    QUEUE.store(ptr::from_ref(queue).cast_mut(), Ordering::Release);
    let stop = Arc::new(AtomicBool::new(false));
    let producer = |writer: usize| {
        let stop = Arc::clone(&stop);
        spawn(move || {
            let calm = Arc::new(AtomicBool::new(false));
            let storming = (writer == 0).then(|| {
                let (target, calm) = (pthread_self() as usize, Arc::clone(&calm));
                spawn(move || storm(target, &calm))
            });
            let counts = produce(queue, 2 * writer, &stop);
            calm.store(true, Ordering::Relaxed);
            storming.map(Watched::join);
            counts
        })
    };
    let producers: Vec<_> = (0..PRODUCERS).map(producer).collect();
    let bothering = {
        let stop = Arc::clone(&stop);
        spawn(move || {
            let mut numbers = Numbers::new(number);
            while !stop.load(Ordering::Relaxed) {
                bother(queue, &mut numbers);
            }
        })
    };
    let mut pieces = vec![Piece::File(log.path())];
    let end = Instant::now() + ROUND;
    while Instant::now() < end {
        pieces.push(reopen(queue, &log, pieces.len()));
        queue.flush().unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let counts = producers.into_iter().flat_map(Watched::join);
    let mut counts: Vec<u32> = counts.collect();
    counts.push(HANDLED.load(Ordering::Relaxed));
    bothering.join();
    QUEUE.store(ptr::null_mut(), Ordering::Release);
    queue.close(None).unwrap();
    let stats = queue.stats();
    assert_eq!(
        (stats.written_bytes, stats.repeated_bytes),
        (stats.posted_bytes, 0)
    );
    let reopened = pieces.len() - 1;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(Piece::bytes).collect();
    assert_complete(&parse(&bytes), &counts);
    // On an ordered queue some thread always waits, so an append that does not wait is refused.
    let (appended, handled) = (&counts[..HANDLER], counts[HANDLER]);
    let is_busy = appended.iter().all(|&count| count > 0) && (handled > 0 || ordered);
    assert!(is_busy && reopened > 3, "{counts:?}, {reopened}");
}

#[test]
fn everything_at_once_loses_nothing() {
    install_handler();
    let seconds = std::env::var("ALQ_STRESS_SECONDS").map(|text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    for number in 0.. {
        round(number % 2 == 1, number);
        if number > 0 && Instant::now() >= end {
            break;
        }
    }
}
