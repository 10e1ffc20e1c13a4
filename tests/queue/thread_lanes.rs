//! With `thread_lanes`, each thread has a lane behind `writen`. The records of a thread keep their
//! order, whichever calls append them, and all that holds for a queue holds still.

use std::sync::{Arc, Barrier};

use crate::common::sink::{Script, queue_to};
use crate::common::{
    Log, Numbers, Record, TRY, WAIT, Watched, assert_complete, parse, small, spawn, wait_for,
};
use alq::{Error, Flags, Framing, Level, Options, Queue};

fn lanes() -> Options {
    Options::new().thread_lanes(true)
}

/// Appends `count` records of `writer`, in every way that a thread has.
fn append_all(queue: &Queue, writer: usize, count: u32) {
    let mut numbers = Numbers::new(writer + 1);
    for seq in 0..count {
        let len = Record::MIN_LEN + numbers.below(200);
        let text = Record { writer, seq, len }.text();
        match numbers.below(8) {
            0 => {
                let mut entry = queue.getn(len + 10, WAIT).unwrap();
                write!(entry, "{text}").unwrap();
                entry.post();
            }
            1 => {
                let entry = pollster::block_on(queue.reserve(len));
                let mut entry = entry.unwrap();
                entry.copy_from_slice(text.as_bytes());
                entry.post();
            }
            2 => writeln!(queue, "{}", text.trim_end()).unwrap(),
            3 => {
                while queue.writen(text.as_bytes(), TRY).is_err() {
                    std::thread::yield_now();
                }
            }
            4 => {
                _ = queue
                    .writen(text.as_bytes(), WAIT | Flags::NOACTIVATE)
                    .unwrap();
            }
            _ => _ = queue.writen(text.as_bytes(), WAIT).unwrap(),
        }
    }
}

#[test]
fn each_thread_has_a_lane_and_its_records_keep_their_order() {
    for (options, most) in [(lanes(), 4), (small().thread_lanes(true), 1)] {
        let log = Log::new();
        let queue = log.open(options);
        let all_have = Arc::new(Barrier::new(5));
        let threads: Vec<_> = (0..4)
            .map(|writer| {
                let (queue, all_have) = (queue.clone(), Arc::clone(&all_have));
                spawn(move || {
                    append_all(&queue, writer, 2000);
                    all_have.wait();
                    all_have.wait();
                })
            })
            .collect();
        all_have.wait();
        assert_eq!(queue.stats().lanes, most, "one for each 4 KiB of the ring");
        all_have.wait();
        threads.into_iter().for_each(Watched::join);
        queue.flush().unwrap();
        assert_complete(&parse(&log.bytes()), &[2000; 4]);
        let stats = queue.stats();
        assert_eq!((stats.lanes, stats.posted_records), (0, 8000));
    }
}

/// A reservation of the thread comes after what it appended before, and before what it appends
/// next.
#[test]
fn a_reservation_has_its_place_among_the_records_of_its_thread() {
    let log = Log::new();
    let queue = log.open(lanes());
    queue.writen(b"1\n", WAIT).unwrap();
    let mut second = queue.getn(2, WAIT).unwrap();
    queue.writen(b"3\n", WAIT).unwrap();
    let mut fourth = pollster::block_on(queue.reserve(2)).unwrap();
    queue.writen(b"5\n", TRY).unwrap();
    fourth.copy_from_slice(b"4\n");
    fourth.post();
    second.copy_from_slice(b"2\n");
    second.post();
    queue.flush().unwrap();
    assert_eq!(log.text(), "1\n2\n3\n4\n5\n");
}

/// A lane begins with an append that may wait. Appends with `NOWAIT` use it from then on: the span
/// of the thread comes before the record of another thread that was posted in between.
#[test]
fn an_append_that_does_not_wait_makes_no_lane_and_uses_the_one_there_is() {
    let log = Log::new();
    let queue = log.open(lanes());
    queue.writen(b"no lane\n", TRY).unwrap();
    assert_eq!(queue.stats().lanes, 0);
    let held = queue.getn(1, TRY).unwrap(); // the drain seals nothing that it cannot reach
    queue.writen(b"1\n", WAIT).unwrap();
    assert_eq!(queue.stats().lanes, 1);
    let other = queue.clone();
    spawn(move || other.writen(b"other\n", TRY).map(drop))
        .join()
        .unwrap();
    queue.writen(b"2\n", TRY).unwrap();
    drop(held);
    queue.flush().unwrap();
    assert_eq!(log.text(), "no lane\n1\n2\nother\n");
}

