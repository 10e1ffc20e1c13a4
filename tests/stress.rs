//! A tiny ring that is full all the time, on a pipe with a slow and bursty reader, loses and
//! doubles nothing.
//!
//! Each test runs for some seconds by default; `ALQ_STRESS_SECONDS` sets the duration.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::load::{consume, produce};
use common::{Watched, assert_complete, nonblocking, parse, pipe, room_waits, small, spawn};

fn duration() -> Duration {
    let seconds = std::env::var("ALQ_STRESS_SECONDS").map(|text| text.parse().unwrap());
    Duration::from_millis(seconds.map_or(700, |seconds: u64| seconds * 1000))
}

fn everything_arrives(producers: usize, is_nonblocking: bool) {
    let (reader, writer) = pipe().unwrap();
    let queue = if is_nonblocking {
        small().open_fd(nonblocking(&writer)).unwrap()
    } else {
        small().open_fd(&writer).unwrap()
    };
    drop(writer);
    let reader = spawn(move || parse(&consume(reader)));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..producers)
        .map(|writer| {
            let (queue, stop) = (queue.clone(), Arc::clone(&stop));
            spawn(move || produce(&queue, 2 * writer, &stop))
        })
        .collect();
    let end = Instant::now() + duration();
    while Instant::now() < end {
        queue.flush().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Relaxed);
    let counts: Vec<_> = writers.into_iter().flat_map(Watched::join).collect();
    queue.close(None).unwrap();
    let stats = queue.stats();
    assert!(room_waits(&stats) > 0, "the ring was never full");
    assert_eq!(
        stats.posted_records,
        counts.iter().map(|&count| u64::from(count)).sum::<u64>()
    );
    assert_eq!(stats.written_bytes, stats.posted_bytes);
    drop(queue);
    assert_complete(&reader.join(), &counts);
}

#[test]
fn one_to_four_producers_lose_nothing_in_front_of_a_bursty_reader() {
    for producers in 1..=4 {
        for is_nonblocking in [false, true] {
            everything_arrives(producers, is_nonblocking);
        }
    }
}
