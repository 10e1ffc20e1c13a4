//! On an ordered queue, waiting writers get room in the order of arrival, and no append overtakes
//! them.

use std::time::Instant;

use crate::common::{
    Log, Numbers, TRY, WAIT, Watched, fill_up, filled, pipe, small, spawn, wait_for,
};
use alq::{Entry, Error, Operation, Position, Queue, Waits};

fn waits(queue: &Queue) -> u64 {
    let waits = queue.stats().waits;
    waits.writen_turn + waits.writen_room + waits.getn_turn + waits.getn_room
}

/// Writers that differ in what they call.
#[derive(Clone, Copy, Debug)]
enum Call {
    Writen,
    Getn,
}

/// Appends `len` bytes of `letter` on a new thread. Returns once that thread is in the line.
fn waiter(queue: &Queue, call: Call, len: usize, letter: u8) -> Watched<Result<Position, Error>> {
    let before = waits(queue);
    let handle = queue.clone();
    let thread = spawn(move || match call {
        Call::Writen => handle.writen(&vec![letter; len], WAIT),
        Call::Getn => {
            let mut entry = handle.getn(len, WAIT)?;
            entry.fill(letter);
            Ok(entry.post())
        }
    });
    wait_for("it is in the line", || waits(queue) > before);
    thread
}

#[test]
fn the_order_of_arrival_is_kept_by_writers_of_all_lengths_and_both_kinds() {
    let mut numbers = Numbers::new(3);
    for round in 0..40 {
        let log = Log::new();
        let queue = log.open(small().ordered(true));
        let entries: Vec<_> = (0..8).map(|_| filled(&queue, 512, b'#')).collect();
        let mut expected = vec![b'#'; 4096];
        let mut threads = Vec::new();
        for k in 0..8_usize {
            // Large and small by turns, the large one at the front in every other round.
            let len = match (k + round) % 4 {
                0 => 1 + numbers.below(4096),
                1 => 513 + numbers.below(1500),
                _ => 1 + numbers.below(60),
            };
            let call = [Call::Writen, Call::Getn][numbers.below(2)];
            let letter = b"abcdefgh"[k];
            threads.push(waiter(&queue, call, len, letter));
            expected.extend(vec![letter; len]);
        }
        for entry in entries {
            entry.post(); // room for the small ones comes at once, for the large ones later
        }
        let positions: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        queue.close(None).unwrap();
        assert!(positions.is_sorted(), "{positions:?}");
        assert!(log.bytes() == expected, "round {round}: another order");
    }
}

#[test]
fn small_writers_do_not_overtake_a_large_one_for_which_there_is_no_room_yet() {
    for round in 0..20 {
        let log = Log::new();
        let queue = log.open(small().ordered(true));
        let (first, second) = (filled(&queue, 1000, b'#'), filled(&queue, 3096, b'#'));
        let large = waiter(&queue, Call::Getn, 2000 + round, b'l');
        let small_ones: Vec<_> = [Call::Writen, Call::Getn, Call::Writen]
            .map(|call| waiter(&queue, call, 10, b's'))
            .into();
        first.post();
        wait_for("room", || queue.stats().written_bytes == 1000);
        // There is room for all small writers, and for one that comes only now.
        let late = waiter(&queue, Call::Writen, 10, b's');
        assert_eq!(queue.writen(b"n", TRY), Err(Error::WouldBlock));
        assert!(small_ones.iter().all(Watched::is_running) && large.is_running());
        second.post();
        large.join().unwrap();
        late.join().unwrap();
        for thread in small_ones {
            thread.join().unwrap();
        }
        queue.close(None).unwrap();
        let bytes = log.bytes();
        assert!(bytes.ends_with(&[b's'; 40]));
        assert_eq!(bytes[4096], b'l');
    }
}

#[test]
fn nowait_is_refused_while_another_writer_waits_and_never_sleeps() {
    let log = Log::new();
    let queue = log.open(small().ordered(true));
    let (first, second) = (filled(&queue, 1000, b'#'), filled(&queue, 3096, b'#'));
    let large = waiter(&queue, Call::Writen, 2000, b'l');
    first.post();
    wait_for("room", || queue.stats().written_bytes == 1000);

    let before = queue.stats();
    assert_eq!(before.fill_bytes, 3096, "there is room for a small record");
    let handle = queue.clone();
    spawn(move || {
        assert_eq!(handle.writen(b"n", TRY), Err(Error::WouldBlock));
        assert_eq!(handle.getn(1, TRY).unwrap_err(), Error::WouldBlock);
    })
    .join();
    let after = queue.stats();
    assert_eq!(after.waits, before.waits, "nobody slept");
    assert_eq!(after.refused_records, before.refused_records + 2);
    assert_eq!(after.posted_records, before.posted_records);

    second.post();
    large.join().unwrap();
    queue.flush().unwrap();
    // No thread waits any more: the append is accepted as long as there is room.
    for _ in 0..4 {
        queue.writen(&[b'n'; 1000], TRY).unwrap();
        queue.getn(24, TRY).unwrap().post();
        queue.flush().unwrap();
    }
    queue.close(None).unwrap();
}

