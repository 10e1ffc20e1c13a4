//! A queue works on any writable descriptor: files in append mode or not, pipes and sockets,
//! blocking or not.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::common::sink::Writes;
use crate::common::{
    DEADLINE, Log, Numbers, Record, TRY, WAIT, append_to, assert_complete, fill_up, nonblocking,
    parse, pipe, read_all, room_waits, small, spawn, wait_for,
};
use alq::{AsyncAppend, Options, Queue};

#[test]
fn the_queue_keeps_a_duplicate_of_the_descriptor() {
    let log = Log::new();
    let file = append_to(log.path());
    let queue = small().open_fd(&file).unwrap();
    queue.writen(b"one\n", TRY).unwrap();
    drop(file);
    queue.writen(b"two\n", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "one\ntwo\n");
}

#[test]
fn without_append_mode_bytes_go_to_the_offset_that_is_shared_with_the_caller() {
    let log = Log::new();
    let mut file = File::create(log.path()).unwrap();
    file.write_all(b"head\n").unwrap();
    let queue = small().open_fd(&file).unwrap();
    queue.writen(b"queue\n", TRY).unwrap();
    queue.flush().unwrap();
    file.write_all(b"tail\n").unwrap();
    queue.writen(b"more\n", TRY).unwrap();
    queue.close(None).unwrap();
    assert_eq!(log.text(), "head\nqueue\ntail\nmore\n");
}

/// Appends `count` records with WAITOK. The reader starts when the ring is full and the sink
/// accepts nothing.
fn pour(queue: Queue, count: u32, start_reader: impl FnOnce() -> crate::common::Watched<Vec<u8>>) {
    let writer = {
        let queue = queue.clone();
        spawn(move || {
            let mut numbers = Numbers::new(7);
            for seq in 0..count {
                let len = Record::MIN_LEN + numbers.below(900);
                let record = Record {
                    writer: 0,
                    seq,
                    len,
                };
                queue.writen(record.text().as_bytes(), WAIT).unwrap();
            }
        })
    };
    wait_for("the writer sleeps on a full ring", || {
        let stats = queue.stats();
        room_waits(&stats) > 0 && stats.fill_bytes > stats.capacity_bytes - 1000
    });
    let reader = start_reader();
    writer.join();
    queue.close(None).unwrap();
    drop(queue);
    assert_complete(&parse(&reader.join()), &[count]);
}

#[test]
fn a_nonblocking_pipe_with_a_slow_reader_loses_nothing() {
    // Pipes accept up to 4096 bytes whole or not at all; of more they accept a part.
    for capacity in [4096, 1 << 15] {
        let (mut reader, writer) = pipe().unwrap();
        let options = small().capacity(capacity);
        let queue = options.open_fd(nonblocking(&writer)).unwrap();
        drop(writer);
        pour(queue, 1500, || {
            spawn(move || {
                let mut bytes = Vec::new();
                let mut piece = [0; 777];
                loop {
                    match reader.read(&mut piece).unwrap() {
                        0 => return bytes,
                        len => bytes.extend_from_slice(&piece[..len]),
                    }
                    std::thread::yield_now();
                }
            })
        });
    }
}

#[test]
fn sockets_work_blocking_and_nonblocking() {
    for nonblocking in [false, true] {
        let (reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(nonblocking).unwrap();
        let queue = small().open_fd(&writer).unwrap();
        drop(writer);
        pour(queue, 3000, || read_all(reader));
    }
}

#[test]
fn a_write_ends_where_a_record_ends() {
    let writes = Writes::default();
    let queue = small().open_sink(writes.clone()).unwrap();
    let held = queue.getn(1, TRY).unwrap(); // so that the rest goes out at once
    for seq in 0..60 {
        let record = Record {
            writer: 0,
            seq,
            len: 30,
        };
        queue.writen(record.text().as_bytes(), TRY).unwrap();
    }
    drop(held);
    queue.close(None).unwrap();
    let records: Vec<_> = writes.all().iter().flat_map(|one| parse(one)).collect();
    assert_complete(&records, &[60]);
}

#[test]
fn two_queues_on_one_file_in_append_mode_interleave_only_between_records() {
    const COUNT: u32 = 10_000;
    let log = Log::new();
    let queues = [log.open(small()), log.open(small().capacity(1 << 16))];
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let queue = queues[writer % 2].clone();
            spawn(move || {
                for seq in 0..COUNT {
                    let len = Record::MIN_LEN + (seq as usize * 7 + writer) % 120;
                    let text = Record { writer, seq, len }.text();
                    queue.writen(text.as_bytes(), WAIT).unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(crate::common::Watched::join);
    drop(queues);
    assert_complete(&parse(&log.bytes()), &[COUNT; 4]);
}

#[test]
fn the_synchronous_appender_writes_records_of_any_size_before_it_returns() {
    let log = Log::new();
    let file = append_to(log.path());
    let mut appender = AsyncAppend::new(&file);
    let large = "0123456789".repeat(300_000);
    appender.write(b"").unwrap();
    appender.write(large.as_bytes()).unwrap();
    assert_eq!(log.bytes().len(), large.len());
    writeln!(appender, "{}", 7).unwrap();
    (&file).write_all(b"still open\n").unwrap();
    assert_eq!(log.text(), large + "7\nstill open\n");
}

/// The kernel cannot write to a FIFO without waiting, unless that is non-blocking.
#[test]
fn a_fifo_that_nobody_reads_is_a_stall_until_somebody_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // For both, so that no open waits for the other end.
    let both = File::options().read(true).write(true).open(&path).unwrap();
    let mut reader = File::open(&path).unwrap();
    let filler = fill_up(&both);
    let queue = Options::new().open(&path).unwrap();
    queue.writen(b"patient\n", TRY).unwrap();
    let errno = || queue.stats().stalled.map(|stall| stall.errno);
    wait_for("the stall", || errno() == Some(libc::EAGAIN));
    let mut read = vec![0; filler + 8];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(&read[filler..], b"patient\n");
    queue.close(Some(DEADLINE)).unwrap();
}
