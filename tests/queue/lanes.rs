//! A lane writes its records whole and in its own order, never delays another producer, and follows
//! the close and the failure of its queue.

use std::mem;
use std::time::Duration;

use crate::common::sink::{Script, queue_to};
use crate::common::{Log, STALLS_SOON, TRY, WAIT, small, spawn, wait_for};
use alq::{Error, Flags, Lane, LaneEntry, Level, Options, Queue, SyncOp};

fn log(options: Options) -> (Log, Queue) {
    let log = Log::new();
    let queue = log.open(options);
    (log, queue)
}

/// A lane and its entry can move to other threads.
#[test]
fn a_lane_and_its_entry_are_send() {
    fn is_send<T: Send>() {}
    is_send::<Lane>();
    is_send::<LaneEntry<'_>>();
}

#[test]
fn records_of_a_lane_come_in_its_order_and_contiguous() {
    let (log, queue) = log(small());
    let mut lane = queue.lane();
    let mut expected = Vec::new();
    let mut last = lane.position();
    for i in 0..2000 {
        let record = format!("record {i}\n").repeat(1 + i % 7);
        let position = lane.writen(record.as_bytes(), WAIT).unwrap();
        assert!(position > last && lane.position() == position);
        last = position;
        expected.extend_from_slice(record.as_bytes());
    }
    queue.flush().unwrap();
    assert_eq!(log.bytes(), expected);
    let stats = queue.stats();
    assert_eq!((stats.posted_records, stats.written_records), (2000, 2000));
    assert_eq!(stats.written_bytes, expected.len() as u64);
    assert_eq!(stats.lanes, 1);
}

/// A lane alone leaves no byte unused: each span begins where the previous span ended.
#[test]
fn a_lane_alone_leaves_no_padding() {
    let (log, queue) = log(Options::new().capacity(1 << 16));
    let mut lane = queue.lane();
    for len in (1..300).cycle().take(3000) {
        lane.writen(&vec![b'x'; len], WAIT).unwrap();
    }
    drop(lane);
    queue.flush().unwrap();
    assert_eq!(queue.stats().padding_bytes, 0);
    assert_eq!(queue.stats().fill_bytes, 0);
    assert_eq!(queue.position().bytes(), log.bytes().len() as u64);
}

#[test]
fn entries_are_posted_short_dropped_forgotten_and_written_to() {
    let (log, queue) = log(small());
    let mut lane = queue.lane();
    let mut entry = lane.getn(100, TRY).unwrap();
    assert_eq!((entry.len(), entry.bytes_used()), (100, 100));
    entry[..3].copy_from_slice(b"abc");
    entry.set_bytes_used(3);
    assert_eq!(entry.post().bytes(), 3);

    drop(lane.getn(50, TRY).unwrap());

    let mut forgotten = lane.getn(60, TRY).unwrap();
    forgotten.fill(b'!');
    mem::forget(forgotten);

    let mut entry = lane.getn(10, TRY).unwrap();
    write!(entry, "{}", 123).unwrap();
    write!(entry, "456").unwrap();
    assert_eq!(entry.bytes_used(), 6);
    assert_eq!(entry.post().bytes(), 9, "what is not used is given back");

    let empty = lane.getn(10, TRY).unwrap();
    empty_post(empty);
    writeln!(lane, "x={}", 1).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "abc123456x=1\n");
    let stats = queue.stats();
    assert_eq!((stats.posted_records, stats.held), (3, 0));
}

fn empty_post(mut entry: LaneEntry<'_>) {
    entry.set_bytes_used(0);
    assert_eq!(entry.post().bytes(), 9);
}

#[test]
#[should_panic(expected = "set_bytes_used(11) on an entry of 10 bytes")]
fn more_than_the_entry_cannot_be_used() {
    let (_log, queue) = log(small());
    let mut lane = queue.lane();
    lane.getn(10, TRY).unwrap().set_bytes_used(11);
}

