//! Each defect that no other test file covers stays repaired: counts stay exact, waits end, and a
//! closed queue accepts and keeps nothing.

use std::fmt;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::common::child::in_child;
use crate::common::sink::Writes;
use crate::common::{
    Log, Record, STALLS_SOON, TRY, WAIT, fill_up, nonblocking, parse, pipe, read_all, small, spawn,
};
use alq::{Error, Options};

#[test]
fn the_oldest_held_length_is_that_of_one_entry() {
    let log = Log::new();
    let queue = log.open(small());
    let oldest = queue.getn(10, TRY).unwrap();
    let next = queue.getn(500, TRY).unwrap();
    let stats = queue.stats();
    assert_eq!((stats.held, stats.oldest_held_bytes), (2, 10));
    drop((oldest, next));
}

#[test]
fn a_blocking_sink_that_takes_nothing_is_not_reported_as_a_held_entry() {
    let (reader, writer) = pipe().unwrap();
    fill_up(&writer);
    let queue = small()
        .stall_limit(Some(STALLS_SOON))
        .open_fd(&writer)
        .unwrap();
    let held = queue.getn(10, TRY).unwrap();
    queue.writen(b"behind\n", TRY).unwrap();
    assert!(matches!(queue.flush(), Err(Error::Held { .. })));
    held.post(); // nothing is held any more: now the pipe accepts nothing
    let stalled = Error::Stalled {
        errno: libc::EAGAIN,
        target: alq::Target::default(),
    };
    assert_eq!(queue.flush(), Err(stalled));
    drop(reader);
}

#[test]
fn a_post_during_the_last_drain_does_not_shift_what_is_written() {
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let write_timeout = Duration::from_millis(500); // a blocking write that comes back short
    writer.set_write_timeout(Some(write_timeout)).unwrap();
    let queue = Options::new()
        .stall_limit(Some(Duration::from_secs(2)))
        .open_fd(&writer)
        .unwrap();
    drop(writer);
    let mut held = queue.getn(1000, TRY).unwrap();
    held.fill(b'!');
    let behind: Vec<u8> = (0..900_000_u32).map(|i| (i / 251 + i) as u8).collect();
    queue.writen(&behind, TRY).unwrap();
    let closer = {
        let queue = queue.clone();
        spawn(move || queue.close(None))
    };
    let mut received = vec![0];
    // the entry was stepped over, and the write is in progress
    reader.read_exact(&mut received).unwrap();
    held.post();
    std::thread::sleep(2 * write_timeout); // it comes back short
    let rest = read_all(reader);
    let result = closer.join();
    drop(queue);
    received.extend(rest.join());
    assert_eq!(received.len(), behind.len(), "bytes were repeated");
    assert!(received == behind);
    assert_eq!(result.unwrap_err().abandoned, 1);
}

#[test]
fn a_write_of_a_large_ring_ends_where_a_record_ends() {
    let writes = Writes::default();
    let queue = small().capacity(1 << 17).open_sink(writes.clone()).unwrap();
    let held = queue.getn(1, TRY).unwrap(); // so that the other records are written together
    for seq in 0..1000 {
        let record = Record {
            writer: 0,
            seq,
            len: 100,
        };
        queue.writen(record.text().as_bytes(), TRY).unwrap();
    }
    drop(held);
    queue.close(None).unwrap();
    let records = writes
        .all()
        .iter()
        .map(|one| parse(one).len())
        .sum::<usize>();
    assert_eq!(records, 1000);
}

#[test]
fn a_writer_that_waits_for_a_held_entry_returns_after_the_stall_limit() {
    let log = Log::new();
    let queue = log.open(small().stall_limit(Some(STALLS_SOON)));
    let writer = spawn(move || {
        let _held = queue.getn(4096, TRY).unwrap();
        queue.writen(b"x", WAIT)
    });
    let result = writer.join();
    assert!(matches!(result, Err(Error::Held { .. })), "{result:?}");
}

#[test]
fn close_on_a_blocking_pipe_counts_what_is_never_written() {
    let (mut reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let queue = small()
        .stall_limit(Some(STALLS_SOON))
        .open_fd(&writer)
        .unwrap();
    drop(writer);
    queue.writen(&[b'x'; 1000], TRY).unwrap();
    let undrained = queue.close(None).unwrap_err();
    drop(queue);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!((bytes.len() - filler) as u64 + undrained.bytes, 1000);
}

/// In its own process: between the fork and the exec of another test's process, that process has a
/// copy of the descriptor.
#[test]
fn after_close_the_descriptor_is_closed() {
    in_child("after_close_the_descriptor_is_closed", || {
        for round in 0..2000 {
            let (reader, writer) = UnixStream::pair().unwrap();
            let queue = small().open_fd(&writer).unwrap();
            drop(writer);
            queue.writen(b"x", TRY).unwrap();
            queue.close(None).unwrap();
            reader.set_nonblocking(true).unwrap();
            let mut bytes = Vec::new();
            let result = (&reader).read_to_end(&mut bytes);
            assert!(
                result.is_ok(),
                "no end of file in round {round}: {result:?}"
            );
        }
    });
}

#[test]
fn text_that_does_not_fit_is_an_error_whatever_its_display_says() {
    struct Careless;
    impl fmt::Display for Careless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _ = f.write_str("123456");
            Ok(())
        }
    }
    let log = Log::new();
    let queue = log.open(small());
    let mut entry = queue.getn(4, TRY).unwrap();
    let result = write!(entry, "{Careless}");
    assert_eq!(result, Err(Error::TooLarge { len: 6, max: 4 }));
}

/// The drain, which seals the spans of lanes at the end, is blocked before them.
#[test]
fn a_lane_with_room_in_its_span_takes_nothing_after_a_close_that_gave_up() {
    let (_reader, writer) = pipe().unwrap();
    fill_up(&writer);
    let queue = small().open_fd(nonblocking(&writer)).unwrap();
    let mut lane = queue.lane();
    lane.writen(b"before\n", TRY).unwrap();
    let undrained = queue.close(Some(Duration::from_millis(1))).unwrap_err();
    assert_eq!(undrained.bytes, 7);
    assert_eq!(lane.writen(b"after\n", TRY), Err(Error::Closed));
    assert_eq!(lane.getn(6, WAIT).err(), Some(Error::Closed));
    assert_eq!(queue.stats().posted_bytes, 7);
}
