//! When the process ends, every posted record is written, also if handles are never dropped; bytes
//! that cannot be written are reported.
//!
//! Each test starts processes, because they must end.

use std::fs::File;
use std::io::IoSlice;
use std::path::Path;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use std::{io, mem, panic, thread};

use crate::common::LATER;
use crate::common::child::{end_of_child, in_child};
use crate::common::exit::{Way, at_exit, log, post_some, some};
use crate::common::{STALLS_SOON, TRY, WAIT, fill_up, filled, pipe, small, wait_for};
use alq::{Error, Queue, Sink, SyncOp, shutdown};

static KEPT: OnceLock<Queue> = OnceLock::new();

#[test]
fn a_handle_that_is_never_dropped_is_drained_however_the_process_ends() {
    let test = "a_handle_that_is_never_dropped_is_drained_however_the_process_ends";
    let leak = |folder: &Path| {
        let queue = small().open(log(folder)).unwrap();
        post_some(&queue);
        mem::forget(queue);
    };
    let ways: [Way<'_>; 5] = [
        ("return from main, leaked", 0, &leak),
        ("return from main, static", 0, &|folder| {
            post_some(KEPT.get_or_init(|| small().open(log(folder)).unwrap()));
        }),
        ("exit", 7, &|folder| {
            leak(folder);
            exit(7);
        }),
        ("exit of another thread", 8, &|folder| {
            leak(folder);
            thread::spawn(|| exit(8)).join().unwrap();
        }),
        ("panic of the main thread", 101, &|folder| {
            leak(folder);
            panic!("it ends with the code of a panic");
        }),
    ];
    for (way, code, body) in ways {
        if let Some(ended) = end_of_child(test, way, body) {
            ended.assert_code(code);
            assert_eq!(ended.file("log"), some(), "{way}");
            assert!(!ended.stderr.contains("alq:"), "{}", ended.stderr);
        }
    }
}

