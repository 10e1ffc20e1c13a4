//! Any number of entries may be open at once, be posted in any order, short or empty, be dropped,
//! or move to another thread; the file gets exactly the posted bytes.

use crate::common::{Log, TRY, WAIT, filled, small, wait_for};
use alq::Error;

/// All orders of `0..n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for at in 0..n {
            let mut order = shorter.clone();
            order.insert(at, n - 1);
            all.push(order);
        }
    }
    all
}

#[test]
fn entries_posted_in_any_order_are_written_in_the_order_of_their_claims() {
    const LENS: [usize; 4] = [90, 11, 70, 33];
    let log = Log::new();
    let queue = log.open(small());
    let mut expected = Vec::new();
    let mut padding = 0;
    for order in permutations(4) {
        for shorts in 0..16_usize {
            let mut entries: Vec<_> = LENS
                .iter()
                .zip(b'a'..)
                .map(|(&len, letter)| Some(filled(&queue, len, letter)))
                .collect();
            let used = |i: usize| {
                if shorts >> i & 1 == 1 {
                    LENS[i] / 3
                } else {
                    LENS[i]
                }
            };
            for &i in &order {
                let mut entry = entries[i].take().unwrap();
                entry.set_bytes_used(used(i));
                entry.post();
            }
            for (i, letter) in (0..4).zip(b'a'..) {
                expected.extend(vec![letter; used(i)]);
                if i < 3 {
                    // the unused bytes of the newest entry are given back
                    padding += (LENS[i] - used(i)) as u64;
                }
            }
            queue.flush().unwrap();
        }
    }
    assert!(log.bytes() == expected, "the file has another order");
    let stats = queue.stats();
    assert_eq!(stats.padding_bytes, padding);
    assert_eq!(stats.written_bytes, expected.len() as u64);
    assert_eq!(stats.written_records, 24 * 16 * 4);
}

#[test]
fn a_short_post_of_the_newest_entry_gives_its_room_back_and_of_another_leaves_padding() {
    let log = Log::new();
    let queue = log.open(small());
    let held = filled(&queue, 100, b'h'); // the drain is blocked by it
    let fill = || queue.stats().fill_bytes;

    let mut newest = filled(&queue, 1000, b'n');
    assert_eq!(fill(), 1100);
    newest.set_bytes_used(10);
    newest.post();
    assert_eq!(fill(), 110);

    let mut older = filled(&queue, 500, b'o');
    let last = filled(&queue, 50, b'l');
    older.set_bytes_used(100);
    older.post();
    assert_eq!(fill(), 660, "behind the older one there is something");
    drop(last);
    assert_eq!(fill(), 610, "a drop of the newest gives all of it back");
    // All of the unused room is given back: the rest of the ring fits, and not a byte more.
    assert_eq!(
        queue.writen(&[b'x'; 4096 - 610 + 1], TRY),
        Err(Error::WouldBlock)
    );
    queue.writen(&[b'x'; 4096 - 610], TRY).unwrap();
    assert_eq!((fill(), queue.stats().held), (4096, 1));
    assert_eq!(queue.stats().oldest_held_bytes, 100);

    held.post();
    queue.flush().unwrap();
    let stats = queue.stats();
    assert_eq!((stats.padding_bytes, stats.fill_bytes), (400, 0));
    let runs = [(b'h', 100), (b'n', 10), (b'o', 100), (b'x', 3486)];
    let expected: Vec<u8> = runs
        .iter()
        .flat_map(|&(letter, len)| vec![letter; len])
        .collect();
    assert!(log.bytes() == expected, "padding is in no file");
}

#[test]
fn entries_posted_empty_or_dropped_leave_no_trace_in_the_file() {
    let log = Log::new();
    let queue = log.open(small());
    for round in 0..500 {
        let mut first = filled(&queue, 300, b'!');
        let second = filled(&queue, 200, b'?');
        queue.writen(format!("{round}\n").as_bytes(), TRY).unwrap();
        first.set_bytes_used(0);
        first.post();
        drop(second);
        drop(queue.getn(17, TRY).unwrap());
        queue.flush().unwrap();
    }
    let rounds: Vec<_> = log.text().lines().map(str::to_owned).collect();
    assert_eq!(
        rounds,
        (0..500).map(|round| round.to_string()).collect::<Vec<_>>()
    );
    wait_for("the drain steps over the last entry", || {
        queue.stats().fill_bytes == 0
    });
    let stats = queue.stats();
    assert_eq!((stats.posted_records, stats.held), (500, 0));
    assert_eq!(stats.padding_bytes, 500 * 500);
}

#[test]
fn an_entry_can_be_filled_and_posted_on_another_thread() {
    let log = Log::new();
    let queue = log.open(small());
    std::thread::scope(|scope| {
        let mut entry = queue.getn(10, WAIT).unwrap();
        let behind = queue.writen(b"behind\n", WAIT).unwrap();
        let thread = scope.spawn(move || {
            writeln!(entry, "elsewhere").unwrap();
            entry.post()
        });
        assert!(thread.join().unwrap() < behind);
    });
    queue.close(None).unwrap();
    assert_eq!(log.text(), "elsewhere\nbehind\n");
}

#[test]
fn the_ring_is_full_when_its_slots_are() {
    let log = Log::new();
    let queue = log.open(small());
    let held = filled(&queue, 1, b'h');
    for _ in 1..64 {
        queue.writen(b"x", TRY).unwrap();
    }
    assert_eq!(
        queue.writen(b"x", TRY),
        Err(Error::WouldBlock),
        "all 64 are in use"
    );
    drop(held);
    queue.writen(b"y", WAIT).unwrap();
    queue.close(None).unwrap();
    assert_eq!(log.text(), "x".repeat(63) + "y");
}
