//! `flush` returns when everything posted before the call is written, and no scheduled record is
//! left in the ring.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{
    Log, Record, STALLS_SOON, TRY, WAIT, Watched, assert_complete, fill_up, parse, pipe, read_all,
    small, spawn, wait_for, wait_until_parked,
};
use alq::{Error, Flags, Queue};

const QUIET: Flags = Flags::NOACTIVATE;

/// Reads a log while other threads write to it.
struct Follower {
    file: File,
    read: u64,
}

impl Follower {
    fn new(log: &Log) -> Self {
        Self {
            file: File::open(log.path()).unwrap(),
            read: 0,
        }
    }

    /// Returns whether `record` is among the bytes that have come since the last look and are in
    /// the file now. Bytes that come during the read do not count: the read might never reach the
    /// end.
    fn finds(&mut self, record: Record) -> bool {
        let end = self.file.metadata().unwrap().len();
        let mut fresh = String::new();
        let mut piece = (&self.file).take(end - self.read);
        piece.read_to_string(&mut fresh).unwrap();
        self.read = end;
        fresh.contains(&record.text())
    }
}

fn record(writer: usize, seq: u32) -> Record {
    Record {
        writer,
        seq,
        len: 40,
    }
}

fn post(queue: &Queue, writer: usize, seq: u32, flags: Flags) {
    let record = Record {
        writer,
        seq,
        len: 40,
    };
    queue.writen(record.text().as_bytes(), flags).unwrap();
}

#[test]
fn flush_is_a_barrier_while_others_never_stop_posting() {
    const FLUSHES: u32 = 2000;
    let log = Log::new();
    let queue = log.open(small());
    let stop = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (1..3)
        .map(|writer| {
            let (queue, stop) = (queue.clone(), Arc::clone(&stop));
            spawn(move || {
                let mut seq = 0;
                while !stop.load(Ordering::Relaxed) {
                    post(&queue, writer, seq, WAIT);
                    seq += 1;
                }
                seq
            })
        })
        .collect();
    let mut follower = Follower::new(&log);
    for seq in 0..FLUSHES {
        let flags = if seq % 2 == 0 { WAIT | QUIET } else { WAIT };
        post(&queue, 0, seq, flags);
        queue.flush().unwrap();
        let there = follower.finds(record(0, seq));
        assert!(there, "record {seq} was not there when flush returned");
    }
    assert!(others.iter().all(Watched::is_running));
    stop.store(true, Ordering::Relaxed);
    let mut counts = vec![FLUSHES];
    counts.extend(others.into_iter().map(Watched::join));
    queue.close(None).unwrap();
    assert_complete(&parse(&log.bytes()), &counts);
}

