//! Under tokio, `AsyncWriter` is pending while there is no room, its flush is done when the bytes
//! are written, and a dropped future leaves nothing registered.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::common::sink::{Script, queue_to};
use crate::common::{
    Log, Numbers, Record, TRY, assert_complete, parse, pipe, read_all, room_waits, small, wait_for,
};
use alq::tokio::AsyncWriter;
use alq::{Error, Options, Queue, SyncOp};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

fn run<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build().unwrap();
    runtime.block_on(future)
}

/// Long enough for a future that is not pending. A pending future stays pending while its gate is
/// shut.
const A_MOMENT: Duration = Duration::from_millis(20);

fn shut(options: Options) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.shut_write();
    (queue_to(&script, options), script)
}

/// The same queue with a full ring.
fn full() -> (Queue, Arc<Script>) {
    let (queue, script) = shut(small());
    queue.writen(&[b'#'; 4096], TRY).unwrap();
    (queue, script)
}

#[test]
fn a_write_is_pending_while_there_is_no_room() {
    run(async {
        let (queue, script) = full();
        let mut writer = AsyncWriter::new(&queue);
        let mut write = pin!(writer.write_all(b"later\n"));
        timeout(A_MOMENT, &mut write).await.unwrap_err();
        script.open_write();
        write.await.unwrap();
        writer.flush().await.unwrap();
        assert!(script.bytes().ends_with(b"#later\n"));
        assert_eq!(room_waits(&queue.stats()), 1);
    });
}

#[test]
fn a_flush_is_done_when_the_bytes_are_written_and_not_before() {
    run(async {
        let (queue, script) = shut(small());
        let mut writer = AsyncWriter::new(&queue);
        writer.flush().await.unwrap(); // nothing to wait for
        writer.write_all(b"one\n").await.unwrap();
        timeout(A_MOMENT, writer.flush()).await.unwrap_err();
        assert_eq!(script.written(), 0);
        writer.write_all(b"two\n").await.unwrap();
        let flush = async {
            writer.flush().await.unwrap();
            script.bytes()
        };
        let open = async { script.open_write() };
        let (written, ()) = tokio::join!(flush, open);
        assert_eq!(written, b"one\ntwo\n");
    });
}

#[test]
fn a_shutdown_drains_and_syncs_and_ends_this_writer_alone() {
    run(async {
        let (queue, script) = shut(small());
        let mut writer = AsyncWriter::new(&queue);
        writer.write_all(b"one\n").await.unwrap();
        timeout(A_MOMENT, writer.shutdown()).await.unwrap_err();
        let refused = writer.write_all(b"too late\n").await.unwrap_err();
        assert_eq!(refused.kind(), std::io::Error::from(Error::Closed).kind());
        script.shut_sync();
        script.open_write();
        timeout(A_MOMENT, writer.shutdown()).await.unwrap_err();
        script.open_sync();
        writer.shutdown().await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(script.ops(), [SyncOp::Data]);
        assert_eq!(script.synced(), 4);
        AsyncWriter::new(&queue).write_all(b"two\n").await.unwrap();
        queue.close(None).unwrap();
        assert_eq!(script.bytes(), b"one\ntwo\n");
    });
}

#[test]
fn a_shutdown_of_what_cannot_be_synced_drains() {
    let (reader, writer) = pipe().unwrap();
    let queue = small().open_fd(&writer).unwrap();
    drop(writer);
    let bytes = read_all(reader);
    run(async {
        let mut writer = AsyncWriter::new(&queue);
        writer.write_all(b"one\n").await.unwrap();
        writer.shutdown().await.unwrap();
    });
    drop(queue);
    assert_eq!(bytes.join(), b"one\n");
}

#[test]
fn a_failure_is_the_error_of_flush_and_of_later_writes() {
    run(async {
        let (queue, script) = shut(small());
        let mut writer = AsyncWriter::new(&queue);
        writer.write_all(b"one\n").await.unwrap();
        script.fail_write(libc::EIO);
        script.open_write();
        let errno = |error: std::io::Error| {
            let error = error.get_ref().and_then(|error| error.downcast_ref());
            error.map(Error::errno)
        };
        let failed = writer.flush().await.unwrap_err();
        assert_eq!(errno(failed), Some(libc::EIO));
        let failed = writer.write_all(b"two\n").await.unwrap_err();
        assert_eq!(errno(failed), Some(libc::EIO));
        let log = Log::new();
        queue.reopen_path(log.path()).unwrap().await.unwrap();
        writer.write_all(b"three\n").await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(log.text(), "one\nthree\n");
    });
}

