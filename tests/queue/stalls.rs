//! While a sink accepts nothing (a full disk, a reader that does not read), no byte is lost, every
//! wait ends as documented, and every report is true.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::common::child::in_child;
use crate::common::disk::SmallDisk;
use crate::common::sink::{Script, queue_to};
use crate::common::{
    DEADLINE, NEVER_STALLS, Record, STALLS_SOON, TRY, WAIT, assert_accounts, assert_complete,
    fill_up, parse, pipe, read_all, room_waits, small, spawn, wait_for,
};
use crate::errors::reports_of;
use alq::{Error, Flags, Level, Operation, Options, Queue, Report, SyncOp};

const FULL: [i32; 2] = [libc::ENOSPC, libc::EDQUOT];

fn stalled(errno: i32) -> Error {
    Error::Stalled {
        errno,
        target: alq::Target::default(),
    }
}

fn soon() -> Options {
    small().stall_limit(Some(STALLS_SOON))
}

fn stall_errno(queue: &Queue) -> Option<i32> {
    queue.stats().stalled.map(|stall| stall.errno)
}

/// A queue with the smallest ring on a full disk, with one record in it; and the script of the
/// disk.
fn on_full_disk(options: Options, errno: i32) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.fail_writes(Some(errno));
    let queue = queue_to(&script, options);
    queue.writen(b"first\n", TRY).unwrap();
    wait_for("the stall", || stall_errno(&queue) == Some(errno));
    (queue, script)
}

/// Appends until the queue is full. Returns how many bytes that took.
fn fill(queue: &Queue) -> u64 {
    let mut bytes = 0;
    while queue.writen(b"0123456\n", TRY) != Err(Error::WouldBlock) {
        bytes += 8;
    }
    bytes
}

#[test]
fn a_full_disk_ends_every_wait_with_its_errno_and_keeps_the_data() {
    for errno in FULL {
        let (queue, script) = on_full_disk(soon(), errno);
        assert_eq!(queue.flush(), Err(stalled(errno)));
        let written = queue.completion(queue.position(), Level::Written);
        assert_eq!(written.wait(), Err(stalled(errno)));
        let durable = queue.fsync(SyncOp::Data).unwrap();
        assert_eq!(durable.wait(), Err(stalled(errno)));
        assert_eq!(
            queue.flush_timeout(Duration::from_millis(1)),
            Err(Error::TimedOut)
        );
        let stats = queue.stats();
        assert_eq!(stats.last_error, None, "the queue has not failed");
        assert!(stats.stalled.unwrap().age >= STALLS_SOON);
        assert_accounts(&queue, 6, 6);
        queue.writen(b"second\n", TRY).unwrap();

        script.fail_writes(None); // there is room again
        queue.flush().unwrap();
        durable.wait().unwrap();
        written.wait().unwrap();
        assert_eq!(script.bytes(), b"first\nsecond\n");
        assert_eq!(stall_errno(&queue), None);
        queue.close(None).unwrap();
    }
}

#[test]
fn writers_see_a_full_queue_by_their_own_flags() {
    for errno in FULL {
        let (queue, script) = on_full_disk(small(), errno);
        let posted = 6 + fill(&queue);
        assert_eq!(queue.getn(8, TRY).unwrap_err(), Error::WouldBlock);
        let patience = Duration::from_millis(20);
        assert_eq!(
            queue.writen_timeout(b"patient\n", WAIT, patience),
            Err(Error::TimedOut)
        );
        let writer = {
            let queue = queue.clone();
            spawn(move || queue.writen(b"patient\n", WAIT))
        };
        wait_for("it sleeps", || room_waits(&queue.stats()) == 2);
        script.fail_writes(None);
        writer.join().unwrap();
        queue.close(None).unwrap();
        assert_accounts(&queue, posted + 8, 0);
        assert!(script.bytes().ends_with(b"0123456\npatient\n"));
    }
}

