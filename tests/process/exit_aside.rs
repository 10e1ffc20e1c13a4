//! Appends that come after the process has drained its queues are written before they return: in
//! handlers of atexit(3), and on threads that still run.
//!
//! Each test starts processes, because they must end.

use std::fs::File;
use std::io::IoSlice;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use std::{io, mem, thread};

use crate::common::child::end_of_child;
use crate::common::exit::{at_exit, log};
use crate::common::task::Task;
use crate::common::{LATER, append_to};
use crate::common::{TRY, WAIT, Watched, fill_up, filled, pipe, small, spawn, wait_for};
use alq::{AsyncAppend, Error, Level, Options, Queue, Sink, Status, SyncOp};

#[test]
fn handlers_of_atexit_append_before_the_drain_and_after_it() {
    let test = "handlers_of_atexit_append_before_the_drain_and_after_it";
    let ended = end_of_child(test, "", |folder| {
        alq::async_append::enable();
        let folder = folder.to_owned();
        let (path, other) = (log(&folder), folder.join("other"));
        let queue: &'static OnceLock<Queue> = Box::leak(Box::default());
        let appended: &'static Mutex<Option<AsyncAppend<'static>>> = Box::leak(Box::default());
        // Registered before the first queue: it runs after the drain.
        at_exit(move || after_the_drain(queue.get().unwrap(), &other, appended));
        let queue = queue.get_or_init(|| small().open(path).unwrap());
        let file: &'static File = Box::leak(Box::new(append_to(folder.join("appender"))));
        let mut appender = AsyncAppend::new(file);
        appender.write(b"1\n").unwrap();
        assert!(appender.is_async());
        *appended.lock().unwrap() = Some(appender);
        at_exit(|| {
            queue.writen(b"before\n", LATER).unwrap();
            writeln!(queue, "{}", 2).unwrap();
        });
        queue.writen(b"first\n", LATER).unwrap();
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert!(ended.stdout.contains("all of it held"), "{}", ended.stderr);
    let text = "first\nbefore\n2\nafter\n[]\nformat()\nlast\n";
    assert_eq!(ended.file("log"), text.as_bytes());
    assert_eq!(ended.file("other"), b"new\nagain\n");
    assert_eq!(ended.file("appender"), b"1\n2\n3\n");
}

/// Appends in every way. Each record is in its file when the call returns.
fn after_the_drain(queue: &Queue, other: &Path, appender: &Mutex<Option<AsyncAppend<'static>>>) {
    let folder = other.parent().unwrap();
    let text = || std::fs::read_to_string(log(folder)).unwrap();
    assert_eq!(text(), "first\nbefore\n2\n", "drained");
    let before = queue.position();
    let position = queue.writen(b"after\n", TRY).unwrap();
    assert_eq!(position.bytes(), before.bytes() + 6);
    assert!(text().ends_with("2\nafter\n"));
    let mut entry = queue.getn(100, TRY).unwrap();
    writeln!(entry, "{:?}", [0; 0]).unwrap();
    assert!(text().ends_with("after\n"), "not before it is posted");
    let position = entry.post();
    assert!(text().ends_with("[]\n"));
    drop(queue.getn(5, WAIT).unwrap());
    queue
        .getn_timeout(5, WAIT, Duration::ZERO)
        .unwrap()
        .post_flags(LATER);
    // That entry was posted unfilled: five zero bytes. The next entry is filled.
    let zeros = std::fs::read(log(folder)).unwrap();
    assert!(zeros.ends_with(&[0; 5]));
    std::fs::write(log(folder), &zeros[..zeros.len() - 5]).unwrap();
    writeln!(queue, "format{:?}", ()).unwrap();
    queue
        .writen_timeout(b"last\n", WAIT, Duration::ZERO)
        .unwrap();
    assert_eq!(queue.position().bytes(), position.bytes() + 19);
    queue.flush().unwrap();
    queue.activate();
    let completion = queue.completion(queue.position(), Level::Written);
    assert_eq!(completion.status(), Status::Done(Ok(())));
    assert_eq!(queue.fsync(SyncOp::Data).unwrap_err(), Error::Closed);
    let refused = queue.writen(b"", TRY).unwrap_err();
    assert_eq!(refused, Error::InvalidLength { len: 0 });
    let stats = queue.stats();
    assert_eq!(stats.posted_bytes, stats.written_bytes);
    assert_eq!(stats.written_bytes, text().len() as u64 + 5);

    let new = Options::new().open(other).unwrap();
    new.writen(b"new\n", TRY)
        .or_else(|_| new.writen(b"new\n", WAIT))
        .unwrap();
    new.writen(b"again\n", WAIT).unwrap();
    assert_eq!(std::fs::read(other).unwrap(), b"new\nagain\n");

    let mut appender = appender.lock().unwrap().take().unwrap();
    appender.write(b"2\n").unwrap();
    assert!(!appender.is_async());
    appender.flush().unwrap();
    appender.write(b"3\n").unwrap();
    let file = std::fs::read(folder.join("appender")).unwrap();
    assert_eq!(file, b"1\n2\n3\n");
    drop(appender);

    // A queue that is closed at that time stays closed.
    new.close(None).unwrap();
    assert_eq!(new.writen(b"late\n", WAIT), Err(Error::Closed));
    assert_eq!(new.getn(1, TRY).unwrap_err(), Error::Closed);
    println!("all of it held");
}

#[test]
fn without_waiting_a_full_pipe_refuses_also_after_the_drain() {
    let test = "without_waiting_a_full_pipe_refuses_also_after_the_drain";
    let ended = end_of_child(test, "", |_| {
        let (reader, writer) = pipe().unwrap();
        let queue: &'static OnceLock<Queue> = Box::leak(Box::default());
        let fd: &'static File = Box::leak(Box::new(writer));
        at_exit(move || {
            fill_up(fd);
            let queue = queue.get().unwrap();
            assert_eq!(queue.writen(b"x", TRY), Err(Error::WouldBlock));
            // It does not wait for an append that waits, either.
            let (sender, task) = std::sync::mpsc::channel();
            thread::spawn(move || {
                sender.send(Task::current()).unwrap();
                queue.writen(b"x", WAIT)
            });
            let task = task.recv().unwrap();
            wait_for("it waits", || task.is_asleep());
            let refused = spawn(|| queue.writen(b"x", TRY)).join();
            assert_eq!(refused, Err(Error::WouldBlock));
            println!("refused");
        });
        queue.get_or_init(|| small().open_fd(fd).unwrap());
        mem::forget(reader);
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert!(ended.stdout.contains("refused"), "{}", ended.stderr);
}

/// The caller's own sink is appended to as well, on the threads that append.
struct Keeps(Arc<Mutex<Vec<u8>>>);

impl Sink for Keeps {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes = self.0.lock().unwrap();
        runs.iter().for_each(|run| bytes.extend_from_slice(run));
        Ok(runs.iter().map(|run| run.len()).sum())
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_of_the_caller_goes_on_after_the_drain() {
    let test = "a_sink_of_the_caller_goes_on_after_the_drain";
    let ended = end_of_child(test, "", |_| {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let queue: &'static OnceLock<Queue> = Box::leak(Box::default());
        let sink = Keeps(Arc::clone(&bytes));
        at_exit(move || {
            queue.get().unwrap().writen(b"after", WAIT).unwrap();
            assert_eq!(*bytes.lock().unwrap(), b"before after");
            println!("both");
        });
        let queue = queue.get_or_init(|| small().open_sink(sink).unwrap());
        queue.writen(b"before ", LATER).unwrap();
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert!(ended.stdout.contains("both"), "{}", ended.stderr);
}

#[test]
fn writers_that_sleep_for_room_go_on_past_the_ring() {
    let test = "writers_that_sleep_for_room_go_on_past_the_ring";
    let ended = end_of_child(test, "", |folder| {
        static SLEEPERS: Mutex<Vec<Watched<()>>> = Mutex::new(Vec::new());
        // Registered before the queue, so it runs after the drain.
        at_exit(|| {
            SLEEPERS.lock().unwrap().drain(..).for_each(Watched::join);
            println!("all returned");
        });
        let (mut reader, writer) = pipe().unwrap();
        fill_up(&writer);
        let queue: &'static Queue = Box::leak(Box::new(small().open_fd(&writer).unwrap()));
        drop(writer);
        filled(queue, 4096, b'f').post();
        let (sender, tasks) = std::sync::mpsc::channel();
        for _ in 0..3 {
            let sender = sender.clone();
            SLEEPERS.lock().unwrap().push(spawn(move || {
                sender.send(Task::current()).unwrap();
                queue.writen(b"s", WAIT).unwrap();
            }));
        }
        wait_for("they sleep", || queue.stats().waits.writen_room == 3);
        let tasks: Vec<_> = tasks.iter().take(3).collect();
        wait_for("they sleep", || tasks.iter().all(Task::is_asleep));
        let sleeps: Vec<_> = tasks.iter().map(Task::sleeps).collect();
        // The reader starts only after the drain has begun and has woken the writers.
        let mut file = append_to(log(folder));
        thread::spawn(move || {
            for (task, before) in tasks.iter().zip(sleeps) {
                wait_for("they are woken", || task.sleeps() > before);
            }
            io::copy(&mut reader, &mut file)
        });
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert!(ended.stdout.contains("all returned"), "{}", ended.stderr);
}
