//! Of many waits for room no wait hangs, and no record is lost, doubled or torn.
//!
//! The default is ten thousand waits, half of them in either order; `ALQ_WAITS` sets the number.

mod common;

use alq::Queue;
use common::{
    Log, Numbers, Record, WAIT, Watched, assert_complete, parse, room_waits, small, spawn,
};

fn waits(queue: &Queue) -> u64 {
    let waits = queue.stats().waits;
    waits.writen_turn + waits.writen_room + waits.getn_turn + waits.getn_room
}

/// After this many waits the records are checked, and the test continues with another ring.
const WAITS_OF_ONE_RING: u64 = 1000;

/// Returns how many appends must wait, at least.
fn waits_wanted() -> u64 {
    let wanted = std::env::var("ALQ_WAITS").map(|text| text.parse().unwrap());
    wanted.unwrap_or(10_000)
}

/// Appends one record in one of the ways that wait. The filled bytes must still be there at the
/// post.
fn append(queue: &Queue, record: Record, way: usize) {
    let text = record.text();
    if way == 0 {
        queue.writen(text.as_bytes(), WAIT).unwrap();
        return;
    }
    let mut entry = queue.getn(record.len, WAIT).unwrap();
    entry.copy_from_slice(text.as_bytes());
    if way == 1 {
        std::thread::yield_now();
    }
    assert!(*entry == *text.as_bytes(), "somebody else wrote there");
    entry.post();
}

fn every_wait_ends(ordered: bool, wanted: u64) {
    let mut done = 0;
    while done < wanted {
        for producers in [2, 3, 4] {
            let log = Log::new();
            let queue = log.open(small().ordered(ordered));
            let share = wanted.min(WAITS_OF_ONE_RING);
            let threads: Vec<_> = (0..producers)
                .map(|writer| {
                    let queue = queue.clone();
                    spawn(move || {
                        let mut numbers = Numbers::new(writer + 70);
                        let mut seq = 0;
                        while waits(&queue) < share {
                            let longest = if seq % 16 == 0 { 4000 } else { 900 };
                            let len = Record::MIN_LEN + numbers.below(longest);
                            append(&queue, Record { writer, seq, len }, numbers.below(3));
                            seq += 1;
                        }
                        seq
                    })
                })
                .collect();
            let counts: Vec<_> = threads.into_iter().map(Watched::join).collect();
            queue.close(None).unwrap();
            assert_complete(&parse(&log.bytes()), &counts);
            assert!(room_waits(&queue.stats()) > 0);
            done += waits(&queue);
        }
    }
}

#[test]
fn thousands_of_waits_end_and_lose_nothing_in_any_order() {
    every_wait_ends(false, waits_wanted() / 2);
}

#[test]
fn thousands_of_waits_end_and_lose_nothing_in_order_of_arrival() {
    every_wait_ends(true, waits_wanted() / 2);
}