#[test]
fn a_waiting_writer_outlasts_the_stall_limit() {
    let (queue, script) = on_full_disk(soon(), libc::ENOSPC);
    fill(&queue);
    let writer = {
        let queue = queue.clone();
        spawn(move || queue.writen(b"patient\n", WAIT))
    };
    wait_for("three times the limit", || {
        queue
            .stats()
            .stalled
            .is_some_and(|stall| stall.age > 3 * STALLS_SOON)
    });
    assert!(writer.is_running());
    script.fail_writes(None);
    writer.join().unwrap();
    queue.close(None).unwrap();
}

#[test]
fn close_counts_what_a_full_disk_leaves_and_names_it() {
    for errno in FULL {
        let (queue, _script) = on_full_disk(soon(), errno);
        queue.writen(b"second\n", TRY).unwrap();
        for _ in 0..2 {
            let left = queue.close(None).unwrap_err();
            assert_eq!((left.bytes, left.records, left.abandoned), (13, 2, 0));
            assert_eq!(left.cause, stalled(errno));
        }
        wait_for("the end", || queue.stats().lost_bytes > 0);
        let stats = queue.stats();
        assert_eq!((stats.lost_bytes, stats.lost_records), (13, 2));
        assert_eq!((stats.late_bytes, stats.late_records), (0, 0));
        assert_eq!(stats.lost_to, Some(stalled(errno)));
        assert_eq!(stats.posted_bytes, stats.written_bytes + stats.lost_bytes);
    }
}

#[test]
fn a_flush_in_a_long_stall_tries_once_more_before_it_tells() {
    let (queue, script) = on_full_disk(soon(), libc::ENOSPC);
    wait_for("the limit", || {
        queue
            .stats()
            .stalled
            .is_some_and(|stall| stall.age > STALLS_SOON)
    });
    let before = script.writes();
    assert_eq!(queue.flush(), Err(stalled(libc::ENOSPC)));
    assert!(script.writes() > before, "it was not tried again");
    script.fail_writes(None);
    queue.close(None).unwrap();
    assert_eq!(script.bytes(), b"first\n");
}

/// Tries each error alone, inside records, on a disk that has room for only a few bytes.
#[test]
fn when_room_returns_not_one_byte_is_lost_or_doubled() {
    for errno in FULL {
        for room in [0, 1, 19, 20, 21, 100, 4000] {
            let script = Script::new();
            script.take_at_most(room, errno);
            let queue = queue_to(&script, small());
            let writer = {
                let queue = queue.clone();
                spawn(move || {
                    for seq in 0..400 {
                        let len = Record::MIN_LEN + seq as usize % 50;
                        let writer = 0;
                        let text = Record { writer, seq, len }.text();
                        queue.writen(text.as_bytes(), WAIT).unwrap();
                    }
                })
            };
            wait_for("the stall", || stall_errno(&queue) == Some(errno));
            assert_eq!(script.written(), room);
            script.take_at_most(usize::MAX, errno);
            writer.join();
            queue.close(None).unwrap();
            assert_complete(&parse(&script.bytes()), &[400]);
        }
    }
}

#[test]
fn a_sink_that_takes_0_bytes_is_a_full_one() {
    let script = Script::new();
    script.take_at_most(3, 0);
    let queue = queue_to(&script, soon());
    queue.writen(b"record\n", TRY).unwrap();
    assert_eq!(queue.flush(), Err(stalled(libc::ENOSPC)));
    script.take_at_most(usize::MAX, 0);
    queue.flush().unwrap();
    assert_eq!(script.bytes(), b"record\n");
}

#[test]
fn refused_writers_do_not_keep_the_flusher_busy() {
    let (queue, script) = on_full_disk(small(), libc::ENOSPC);
    fill(&queue);
    wait_for("the flusher takes it easy", || script.writes() >= 8);
    let before = script.writes();
    for _ in 0..100_000 {
        assert_eq!(queue.writen(b"refused\n", TRY), Err(Error::WouldBlock));
    }
    // One try for each refusal would be 100000; by the clock it is one in a quarter of a second or
    // more.
    assert!(script.writes() - before < 1000);
    script.fail_writes(None);
    queue.close(None).unwrap();
}

