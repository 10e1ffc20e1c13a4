//! After the end of a queue every waiter has returned, every accepted record is written, and the
//! bytes that could not be written are counted exactly.

use std::io::Read;
use std::time::Duration;

use crate::common::{
    Log, NEVER_STALLS, Numbers, Record, STALLS_SOON, TRY, WAIT, Watched, assert_accounts,
    assert_complete, fill_up, nonblocking, parse, pipe, read_all, small, spawn, wait_for,
};
use alq::{Error, Flags, Queue, Undrained};

#[test]
fn after_close_appends_are_refused_and_the_rest_still_answers() {
    let log = Log::new();
    let queue = log.open(small());
    let other = queue.clone();
    queue.writen(b"last\n", TRY | Flags::NOACTIVATE).unwrap();
    queue.close(None).unwrap();
    assert_eq!(log.text(), "last\n");
    for handle in [&queue, &other] {
        for flags in [TRY, WAIT] {
            assert_eq!(handle.writen(b"x", flags), Err(Error::Closed));
            assert_eq!(handle.getn(1, flags).unwrap_err(), Error::Closed);
        }
        handle.activate();
        handle.flush().unwrap();
        handle.flush_timeout(Duration::ZERO).unwrap();
        handle.close(None).unwrap();
        handle.close(Some(Duration::ZERO)).unwrap();
    }
    assert_accounts(&queue, 5, 0);
    assert_eq!(log.text(), "last\n");
}

#[test]
fn close_of_a_queue_that_was_never_used_succeeds() {
    let log = Log::new();
    let queue = log.open(small());
    spawn(move || queue.close(Some(NEVER_STALLS)))
        .join()
        .unwrap();
    assert_eq!(log.bytes(), b"");
}

