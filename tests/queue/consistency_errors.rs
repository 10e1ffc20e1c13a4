//! When a write or a sync fails, or the queue ends, every completion and `fsync` gets a true
//! answer.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use crate::common::sink::{Script, queue_to, scripted, sync_error};
use crate::common::{Log, NEVER_STALLS, STALLS_SOON, TRY, Watched, pipe, small, spawn, wait_for};
use alq::{Completion, Error, Flags, Level, Operation, Options, Status, SyncOp};

const DONE: Status = Status::Done(Ok(()));
const EIO: i32 = 5;

fn failed(error: Error) -> Status {
    Status::Done(Err(error))
}

fn write_error(errno: i32) -> Error {
    Error::Io {
        operation: Operation::Write,
        errno,
        target: alq::Target::default(),
    }
}

#[test]
fn after_a_failed_sync_nothing_becomes_durable_but_what_was_stays_so() {
    let (queue, script) = scripted();
    let before = queue.writen(b"before\n", TRY).unwrap();
    let durable = queue.completion(before, Level::Durable);
    durable.wait().unwrap();
    script.fail_sync(EIO);
    script.shut_sync();
    let lost = queue.writen(b"lost\n", TRY).unwrap();
    let waiting = [
        queue.completion(lost, Level::Durable),
        queue.fsync(SyncOp::Data).unwrap(),
        queue.fsync(SyncOp::Full).unwrap(),
    ];
    script.wait_for_sync(2);
    let posted_meanwhile = queue.writen(b"meanwhile\n", TRY).unwrap();
    let meanwhile = queue.completion(posted_meanwhile, Level::Durable);
    script.open_sync();
    for completion in waiting.iter().chain([&meanwhile]) {
        assert_eq!(completion.wait(), Err(sync_error(EIO)));
    }
    // Later ones too, though the sink would say OK now.
    for _ in 0..3 {
        let later = queue.writen(b"later\n", TRY).unwrap();
        assert_eq!(
            queue.completion(later, Level::Durable).wait(),
            Err(sync_error(EIO))
        );
        assert_eq!(
            queue.fsync(SyncOp::Data).unwrap().wait(),
            Err(sync_error(EIO))
        );
        assert_eq!(
            queue.fsync(SyncOp::Full).unwrap().wait(),
            Err(sync_error(EIO))
        );
        queue.completion(later, Level::Written).wait().unwrap();
        queue.flush().unwrap();
    }
    assert_eq!(script.syncs().len(), 2, "it is not asked again");
    assert_eq!(durable.status(), DONE);
    assert_eq!(queue.completion(before, Level::Durable).status(), DONE);
    assert_eq!(
        queue.completion(lost, Level::Durable).status(),
        failed(sync_error(EIO))
    );
    assert_eq!(queue.stats().last_error, None, "appends go on");
    queue.close(None).unwrap();
}

#[test]
fn an_interrupted_sync_is_done_again() {
    const EINTR: i32 = 4;
    let (queue, script) = scripted();
    script.fail_sync(EINTR);
    queue.writen(b"record\n", TRY).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    assert_eq!(script.syncs().len(), 2);
}

#[test]
fn beyond_a_failed_write_completions_fail_with_its_error_and_below_it_they_are_done() {
    let (queue, script) = scripted();
    let below = queue.writen(b"below\n", TRY).unwrap();
    queue.flush().unwrap();
    script.shut_write();
    let beyond = queue.writen(b"beyond\n", TRY).unwrap();
    script.wait_for_write(2);
    let claimed = queue.getn(5, TRY).unwrap();
    let waiting = [
        queue.completion(beyond, Level::Written),
        queue.completion(beyond, Level::Durable),
        queue.fsync(SyncOp::Data).unwrap(),
    ];
    script.fail_write(EIO);
    script.open_write();
    for completion in &waiting {
        assert_eq!(completion.wait(), Err(write_error(EIO)));
    }
    let late = claimed.post();
    for level in [Level::Written, Level::Durable] {
        assert_eq!(queue.completion(late, level).wait(), Err(write_error(EIO)));
        assert_eq!(queue.completion(below, level).wait(), Ok(()));
    }
    assert_eq!(script.synced(), 6);
    assert_eq!(
        queue.fsync(SyncOp::Full).unwrap().wait(),
        Err(write_error(EIO))
    );
    assert_eq!(queue.close(None).unwrap_err().bytes, 7 + 5);
}