/// A slow sync is independent of a disk that has been full for long.
#[test]
fn a_wait_for_a_sync_only_does_not_report_a_full_disk() {
    let script = Script::new();
    let queue = queue_to(&script, soon());
    let written = queue.writen(b"written\n", TRY).unwrap();
    queue.flush().unwrap();
    script.shut_sync();
    script.fail_writes(Some(libc::ENOSPC));
    queue.writen(b"stalled\n", TRY).unwrap();
    wait_for("the limit", || {
        queue
            .stats()
            .stalled
            .is_some_and(|stall| stall.age > STALLS_SOON)
    });
    let durable = queue.completion(written, Level::Durable);
    script.wait_for_sync(1);
    assert_eq!(durable.wait(), Err(stalled(libc::EAGAIN)));
    script.open_sync();
    durable.wait().unwrap();
    script.fail_writes(None);
}

fn errors_of(options: Options) -> (Options, Receiver<Error>) {
    let (sender, errors) = channel();
    let options = options.on_error(move |report| sender.send(report.error.clone()).unwrap());
    (options, errors)
}

/// The next report: a stall with this errno and reason, or that it is over.
#[track_caller]
fn assert_told(reports: &Receiver<Report>, errno: i32, reason: Option<&str>) {
    let report = reports.recv_timeout(DEADLINE).unwrap();
    assert_eq!(report.error, stalled(errno), "{report}");
    assert_eq!(report.reason.as_deref(), reason, "{report}");
    assert_eq!(report.stall_ended.is_some(), reason.is_none(), "{report}");
    if let Some(time) = report.stall_ended {
        assert!(time >= STALLS_SOON, "{report}");
        assert!(report.to_string().contains("accepts data again after"));
    }
}

const HUNG: &str = "a write has not returned";

#[test]
fn a_write_that_does_not_return_is_a_stall_that_stats_and_on_error_show() {
    let (options, reports) = reports_of(soon());
    let script = Script::new();
    let queue = queue_to(&script, options);
    for _ in 0..2 {
        script.shut_write();
        queue.writen(b"record\n", TRY).unwrap();
        assert_told(&reports, libc::EAGAIN, Some(HUNG));
        let stall = queue.stats().stalled.expect("it is shown");
        assert_eq!((stall.errno, &*stall.reason), (libc::EAGAIN, HUNG));
        assert!(stall.age >= STALLS_SOON, "{stall:?}");
        assert_eq!(queue.flush(), Err(stalled(libc::EAGAIN)));
        assert!(reports.try_recv().is_err(), "it is reported once");
        script.open_write();
        queue.flush().unwrap();
        assert_told(&reports, libc::EAGAIN, None);
        wait_for("the stall is over", || queue.stats().stalled.is_none());
    }
    queue.close(None).unwrap();
}

#[test]
fn a_write_that_hangs_and_then_takes_nothing_is_one_stall() {
    let (options, reports) = reports_of(soon());
    let script = Script::new();
    let queue = queue_to(&script, options);
    script.shut_write();
    queue.writen(b"record\n", TRY).unwrap();
    assert_told(&reports, libc::EAGAIN, Some(HUNG));
    script.fail_writes(Some(libc::EAGAIN));
    script.open_write();
    script.wait_for_write(3);
    let stall = queue.stats().stalled.expect("it goes on");
    assert_eq!(stall.reason, "its reader does not read");
    assert!(stall.age >= STALLS_SOON, "it began with the write");
    assert!(reports.try_recv().is_err(), "it is not told again");
    script.fail_writes(None);
    queue.flush().unwrap();
    assert_told(&reports, libc::EAGAIN, None);
    queue.close(None).unwrap();
    drop(queue);
    assert!(reports.try_recv().is_err());
}