/// Starts writers that append until they are refused and then return how many records were
/// accepted.
fn writers_until_closed(queue: &Queue) -> Vec<Watched<u32>> {
    let writer = |writer: usize| {
        let queue = queue.clone();
        spawn(move || {
            let mut numbers = Numbers::new(writer + 80);
            for seq in 0.. {
                let len = Record::MIN_LEN + numbers.below(300);
                let text = Record { writer, seq, len }.text();
                match queue.writen(text.as_bytes(), WAIT) {
                    Ok(_) => {}
                    Err(Error::Closed) => {
                        assert_eq!(queue.writen(b"x", WAIT), Err(Error::Closed), "for ever");
                        return seq;
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            unreachable!()
        })
    };
    (0..3).map(writer).collect()
}

#[test]
fn of_active_writers_exactly_what_was_taken_is_in_the_file() {
    for round in 0..20 {
        let log = Log::new();
        let queue = log.open(small());
        let writers = writers_until_closed(&queue);
        wait_for("some traffic", || {
            queue.stats().posted_records > 100 + round * 7
        });
        // Several closers at once: each returns when all is written.
        let closers: Vec<_> = (0..3)
            .map(|_| {
                let (queue, path) = (queue.clone(), log.path());
                spawn(move || {
                    queue.close(None).unwrap();
                    std::fs::metadata(path).unwrap().len()
                })
            })
            .collect();
        let lens: Vec<_> = closers.into_iter().map(Watched::join).collect();
        let counts: Vec<_> = writers.into_iter().map(Watched::join).collect();
        let bytes = log.bytes();
        assert_complete(&parse(&bytes), &counts);
        assert_eq!(lens, [bytes.len() as u64; 3]);
        assert_accounts(&queue, bytes.len() as u64, 0);
    }
}

#[test]
fn writers_asleep_on_a_full_ring_return_at_once() {
    let (reader, writer) = pipe().unwrap();
    let queue = small().open_fd(&writer).unwrap();
    drop(writer);
    let writers = writers_until_closed(&queue);
    // The pipe is full and has no active reader, so in the end all writers sleep.
    let is_stuck = |queue: &Queue| {
        let before = queue.stats();
        let stuck = queue.flush_timeout(Duration::from_millis(50)) == Err(Error::TimedOut);
        stuck && queue.stats().posted_records == before.posted_records
    };
    wait_for("the pipe is full", || is_stuck(&queue));
    let closer = {
        let queue = queue.clone();
        spawn(move || queue.close(None))
    };
    let counts: Vec<_> = writers.into_iter().map(Watched::join).collect();
    assert!(closer.is_running(), "it still waits for the reader");
    let bytes = read_all(reader);
    closer.join().unwrap();
    let bytes = bytes.join();
    assert_complete(&parse(&bytes), &counts);
    assert_accounts(&queue, bytes.len() as u64, 0);
}

/// Posts to a queue on a pipe that is not read, until neither the pipe nor the ring accepts more.
/// Returns everything that was posted.
fn fill_ring_and_pipe(queue: &Queue) -> Vec<Record> {
    let mut posted = Vec::new();
    for seq in 0.. {
        let len = Record::MIN_LEN + seq as usize * 7 % 200;
        let record = Record {
            writer: 0,
            seq,
            len,
        };
        while let Err(full) = queue.writen(record.text().as_bytes(), TRY) {
            assert_eq!(full, Error::WouldBlock);
            match queue.flush() {
                Ok(()) => {}
                Err(Error::Stalled { errno, .. }) => {
                    assert_eq!(errno, libc::EAGAIN);
                    return posted;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        posted.push(record);
    }
    unreachable!()
}

/// Checks that the bytes in the pipe and the bytes that `undrained` reports are together all that
/// was posted.
fn assert_exact(queue: Queue, posted: &[Record], undrained: &Undrained, mut reader: impl Read) {
    let all: String = posted.iter().map(|record| record.text()).collect();
    assert_accounts(&queue, all.len() as u64, undrained.bytes);
    drop(queue);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64 + undrained.bytes, all.len() as u64);
    assert!(
        all.as_bytes().starts_with(&bytes),
        "the pipe has other bytes"
    );
    let mut ends = posted.iter().scan(0, |end, record| {
        *end += record.len;
        Some(*end)
    });
    let whole = ends.by_ref().take_while(|&end| end <= bytes.len()).count();
    assert_eq!(undrained.records, (posted.len() - whole) as u64);
    assert_eq!(undrained.abandoned, 0);
}

#[test]
fn close_on_a_pipe_without_an_active_reader_counts_every_byte_that_is_left() {
    // Pipes accept up to 4096 bytes whole or not at all; of more they accept a part, and cut a
    // record.
    for capacity in [4096, 1 << 15] {
        let (reader, writer) = pipe().unwrap();
        let queue = small()
            .capacity(capacity)
            .stall_limit(Some(STALLS_SOON))
            .open_fd(nonblocking(&writer))
            .unwrap();
        drop(writer);
        let posted = fill_ring_and_pipe(&queue);
        let undrained = queue.close(None).unwrap_err();
        assert_eq!(
            undrained.cause,
            Error::Stalled {
                errno: libc::EAGAIN,
                target: alq::Target::default()
            }
        );
        assert!(undrained.bytes > 0);
        let again = queue.close(None).unwrap_err();
        assert_eq!(
            (again.bytes, &again.cause),
            (undrained.bytes, &undrained.cause)
        );
        assert_eq!(queue.flush(), Err(Error::Closed), "it never will be");
        assert_exact(queue, &posted, &undrained, reader);
    }
}

#[test]
fn close_with_a_timeout_gives_up_when_it_is_over_and_counts_what_is_left() {
    let (reader, writer) = pipe().unwrap();
    fill_up(&writer);
    let queue = small().open_fd(nonblocking(&writer)).unwrap();
    queue.writen(b"12345\n", TRY).unwrap();
    queue.writen(b"123\n", TRY).unwrap();
    let closer = queue.clone();
    let timeout = Some(Duration::from_millis(20)); // the stall limit is far beyond
    let undrained = spawn(move || closer.close(timeout)).join().unwrap_err();
    assert_eq!(undrained.cause, Error::TimedOut);
    assert_eq!(
        (undrained.bytes, undrained.records, undrained.abandoned),
        (10, 2, 0)
    );
    assert_accounts(&queue, 10, 10);
    drop((queue, reader));
}

#[test]
fn the_drop_of_the_last_handle_gives_up_on_a_pipe_without_an_active_reader() {
    let (reader, writer) = pipe().unwrap();
    fill_up(&writer);
    for nonblocking_mode in [true, false] {
        let options = small().stall_limit(Some(STALLS_SOON));
        let queue = if nonblocking_mode {
            options.open_fd(nonblocking(&writer)).unwrap()
        } else {
            options.open_fd(&writer).unwrap()
        };
        queue.writen(b"never read\n", TRY).unwrap();
        spawn(move || drop(queue)).join();
    }
    drop(reader);
}