/// Counts how often it was woken; its references show what holds it.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn futures_dropped_while_pending_leave_nothing_registered() {
    let (queue, script) = full();
    let count = Arc::<Count>::default();
    let waker = Waker::from(Arc::clone(&count));
    let mut writer = AsyncWriter::new(&queue);
    let before = queue.stats();
    for _ in 0..100 {
        let mut write = pin!(writer.write_all(b"never\n"));
        assert!(
            write
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    assert_eq!(Arc::strong_count(&count), 3, "the queue keeps it once");
    let mut other = AsyncWriter::new(&queue);
    let write = Pin::new(&mut other).poll_write(&mut Context::from_waker(&waker), b"other\n");
    assert!(write.is_pending());
    let mut flush = pin!(writer.flush());
    assert!(
        flush
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
    );
    drop((writer, other));
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1);
    let after = queue.stats();
    assert_eq!(
        (before.posted_bytes, before.held),
        (after.posted_bytes, after.held)
    );
    script.open_write();
    queue.flush().unwrap();
    queue.writen(&[b'.'; 4096], TRY).unwrap(); // the whole room is free
    queue.close(None).unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    assert_eq!(script.written(), 8192);
}

#[test]
fn a_dropped_write_that_is_woken_later_takes_no_room() {
    let (queue, script) = full();
    let count = Arc::<Count>::default();
    let waker = Waker::from(Arc::clone(&count));
    let mut idle = AsyncWriter::new(&queue);
    let write = Pin::new(&mut idle).poll_write(&mut Context::from_waker(&waker), &[b'i'; 4096]);
    assert!(write.is_pending());
    script.open_write();
    wait_for("it is told", || count.0.load(Ordering::SeqCst) == 1);
    run(async {
        let mut writer = AsyncWriter::new(&queue);
        for _ in 0..3 {
            writer.write_all(&[b'w'; 4096]).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    assert_eq!(script.written(), 4 * 4096);
}

#[test]
fn what_is_longer_than_the_ring_is_taken_in_pieces() {
    run(async {
        let log = Log::new();
        let queue = log.open(small());
        let mut writer = AsyncWriter::new(&queue);
        let text = "0123456789\n".repeat(2000);
        writer.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(writer.write(b"").await.unwrap(), 0);
        writer.shutdown().await.unwrap();
        assert_eq!(log.text(), text);
        assert_eq!(queue.stats().posted_records, 22000_u64.div_ceil(4096));
    });
}

/// Many tasks on several threads share a ring that is always full; some writes are dropped and
/// started again.
#[test]
fn under_load_every_record_is_there_once() {
    const THREADS: usize = 3;
    const TASKS: usize = 5;
    const EACH: u32 = 300;
    let log = Log::new();
    let queue = log.open(small());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let queue = &queue;
            scope.spawn(move || {
                let tasks = (0..TASKS).map(|task| task_of(queue, thread * TASKS + task, EACH));
                let mut tasks: Vec<_> = tasks.map(Box::pin).collect();
                run(poll_fn(|context| {
                    tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
                    if tasks.is_empty() {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                }));
            });
        }
    });
    queue.close(None).unwrap();
    assert_complete(&parse(&log.bytes()), &[EACH; THREADS * TASKS]);
}

async fn task_of(queue: &Queue, writer: usize, records: u32) {
    let mut numbers = Numbers::new(writer);
    let mut to = AsyncWriter::new(queue);
    for seq in 0..records {
        let len = Record::MIN_LEN + numbers.below(700);
        let text = Record { writer, seq, len }.text();
        if !is_written_at_once(&mut to, text.as_bytes()).await {
            to.write_all(text.as_bytes()).await.unwrap();
        }
        if seq % 50 == 0 {
            to.flush().await.unwrap();
        }
    }
    to.flush().await.unwrap();
}

/// Polls a write once, and drops it if that was not enough.
async fn is_written_at_once(to: &mut AsyncWriter, text: &[u8]) -> bool {
    let mut write = pin!(to.write_all(text));
    poll_fn(|context| {
        let poll = write.as_mut().poll(context);
        Poll::Ready(poll.map(Result::unwrap).is_ready())
    })
    .await
}