#[test]
fn the_sink_says_why_in_its_own_words() {
    let (options, reports) = reports_of(soon());
    let script = Script::new();
    let no_quorum = "no quorum: 1 of 3 nodes";
    script.explain_stalls(no_quorum);
    script.shut_write();
    let queue = queue_to(&script, options);
    queue.writen(b"record\n", TRY).unwrap();
    let report = reports.recv_timeout(DEADLINE).unwrap();
    assert_eq!(report.reason.as_deref(), Some(no_quorum));
    let text = format!(
        "{}: accepts no data: {no_quorum}; the queue keeps it and retries",
        report.queue
    );
    assert_eq!(report.to_string(), text);
    assert_eq!(queue.stats().stalled.unwrap().reason, no_quorum);
    script.open_write();
    queue.flush().unwrap();
    assert_told(&reports, libc::EAGAIN, None);
    // A panic of the sink there harms nobody.
    script.explain_stalls("");
    script.shut_write();
    queue.writen(b"record\n", TRY).unwrap();
    assert_told(&reports, libc::EAGAIN, Some(HUNG));
    assert_eq!(queue.stats().stalled.unwrap().reason, HUNG);
    script.open_write();
    assert_told(&reports, libc::EAGAIN, None);
    script.explain_stalls(no_quorum);
    // A stall of another kind has the reason too.
    script.fail_writes(Some(libc::ENOSPC));
    queue.writen(b"record\n", TRY).unwrap();
    assert_told(&reports, libc::ENOSPC, Some(no_quorum));
    script.fail_writes(None);
    queue.close(None).unwrap();
}

#[test]
fn a_ring_file_shows_a_write_that_does_not_return() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let script = Script::new();
    let queue = queue_to(&script, small().ring_file(&ring));
    let began = || alq::ring_file::inspect(&ring).unwrap().live.write_began_ns;
    for _ in 0..2 {
        assert_eq!(began(), 0);
        script.shut_write();
        let before = script.writes();
        queue.writen(b"record\n", TRY).unwrap();
        script.wait_for_write(before + 1);
        assert!(began() >= alq::ring_file::inspect(&ring).unwrap().live.opened_ns);
        script.open_write();
        queue.flush().unwrap();
        wait_for("it has returned", || began() == 0);
    }
}

#[test]
fn a_stall_is_told_once_and_the_next_one_again() {
    let (options, reports) = reports_of(soon());
    let (queue, script) = on_full_disk(options, libc::ENOSPC);
    for errno in FULL {
        let reason = io::Error::from_raw_os_error(errno).to_string();
        assert_told(&reports, errno, Some(&reason));
        wait_for("the stall goes on", || {
            queue
                .stats()
                .stalled
                .is_some_and(|stall| stall.age > 3 * STALLS_SOON)
        });
        assert!(reports.try_recv().is_err(), "it is told once");
        script.fail_writes(None);
        queue.flush().unwrap();
        assert_told(&reports, errno, None);
        script.fail_writes(Some(libc::EDQUOT));
        queue.writen(b"next\n", TRY).unwrap();
    }
    script.fail_writes(None);
    queue.close(None).unwrap();
    drop(queue);
    for report in reports.try_iter() {
        assert!(matches!(report.error, Error::Stalled { .. }), "{report}");
    }
}

#[test]
fn without_a_limit_every_call_waits_and_nothing_is_reported() {
    let (options, reports) = reports_of(small().stall_limit(None));
    let (queue, script) = on_full_disk(options, libc::ENOSPC);
    let flusher = {
        let queue = queue.clone();
        spawn(move || queue.flush())
    };
    wait_for("some tries", || script.writes() > 10);
    assert!(flusher.is_running());
    script.fail_writes(None);
    flusher.join().unwrap();
    queue.close(None).unwrap();
    drop(queue);
    assert!(reports.try_recv().is_err());
}

