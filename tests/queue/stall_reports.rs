//! A stall, a failure and a loss are reported once, with their cause: to `on_error`, in `stats` and
//! in the ring file.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::common::sink::{Script, queue_to};
use crate::common::{DEADLINE, STALLS_SOON, TRY, small, spawn, wait_for};
use crate::errors::reports_of;
use crate::stalls::{FULL, errors_of, on_full_disk, soon, stalled};
use alq::{Error, Flags, Operation, Options, Queue, Report, SyncOp};

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