#[test]
fn each_of_many_flushing_threads_finds_its_own_record_in_the_file() {
    let log = Log::new();
    let queue = log.open(small());
    let threads: Vec<_> = (0..6)
        .map(|writer| {
            let queue = queue.clone();
            let mut follower = Follower::new(&log);
            spawn(move || {
                for seq in 0..200 {
                    post(&queue, writer, seq, WAIT);
                    queue.flush().unwrap();
                    assert!(follower.finds(record(writer, seq)), "record {seq}");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(Watched::join);
    assert_complete(&parse(&log.bytes()), &[200; 6]);
}

/// Returns whether `is_quiet` holds once the flusher is parked. It tries a few times, because the
/// flusher may park late.
fn leaves_a_parked_flusher_asleep(queue: &Queue, mut is_quiet: impl FnMut() -> bool) -> bool {
    (0..10).any(|_| {
        wait_until_parked(queue);
        is_quiet()
    })
}

#[test]
fn flush_of_an_idle_queue_returns_at_once_and_wakes_no_thread() {
    let log = Log::new();
    let queue = log.open(small());
    queue.flush().unwrap(); // never used
    post(&queue, 0, 0, TRY);
    queue.flush().unwrap();
    assert!(leaves_a_parked_flusher_asleep(&queue, || {
        let wakeups = queue.stats().wakeups;
        queue.flush().unwrap();
        queue.flush_timeout(Duration::ZERO).unwrap();
        queue.flush_timeout(Duration::MAX).unwrap();
        std::thread::sleep(Duration::from_millis(20)); // the time in which a wake-up would show
        queue.stats().wakeups == wakeups
    }));
}

#[test]
fn flush_timeout_ends_after_at_least_its_time_and_keeps_the_data() {
    let (reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let queue = small().open_fd(&writer).unwrap();
    drop(writer);
    post(&queue, 0, 0, TRY);
    for millis in [0, 30] {
        let timeout = Duration::from_millis(millis);
        let start = Instant::now();
        assert_eq!(queue.flush_timeout(timeout), Err(Error::TimedOut));
        assert!(start.elapsed() >= timeout);
    }
    let bytes = read_all(reader);
    queue.flush_timeout(Duration::MAX).unwrap();
    drop(queue);
    assert_complete(&parse(&bytes.join()[filler..]), &[1]);
}

#[test]
fn flush_timeout_ends_also_if_an_entry_is_held() {
    let log = Log::new();
    let queue = log.open(small());
    let held = queue.getn(10, TRY).unwrap();
    post(&queue, 0, 0, TRY);
    let result = queue.flush_timeout(Duration::from_millis(30)); // the stall limit is far beyond
    assert_eq!(result, Err(Error::TimedOut));
    drop(held);
    queue.flush_timeout(Duration::MAX).unwrap();
    assert_complete(&parse(&log.bytes()), &[1]);
}

#[test]
fn a_sink_that_takes_nothing_ends_a_flush_after_the_stall_limit() {
    let (reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let queue = small()
        .stall_limit(Some(STALLS_SOON))
        .open_fd(&writer)
        .unwrap();
    drop(writer);
    post(&queue, 0, 0, TRY);
    let stalled = Error::Stalled {
        errno: libc::EAGAIN,
        target: alq::Target::default(),
    };
    assert_eq!(queue.flush(), Err(stalled.clone()));
    assert_eq!(queue.flush_timeout(Duration::MAX), Err(stalled));
    post(&queue, 0, 1, TRY); // the queue is as usable as before
    let bytes = read_all(reader);
    wait_for("both are written", || queue.stats().written_records == 2);
    queue.flush().unwrap();
    drop(queue);
    assert_complete(&parse(&bytes.join()[filler..]), &[2]);
}

#[test]
fn a_post_with_noactivate_leaves_a_parked_flusher_asleep() {
    let log = Log::new();
    let queue = log.open(small());
    let mut posted = 0;
    assert!(leaves_a_parked_flusher_asleep(&queue, || {
        let written = queue.stats().written_records;
        post(&queue, 0, posted, TRY | QUIET);
        posted += 1;
        std::thread::sleep(Duration::from_millis(20)); // the time in which a wake-up would show
        queue.stats().written_records == written
    }));
    drop(queue);
    assert_complete(&parse(&log.bytes()), &[posted]);
}

#[test]
fn a_new_queue_writes_nothing_that_was_posted_with_noactivate_until_it_is_activated() {
    for round in 0..20 {
        let log = Log::new();
        let queue = log.open(small());
        let mut lane = queue.lane();
        post(&queue, 0, 0, TRY | QUIET);
        lane.writen(record(1, 0).text().as_bytes(), TRY | QUIET)
            .unwrap();
        std::thread::sleep(Duration::from_millis(20)); // the time in which a wake-up would show
        assert_eq!(queue.stats().written_records, 0, "round {round}");
        post(&queue, 0, 1, TRY);
        wait_for("it is written without a further call", || {
            parse(&log.bytes()).len() == 3
        });
        queue.close(None).unwrap();
        assert_complete(&parse(&log.bytes()), &[2, 1]);
    }
}

#[test]
fn what_was_posted_with_noactivate_is_written_with_the_next_thing_that_schedules_the_drain() {
    let ways: [fn(&Queue); 5] = [
        |queue| queue.activate(),
        |queue| queue.flush().unwrap(),
        |queue| post(queue, 1, 0, TRY),
        |queue| _ = queue.getn(1, TRY).unwrap().post(),
        |queue| queue.close(None).unwrap(),
    ];
    for schedule in ways {
        let log = Log::new();
        let queue = log.open(small());
        wait_until_parked(&queue);
        let mut entry = queue.getn(40, TRY).unwrap();
        let text = Record {
            writer: 0,
            seq: 0,
            len: 40,
        }
        .text();
        write!(entry, "{text}").unwrap();
        entry.post_flags(QUIET);
        schedule(&queue);
        wait_for("it is written", || log.bytes().starts_with(text.as_bytes()));
    }
}

/// Fills a ring whose flusher is parked, with records that do not wake it. Returns their number.
fn fill_quietly(queue: &Queue) -> u32 {
    wait_until_parked(queue);
    for seq in 0..64 {
        post(queue, 0, seq, TRY | QUIET); // 64 descriptors
    }
    64
}

#[test]
fn a_refusal_by_a_ring_full_of_noactivate_records_schedules_the_drain() {
    let log = Log::new();
    let queue = log.open(small());
    let mut count = fill_quietly(&queue);
    let refusal = loop {
        let text = record(0, count).text();
        match queue.writen(text.as_bytes(), TRY | QUIET) {
            Ok(_) => count += 1, // the flusher was slow to park
            Err(error) => break error,
        }
    };
    assert_eq!(refusal, Error::WouldBlock);
    wait_for("room comes without a further call", || {
        queue.stats().fill_bytes == 0
    });
    post(&queue, 0, count, TRY);
    queue.close(None).unwrap();
    assert_complete(&parse(&log.bytes()), &[count + 1]);
}

#[test]
fn a_writer_that_waits_for_noactivate_records_gets_room() {
    for quiet in [Flags::empty(), QUIET] {
        let log = Log::new();
        let queue = log.open(small());
        let count = fill_quietly(&queue);
        let writer = queue.clone();
        spawn(move || post(&writer, 0, count, WAIT | quiet)).join();
        queue.close(None).unwrap();
        assert_complete(&parse(&log.bytes()), &[count + 1]);
    }
}

/// Waits without sleeping, so as not to miss the moment.
fn spin_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + crate::common::DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "this never came: {what}");
    }
}

#[test]
fn a_post_at_the_moment_when_the_flusher_parks_is_written() {
    const NAPS: u64 = 17; // that many, after the last write; then it parks
    let log = Log::new();
    let queue = log.open(small());
    for seq in 0..160 {
        // Half of the records are claimed in advance: the flusher parks before them, not after
        // everything.
        let text = record(0, seq).text();
        let mut entry = (seq % 2 == 0).then(|| queue.getn(40, TRY).unwrap());
        if let Some(entry) = &mut entry {
            entry.copy_from_slice(text.as_bytes());
        }
        let target = queue.stats().wakeups + NAPS;
        // A limit, if the flusher naps less often than that.
        let asleep = Instant::now() + Duration::from_millis(100);
        while queue.stats().wakeups < target && Instant::now() < asleep {}
        (0..seq % 5).for_each(|_| std::hint::spin_loop());
        match entry {
            Some(entry) => entry.post(),
            None => queue.writen(text.as_bytes(), TRY).unwrap(),
        };
        // Not by flush: only the post may wake the flusher.
        spin_until("the record is written", || {
            queue.stats().written_records == u64::from(seq) + 1
        });
    }
    drop(queue);
    assert_complete(&parse(&log.bytes()), &[160]);
}
