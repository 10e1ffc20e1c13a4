//! A sink may call into its own queue on that queue's threads without a deadlock, and a sink that
//! panics fails its queue cleanly.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::common::sink::{scripted, sync_error};
use crate::common::{DEADLINE, LATER, Log, TRY, WAIT, append_to, small, spawn, wait_for};
use alq::{
    Error, FileSink, Framing, Level, Operation, Options, Queue, Records, Sink, Status, SyncOp,
    suspend,
};

/// Long enough to tell a wait from a refusal.
const SOME_TIME: Option<Duration> = Some(Duration::from_millis(200));

type Call = Box<dyn FnOnce() + Send>;

/// Makes a call in its first write, in its first sync, and in its drop.
#[derive(Default)]
struct Calls {
    in_write: Mutex<Option<Call>>,
    in_sync: Mutex<Option<Call>>,
    in_drop: Mutex<Option<Call>>,
}

fn make(call: &Mutex<Option<Call>>) {
    let call = call.lock().unwrap().take();
    call.into_iter().for_each(|call| call());
}

impl Sink for Calls {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        make(&self.in_write);
        Ok(runs.iter().map(|run| run.len()).sum())
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        make(&self.in_sync);
        Ok(())
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        make(&self.in_drop);
    }
}

fn put(place: &Mutex<Option<Call>>, call: impl FnOnce() + Send + 'static) {
    *place.lock().unwrap() = Some(Box::new(call));
}