#[test]
fn close_does_the_sync_that_is_due_and_resolves_every_completion() {
    let (queue, script) = scripted();
    script.shut_write();
    let position = queue.writen(b"record\n", TRY).unwrap();
    script.wait_for_write(1);
    let last = queue.writen(b"the last\n", TRY).unwrap();
    let waiting = [
        queue.completion(position, Level::Written),
        queue.completion(position, Level::Durable),
        queue.completion(last, Level::Durable),
        queue.fsync(SyncOp::Full).unwrap(),
    ];
    let closer = {
        let queue = queue.clone();
        spawn(move || queue.close(None))
    };
    wait_for("the close has begun", || queue.getn(1, TRY).is_err());
    script.open_write();
    closer.join().unwrap();
    for completion in &waiting {
        assert_eq!(completion.status(), DONE, "close waits for the last sync");
    }
    assert_eq!(script.synced(), script.written());
}

#[test]
fn dropping_the_last_handle_does_the_same() {
    for _ in 0..200 {
        let script = Script::new();
        let queue = queue_to(&script, small());
        let position = queue.writen(b"record\n", TRY | Flags::NOACTIVATE).unwrap();
        let waiting = [
            queue.completion(position, Level::Durable),
            queue.fsync(SyncOp::Full).unwrap(),
        ];
        drop(queue);
        for completion in &waiting {
            assert_eq!(completion.status(), DONE);
        }
        assert_eq!(script.synced(), 7);
    }
}

#[test]
fn a_close_that_gives_up_leaves_no_completion_unresolved_once_the_sink_lets_go() {
    let script = Script::new();
    let queue = queue_to(&script, small().stall_limit(Some(STALLS_SOON)));
    script.shut_write();
    let written = queue.writen(b"in the write\n", TRY).unwrap();
    script.wait_for_write(1);
    let lost = queue.writen(b"left\n", TRY).unwrap();
    let written = queue.completion(written, Level::Durable);
    let lost = [Level::Written, Level::Durable].map(|level| queue.completion(lost, level));
    let waiter = {
        let lost = lost[0].clone();
        spawn(move || {
            loop {
                match lost.wait() {
                    Err(Error::Stalled { .. }) => {} // the close continues
                    result => break result,
                }
            }
        })
    };
    queue.close(None).unwrap_err();
    assert_eq!(
        lost[0].status(),
        Status::InProgress,
        "the write may yet take it"
    );
    script.open_write();
    assert_eq!(waiter.join(), Err(Error::Closed));
    let resolved = |one: &Completion| one.status() != Status::InProgress;
    wait_for("all are resolved", || {
        lost.iter().all(resolved) && resolved(&written)
    });
    assert_eq!(lost[1].status(), failed(Error::Closed));
    assert_eq!(written.status(), DONE);
    assert_eq!(script.bytes(), b"in the write\n");
}

#[test]
fn after_a_close_fsync_is_refused_and_what_is_written_is_still_written() {
    let (queue, _script) = scripted();
    let position = queue.writen(b"record\n", TRY).unwrap();
    queue.close(None).unwrap();
    for op in [SyncOp::Data, SyncOp::Full] {
        assert_eq!(queue.fsync(op).unwrap_err(), Error::Closed);
    }
    assert_eq!(queue.completion(position, Level::Written).wait(), Ok(()));
    assert_eq!(
        queue.completion(position, Level::Durable).wait(),
        Err(Error::Closed)
    );
}

#[test]
fn what_was_durable_or_failed_before_a_close_is_so_after_it() {
    let (queue, _script) = scripted();
    let durable = queue.writen(b"record\n", TRY).unwrap();
    queue.completion(durable, Level::Durable).wait().unwrap();
    queue.close(None).unwrap();
    assert_eq!(queue.completion(durable, Level::Durable).status(), DONE);

    let (queue, script) = scripted();
    script.fail_sync(EIO);
    let lost = queue.writen(b"record\n", TRY).unwrap();
    queue.completion(lost, Level::Durable).wait().unwrap_err();
    queue.close(None).unwrap();
    assert_eq!(
        queue.completion(lost, Level::Durable).status(),
        failed(sync_error(EIO))
    );
}

