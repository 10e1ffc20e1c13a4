//! Every append that does not get in is counted once, by its cause.

use std::time::Duration;

use crate::common::sink::{Script, queue_to};
use crate::common::{Log, TRY, WAIT, append_to, small, wait_for};
use alq::{Amount, Error, Flags, Queue, Refusals};

const SOON: Duration = Duration::from_millis(1);

fn stuck() -> Queue {
    let queue = small().open_fd(append_to("/dev/full")).unwrap();
    queue.writen(&[b'#'; 4096], WAIT).unwrap();
    queue
}

fn refused(queue: &Queue) -> Refusals {
    let stats = queue.stats();
    let total = stats.refused.total();
    let totals = (stats.refused_records, stats.refused_bytes);
    assert_eq!(totals, (total.records, total.bytes));
    stats.refused
}

fn counts(amount: Amount) -> (u64, u64) {
    (amount.records, amount.bytes)
}

#[test]
fn records_before_a_full_disk_are_posted_or_counted() {
    let queue = stuck();
    let before = queue.stats().posted_records;
    let mut lane = queue.lane();
    for seq in 0..100 {
        let record = format!("record {seq}\n");
        let _ = queue.writen_timeout(record.as_bytes(), WAIT, SOON);
        let _ = lane.writen(record.as_bytes(), TRY);
    }
    let refused = refused(&queue);
    let posted = queue.stats().posted_records - before;
    assert_eq!(posted + refused.total().records, 200);
    assert_eq!(
        (refused.full.records, refused.timed_out.records),
        (100, 100)
    );
    wait_for("the stall", || queue.stats().stalled.is_some());
    let before = queue.stats().refused_for_stall;
    queue.writen_timeout(b"x", WAIT, SOON).unwrap_err();
    queue.getn(1, TRY).unwrap_err();
    assert_eq!(queue.stats().refused_for_stall, before + 2);
    let _ = queue.close(Some(Duration::ZERO));
}

#[test]
fn each_call_counts_a_record_that_is_too_large_once() {
    let log = Log::new();
    let queue = log.open(small());
    let mut lane = queue.lane();
    let large = vec![b'x'; 5000];
    assert!(matches!(
        queue.writen(&large, TRY),
        Err(Error::TooLarge { .. })
    ));
    assert!(matches!(
        lane.writen(&large, TRY),
        Err(Error::TooLarge { .. })
    ));
    queue.getn(5000, TRY).unwrap_err();
    lane.getn(5000, TRY).unwrap_err();
    queue.writen_timeout(&large, WAIT, SOON).unwrap_err();
    pollster::block_on(queue.reserve(5000)).unwrap_err();
    assert_eq!(counts(refused(&queue).too_large), (6, 30_000));
    // Wrong arguments are an error of the program, and no loss.
    queue.writen(b"", TRY).unwrap_err();
    queue.writen(b"x", Flags::empty()).unwrap_err();
    queue.write_fixed(b"x", TRY).unwrap_err();
    assert_eq!(refused(&queue).total().records, 6);
}

#[test]
fn what_a_framing_makes_too_large_is_counted() {
    let log = Log::new();
    let queue = log.open(small().framing(alq::Framing::Lengths));
    queue.writen(&[b'x'; 4094], TRY).unwrap_err();
    queue.getn(4094, TRY).unwrap_err();
    queue.lane().writen(&[b'x'; 4094], TRY).unwrap_err();
    assert_eq!(counts(refused(&queue).too_large), (3, 3 * 4094));
}

#[test]
fn a_failed_and_a_closed_queue_count_what_they_refuse() {
    let script = Script::new();
    script.fail_writes(Some(libc::EIO));
    let queue = queue_to(&script, small());
    queue.writen(b"fails\n", TRY).unwrap();
    queue.flush().unwrap_err();
    queue.writen(b"12345", TRY).unwrap_err();
    queue.writen(b"12345", WAIT).unwrap_err();
    assert_eq!(counts(refused(&queue).failed), (2, 10));
    queue.close(None).unwrap_err();
    queue.writen(b"123", TRY).unwrap_err();
    queue.lane().getn(4, WAIT).unwrap_err();
    assert_eq!(counts(refused(&queue).closed), (2, 7));
    assert_eq!(refused(&queue).total().records, 4);
}

#[test]
fn an_open_entry_that_holds_up_the_others_is_a_cause() {
    let log = Log::new();
    let queue = log.open(small().stall_limit(Some(Duration::from_millis(10))));
    let held = queue.getn(4096, TRY).unwrap();
    wait_for("the entry blocks the drain", || {
        matches!(queue.writen(b"12345", WAIT), Err(Error::Held { .. }))
    });
    assert!(refused(&queue).held.records >= 1);
    drop(held);
}

#[test]
fn a_call_that_is_made_again_is_no_loss() {
    let queue = stuck();
    let late = queue.writen_timeout(b"12345", WAIT | Flags::RETRY, SOON);
    assert_eq!(late, Err(Error::TimedOut));
    let mut lane = queue.lane();
    let late = lane.getn_timeout(5, WAIT | Flags::RETRY, SOON);
    assert_eq!(late.unwrap_err(), Error::TimedOut);
    assert_eq!(refused(&queue), Refusals::default());
    let _ = queue.close(Some(Duration::ZERO));
}
