//! A record that is too long for one message is refused at the append, or lost alone: it is counted,
//! told once, and its own completion fails.

use std::io::{self, IoSlice};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::SocketType;
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::messages::{message, messages, packet_pipe, sockets};
use crate::common::fork::{End, fork};
use crate::common::{LATER, Log, TRY, WAIT, append_to, small};
use alq::{Error, Framing, Level, Operation, Options, Queue, Sink, SyncOp};

fn is_too_long(result: &Result<(), Error>) -> bool {
    matches!(
        result,
        Err(Error::Io {
            operation: Operation::Write,
            errno: libc::EMSGSIZE,
            ..
        })
    )
}

#[test]
fn the_limit_of_a_pipe_is_known_when_it_is_opened() {
    let (reader, writer) = packet_pipe();
    let queue = small().capacity(1 << 16).open_fd(&writer).unwrap();
    let refused = Error::TooLarge {
        len: 4097,
        max: 4096,
    };
    let long = [b'x'; 4097];
    assert_eq!(queue.writen(&long, TRY).unwrap_err(), refused);
    assert_eq!(queue.lane().writen(&long, WAIT).unwrap_err(), refused);
    assert_eq!(queue.getn(4097, TRY).unwrap_err(), refused);
    queue.writen(&long[..4096], TRY).unwrap();
    queue.writen(b"next", TRY).unwrap();
    queue.close(None).unwrap();
    assert_eq!(message(&reader).len(), 4096);
    assert_eq!(message(&reader), b"next");
    assert_eq!(queue.stats().refused.too_large.records, 3);

    let framed = small().capacity(1 << 16).framing(Framing::Lengths);
    let framed = framed.open_fd(&writer).unwrap();
    let refused = Error::TooLarge {
        len: 4093,
        max: 4092,
    };
    assert_eq!(framed.writen(&long[..4093], TRY).unwrap_err(), refused);
    framed.writen(&long[..4092], TRY).unwrap();
    framed.close(None).unwrap();
    assert_eq!(message(&reader).len(), 4096);

    let fixed = |len| small().capacity(1 << 16).fixed(len, 4).open_fd(&writer);
    assert!(fixed(4096).is_ok());
    let error = fixed(4097).unwrap_err().to_string();
    assert!(error.contains("4096 bytes for a pipe"), "{error}");
    let error = small().framing(Framing::Fixed(4096)).open_fd(&writer);
    assert!(error.is_ok());
}

/// The system knows the limit of a socket, and it may change at any time.
#[test]
fn a_record_that_a_socket_refuses_is_lost_alone() {
    for kind in [SocketType::SEQPACKET, SocketType::DGRAM] {
        let (reader, writer) = sockets(kind);
        set_socket_send_buffer_size(&writer, 1 << 15).unwrap();
        let (told, reports) = channel();
        let told = Mutex::new(told);
        let options = small().capacity(1 << 20).on_error(move |report| {
            told.lock().unwrap().send(report.to_string()).unwrap();
        });
        let queue = options.open_fd(&writer).unwrap();
        let long = vec![b'x'; 200_000];
        let held = queue.getn(1, TRY).unwrap();
        let before = queue.writen(b"before", TRY).unwrap();
        let lost = queue.writen(&long, TRY).unwrap();
        let between = queue.lane().writen(b"between", TRY).unwrap();
        let lost_too = queue.lane().writen(&long, TRY).unwrap();
        let last = queue.writen(b"last", TRY).unwrap();
        let early = queue.completion(lost, Level::Written);
        drop(held);
        queue.flush().unwrap();
        assert_eq!(messages(&reader, 3), [&b"before"[..], b"between", b"last"]);
        assert!(is_too_long(&early.wait()), "{kind:?}");
        for position in [lost, lost_too] {
            let late = queue.completion(position, Level::Written);
            assert!(is_too_long(&late.wait()));
        }
        for position in [before, between, last] {
            queue.completion(position, Level::Written).wait().unwrap();
        }
        let stats = queue.stats();
        assert_eq!((stats.too_long_records, stats.too_long_bytes), (2, 400_000));
        assert_eq!((stats.lost_records, stats.lost_bytes), (2, 400_000));
        assert_eq!((stats.written_records, stats.written_bytes), (3, 17));
        assert_eq!((stats.posted_records, stats.posted_bytes), (5, 400_017));
        assert_eq!(stats.last_error, None);
        queue.writen(&long, TRY).unwrap();
        assert!(is_too_long(&queue.flush()), "it was the last");
        queue.close(None).unwrap();
        drop((queue, early)); // and with the last, the callback
        let report = reports.recv().unwrap();
        assert!(
            report.ends_with("; this record is lost, and the queue goes on"),
            "{report}"
        );
        assert!(reports.recv().is_err(), "told once");
    }
}