#[test]
fn the_turn_of_a_waiter_that_times_out_goes_to_the_next() {
    for call in [Call::Writen, Call::Getn] {
        let log = Log::new();
        let queue = log.open(small().ordered(true));
        let (first, second) = (filled(&queue, 500, b'#'), filled(&queue, 3596, b'#'));
        let handle = queue.clone();
        let patience = std::time::Duration::from_millis(500);
        let large = spawn(move || match call {
            Call::Writen => handle.writen_timeout(&[b'l'; 2000], WAIT, patience),
            Call::Getn => {
                let entry = handle.getn_timeout(2000, WAIT, patience);
                entry.map(Entry::post)
            }
        });
        wait_for("it is in the line", || waits(&queue) == 1);
        let next = waiter(&queue, Call::Getn, 300, b'n');
        let last = waiter(&queue, Call::Writen, 200, b'o');
        first.post(); // enough for the two after it, not for the first
        assert_eq!(large.join(), Err(Error::TimedOut));
        // No more room comes: the writer that gave up must pass the turn on, and so must the next.
        next.join().unwrap();
        last.join().unwrap();
        assert_eq!(queue.writen(b"n", TRY), Err(Error::WouldBlock), "full");
        second.post();
        queue.flush().unwrap();
        queue.writen(b".", TRY).unwrap(); // the line is empty
        queue.close(None).unwrap();
        let mut expected = vec![b'#'; 4096];
        expected.extend([b'n'; 300]);
        expected.extend([b'o'; 200]);
        expected.push(b'.');
        assert!(log.bytes() == expected);
    }
}

#[test]
fn waiters_in_the_middle_that_time_out_leave_the_order_of_the_others() {
    let log = Log::new();
    let queue = log.open(small().ordered(true));
    let entry = filled(&queue, 4096, b'#');
    let mut threads = Vec::new();
    for k in 0..6_u8 {
        threads.push(waiter(&queue, Call::Writen, 100, b'a' + k));
        let timed_out = queue.writen_timeout(b"!", WAIT, std::time::Duration::from_millis(1));
        assert_eq!(timed_out, Err(Error::TimedOut));
    }
    entry.post();
    for thread in threads {
        thread.join().unwrap();
    }
    queue.close(None).unwrap();
    let letters: Vec<_> = log.bytes()[4096..].chunks(100).map(|run| run[0]).collect();
    assert_eq!(letters, b"abcdef");
    assert_eq!(log.bytes().len(), 4096 + 600);
}

#[test]
fn waits_are_counted_by_kind_and_cause_and_the_longest_is_kept() {
    let counted = |first, second| {
        let log = Log::new();
        let queue = log.open(small().ordered(true));
        let entry = filled(&queue, 4096, b'#');
        let began = Instant::now();
        let threads = [
            waiter(&queue, first, 10, b'a'),
            waiter(&queue, second, 10, b'b'),
            waiter(&queue, second, 10, b'c'),
        ];
        let in_line = Instant::now();
        entry.post();
        let shortest = in_line.elapsed();
        for thread in threads {
            thread.join().unwrap();
        }
        let waits = queue.stats().waits;
        assert!(waits.longest > shortest && waits.longest <= began.elapsed());
        waits
    };
    let numbers = |waits: Waits| {
        [
            waits.writen_turn,
            waits.writen_room,
            waits.getn_turn,
            waits.getn_room,
        ]
    };
    let waits = counted(Call::Writen, Call::Getn);
    assert_eq!(numbers(waits), [0, 1, 2, 0]);
    let waits = counted(Call::Getn, Call::Writen);
    assert_eq!(numbers(waits), [2, 0, 0, 1]);
}

#[test]
fn waiters_in_line_return_when_the_queue_closes_or_fails() {
    let full = Error::Io {
        operation: Operation::Write,
        errno: libc::EPIPE,
        target: alq::Target::default(),
    };
    for told in [Error::Closed, full] {
        let (reader, writer) = pipe().unwrap();
        fill_up(&writer);
        let queue = small().ordered(true).open_fd(&writer).unwrap();
        drop(writer);
        queue.writen(&[b'#'; 4096], TRY).unwrap();
        let calls = [Call::Writen, Call::Getn, Call::Getn, Call::Writen];
        let threads = calls.map(|call| waiter(&queue, call, 100, b'w'));
        let mut reader = Some(reader);
        if told == Error::Closed {
            let undrained = queue.close(Some(std::time::Duration::ZERO)).unwrap_err();
            assert_eq!((undrained.bytes, undrained.records), (4096, 1));
        } else {
            drop(reader.take()); // the pipe is never read
        }
        for thread in threads {
            assert_eq!(thread.join().unwrap_err(), told);
        }
        assert_eq!(queue.writen(b"w", TRY), Err(told.clone()));
        assert_eq!(queue.writen(b"w", WAIT), Err(told));
    }
}