#[test]
fn a_record_posted_after_the_drain_stepped_over_it_is_never_reported_as_written() {
    let (queue, script) = scripted();
    let mut held = queue.getn(5, TRY).unwrap();
    held.copy_from_slice(b"late\n");
    queue.writen(b"behind\n", TRY).unwrap();
    assert_eq!(
        queue
            .close(Some(Duration::from_millis(10)))
            .unwrap_err()
            .abandoned,
        1
    );
    // A flusher that got no processor for 100 ms has stopped before it stepped over the entry, or
    // is in a step that still writes it.
    let late = held.post();
    let is_reported = queue.completion(late, Level::Written).wait() == Ok(());
    assert_eq!(is_reported, script.bytes().starts_with(b"late\n"));
}

#[test]
fn at_the_bound_no_more_completions_are_had_until_some_are_resolved() {
    let script = Script::new();
    let queue = queue_to(&script, small().outstanding_max(3));
    script.shut_sync();
    let position = queue.writen(b"record\n", TRY).unwrap();
    let waiting: Vec<_> = (0..3).map(|_| queue.fsync(SyncOp::Data).unwrap()).collect();
    assert_eq!(
        queue.fsync(SyncOp::Data).unwrap_err(),
        Error::TooManyOutstanding
    );
    let refused = queue.completion(position, Level::Durable);
    assert_eq!(refused.status(), failed(Error::TooManyOutstanding));
    queue.writen(b"appends go on\n", TRY).unwrap();
    queue.flush().unwrap();
    script.open_sync();
    waiting.iter().for_each(|one| one.wait().unwrap());
    assert_eq!(
        refused.status(),
        failed(Error::TooManyOutstanding),
        "it stays so"
    );
    for _ in 0..10 {
        queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    }
    let none = queue_to(&Script::new(), small().outstanding_max(0));
    assert_eq!(
        none.fsync(SyncOp::Data).unwrap_err(),
        Error::TooManyOutstanding
    );
}

#[test]
fn pipes_and_sockets_cannot_be_synced_but_tell_what_is_written() {
    let (_reader, writer) = pipe().unwrap();
    let (_theirs, ours) = UnixStream::pair().unwrap();
    for queue in [
        small().open_fd(&writer).unwrap(),
        small().open_fd(&ours).unwrap(),
    ] {
        let position = queue.writen(b"record\n", TRY).unwrap();
        for op in [SyncOp::Data, SyncOp::Full] {
            assert_eq!(queue.fsync(op).unwrap_err(), Error::NotSyncable);
        }
        let completion = queue.completion(position, Level::Durable);
        assert_eq!(completion.status(), failed(Error::NotSyncable));
        queue.completion(position, Level::Written).wait().unwrap();
        queue.close(None).unwrap();
        assert_eq!(queue.fsync(SyncOp::Data).unwrap_err(), Error::Closed);
    }
}

#[test]
fn a_descriptor_that_is_not_open_for_writing_is_bad() {
    let log = Log::new();
    drop(log.open(Options::new()));
    let read_only = std::fs::File::open(log.path()).unwrap();
    assert_eq!(
        Options::new().open_fd(&read_only).unwrap_err(),
        Error::BadDescriptor
    );
}

#[test]
fn every_call_during_a_close_is_answered() {
    for _ in 0..50 {
        let script = Script::new();
        let queue = queue_to(&script, small().stall_limit(Some(NEVER_STALLS)));
        let asker = |_| {
            let (queue, script) = (queue.clone(), Arc::clone(&script));
            spawn(move || {
                while let Ok(position) = queue.writen(b"record\n", TRY) {
                    match queue.completion(position, Level::Durable).wait() {
                        Ok(()) => assert!(script.synced() >= position.bytes() as usize),
                        Err(error) => assert_eq!(error, Error::Closed),
                    }
                }
            })
        };
        let askers: Vec<_> = (0..3).map(asker).collect();
        script.wait_for_sync(3);
        queue.close(None).unwrap();
        askers.into_iter().for_each(Watched::join);
    }
}