/// A forgotten entry blocks the drain until the next call on the lane; that call drops the entry.
#[test]
fn a_forgotten_entry_is_taken_back_by_the_next_call() {
    for len in [40, 4000] {
        let (log, queue) = log(small().stall_limit(Some(STALLS_SOON)));
        let mut lane = queue.lane();
        mem::forget(lane.getn(len, TRY).unwrap());
        queue.writen(b"behind\n", WAIT).unwrap();
        assert!(matches!(queue.flush(), Err(Error::Held { .. })), "{len}");
        assert_eq!(queue.stats().held, 1);
        lane.writen(b"next\n", WAIT).unwrap();
        queue.flush().unwrap();
        assert_eq!(log.text(), "behind\nnext\n");
        mem::forget(lane.getn(len, TRY).unwrap());
        drop(lane);
        queue.writen(b"last\n", WAIT).unwrap();
        queue.flush().unwrap();
        assert_eq!(log.text(), "behind\nnext\nlast\n");
    }
}

/// A record that is longer than a span has a separate claim, up to the capacity.
#[test]
fn a_record_of_any_length_fits() {
    let (log, queue) = log(small());
    let mut lane = queue.lane();
    let mut expected = Vec::new();
    for len in [1, 1024, 1025, 4096, 5, 4096, 2000] {
        let record = vec![b'a' + (len % 26) as u8; len];
        lane.writen(&record, WAIT).unwrap();
        expected.extend_from_slice(&record);
        let mut entry = lane.getn(len, WAIT).unwrap();
        entry.copy_from_slice(&record);
        entry.post();
        expected.extend_from_slice(&record);
    }
    let refused = lane.writen(&[0; 4097], WAIT);
    assert_eq!(
        refused,
        Err(Error::TooLarge {
            len: 4097,
            max: 4096
        })
    );
    queue.flush().unwrap();
    assert!(log.bytes() == expected);
    assert_eq!(queue.stats().written_records, 14);
}

#[test]
fn bad_calls_are_refused_as_on_the_queue() {
    let (_log, queue) = log(small());
    let mut lane = queue.lane();
    assert_eq!(lane.writen(b"", TRY), Err(Error::InvalidLength { len: 0 }));
    let both = Flags::NOWAIT | Flags::WAITOK;
    assert_eq!(
        lane.writen(b"x", both),
        Err(Error::InvalidFlags { flags: both })
    );
    assert_eq!(lane.write_fixed(b"x", TRY), Err(Error::WrongMode));
    assert_eq!(lane.get(TRY).unwrap_err(), Error::WrongMode);
    for bad in [0, (2 << 30) + 1] {
        let log = Log::new();
        let error = Options::new().lane_span(bad).open(log.path()).unwrap_err();
        assert!(matches!(
            error,
            Error::InvalidOption {
                option: "lane_span",
                ..
            }
        ));
    }
}

/// On a fixed queue a span is one entry: the queue has exactly its number of entries, in any mix.
#[test]
fn a_fixed_queue_has_exactly_its_entries() {
    let (log, queue) = log(small().fixed(8, 3));
    let hold = queue.get(TRY).unwrap();
    let (mut one, mut two) = (queue.lane(), queue.lane());
    one.write_fixed(b"onetwo1\n", TRY).unwrap();
    let entry = two.get(TRY).unwrap();
    assert_eq!(one.write_fixed(b"onetwo2\n", TRY), Err(Error::WouldBlock));
    drop(entry);
    assert_eq!(one.writen(b"x", TRY), Err(Error::WrongMode));
    assert_eq!(
        one.write_fixed(b"short", TRY),
        Err(Error::InvalidLength { len: 5 })
    );
    drop(hold);
    queue.flush().unwrap();
    two.get(WAIT).unwrap().post();
    one.write_fixed(b"onetwo3\n", WAIT).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.bytes().len(), 24);
}

/// The open span of an idle lane delays no flush, no wait and no sync.
#[test]
fn an_idle_lane_delays_no_wait() {
    let (log, queue) = log(small());
    let mut idle = queue.lane();
    let mut busy = queue.lane();
    let position = idle.writen(b"idle\n", WAIT).unwrap();
    busy.writen(b"busy\n", WAIT).unwrap();
    queue.writen(b"shared\n", WAIT).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "idle\nbusy\nshared\n");
    queue.completion(position, Level::Durable).wait().unwrap();
    idle.writen(b"again\n", WAIT).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    assert_eq!(log.text(), "idle\nbusy\nshared\nagain\n");
    queue
        .completion(idle.position(), Level::Written)
        .wait()
        .unwrap();
}