/// All queues together wait for the stall limit once, since the time that a stall has lasted
/// counts.
#[test]
fn a_shutdown_with_several_full_disks_names_the_cause_and_the_sums() {
    let test = "a_shutdown_with_several_full_disks_names_the_cause_and_the_sums";
    in_child(test, || {
        let queues: Vec<_> = (0..5).map(|_| on_full_disk(soon(), libc::ENOSPC)).collect();
        assert_eq!(alq::flush_all(None), Err(stalled(libc::ENOSPC)));
        let left = alq::shutdown(None).unwrap_err();
        assert_eq!((left.bytes, left.records), (30, 5));
        assert_eq!(left.cause, stalled(libc::ENOSPC));
        drop(queues);
    });
}

#[test]
fn dev_full() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (options, errors) = errors_of(soon());
    let queue = options.open_fd(&full).unwrap();
    queue.writen(b"record\n", TRY).unwrap();
    assert_eq!(queue.flush(), Err(stalled(libc::ENOSPC)));
    assert_eq!(errors.recv_timeout(DEADLINE), Ok(stalled(libc::ENOSPC)));
    let left = queue.close(None).unwrap_err();
    assert_eq!((left.bytes, left.records), (7, 1));
    assert_eq!(left.cause, stalled(libc::ENOSPC));
}

/// A disk that fills up under the log, twice, and is emptied again: the log is complete.
#[test]
fn a_real_disk_that_fills_up_and_is_emptied() {
    let Some(disk) = SmallDisk::mount("a_real_disk_that_fills_up_and_is_emptied") else {
        return;
    };
    let path = disk.path().join("app.log");
    let queue = soon().open(&path).unwrap();
    let mut count = 0;
    let append = |count: u32| {
        let len = Record::MIN_LEN + count as usize % 700;
        let record = Record {
            writer: 0,
            seq: count,
            len,
        };
        queue.writen(record.text().as_bytes(), TRY)
    };
    for _ in 0..2 {
        disk.fill();
        while append(count) != Err(Error::WouldBlock) {
            count += 1;
        }
        assert_eq!(queue.flush(), Err(stalled(libc::ENOSPC)));
        let stats = queue.stats();
        assert_eq!(stall_errno(&queue), Some(libc::ENOSPC));
        assert_eq!(fs::metadata(&path).unwrap().len(), stats.written_bytes);
        disk.make_room();
        queue.flush().unwrap();
    }
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    queue.close(None).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_accounts(&queue, bytes.len() as u64, 0);
    assert_complete(&parse(&bytes), &[count]);
}

/// Appends more than the disk holds through a small ring: the file is an exact prefix, and the rest
/// is counted.
#[test]
fn a_real_disk_that_stays_full() {
    let Some(disk) = SmallDisk::mount("a_real_disk_that_stays_full") else {
        return;
    };
    let path = disk.path().join("app.log");
    let queue = soon().open(&path).unwrap();
    let line = b"0123456789abcdefghijklmnopqrstuvwxy\n";
    let mut posted = Vec::new();
    loop {
        match queue.writen_timeout(line, WAIT, 2 * STALLS_SOON) {
            Ok(_) => posted.extend_from_slice(line),
            Err(error) => break assert_eq!(error, Error::TimedOut),
        }
    }
    let left = queue.close(None).unwrap_err();
    assert_eq!(left.cause, stalled(libc::ENOSPC));
    let bytes = fs::read(&path).unwrap();
    assert!(posted.starts_with(&bytes));
    assert_eq!(bytes.len() as u64 + left.bytes, posted.len() as u64);
    assert!(bytes.len() > 900_000, "{}", bytes.len());
}

