//! When a descriptor fails for good, every caller gets the error, and every byte is counted as
//! written or lost.

use std::os::unix::net::UnixStream;

use crate::common::{
    NEVER_STALLS, TRY, WAIT, assert_accounts, fill_up, nonblocking, pipe, room_waits, small, spawn,
    wait_for,
};
use alq::{Error, Operation, Queue};

fn write_error(errno: i32) -> Error {
    Error::Io {
        operation: Operation::Write,
        errno,
        target: alq::Target::default(),
    }
}

/// Checks everything about a queue whose descriptor fails the first write with `errno`.
fn fails_for_good(queue: &Queue, errno: i32) {
    let error = write_error(errno);
    let first = queue.getn(1, TRY).unwrap(); // nothing is written before all is posted
    for _ in 0..5 {
        queue.writen(b"12345\n", TRY).unwrap();
    }
    let claimed_before = queue.getn(100, TRY).unwrap();
    assert_eq!(queue.stats().last_error, None);
    drop(first);
    assert_eq!(queue.flush(), Err(error.clone()));
    assert_eq!(queue.flush_timeout(NEVER_STALLS), Err(error.clone()));
    for flags in [TRY, WAIT] {
        assert_eq!(queue.writen(b"x", flags), Err(error.clone()));
        assert_eq!(queue.getn(1, flags).unwrap_err(), error);
    }
    assert_eq!(queue.stats().last_error, Some(error.clone()));
    let mut entry = claimed_before;
    entry.set_bytes_used(7);
    entry.post(); // a post never fails

    for _ in 0..2 {
        let undrained = queue.close(None).unwrap_err();
        assert_eq!((undrained.bytes, undrained.records), (37, 6));
        assert_eq!((undrained.abandoned, &undrained.cause), (0, &error));
        let error = std::io::Error::from(undrained);
        assert_eq!(
            error.kind(),
            std::io::Error::from_raw_os_error(errno).kind()
        );
    }
    assert_accounts(queue, 37, 37);
    assert!(queue.writen(b"x", WAIT).is_err());
}

#[test]
fn a_closed_pipe_fails_the_queue_and_close_counts_every_byte() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    fails_for_good(&small().open_fd(&writer).unwrap(), libc::EPIPE);
    fails_for_good(&small().open_fd(nonblocking(&writer)).unwrap(), libc::EPIPE);
}

#[test]
fn a_closed_socket_fails_the_queue_and_close_counts_every_byte() {
    for nonblocking in [false, true] {
        let (theirs, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(nonblocking).unwrap();
        drop(theirs);
        fails_for_good(&small().open_fd(&ours).unwrap(), libc::EPIPE);
    }
}

#[test]
fn writers_asleep_on_a_full_ring_are_told_when_the_descriptor_fails() {
    let (reader, writer) = pipe().unwrap();
    let taken = fill_up(&writer) as u64;
    assert!(taken >= 4096);
    let queue = small().open_fd(&writer).unwrap();
    queue.writen(&[b'x'; 4096], TRY).unwrap();
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            spawn(move || queue.writen(b"x", WAIT))
        })
        .collect();
    wait_for("all three sleep", || room_waits(&queue.stats()) == 3);
    drop(reader);
    for writer in writers {
        assert_eq!(writer.join(), Err(write_error(libc::EPIPE)));
    }
    assert_eq!(queue.close(None).unwrap_err().bytes, 4096);
    assert_accounts(&queue, 4096, 4096);
}