/// A record of an idle lane reaches the file without any call, also before and after the span of
/// another idle lane.
#[test]
fn a_record_of_an_idle_lane_reaches_the_file_by_itself() {
    let (log, queue) = log(small());
    let mut lanes: Vec<_> = (0..3).map(|_| queue.lane()).collect();
    for (i, lane) in lanes.iter_mut().enumerate() {
        writeln!(lane, "{i}").unwrap();
    }
    wait_for("the records", || log.text() == "0\n1\n2\n");
    writeln!(lanes[1], "more").unwrap();
    wait_for("one more", || log.text() == "0\n1\n2\nmore\n");
}

/// Another producer that needs room gets the room that a lane has claimed and not used.
#[test]
fn unused_room_of_an_idle_lane_is_given_back() {
    let (log, queue) = log(small());
    let mut lane = queue.lane();
    lane.writen(b"x", WAIT).unwrap();
    queue.flush().unwrap();
    let whole = vec![b'y'; 4096];
    queue.writen(&whole, WAIT).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.bytes().len(), 4097);

    lane.writen(b"x", WAIT).unwrap();
    queue.flush().unwrap();
    assert_eq!(queue.writen(&whole, TRY), Err(Error::WouldBlock));
    assert_eq!(queue.stats().refused_for_lanes, 1);
    wait_for("room", || queue.writen(&whole, TRY).is_ok());
    // The same for another lane.
    let mut other = queue.lane();
    lane.writen(b"x", WAIT).unwrap();
    other.writen(&whole, WAIT).unwrap();
    lane.writen(b"x", WAIT).unwrap();
    queue.flush().unwrap();
    assert_eq!(queue.stats().written_bytes, 3 * 4096 + 4);
}

/// With dozens and thousands of lanes, open spans hold only a part of the ring, and appends
/// continue.
#[test]
fn idle_lanes_by_the_thousand_leave_room() {
    for count in [1, 64, 1000] {
        let (log, queue) = log(Options::new().capacity(1 << 17));
        let mut lanes: Vec<_> = (0..count).map(|_| queue.lane()).collect();
        assert_eq!(queue.stats().lanes, count);
        let held = queue.getn(1, TRY).unwrap(); // the flusher cannot seal what it cannot reach
        for (i, lane) in lanes.iter_mut().enumerate() {
            lane.writen(format!("{i:015}\n").as_bytes(), TRY).unwrap();
        }
        let quarter_and_records = (1 << 15) + 16 * count + 1;
        assert!(queue.stats().fill_bytes <= quarter_and_records);
        drop(held);
        queue.flush().unwrap();
        let expected: Vec<_> = (0..count).map(|i| format!("{i:015}")).collect();
        assert!(log.text().lines().eq(&expected));
        assert_eq!(queue.stats().written_records, count);
        drop(lanes);
        assert_eq!(queue.stats().lanes, 0);
        assert_eq!(queue.stats().written_records, count);
    }
}

#[test]
fn a_seal_puts_later_records_after_all_others() {
    let (log, queue) = log(small());
    let mut one = queue.lane();
    let mut two = queue.lane();
    let mut expected = Vec::new();
    for i in 0..100 {
        one.seal();
        writeln!(one, "{i} one").unwrap();
        writeln!(queue, "{i} queue").unwrap();
        two.seal();
        writeln!(two, "{i} two").unwrap();
        expected.extend(["one", "queue", "two"].map(|name| format!("{i} {name}")));
    }
    queue.flush().unwrap();
    assert!(log.text().lines().eq(&expected));
}

/// A quiet record does not wake a sleeping flusher; the next record that is not quiet takes it
/// along.
#[test]
fn a_quiet_record_waits_for_one_that_is_not() {
    let (log, queue) = log(small());
    let mut lane = queue.lane();
    lane.writen(b"first\n", WAIT).unwrap();
    queue.flush().unwrap();
    crate::common::wait_until_parked(&queue);
    lane.writen(b"quiet\n", WAIT | Flags::NOACTIVATE).unwrap();
    lane.getn(6, WAIT)
        .map(|mut entry| {
            entry.copy_from_slice(b"quiet\n");
            entry.post_flags(Flags::NOACTIVATE);
        })
        .unwrap();
    std::thread::sleep(Duration::from_millis(50)); // longer than `max_delay`
    assert_eq!(log.text(), "first\n");
    lane.writen(b"loud\n", WAIT).unwrap();
    wait_for("all of them", || {
        log.text() == "first\nquiet\nquiet\nloud\n"
    });
}

