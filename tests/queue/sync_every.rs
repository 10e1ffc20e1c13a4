//! A sync policy: a queue syncs although no caller waits, as often as the policy says, and not more
//! often.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::common::sink::{Script, queue_to, sync_error};
use crate::common::{Log, NEVER_STALLS, TRY, pipe, small, wait_for};
use alq::{Error, Level, Options, Queue, SyncOp, SyncPolicy};

const EIO: i32 = 5;
const NEVER: Duration = Duration::from_secs(1 << 20);

fn soon() -> SyncPolicy {
    SyncPolicy::new().time(Duration::from_millis(1))
}

fn each(bytes: u64) -> SyncPolicy {
    SyncPolicy::new().bytes(bytes)
}

fn on_script(policy: SyncPolicy) -> (Queue, Arc<Script>) {
    let script = Script::new();
    (queue_to(&script, options(policy)), script)
}

fn options(policy: SyncPolicy) -> Options {
    let options = Options::new().capacity(1 << 16).sync_every(policy);
    options.stall_limit(Some(NEVER_STALLS))
}

/// Appends `record`, and waits until it is written.
fn write(queue: &Queue, record: &[u8]) -> alq::Position {
    let position = queue.writen(record, TRY).unwrap();
    queue.flush().unwrap();
    position
}

fn wait_for_syncs(queue: &Queue, done: u64) {
    wait_for("the sync", || queue.stats().syncs.done >= done);
}

/// The number of bytes that were written when each sync began.
fn written_at(script: &Script) -> Vec<usize> {
    script.syncs().iter().map(|sync| sync.written).collect()
}

#[test]
fn what_is_written_is_synced_after_the_time_although_no_caller_waits() {
    let (queue, script) = on_script(soon());
    for round in 1..=3 {
        let position = write(&queue, b"record\n");
        wait_for_syncs(&queue, round);
        assert_eq!(queue.completion(position, Level::Durable).wait(), Ok(()));
    }
    assert_eq!(written_at(&script), [7, 14, 21], "one sync for each");
    assert_eq!(script.ops(), [SyncOp::Data; 3]);
    let syncs = queue.stats().syncs;
    assert_eq!((syncs.done, syncs.failed, syncs.synced_bytes), (3, 0, 21));
    assert!(syncs.longest > Duration::ZERO);
    queue.close(None).unwrap();
    assert_eq!(script.syncs().len(), 3, "nothing was left to sync");
}

#[test]
fn a_sync_begins_at_the_number_of_bytes_and_not_before() {
    for policy in [each(100), each(100).time(NEVER)] {
        let (queue, script) = on_script(policy);
        write(&queue, &[b'a'; 60]);
        write(&queue, &[b'b'; 39]);
        write(&queue, b"c");
        wait_for_syncs(&queue, 1);
        write(&queue, &[b'd'; 99]);
        write(&queue, &[b'e'; 500]);
        wait_for_syncs(&queue, 2);
        assert_eq!(written_at(&script), [100, 699], "{policy:?}");
        assert_eq!(queue.stats().syncs.synced_bytes, 699);
        queue.close(None).unwrap();
        assert_eq!(script.syncs().len(), 2);
    }
}

#[test]
fn with_both_limits_the_time_begins_a_sync_of_few_bytes() {
    let (queue, script) = on_script(soon().bytes(1 << 40));
    write(&queue, b"few\n");
    wait_for_syncs(&queue, 1);
    assert_eq!(written_at(&script), [4]);
}

#[test]
fn what_is_written_during_a_sync_is_in_the_next_one() {
    for policy in [soon(), each(5)] {
        let (queue, script) = on_script(policy);
        script.shut_sync();
        write(&queue, b"first");
        script.wait_for_sync(1);
        write(&queue, b"later");
        script.open_sync();
        wait_for_syncs(&queue, 2);
        assert_eq!(written_at(&script), [5, 10], "{policy:?}");
    }
}

#[test]
fn a_caller_that_waits_does_not_wait_for_the_policy() {
    let (queue, script) = on_script(SyncPolicy::new().time(NEVER).bytes(1 << 40));
    let position = queue.writen(b"urgent\n", TRY).unwrap();
    queue.completion(position, Level::Durable).wait().unwrap();
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    assert_eq!(script.ops(), [SyncOp::Data, SyncOp::Full]);
    let syncs = queue.stats().syncs;
    assert_eq!((syncs.done, syncs.synced_bytes), (2, 7), "each byte once");
}

#[test]
fn a_close_and_a_drop_sync_what_is_left() {
    for ends in [|queue: Queue| queue.close(None).unwrap(), drop] {
        let (queue, script) = on_script(SyncPolicy::new().time(NEVER));
        write(&queue, b"written\n");
        queue.writen(b"posted\n", TRY).unwrap();
        ends(queue);
        wait_for("the last sync", || script.synced() == 15);
        assert_eq!(script.ops(), [SyncOp::Data]);
    }
    let (queue, script) = on_script(SyncPolicy::new().time(NEVER));
    queue.close(None).unwrap();
    assert!(script.syncs().is_empty(), "nothing was written");
}