/// Returns the result of each kind of wait on one of the queue's own threads.
fn waits(queue: &Queue, answers: &Sender<(&'static str, Result<(), Error>)>) {
    let answer = |name, result| answers.send((name, result)).unwrap();
    answer("flush", queue.flush());
    answer("flush_timeout", queue.flush_timeout(DEADLINE));
    let completion = queue.fsync(SyncOp::Data).unwrap();
    assert_eq!(completion.status(), Status::InProgress);
    answer("wait", completion.wait());
    answer("wait_timeout", completion.wait_timeout(DEADLINE));
    let written = queue.completion(queue.position(), Level::Durable);
    answer("another wait", written.wait());
    answer("suspend", suspend(&[Some(&completion)], SOME_TIME));
}

#[test]
fn every_wait_on_the_flusher_thread_is_refused() {
    let sink = Arc::new(Calls::default());
    let queue = small().open_sink(Arc::clone(&sink)).unwrap();
    let (answers, answered) = channel();
    let own = queue.clone();
    put(&sink.in_write, move || waits(&own, &answers));
    queue.writen(b"record\n", TRY).unwrap();
    queue.flush().unwrap();
    for (name, result) in answered {
        assert_eq!(result, Err(Error::WouldDeadlock), "{name}");
    }
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap(); // it has done no harm
    queue.close(None).unwrap();
}

#[test]
fn every_wait_on_the_sync_thread_is_refused() {
    let sink = Arc::new(Calls::default());
    let queue = small().open_sink(Arc::clone(&sink)).unwrap();
    let (answers, answered) = channel();
    let own = queue.clone();
    put(&sink.in_sync, move || {
        own.writen(b"one more\n", TRY).unwrap();
        let completion = own.fsync(SyncOp::Data).unwrap();
        answers.send(("wait", completion.wait())).unwrap();
        answers
            .send(("suspend", suspend(&[Some(&completion)], SOME_TIME)))
            .unwrap();
    });
    queue.writen(b"record\n", TRY).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    for (name, result) in answered {
        assert_eq!(result, Err(Error::WouldDeadlock), "{name}");
    }
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    queue.close(None).unwrap();
}

#[test]
fn on_the_flusher_thread_waitok_acts_as_nowait() {
    let sink = Arc::new(Calls::default());
    let queue = small().open_sink(Arc::clone(&sink)).unwrap();
    let (answers, answered) = channel();
    let own = queue.clone();
    put(&sink.in_write, move || {
        let room = own.capacity() - own.stats().fill_bytes as usize;
        own.writen(&vec![b'x'; room], WAIT).unwrap();
        answers.send(own.writen(b"full", WAIT)).unwrap();
        answers
            .send(own.getn(1, WAIT).map(alq::Entry::post))
            .unwrap();
    });
    queue.writen(b"record\n", TRY).unwrap();
    for result in answered {
        assert_eq!(result, Err(Error::WouldBlock));
    }
    queue.flush().unwrap();
    assert_eq!(queue.stats().written_bytes, queue.capacity() as u64);
}

#[test]
fn on_the_flusher_thread_of_a_closed_queue_waitok_says_closed() {
    let sink = Arc::new(Calls::default());
    let queue = small().open_sink(Arc::clone(&sink)).unwrap();
    let (answers, answered) = channel();
    let own = queue.clone();
    put(&sink.in_write, move || {
        own.close(None).unwrap_err();
        answers.send(own.writen(b"x", TRY)).unwrap();
        answers.send(own.writen(b"x", WAIT)).unwrap();
    });
    queue.writen(b"record\n", TRY).unwrap();
    assert_eq!(answered.recv().unwrap(), Err(Error::Closed));
    assert_eq!(answered.recv().unwrap(), Err(Error::Closed));
}

#[test]
fn a_close_on_the_flusher_thread_does_not_wait_and_takes_effect() {
    let sink = Arc::new(Calls::default());
    let queue = small().open_sink(Arc::clone(&sink)).unwrap();
    let own = queue.clone();
    put(&sink.in_write, move || {
        let undrained = own.close(None).unwrap_err();
        assert_eq!(undrained.cause, Error::WouldDeadlock);
    });
    queue.writen(b"record\n", TRY).unwrap();
    wait_for("the queue is closed", || {
        queue.writen(b"x", TRY) == Err(Error::Closed)
    });
    queue.close(None).unwrap();
    assert_eq!(queue.stats().last_error, None, "the sink did not panic");
}

/// Drops the last handle in `place` of a sink, and waits for the end of the queue.
fn drops_the_last_handle(place: fn(&Calls) -> &Mutex<Option<Call>>) {
    let sink = Arc::new(Calls::default());
    let queue = small().open_sink(Arc::clone(&sink)).unwrap();
    let last = Arc::new(OnceLock::new());
    let theirs = Arc::clone(&last);
    put(place(&sink), move || drop(theirs.wait_and_take()));
    let position = queue.writen(b"record\n", TRY).unwrap();
    let completion = queue.completion(position, Level::Durable);
    last.set(Mutex::new(Some(queue))).unwrap();
    completion.wait().unwrap();
    wait_for("both threads let go of the sink", || {
        Arc::strong_count(&sink) == 1
    });
}

trait WaitAndTake<T> {
    fn wait_and_take(&self) -> T;
}

impl<T> WaitAndTake<T> for OnceLock<Mutex<Option<T>>> {
    fn wait_and_take(&self) -> T {
        wait_for("the last handle", || self.get().is_some());
        self.get().unwrap().lock().unwrap().take().unwrap()
    }
}

#[test]
fn a_sink_may_drop_the_last_handle_in_write() {
    drops_the_last_handle(|sink| &sink.in_write);
}

#[test]
fn a_sink_may_drop_the_last_handle_in_sync() {
    drops_the_last_handle(|sink| &sink.in_sync);
}

#[test]
fn a_sink_may_call_into_its_queue_when_it_is_dropped() {
    for with_sync_thread in [true, false] {
        let sink = Calls::default();
        let own = Arc::new(OnceLock::<Queue>::new());
        let theirs = Arc::clone(&own);
        let (answers, answered) = channel();
        put(&sink.in_drop, move || {
            let queue = theirs.get().unwrap();
            answers.send(queue.writen(b"x", TRY).map(drop)).unwrap();
            answers.send(queue.fsync(SyncOp::Data).map(drop)).unwrap();
        });
        let queue = small().open_sink(sink).unwrap();
        own.set(queue.clone()).unwrap();
        if with_sync_thread {
            queue.fsync(SyncOp::Data).unwrap();
        }
        let closer = spawn(move || queue.close(None));
        closer.join().unwrap();
        assert_eq!(answered.recv().unwrap(), Err(Error::Closed));
        let fsync = answered.recv().unwrap(); // there is nothing to sync, so it may be done
        assert!(matches!(fsync, Ok(()) | Err(Error::Closed)), "{fsync:?}");
    }
}

#[test]
fn a_panic_in_write_fails_the_queue_and_every_completion() {
    let sink = Arc::new(Calls::default());
    let queue = small().open_sink(Arc::clone(&sink)).unwrap();
    put(&sink.in_write, || {
        panic!("this sink panics in write, as it was told")
    });
    let held = queue.getn(1, TRY).unwrap();
    let position = queue.writen(b"record\n", TRY).unwrap();
    let waiting = [Level::Written, Level::Durable].map(|level| queue.completion(position, level));
    held.post();
    for completion in &waiting {
        let Err(Error::Io { operation, .. }) = completion.wait() else {
            panic!("it is not written");
        };
        assert_eq!(operation, Operation::Flusher);
    }
    assert!(queue.close(None).is_err());
}

#[test]
fn a_panic_in_sync_fails_every_durable_completion_at_once_and_for_good_and_no_append() {
    const EIO: i32 = 5;
    let (queue, script) = scripted();
    let before = queue.writen(b"before\n", TRY).unwrap();
    queue.completion(before, Level::Durable).wait().unwrap();
    script.panic_in_sync();
    script.shut_sync();
    let position = queue.writen(b"record\n", TRY).unwrap();
    let completion = queue.completion(position, Level::Durable);
    script.wait_for_sync(2);
    script.open_sync();
    let told = suspend(&[Some(&completion)], Some(DEADLINE));
    assert_eq!(told, Ok(()), "nobody else moves the queue");
    assert_eq!(completion.wait(), Err(sync_error(EIO)));
    let later = queue.writen(b"later\n", TRY).unwrap();
    assert_eq!(
        queue.completion(later, Level::Durable).wait(),
        Err(sync_error(EIO))
    );
    assert_eq!(queue.completion(before, Level::Durable).wait(), Ok(()));
    queue.flush().unwrap();
    queue.close(None).unwrap();
}

/// Counts the writes and leaves everything else to the wrapped sink.
struct Counted {
    file: FileSink,
    writes: AtomicU64,
}

impl Counted {
    fn new(fd: impl Into<OwnedFd>) -> Self {
        Self {
            file: FileSink::new(fd.into()).unwrap(),
            writes: AtomicU64::new(0),
        }
    }
}

impl Sink for Counted {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.file.write(runs)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.file)
    }
}

