//! What is durable after a reopen: nothing in the new file before the old file is synced.

use std::sync::Arc;

use crate::common::sink::{Script, queue_to, scripted, sync_error};
use crate::common::{Log, NEVER_STALLS, TRY, pipe, small, wait_for};
use crate::reopen::moved;
use alq::{Error, Level, Status, SyncOp};

#[test]
fn a_sink_that_got_nothing_or_is_durable_is_not_synced_again() {
    let (queue, script) = scripted();
    let _log = moved(&queue);
    wait_for("the sink is dropped", || Arc::strong_count(&script) == 1);
    assert_eq!(script.ops(), []);

    let (queue, script) = scripted();
    queue.writen(b"record\n", TRY).unwrap();
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    let _log = moved(&queue);
    wait_for("the sink is dropped", || Arc::strong_count(&script) == 1);
    assert_eq!(script.ops(), [SyncOp::Full]);
}

#[test]
fn nothing_in_the_new_file_is_durable_before_the_old_one_is() {
    let script = Script::new();
    let queue = queue_to(&script, small().stall_limit(Some(NEVER_STALLS)));
    let before = queue.writen(b"before\n", TRY).unwrap();
    queue.flush().unwrap();
    script.shut_sync();
    let _log = moved(&queue);
    script.wait_for_sync(1); // by itself: no caller has asked yet
    let after = queue.writen(b"after\n", TRY).unwrap();
    queue.completion(after, Level::Written).wait().unwrap();
    let durable = [
        queue.completion(before, Level::Durable),
        queue.completion(after, Level::Durable),
        queue.fsync(SyncOp::Full).unwrap(),
    ];
    for completion in &durable {
        assert_eq!(completion.status(), Status::InProgress);
    }
    script.open_sync();
    for completion in &durable {
        completion.wait().unwrap();
    }
    assert_eq!(script.ops(), [SyncOp::Full]);
    assert_eq!(script.synced(), 7);
}

#[test]
fn after_a_failed_sync_durability_starts_anew_behind_what_was_written_then() {
    let (queue, script) = scripted();
    let durable = queue.writen(b"durable\n", TRY).unwrap();
    queue.completion(durable, Level::Durable).wait().unwrap();
    script.fail_sync(libc::EIO);
    let lost = queue.writen(b"lost\n", TRY).unwrap();
    let error = Err(sync_error(libc::EIO));
    assert_eq!(queue.completion(lost, Level::Durable).wait(), error);
    let later = queue.writen(b"later\n", TRY).unwrap();
    let too_early = queue.completion(later, Level::Durable);
    assert_eq!(too_early.wait(), error, "before the reopen");
    queue.flush().unwrap();

    let _log = moved(&queue);
    let new = queue.writen(b"new\n", TRY).unwrap();
    queue.completion(new, Level::Durable).wait().unwrap();
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    queue.completion(later, Level::Durable).wait().unwrap(); // its own sync was a new one
    for _ in 0..3 {
        assert_eq!(queue.completion(lost, Level::Durable).wait(), error);
        assert_eq!(queue.completion(durable, Level::Durable).wait(), Ok(()));
    }
    assert_eq!(too_early.wait(), error, "a result stays");
    queue.close(None).unwrap();
}

#[test]
fn an_old_file_that_cannot_be_synced_any_more_leaves_a_gap_and_is_told() {
    let (sender, errors) = std::sync::mpsc::channel();
    let script = Script::new();
    let options = small().on_error(move |report| sender.send(report.error.clone()).unwrap());
    let queue = queue_to(&script, options);
    let old = queue.writen(b"old\n", TRY).unwrap();
    queue.flush().unwrap();
    script.fail_sync(libc::EIO);
    let _log = moved(&queue);
    assert_eq!(
        errors.recv_timeout(crate::common::DEADLINE),
        Ok(sync_error(libc::EIO))
    );
    let new = queue.writen(b"new\n", TRY).unwrap();
    queue.completion(new, Level::Durable).wait().unwrap();
    assert_eq!(
        queue.completion(old, Level::Durable).wait(),
        Err(sync_error(libc::EIO))
    );
    assert_eq!(script.syncs().len(), 1, "it is not believed a second time");
}

#[test]
fn a_sync_that_is_under_way_at_the_cut_covers_only_what_it_began_with() {
    let (queue, script) = scripted();
    script.shut_sync();
    let first = queue.writen(b"first\n", TRY).unwrap();
    let first = queue.completion(first, Level::Durable);
    script.wait_for_sync(1);
    let second = queue.writen(b"second\n", TRY).unwrap();
    queue.flush().unwrap();
    let _log = moved(&queue);
    let second = queue.completion(second, Level::Durable);
    script.open_sync();
    first.wait().unwrap();
    second.wait().unwrap();
    assert_eq!(script.synced(), 13);
}

/// An fdatasync of the whole old file does not replace an fsync.
#[test]
fn an_old_file_with_its_data_on_disk_is_synced_in_full_on_request() {
    let (queue, script) = scripted();
    script.shut_sync();
    let position = queue.writen(b"record\n", TRY).unwrap();
    let data = queue.completion(position, Level::Durable);
    script.wait_for_sync(1);
    let full = queue.fsync(SyncOp::Full).unwrap();
    let _log = moved(&queue);
    script.open_sync();
    data.wait().unwrap();
    full.wait().unwrap();
    assert_eq!(script.ops(), [SyncOp::Data, SyncOp::Full]);
}

#[test]
fn what_went_to_a_pipe_is_never_durable_and_what_goes_to_a_file_is() {
    let (_reader, writer) = pipe().unwrap();
    let queue = small().open_fd(&writer).unwrap();
    let piped = queue.writen(b"piped\n", TRY).unwrap();
    queue.flush().unwrap();
    let log = Log::new();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    let filed = queue.writen(b"filed\n", TRY).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    queue.completion(filed, Level::Durable).wait().unwrap();
    assert_eq!(
        queue.completion(piped, Level::Durable).wait(),
        Err(Error::NotSyncable)
    );
    queue.reopen(&writer).unwrap().wait().unwrap();
    assert_eq!(queue.fsync(SyncOp::Data).unwrap_err(), Error::NotSyncable);
    queue.completion(filed, Level::Durable).wait().unwrap();
}

/// A pipe that was in use for a moment and got nothing does not affect the durability of earlier
/// bytes.
#[test]
fn a_pipe_that_got_nothing_leaves_no_gap() {
    let (queue, script) = scripted();
    script.shut_sync();
    let position = queue.writen(b"record\n", TRY).unwrap();
    let (_reader, writer) = pipe().unwrap();
    queue.reopen(&writer).unwrap().wait().unwrap();
    let _log = moved(&queue);
    script.open_sync();
    queue.completion(position, Level::Durable).wait().unwrap();
}

#[test]
fn a_sink_that_panics_in_sync_spoils_nothing_after_the_cut() {
    let (queue, script) = scripted();
    script.panic_in_sync();
    let lost = queue.writen(b"lost\n", TRY).unwrap();
    let lost = queue.completion(lost, Level::Durable);
    assert_eq!(lost.wait(), Err(sync_error(libc::EIO)));
    let _log = moved(&queue);
    let new = queue.writen(b"new\n", TRY).unwrap();
    queue.completion(new, Level::Durable).wait().unwrap();
    assert_eq!(lost.wait(), Err(sync_error(libc::EIO)));
    queue.close(None).unwrap();
}