/// Takes messages of at most 8 bytes, and does not say so before.
#[derive(Clone, Default)]
struct Short(Arc<Mutex<Vec<String>>>);

impl Short {
    fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Sink for Short {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        assert_eq!(runs.len(), 1, "a message is one run");
        let text = String::from_utf8(runs[0].to_vec()).unwrap();
        if text.len() > 8 {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        self.0.lock().unwrap().push(text);
        Ok(runs[0].len())
    }

    fn message_max(&self) -> Option<u64> {
        Some(u64::MAX)
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

fn wait_durable(queue: &Queue, position: alq::Position) -> Result<(), Error> {
    queue.completion(position, Level::Durable).wait()
}

#[test]
fn of_a_lanes_span_only_the_long_line_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let short = Short::default();
    let options = Options::new()
        .capacity(1 << 14)
        .framing(Framing::Lines)
        .ring_file(folder.path().join("ring"));
    let queue = options.open_sink(short.clone()).unwrap();
    let mut lane = queue.lane();
    let mut positions = Vec::new();
    for line in ["one", "a long line", "two", "another long one", "three"] {
        positions.push(lane.writen(line.as_bytes(), LATER).unwrap());
    }
    queue.flush().unwrap();
    assert_eq!(short.texts(), ["one\n", "two\n", "three\n"]);
    let lost: Vec<bool> = positions
        .iter()
        .map(|at| is_too_long(&wait_durable(&queue, *at)))
        .collect();
    assert_eq!(lost, [false, true, false, true, false]);
    let stats = queue.stats();
    assert_eq!((stats.too_long_records, stats.too_long_bytes), (2, 29));
    assert_eq!(stats.written_bytes, 14);
    drop(lane);
    queue.close(None).unwrap();
}

#[test]
fn a_line_about_losses_that_is_too_long_does_not_stop_the_queue() {
    let short = Short::default();
    let queue = small().loss_lines(Duration::ZERO);
    let queue = queue.open_sink(short.clone()).unwrap();
    let held = queue.getn(4096, TRY).unwrap();
    assert_eq!(queue.writen(b"lost", TRY), Err(Error::WouldBlock));
    drop(held);
    queue.writen(b"next", WAIT).unwrap();
    queue.close(None).unwrap();
    assert_eq!(short.texts(), ["next"]);
    assert_eq!(queue.stats().refused_records, 1);
}

/// Another file gets no lost record again, and no record twice.
#[test]
fn a_reopen_after_a_loss_goes_on_with_the_next_record() {
    let (log, (_reader, writer)) = (Log::new(), packet_pipe());
    let queue = log.open(small().capacity(1 << 16).framing(Framing::Lines));
    let mut lane = queue.lane();
    lane.writen(b"one", TRY).unwrap();
    queue.flush().unwrap();
    queue.reopen(&writer).unwrap().wait().unwrap();
    let lost = lane.writen(&[b'x'; 5000], TRY).unwrap(); // the limit was not known at the opening
    lane.writen(b"two", TRY).unwrap();
    queue.flush().unwrap();
    queue.reopen(append_to(log.path())).unwrap().wait().unwrap();
    lane.writen(b"three", TRY).unwrap();
    drop(lane);
    queue.close(None).unwrap();
    assert_eq!(log.text(), "one\nthree\n");
    let late = queue.completion(lost, Level::Written);
    assert!(is_too_long(&late.wait()));
    let stats = queue.stats();
    assert_eq!((stats.too_long_records, stats.repeated_bytes), (1, 0));
}

#[test]
fn a_child_of_fork_splits_no_record() {
    let (log, (reader, writer)) = (Log::new(), packet_pipe());
    let queue = log.open(small().capacity(1 << 16).framing(Framing::Lines));
    queue.reopen(&writer).unwrap().wait().unwrap();
    let own = queue.clone();
    fork(End::AtOnce, move || {
        let refused = own.writen(&[b'x'; 5000], WAIT).map(drop);
        assert!(is_too_long(&refused));
        assert_eq!(own.stats().refused.too_large.records, 1);
        own.writen(b"next", WAIT).unwrap();
    })
    .join();
    assert_eq!(message(&reader), b"next\n");
}