/// A lane keeps its queue open, as a clone does. Its records are written when it is dropped.
#[test]
fn a_lane_keeps_its_queue() {
    let (log, queue) = log(small());
    let mut lane = queue.lane();
    drop(queue);
    lane.writen(b"alive\n", WAIT).unwrap();
    drop(lane);
    assert_eq!(log.text(), "alive\n");
}

/// After a close every lane is refused, also a lane with an open span, and every accepted record is
/// in the file.
#[test]
fn a_closed_queue_refuses_its_lanes() {
    let (log, queue) = log(small());
    let mut idle = queue.lane();
    idle.writen(b"idle\n", WAIT).unwrap();
    let mut lane = queue.lane();
    let closer = queue.clone();
    let writer = spawn(move || {
        let mut accepted = 0_u64;
        loop {
            match lane.writen(b"0123456789\n", WAIT) {
                Ok(_) => accepted += 1,
                Err(error) => return (error, accepted),
            }
        }
    });
    wait_for("some records", || queue.stats().written_bytes > 10_000);
    closer.close(None).unwrap();
    let (error, accepted) = writer.join();
    assert_eq!(error, Error::Closed);
    assert_eq!(idle.writen(b"late\n", WAIT), Err(Error::Closed));
    assert_eq!(idle.getn(1, TRY).unwrap_err(), Error::Closed);
    assert_eq!(log.bytes().len() as u64, 5 + 11 * accepted);
    let stats = queue.stats();
    assert_eq!(
        (stats.written_records, stats.lost_records),
        (accepted + 1, 0)
    );
    assert_eq!(
        (stats.posted_bytes, stats.fill_bytes),
        (stats.written_bytes, 0)
    );
}

/// A close that steps over an open entry writes the records before and after it. What is posted
/// later is lost, and counted.
#[test]
fn a_close_steps_over_an_entry_that_stays_open() {
    let (log, queue) = log(small().stall_limit(Some(STALLS_SOON)));
    let mut lane = queue.lane();
    lane.writen(b"before\n", WAIT).unwrap();
    let mut entry = lane.getn(5, TRY).unwrap();
    queue.writen(b"behind\n", WAIT).unwrap();
    let undrained = queue.close(None).unwrap_err();
    assert_eq!((undrained.bytes, undrained.abandoned), (0, 1));
    assert_eq!(log.text(), "before\nbehind\n");
    entry.copy_from_slice(b"late\n");
    let late = entry.post();
    let stats = queue.stats();
    assert_eq!((stats.lost_bytes, stats.abandoned), (5, 1));
    let records = (
        stats.posted_records,
        stats.written_records,
        stats.lost_records,
    );
    assert_eq!(records, (3, 2, 1));
    assert_eq!(stats.posted_bytes, stats.written_bytes + stats.lost_bytes);
    let told = queue.completion(late, Level::Written).wait();
    assert_eq!(told, Err(Error::Closed));
    let told = queue.completion(lane.position(), Level::Written).wait();
    assert_eq!(told, Err(Error::Closed));
    drop(lane);
    assert_eq!(log.text(), "before\nbehind\n");
}

/// A stopped owner delays only the records after its own span; waiters get an error with the length
/// of the entry.
#[test]
fn a_held_entry_is_named_to_the_waiters_after_it() {
    let (log, queue) = log(small().stall_limit(Some(STALLS_SOON)));
    let mut lane = queue.lane();
    let before = queue.writen(b"before\n", WAIT).unwrap();
    lane.writen(b"first\n", WAIT).unwrap();
    let entry = lane.getn(100, TRY).unwrap();
    queue.completion(before, Level::Written).wait().unwrap();
    queue.flush().unwrap(); // nothing is posted after the entry
    let behind = queue.writen(b"behind\n", WAIT).unwrap();
    let told = queue.completion(behind, Level::Written).wait();
    assert!(matches!(told, Err(Error::Held { .. })), "{told:?}");
    assert_eq!(log.text(), "before\nfirst\n");
    let stats = queue.stats();
    assert_eq!(stats.held, 1);
    assert!(stats.oldest_held_bytes >= 100, "{stats:?}");
    drop(entry);
    queue.flush().unwrap();
    assert_eq!(log.text(), "before\nfirst\nbehind\n");
}