#[test]
fn a_sync_that_fails_by_policy_is_reported_and_its_bytes_stay_in_doubt() {
    let script = Script::new();
    let (says, reports) = mpsc::channel();
    let options = options(soon()).on_error(move |report| {
        says.send(report.error.clone()).unwrap();
    });
    let queue = queue_to(&script, options);
    let durable = write(&queue, b"durable\n");
    wait_for_syncs(&queue, 1);
    script.fail_sync(EIO);
    let lost = write(&queue, b"lost\n");
    let reported = reports.recv_timeout(crate::common::DEADLINE).unwrap();
    let Error::Io {
        operation, errno, ..
    } = reported
    else {
        panic!("{reported:?}");
    };
    assert_eq!((operation, errno), (alq::Operation::Sync, EIO));
    let later = write(&queue, b"later\n");
    for position in [lost, later] {
        let completion = queue.completion(position, Level::Durable);
        assert_eq!(completion.wait(), Err(sync_error(EIO)));
    }
    assert_eq!(queue.completion(durable, Level::Durable).wait(), Ok(()));
    let syncs = queue.stats().syncs;
    assert_eq!((syncs.done, syncs.failed, syncs.synced_bytes), (1, 1, 8));
    assert_eq!(script.syncs().len(), 2, "it is not tried again");

    let log = Log::new();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    let after = write(&queue, b"after\n");
    wait_for("the policy continues", || {
        queue.stats().syncs.synced_bytes == 8 + 6
    });
    assert_eq!(queue.completion(after, Level::Durable).wait(), Ok(()));
    let completion = queue.completion(lost, Level::Durable);
    assert_eq!(completion.wait(), Err(sync_error(EIO)));
    queue.close(None).unwrap();
}

#[test]
fn a_panic_of_a_sync_by_policy_fails_as_a_sync_does() {
    let (queue, script) = on_script(soon());
    script.panic_in_sync();
    let lost = write(&queue, b"lost\n");
    wait_for("the failure", || queue.stats().syncs.failed == 1);
    let completion = queue.completion(lost, Level::Durable);
    assert_eq!(completion.wait(), Err(sync_error(EIO)));
    queue.close(None).unwrap();
}

#[test]
fn an_interrupted_sync_is_done_again() {
    const EINTR: i32 = 4;
    let (queue, script) = on_script(soon());
    script.fail_sync(EINTR);
    write(&queue, b"record\n");
    wait_for_syncs(&queue, 1);
    assert_eq!(script.syncs().len(), 2);
    assert_eq!(queue.stats().syncs.failed, 0);
}

#[test]
fn a_policy_without_a_limit_and_a_limit_of_0_are_refused() {
    let log = Log::new();
    let none = SyncPolicy::new();
    let zero = Duration::ZERO;
    for policy in [
        none,
        none.time(zero),
        none.bytes(0),
        each(1).time(zero),
        soon().bytes(0),
    ] {
        let refused = small().sync_every(policy).open(log.path()).unwrap_err();
        let allowed = "a policy with a time, a number of bytes, or both, and neither of them 0";
        let expected = Error::InvalidOption {
            option: "sync_every",
            value: 0,
            allowed,
        };
        assert_eq!(refused, expected, "{policy:?}");
        assert!(refused.to_string().contains(allowed), "{refused}");
    }
    assert!(!log.path().exists(), "nothing was created");
}

#[test]
fn a_descriptor_that_cannot_be_synced_is_refused_by_open_and_reopen() {
    let (_reader, writer) = pipe().unwrap();
    let refused = small().sync_every(soon()).open_fd(&writer).unwrap_err();
    assert_eq!(refused, Error::NotSyncable);
    let log = Log::new();
    let queue = log.open(small().sync_every(soon()));
    assert_eq!(queue.reopen(&writer).unwrap_err(), Error::NotSyncable);
    write(&queue, b"still here\n");
    queue.close(None).unwrap();
    assert_eq!(std::fs::read(log.path()).unwrap(), b"still here\n");
    let queue = log.open(small());
    queue.reopen(&writer).unwrap().wait().unwrap();
}

#[test]
fn a_ring_file_shows_the_syncs_that_the_flusher_knew() {
    let log = Log::new();
    let ring = log.path().with_extension("ring");
    let queue = log.open(small().ring_file(&ring).ring_on_disk(true));
    write(&queue, b"first\n");
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    write(&queue, b"second\n");
    let shown = || alq::ring_file::inspect(&ring).unwrap().live.syncs;
    wait_for("the number of syncs", || shown() == 1);
    queue.close(None).unwrap();
    assert_eq!(shown(), 1);
}