#[test]
fn a_reader_that_does_not_read_is_a_stall_until_it_does() {
    let (reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let (options, errors) = errors_of(soon());
    let queue = options.open_fd(&writer).unwrap();
    drop(writer);
    queue.writen(b"patient\n", TRY).unwrap();
    wait_for("the stall", || stall_errno(&queue) == Some(libc::EAGAIN));
    assert_eq!(queue.flush(), Err(stalled(libc::EAGAIN)));
    assert_eq!(errors.recv_timeout(DEADLINE), Ok(stalled(libc::EAGAIN)));
    let reader = read_all(reader);
    let flushed = || queue.flush_timeout(DEADLINE);
    wait_for("the reader", || flushed().is_ok());
    assert_eq!(stall_errno(&queue), None);
    queue.close(None).unwrap();
    drop(queue);
    assert_eq!(&reader.join()[filler..], b"patient\n");
}

/// A process that reads one end of a socket, and can be stopped.
struct Reader {
    process: Child,
    bytes: crate::common::Watched<Vec<u8>>,
}

impl Reader {
    fn start(socket: UnixStream) -> Self {
        let input = Stdio::from(std::os::fd::OwnedFd::from(socket));
        let mut process = Command::new("cat")
            .stdin(input)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let bytes = read_all(process.stdout.take().unwrap());
        Self { process, bytes }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    fn stop(&self) {
        self.signal("STOP");
        let stat = format!("/proc/{}/stat", self.process.id());
        wait_for("it stops", || {
            let stat = fs::read_to_string(&stat).unwrap();
            stat.rsplit(") ").next().unwrap().starts_with('T')
        });
    }

    fn end(mut self) -> Vec<u8> {
        let bytes = self.bytes.join();
        self.process.wait().unwrap();
        bytes
    }
}

/// SIGSTOP of a real reader: `NOWAIT` is refused at once, `WAITOK` waits, `close` is bounded, and
/// the counts are exact.
#[test]
fn a_stopped_reader_process() {
    let (theirs, ours) = UnixStream::pair().unwrap();
    let reader = Reader::start(theirs);
    let queue = small()
        .stall_limit(Some(NEVER_STALLS))
        .open_fd(&ours)
        .unwrap();
    drop(ours);
    let line = b"0123456789abcdefghijklmnopqrstuvwxyz\n";
    queue.writen(line, WAIT).unwrap();
    queue.flush().unwrap();
    reader.stop();

    let mut posted = 1;
    wait_for("the socket and the ring are full", || {
        while queue.writen(line, TRY).is_ok() {
            posted += 1;
        }
        stall_errno(&queue) == Some(libc::EAGAIN)
    });
    let waiter = {
        let queue = queue.clone();
        spawn(move || queue.writen(line, WAIT))
    };
    wait_for("it sleeps", || room_waits(&queue.stats()) == 1);
    assert_eq!(queue.writen(line, TRY), Err(Error::WouldBlock));
    assert!(waiter.is_running());

    reader.signal("CONT");
    waiter.join().unwrap();
    queue.flush().unwrap();
    reader.stop();
    wait_for("the socket and the ring are full again", || {
        while queue.writen(line, TRY).is_ok() {
            posted += 1;
        }
        stall_errno(&queue) == Some(libc::EAGAIN)
    });
    let left = queue.close(Some(Duration::from_millis(50))).unwrap_err();
    assert_eq!(left.cause, Error::TimedOut);
    let all = line.repeat(posted + 1);
    reader.signal("CONT");
    wait_for("the flusher lets go", || queue.stats().lost_bytes > 0);
    drop(queue);
    let read = reader.end();
    assert!(all.starts_with(&read));
    assert_eq!(read.len() as u64 + left.bytes, all.len() as u64);
}

#[test]
fn the_drop_of_the_last_handle_tells_of_what_it_leaves() {
    let (options, errors) = errors_of(soon());
    let (queue, _script) = on_full_disk(options, libc::ENOSPC);
    assert_eq!(
        errors.recv_timeout(DEADLINE),
        Ok(stalled(libc::ENOSPC)),
        "the stall"
    );
    drop(queue);
    // It was reported before the drop returned.
    assert_eq!(errors.try_recv(), Ok(stalled(libc::ENOSPC)), "the drop");
    assert!(errors.try_recv().is_err());
}

#[test]
fn a_drop_without_a_new_loss_reports_nothing() {
    let (options, errors) = errors_of(small());
    let script = Script::new();
    drop(queue_to(&script, options.clone()));
    let queue = queue_to(&script, options.clone());
    queue.writen(b"record\n", TRY | Flags::NOACTIVATE).unwrap();
    drop(queue);
    script.fail_writes(Some(libc::ENOSPC));
    let queue = queue_to(&script, options);
    queue.writen(b"record\n", TRY).unwrap();
    queue.close(Some(Duration::ZERO)).unwrap_err();
    drop(queue);
    assert!(errors.try_recv().is_err());
}

#[test]
fn failures_and_failed_syncs_are_told_and_a_panic_in_the_callback_hurts_nobody() {
    let (sender, errors) = channel();
    let options = small().on_error(move |report| {
        sender.send(report.error.clone()).unwrap();
        panic!("this callback panics, as it was told");
    });
    let script = Script::new();
    let queue = queue_to(&script, options);
    script.fail_sync(libc::EIO);
    queue.writen(b"record\n", TRY).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap_err();
    let io = |operation, errno| Error::Io {
        operation,
        errno,
        target: alq::Target::default(),
    };
    assert_eq!(
        errors.recv_timeout(DEADLINE),
        Ok(io(Operation::Sync, libc::EIO))
    );
    script.fail_write(libc::EPIPE);
    queue.writen(b"record\n", TRY).unwrap();
    assert_eq!(
        errors.recv_timeout(DEADLINE),
        Ok(io(Operation::Write, libc::EPIPE))
    );
    drop(queue);
    assert_eq!(
        errors.recv_timeout(DEADLINE),
        Ok(io(Operation::Write, libc::EPIPE)),
        "the drop"
    );
}

#[test]
fn a_callback_may_use_the_queue_and_drop_its_last_handle() {
    let (sender, errors) = channel();
    let queues: Arc<std::sync::Mutex<Option<Queue>>> = Arc::default();
    let theirs = Arc::clone(&queues);
    let options = soon().on_error(move |report| {
        let queue = theirs.lock().unwrap().take();
        let flushed = queue.as_ref().map(Queue::flush);
        drop(queue);
        sender.send((report.error.clone(), flushed)).unwrap();
    });
    let script = Script::new();
    script.fail_writes(Some(libc::ENOSPC));
    let queue = queue_to(&script, options);
    *queues.lock().unwrap() = Some(queue.clone());
    queue.writen(b"record\n", TRY).unwrap();
    drop(queue);
    let stall = stalled(libc::ENOSPC);
    assert_eq!(
        errors.recv_timeout(DEADLINE),
        Ok((stall.clone(), Some(Err(stall.clone()))))
    );
    assert_eq!(
        errors.recv_timeout(DEADLINE),
        Ok((stall, None)),
        "the drop in the callback"
    );
}

#[test]
fn options_with_a_callback_can_be_cloned_and_shown() {
    let options = Options::new().on_error(|_| {});
    assert!(format!("{:?}", options.clone()).contains("Callback"));
}

/// A reader that the queue had to wait for gets every byte.
#[test]
fn a_reader_that_starts_late_misses_nothing() {
    let (mut reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let queue = small().open_fd(&writer).unwrap();
    drop(writer);
    let posted = fill(&queue);
    wait_for("the stall", || stall_errno(&queue) == Some(libc::EAGAIN));
    let mut bytes = vec![0; filler + posted as usize];
    let reader = spawn(move || {
        reader.read_exact(&mut bytes).unwrap();
        bytes
    });
    queue.close(None).unwrap();
    assert_eq!(
        reader.join()[filler..],
        b"0123456\n".repeat(posted as usize / 8)
    );
}