#[test]
fn a_wrapper_with_write_and_inner_is_to_a_queue_what_it_wraps() {
    let log = Log::new();
    let counted = Arc::new(Counted::new(append_to(log.path())));
    let as_any: Arc<dyn Sink> = Arc::clone(&counted) as _;
    for sink in [&*counted as &dyn Sink, &counted, &as_any] {
        assert_eq!(sink.path(), Some(log.path()));
        assert_eq!(sink.file_id(), counted.file.file_id());
        assert_eq!(sink.end(), counted.file.end());
        assert!(sink.end().is_some() && sink.can_sync() && !sink.cuts_records());
        assert!(!sink.is_in_doubt());
        let fd = |sink: &dyn Sink| sink.descriptor().unwrap().as_raw_fd();
        assert_eq!(fd(sink), fd(&counted.file));
        let end = sink.end().unwrap();
        let record = format!("{}\n", end.size_bytes);
        let runs = [IoSlice::new(record.as_bytes())];
        assert_eq!(sink.holds(&end, &runs), Some(0));
        assert_eq!(sink.write(&runs).unwrap(), record.len());
        assert_eq!(sink.holds(&end, &runs), Some(record.len()));
        sink.sync(SyncOp::Data).unwrap();
    }
    assert_eq!(counted.writes.load(Ordering::Relaxed), 3);

    // The same file: the next write continues at the next byte, and errors name the file.
    let queue = small().open_sink(Arc::clone(&counted)).unwrap();
    queue.writen(b"record\n", TRY).unwrap();
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    queue.reopen(append_to(log.path())).unwrap().wait().unwrap();
    assert_eq!(queue.stats().repeated_bytes, 0);
    queue.close(None).unwrap();
    assert_eq!(log.text(), "0\n2\n4\nrecord\n");

    let (_reader, writer) = UnixStream::pair().unwrap();
    let queue = small().open_sink(Counted::new(writer)).unwrap();
    assert_eq!(queue.fsync(SyncOp::Data).unwrap_err(), Error::NotSyncable);
}

/// A far end that takes messages of at most 100 bytes, and splits them into records.
#[derive(Default)]
struct Letters(Mutex<Vec<Vec<usize>>>);

impl Sink for Letters {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut lens = Vec::new();
        let mut taken = 0;
        for record in Records::new(Framing::Lengths, runs) {
            assert!(record.is_whole && record.bytes.iter().all(|byte| *byte == b'r'));
            lens.push(record.bytes.len());
            taken += record.framed_len;
        }
        self.0.lock().unwrap().push(lens);
        Ok(taken)
    }

    fn room(&self) -> u64 {
        100
    }
}

#[test]
fn a_write_has_whole_records_and_no_more_than_the_sink_has_room_for() {
    let letters = Arc::<Letters>::default();
    let options = Options::new().framing(Framing::Lengths);
    let queue = options.open_sink(Arc::clone(&letters)).unwrap();
    let mut lane = queue.lane();
    let mut expected = Vec::new();
    for len in (1..=60).cycle().take(500).chain([300]) {
        lane.writen(&vec![b'r'; len], LATER).unwrap();
        queue.writen(&vec![b'r'; len], LATER).unwrap();
        expected.extend([len, len]);
    }
    drop(lane);
    queue.close(None).unwrap();
    let mut found: Vec<usize> = Vec::new();
    for lens in letters.0.lock().unwrap().iter() {
        let sum: usize = lens.iter().map(|len| len + 4).sum();
        assert!(sum <= 100 || lens.len() == 1, "{lens:?}");
        found.extend(lens);
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// A sink without `inner` and without `sync` says so when it is asked to sync, and not before.
#[test]
fn a_sink_that_cannot_sync_and_does_not_say_so_fails_the_sync_alone() {
    struct Nowhere;

    impl Sink for Nowhere {
        fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
            Ok(runs.iter().map(|run| run.len()).sum())
        }
    }

    assert!(Nowhere.is_in_doubt(), "it does not say that it knows");
    let queue = small().open_sink(Nowhere).unwrap();
    queue.writen(b"record\n", TRY).unwrap();
    let failed = queue.fsync(SyncOp::Data).unwrap().wait().unwrap_err();
    assert!(
        matches!(
            failed,
            Error::Io {
                operation: Operation::Sync,
                ..
            }
        ),
        "{failed}"
    );
    queue.close(None).unwrap();
}