/// Blocks forever in its first call.
struct Hangs(&'static AtomicBool);

impl Sink for Hangs {
    fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.store(true, Ordering::Relaxed);
        loop {
            thread::park();
        }
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_queue_stays_closed_at_exit_and_its_loss_is_reported_once() {
    let test = "a_closed_queue_stays_closed_at_exit_and_its_loss_is_reported_once";
    let ended = end_of_child(test, "", |folder| {
        let queues: &'static Mutex<Vec<Queue>> = Box::leak(Box::default());
        at_exit(|| {
            for queue in &*queues.lock().unwrap() {
                assert_eq!(queue.writen(b"late\n", TRY), Err(Error::Closed));
                assert_eq!(queue.writen(b"late\n", WAIT), Err(Error::Closed));
            }
            println!("refused");
        });
        let queue = small().open(log(folder)).unwrap();
        queue.writen(b"in time\n", LATER).unwrap();
        queue.close(None).unwrap();
        let (reader, writer) = pipe().unwrap();
        fill_up(&writer);
        let stuck = small().open_fd(&writer).unwrap();
        stuck.writen(b"never\n", TRY).unwrap();
        stuck.close(Some(Duration::ZERO)).unwrap_err();
        mem::forget((reader, writer));
        let full = small().open("/dev/full").unwrap();
        full.writen(b"no room\n", TRY).unwrap();
        full.close(Some(Duration::ZERO)).unwrap_err();
        // The flusher of this queue never returns: the close has given up, and so does the end of
        // the process.
        let is_called: &'static AtomicBool = Box::leak(Box::default());
        let sink = Hangs(is_called);
        let hangs = small().stall_limit(None).open_sink(sink).unwrap();
        hangs.writen(b"x", TRY).unwrap();
        wait_for("it hangs", || is_called.load(Ordering::Relaxed));
        hangs.close(Some(Duration::ZERO)).unwrap_err();
        queues.lock().unwrap().extend([queue, stuck, full, hangs]);
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert!(ended.stdout.contains("refused"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("alq:"), "{}", ended.stderr);
    assert_eq!(ended.file("log"), b"in time\n");
}

#[test]
fn a_held_reservation_costs_the_stall_limit_and_what_follows_it_is_written() {
    let test = "a_held_reservation_costs_the_stall_limit_and_what_follows_it_is_written";
    let ended = end_of_child(test, "", |folder| {
        let late: &'static Mutex<Option<alq::Entry<'static>>> = Box::leak(Box::default());
        let queue: &'static OnceLock<Queue> = Box::leak(Box::default());
        at_exit(|| {
            // The entry was stepped over, so it is counted and not written. A new entry is written
            // at once.
            late.lock().unwrap().take().unwrap().post();
            let queue = queue.get().unwrap();
            filled(queue, 3, b'n').post();
            let stats = queue.stats();
            assert_eq!((stats.abandoned, stats.lost_bytes), (2, 4));
            println!("counted");
        });
        let options = small().stall_limit(Some(STALLS_SOON));
        let queue = queue.get_or_init(|| options.open(log(folder)).unwrap());
        queue.writen(b"before\n", LATER).unwrap();
        *late.lock().unwrap() = Some(filled(queue, 4, b'h'));
        mem::forget(filled(queue, 5, b'l'));
        queue.writen(b"behind\n", LATER).unwrap();
        exit(3);
    });
    let Some(ended) = ended else { return };
    ended.assert_code(3);
    assert_eq!(ended.file("log"), b"before\nbehind\nnnn");
    let told = ": at exit, 0 bytes in 0 records not written, 2 open reservations stepped over";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(ended.stdout.contains("counted"), "{}", ended.stderr);
}

#[test]
fn a_descriptor_that_takes_nothing_ends_the_wait_and_says_so_and_the_others_are_drained() {
    let test =
        "a_descriptor_that_takes_nothing_ends_the_wait_and_says_so_and_the_others_are_drained";
    let ended = end_of_child(test, "", |folder| {
        type Stuck = Mutex<Vec<(Queue, File, File)>>;
        let stuck: &'static Stuck = Box::leak(Box::default());
        at_exit(|| {
            for (queue, reader, _writer) in &*stuck.lock().unwrap() {
                // No call hangs. Nothing passes the stuck bytes, also when the pipe accepts bytes
                // again: an append is refused, unless the flusher has just written them.
                let mut filler = vec![0; 1 << 20];
                let filled = io::Read::read(&mut &*reader, &mut filler).unwrap();
                assert!(filler[..filled].iter().all(|byte| *byte == b'#'));
                let appended = [TRY, WAIT].map(|flags| queue.writen(b"after\n", flags));
                let _ = (queue.flush(), queue.getn(1, WAIT).map(drop)); // they return
                let written = appended.iter().flatten().count();
                if written > 0 {
                    let expected = format!("stuck\n{}", "after\n".repeat(written));
                    let mut bytes = vec![0; expected.len()];
                    io::Read::read_exact(&mut &*reader, &mut bytes).unwrap();
                    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
                }
                let [tried, waited] = appended.map(Result::err);
                assert!(
                    matches!(waited, None | Some(Error::Stalled { .. })),
                    "{waited:?}"
                );
                assert!(waited.is_none() || tried.is_some(), "in order");
            }
            println!("still there");
        });
        for _ in 0..3 {
            let (reader, writer) = pipe().unwrap();
            fill_up(&writer);
            let queue = small()
                .stall_limit(Some(STALLS_SOON))
                .open_fd(&writer)
                .unwrap();
            queue.writen(b"stuck\n", TRY).unwrap();
            stuck.lock().unwrap().push((queue, reader, writer));
        }
        let queue = small().open(log(folder)).unwrap();
        post_some(&queue);
        mem::forget(queue);
        exit(4);
    });
    let Some(ended) = ended else { return };
    ended.assert_code(4);
    assert_eq!(ended.file("log"), some());
    let told = ended
        .stderr
        .matches(": at exit, 6 bytes in 1 records not written");
    assert_eq!(told.count(), 3, "{}", ended.stderr);
    assert!(ended.stdout.contains("still there"), "{}", ended.stderr);
}

/// Ends the process from within the flusher.
struct Ends;

impl Sink for Ends {
    fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        exit(5);
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_ends_the_process_does_not_wait_for_itself() {
    let test = "a_sink_that_ends_the_process_does_not_wait_for_itself";
    let ended = end_of_child(test, "", |folder| {
        let queue = small().open(log(folder)).unwrap();
        post_some(&queue);
        let ends = small().stall_limit(None).open_sink(Ends).unwrap();
        ends.writen(b"1234", TRY).unwrap();
        wait_for("the end", || false);
    });
    let Some(ended) = ended else { return };
    ended.assert_code(5);
    assert_eq!(ended.file("log"), some());
    let told = ": at exit, 4 bytes in 1 records not written";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn a_shutdown_before_the_end_leaves_nothing_to_do() {
    in_child("a_shutdown_before_the_end_leaves_nothing_to_do", || {
        let log = crate::common::Log::new();
        let queue = log.open(small());
        queue.writen(b"1\n", LATER).unwrap();
        shutdown(None).unwrap();
        assert_eq!(log.text(), "1\n");
        mem::forget(queue);
    });
}

#[test]
fn on_error_reports_what_the_end_of_the_process_leaves() {
    let test = "on_error_reports_what_the_end_of_the_process_leaves";
    let ended = end_of_child(test, "", |_| {
        let (reader, writer) = pipe().unwrap();
        fill_up(&writer);
        // The limit is reached only at the end, so nothing is reported earlier.
        let options = small().stall_limit(Some(STALLS_SOON));
        let options = options.on_error(|report| println!("told: {report}"));
        let queue = options.open_fd(&writer).unwrap();
        queue.writen(b"never\n", LATER).unwrap();
        mem::forget((queue, reader, writer));
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    let told = ": 6 bytes in 1 records not written and lost, 0 open reservations stepped over: \
                accepts no data: its reader does not read, or a write does not return\n";
    assert!(ended.stdout.contains(told), "{}", ended.stdout);
    assert!(!ended.stderr.contains("alq:"), "{}", ended.stderr);
}