#[test]
fn a_thread_has_a_lane_of_each_of_its_queues() {
    let logs: Vec<_> = (0..40).map(|_| Log::new()).collect();
    for _ in 0..20 {
        let queues: Vec<_> = logs.iter().map(|log| log.open(lanes())).collect();
        for _ in 0..5 {
            for (i, queue) in queues.iter().enumerate() {
                writeln!(queue, "{i}").unwrap();
                assert_eq!(queue.stats().lanes, 1);
            }
        }
    }
    for (i, log) in logs.iter().enumerate() {
        assert_eq!(log.text(), format!("{i}\n").repeat(100));
    }
}

/// The span of a thread that has ended, or appends nothing more, holds back no flush and no room.
#[test]
fn a_thousand_threads_that_end_hold_nothing_back() {
    let log = Log::new();
    let queue = log.open(small().thread_lanes(true));
    for i in 0..1000 {
        let queue = queue.clone();
        spawn(move || queue.writen(format!("{i:03}\n").as_bytes(), WAIT).unwrap()).join();
    }
    let whole = [b'x'; 4096];
    let other = {
        let queue = queue.clone();
        spawn(move || {
            queue.writen(&whole, WAIT).unwrap();
            queue.writen(b"idle\n", WAIT).unwrap()
        })
    };
    let end = other.join();
    queue.completion(end, Level::Written).wait().unwrap();
    queue.writen(&whole, WAIT).unwrap();
    queue.flush().unwrap();
    let expected = (0..1000).map(|i| format!("{i:03}"));
    let text = log.text();
    assert!(text.lines().take(1000).eq(expected));
    assert_eq!(text.len(), 4 * 1000 + 2 * 4096 + 5);
    assert_eq!(queue.stats().lanes, 1, "of this thread");
}

/// A lane with room in its span follows the close and the failure of its queue.
#[test]
fn a_lane_of_a_thread_follows_the_end_of_its_queue() {
    let log = Log::new();
    let queue = log.open(lanes());
    queue.writen(b"1\n", WAIT).unwrap();
    queue.close(None).unwrap();
    for flags in [WAIT, TRY] {
        assert_eq!(queue.writen(b"2\n", flags), Err(Error::Closed));
    }
    assert_eq!(log.text(), "1\n");

    let script = Script::new();
    script.fail_writes(Some(libc::EIO));
    let queue = queue_to(&script, lanes());
    queue.writen(b"1\n", WAIT).unwrap();
    wait_for("the failure", || queue.stats().last_error.is_some());
    for flags in [WAIT, TRY] {
        let refused = queue.writen(b"2\n", flags).unwrap_err();
        assert_eq!(refused.errno(), libc::EIO);
    }
}

#[test]
fn bad_calls_are_refused_as_without_lanes() {
    let log = Log::new();
    let queue = log.open(small().thread_lanes(true));
    for _ in 0..2 {
        assert_eq!(
            queue.writen(b"", WAIT),
            Err(Error::InvalidLength { len: 0 })
        );
        let long = queue.writen(&[0; 4097], WAIT);
        assert_eq!(
            long,
            Err(Error::TooLarge {
                len: 4097,
                max: 4096
            })
        );
        assert_eq!(
            queue.getn(0, WAIT).unwrap_err(),
            Error::InvalidLength { len: 0 }
        );
        let both = TRY | WAIT;
        assert_eq!(
            queue.writen(b"x", both),
            Err(Error::InvalidFlags { flags: both })
        );
        assert_eq!(queue.write_fixed(b"x", TRY), Err(Error::WrongMode));
        queue.writen(b"x", WAIT).unwrap(); // the second time with a lane
    }
}

/// On a fixed queue and in a recorder the option changes nothing.
#[test]
fn a_fixed_queue_and_a_recorder_have_no_lanes_of_threads() {
    let fixed = Log::new().open(lanes().fixed(2, 10));
    fixed.write_fixed(b"1\n", WAIT).unwrap();
    assert_eq!(fixed.writen(b"1\n", WAIT), Err(Error::WrongMode));
    let recorder = Log::new().open(lanes().recorder(true));
    recorder.writen(b"1\n", WAIT).unwrap();
    assert_eq!((fixed.stats().lanes, recorder.stats().lanes), (0, 0));
}

#[test]
fn a_framing_is_kept() {
    let log = Log::new();
    let queue = log.open(lanes().framing(Framing::Lines));
    queue.writen(b"one", WAIT).unwrap();
    queue.writen(b"two", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "one\ntwo\n");
    assert_eq!(queue.stats().lanes, 1);
}