/// A lane waits in the line of an ordered queue like every other producer.
#[test]
fn a_lane_waits_its_turn_on_an_ordered_queue() {
    let (log, queue) = log(small().ordered(true));
    let held = queue.getn(4096, TRY).unwrap();
    let mut lane = queue.lane();
    let first = queue.clone();
    let first = spawn(move || first.writen(&[b'a'; 4000], WAIT).map(drop));
    wait_for("the first waits", || {
        crate::common::room_waits(&queue.stats()) == 1
    });
    assert_eq!(lane.writen(b"b", TRY), Err(Error::WouldBlock));
    let second = spawn(move || lane.writen(b"b", WAIT).map(drop));
    wait_for("the second waits", || queue.stats().waits.writen_turn == 1);
    drop(held);
    first.join().unwrap();
    second.join().unwrap();
    queue.flush().unwrap();
    assert_eq!(log.bytes(), [[b'a'; 4000].as_slice(), b"b"].concat());
}

/// The bytes that a close leaves unwritten are also reported in records of lanes.
#[test]
fn records_that_a_close_leaves_are_counted() {
    let script = Script::new();
    let queue = queue_to(&script, small());
    let mut lane = queue.lane();
    for _ in 0..1000 {
        lane.writen(b"written\n", WAIT).unwrap();
    }
    queue.flush().unwrap();
    lane.seal();
    script.fail_write(libc::EIO);
    for _ in 0..3 {
        lane.writen(b"left\n", WAIT | Flags::NOACTIVATE).unwrap();
    }
    let undrained = queue.close(None).unwrap_err();
    assert_eq!((undrained.records, undrained.bytes), (3, 15));
    let stats = queue.stats();
    assert_eq!((stats.written_records, stats.lost_records), (1000, 3));
}

/// A lane is refused once its queue has failed, whenever it opened its span, and continues after a
/// reopen.
#[test]
fn a_lane_of_a_failed_queue_is_refused_until_a_reopen() {
    let script = Script::new();
    let queue = queue_to(&script, small());
    let mut lane = queue.lane();
    let other = queue.clone();
    let failing = std::sync::Arc::clone(&script);
    let writer = spawn(move || {
        let mut accepted = 0;
        loop {
            match lane.writen(b"0123456789\n", WAIT) {
                Ok(_) => accepted += 1,
                Err(error) => return (lane, accepted, error),
            }
        }
    });
    wait_for("some records", || script.written() > 1000);
    failing.fail_write(libc::EIO);
    let (mut lane, accepted, error) = writer.join();
    assert_eq!(error.errno(), libc::EIO);
    assert_eq!(lane.writen(b"more\n", TRY), Err(error.clone()));
    let log = Log::new();
    other.reopen_path(log.path()).unwrap().wait().unwrap();
    lane.writen(b"again\n", WAIT).unwrap();
    other.close(None).unwrap();
    assert_eq!(script.written() + log.bytes().len(), 11 * accepted + 6);
    assert!(log.text().ends_with("again\n"));
}

#[test]
fn a_lane_waits_for_a_time_only() {
    let (_log, queue) = log(small());
    let held = queue.getn(4096, TRY).unwrap();
    let mut lane = queue.lane();
    let patience = Duration::from_millis(20);
    let late = lane.writen_timeout(b"x", WAIT, patience);
    assert_eq!(late, Err(Error::TimedOut));
    assert_eq!(
        lane.getn_timeout(1, WAIT, patience).unwrap_err(),
        Error::TimedOut
    );
    drop(held);
    lane.writen_timeout(b"x", WAIT, crate::common::DEADLINE)
        .unwrap();
}
