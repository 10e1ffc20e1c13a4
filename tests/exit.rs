//! The end of the process: what was posted is in the file, whoever holds the handles, and however they are held.
//!
//! Each test has processes of its own, since it is they that end. `ALQ_EXIT_ROUNDS` says how many end at random moments
//! under load: 20, if it does not.
#![allow(unsafe_code, reason = "atexit(3) has no safe form")]

mod common;

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use std::{fmt, io, mem, panic, thread};

use alq::{
    AsyncAppend, Error, Flags, Level, Options, Queue, Sink, Status, SyncOp, flush_all, shutdown,
};
use common::child::{end_of_child, in_child};
use common::task::Task;
use common::{
    NEVER_STALLS, Numbers, Record, STALLS_SOON, TRY, WAIT, Watched, fill_up, filled, parse, pipe,
    small, spawn, wait_for,
};

/// Posts that nobody would write but the end of the process.
const LATER: Flags = TRY.union(Flags::NOACTIVATE);

fn log(folder: &Path) -> std::path::PathBuf {
    folder.join("log")
}

fn append_to(path: impl AsRef<Path>) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}

/// What a handler of atexit(3) does: it can be given no closure.
type Handler = Box<dyn Fn() + Send + Sync>;

/// Has `handler` run at exit.
fn at_exit(handler: impl Fn() + Send + Sync + 'static) {
    static HANDLERS: Mutex<Vec<Handler>> = Mutex::new(Vec::new());
    extern "C" fn run_last() {
        let handler = HANDLERS.lock().unwrap().pop().unwrap();
        handler();
    }
    HANDLERS.lock().unwrap().push(Box::new(handler));
    // SAFETY: a function without arguments, that any thread may call.
    assert_eq!(unsafe { libc::atexit(run_last) }, 0);
}

/// Records of one writer, so many that the flusher cannot have written them by chance.
fn post_some(queue: &Queue) {
    for i in 0..50 {
        queue.writen(format!("{i}\n").as_bytes(), LATER).unwrap();
    }
}

fn some() -> Vec<u8> {
    let lines: Vec<String> = (0..50).map(|i| format!("{i}\n")).collect();
    lines.concat().into()
}

static KEPT: OnceLock<Queue> = OnceLock::new();

/// A way to end: its name, the code that is to come of it, and what the process does.
type Way<'w> = (&'w str, i32, &'w dyn Fn(&Path));

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

/// Every kind of append, each of which is in its file when it returns.
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
    // That one was posted as it was: five bytes of nothing. Not so the next.
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

    // A queue that is closed then is closed.
    new.close(None).unwrap();
    assert_eq!(new.writen(b"late\n", WAIT), Err(Error::Closed));
    assert_eq!(new.getn(1, TRY).unwrap_err(), Error::Closed);
    println!("all of it held");
}

/// Never returns, once it is called.
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
fn a_closed_queue_stays_closed_at_exit_and_its_loss_is_told_once() {
    let test = "a_closed_queue_stays_closed_at_exit_and_its_loss_is_told_once";
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
        let stuck = small().from_fd(&writer).unwrap();
        stuck.writen(b"never\n", TRY).unwrap();
        stuck.close(Some(Duration::ZERO)).unwrap_err();
        mem::forget((reader, writer));
        let full = small().open("/dev/full").unwrap();
        full.writen(b"no room\n", TRY).unwrap();
        full.close(None).unwrap_err();
        // One whose flusher never comes back: whoever closed it has given up, and so does the end.
        let is_called: &'static AtomicBool = Box::leak(Box::default());
        let sink = Hangs(is_called);
        let hangs = small().stall_limit(None).to_sink(sink).unwrap();
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
fn a_reservation_that_is_held_costs_the_stall_limit_and_what_is_behind_it_is_written() {
    let test = "a_reservation_that_is_held_costs_the_stall_limit_and_what_is_behind_it_is_written";
    let ended = end_of_child(test, "", |folder| {
        let late: &'static Mutex<Option<alq::Entry<'static>>> = Box::leak(Box::default());
        let queue: &'static OnceLock<Queue> = Box::leak(Box::default());
        at_exit(|| {
            // It was stepped over, so it writes nothing; that is counted. A new one is written at once.
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
    let told = "alq: at exit, 0 bytes in 0 records not written, 2 open reservations stepped over";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(ended.stdout.contains("counted"), "{}", ended.stderr);
}

#[test]
fn a_descriptor_that_takes_nothing_ends_the_wait_and_says_so_and_the_others_are_drained() {
    let test =
        "a_descriptor_that_takes_nothing_ends_the_wait_and_says_so_and_the_others_are_drained";
    let ended = end_of_child(test, "", |folder| {
        type Stuck = Mutex<Vec<(Queue, io::PipeReader, io::PipeWriter)>>;
        let stuck: &'static Stuck = Box::leak(Box::default());
        at_exit(|| {
            for (queue, reader, _writer) in &*stuck.lock().unwrap() {
                // Past what is stuck nothing goes, also when the pipe takes bytes again; and nobody hangs.
                let mut filler = vec![0; 1 << 20];
                let filled = io::Read::read(&mut &*reader, &mut filler).unwrap();
                assert!(filler[..filled].iter().all(|byte| *byte == b'#'));
                queue.writen(b"never\n", TRY).unwrap_err();
                let refused = queue.writen(b"never\n", WAIT).unwrap_err();
                assert!(matches!(refused, Error::Stalled { .. }), "{refused}");
                queue.flush().unwrap_err();
                queue.getn(1, WAIT).unwrap_err();
            }
            println!("still there");
        });
        for _ in 0..3 {
            let (reader, writer) = pipe().unwrap();
            fill_up(&writer);
            let queue = small()
                .stall_limit(Some(STALLS_SOON))
                .from_fd(&writer)
                .unwrap();
            queue.writen(b"never\n", TRY).unwrap();
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
        .matches("alq: at exit, 6 bytes in 1 records not written");
    assert_eq!(told.count(), 3, "{}", ended.stderr);
    assert!(ended.stdout.contains("still there"), "{}", ended.stderr);
}

#[test]
fn without_waiting_a_full_pipe_refuses_also_after_the_drain() {
    let test = "without_waiting_a_full_pipe_refuses_also_after_the_drain";
    let ended = end_of_child(test, "", |_| {
        let (reader, writer) = pipe().unwrap();
        let queue: &'static OnceLock<Queue> = Box::leak(Box::default());
        let fd: &'static io::PipeWriter = Box::leak(Box::new(writer));
        at_exit(move || {
            fill_up(fd);
            let queue = queue.get().unwrap();
            assert_eq!(queue.writen(b"x", TRY), Err(Error::WouldBlock));
            // Nor does it wait for one that waits.
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
        queue.get_or_init(|| small().from_fd(fd).unwrap());
        mem::forget(reader);
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert!(ended.stdout.contains("refused"), "{}", ended.stderr);
}

/// Panics when it is formatted.
struct Explodes;

impl fmt::Display for Explodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it, ")?;
        panic!("this line explains it");
    }
}

fn panic_in_display(queue: &Queue) {
    let mut entry = queue.getn(100, WAIT).unwrap();
    write!(entry, "{Explodes}").unwrap();
    entry.post();
}

#[test]
fn the_line_of_a_panic_is_in_the_file_also_when_an_entry_is_open() {
    let test = "the_line_of_a_panic_is_in_the_file_also_when_an_entry_is_open";
    let queue = |folder: &Path| {
        let options = small().stall_limit(Some(STALLS_SOON));
        let queue: &'static Queue = Box::leak(Box::new(options.open(log(folder)).unwrap()));
        queue.writen(b"before\n", LATER).unwrap();
        queue
    };
    let log_panic = |queue: &Queue, info: &panic::PanicHookInfo<'_>| {
        let message = info.payload().downcast_ref::<&str>().unwrap();
        writeln!(queue, "panic: {message}").unwrap();
    };
    // The entry is dropped by the unwinding, behind the hook; what waits for it is written then.
    let unwinding = |folder: &Path| {
        let queue = queue(folder);
        panic::set_hook(Box::new(move |info| {
            log_panic(queue, info);
            let _ = flush_all(Some(Duration::from_millis(50)));
        }));
        panic_in_display(queue);
    };
    // As under `panic = "abort"`: nothing comes after the hook.
    let aborting = |folder: &Path| {
        let queue = queue(folder);
        panic::set_hook(Box::new(move |info| {
            log_panic(queue, info);
            let left = shutdown(Some(Duration::from_millis(50))).unwrap_err();
            assert_eq!((left.bytes, left.abandoned), (0, 1));
            std::process::abort();
        }));
        panic_in_display(queue);
    };
    // In a thread: flush_all alone, without an end of the process.
    let in_a_thread = |folder: &Path| {
        let queue = queue(folder);
        panic::set_hook(Box::new(move |info| {
            log_panic(queue, info);
            let _ = flush_all(Some(Duration::from_millis(50)));
        }));
        let panicked = thread::spawn(|| panic_in_display(queue)).join();
        let _ = panic::take_hook();
        panicked.unwrap_err();
        queue.flush().unwrap();
        std::process::abort();
    };
    let ways: [Way<'_>; 3] = [
        ("unwinding", 101, &unwinding),
        ("aborting", 134, &aborting),
        ("in a thread", 134, &in_a_thread),
    ];
    for (way, code, body) in ways {
        if let Some(ended) = end_of_child(test, way, body) {
            let text = "before\npanic: this line explains it\n";
            let said = format!("{way}: {}\n{}", ended.status, ended.stderr);
            let signal = ended.status.signal().map(|signo| 128 + signo);
            assert_eq!(ended.status.code().or(signal), Some(code), "{said}");
            assert_eq!(ended.file("log"), text.as_bytes(), "{said}");
        }
    }
}

/// Ends the process from inside of the flusher.
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
        let ends = small().stall_limit(None).to_sink(Ends).unwrap();
        ends.writen(b"1234", TRY).unwrap();
        wait_for("the end", || false);
    });
    let Some(ended) = ended else { return };
    ended.assert_code(5);
    assert_eq!(ended.file("log"), some());
    let told = "alq: at exit, 4 bytes in 1 records not written";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

/// A sink of the caller's own is appended to as well, on the threads that append.
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
        let queue = queue.get_or_init(|| small().to_sink(sink).unwrap());
        queue.writen(b"before ", LATER).unwrap();
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert!(ended.stdout.contains("both"), "{}", ended.stderr);
}

const WRITERS: usize = 4;

/// Appends as fast as it can; after each record that was taken it notes how many were.
fn write_and_note(queue: &Queue, writer: usize, noted: &File) {
    let mut numbers = Numbers::new(writer);
    let mut lane = queue.lane();
    for seq in 0_u32.. {
        let len = Record::MIN_LEN + numbers.below(300);
        let text = Record { writer, seq, len }.text();
        if writer == WRITERS - 1 {
            lane.writen(text.as_bytes(), WAIT).unwrap(); // an order of its own
        } else if numbers.below(2) == 0 {
            queue.writen(text.as_bytes(), WAIT).unwrap();
        } else {
            let mut entry = queue.getn(len + numbers.below(100), WAIT).unwrap();
            write!(entry, "{text}").unwrap();
            entry.post();
        }
        noted
            .write_at(&(seq + 1).to_le_bytes(), 4 * writer as u64)
            .unwrap();
    }
}

/// Every record that was taken is in `log` once, whole and in order; and at most one more of each writer, which was
/// under way. The last of those may be cut: the process ended in the middle of its write(2).
fn assert_noted(log: &[u8], noted: &[u8]) {
    let mut next = [0; WRITERS];
    let whole = log
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    assert!(
        log.len() - whole < Record::MIN_LEN + 300,
        "that is no record"
    );
    for record in parse(&log[..whole]) {
        assert_eq!(
            record.seq, next[record.writer],
            "of writer {}",
            record.writer
        );
        next[record.writer] += 1;
    }
    for (writer, noted) in noted.chunks(4).enumerate() {
        let noted = u32::from_le_bytes(noted.try_into().unwrap());
        let written = next[writer];
        assert!(
            written == noted || written == noted + 1,
            "writer {writer}: {noted} were taken, {written} are in the log"
        );
    }
}

fn rounds() -> u32 {
    let rounds = std::env::var("ALQ_EXIT_ROUNDS").map(|text| text.parse().unwrap());
    rounds.unwrap_or(20)
}

#[test]
fn an_end_at_any_moment_under_load_loses_nothing_that_was_taken() {
    let test = "an_end_at_any_moment_under_load_loses_nothing_that_was_taken";
    for round in 0..rounds() {
        let way = format!("round {round}");
        let ended = end_of_child(test, &way, |folder| {
            let options = Options::new().capacity(4096 << (round % 5));
            let options = options
                .stall_limit(Some(NEVER_STALLS))
                .ordered(round % 2 == 0);
            let queue = options.open(log(folder)).unwrap();
            let noted = Arc::new(File::create(folder.join("noted")).unwrap());
            for writer in 0..WRITERS {
                let (queue, noted) = (queue.clone(), Arc::clone(&noted));
                thread::spawn(move || write_and_note(&queue, writer, &noted));
            }
            let posted = Numbers::new(round as usize).below(3000) as u64;
            wait_for("load", || queue.stats().posted_records >= posted);
            exit(6);
        });
        let Some(ended) = ended else { continue };
        ended.assert_code(6);
        assert!(!ended.stderr.contains("alq:"), "{}", ended.stderr);
        assert_noted(&ended.file("log"), &ended.file("noted"));
    }
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
        let queue: &'static Queue = Box::leak(Box::new(small().from_fd(&writer).unwrap()));
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
        // Nobody reads before the drain has begun, and has told them.
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

#[test]
fn a_shutdown_before_the_end_leaves_nothing_to_do() {
    in_child("a_shutdown_before_the_end_leaves_nothing_to_do", || {
        let log = common::Log::new();
        let queue = log.open(small());
        queue.writen(b"1\n", LATER).unwrap();
        shutdown(None).unwrap();
        assert_eq!(log.text(), "1\n");
        mem::forget(queue);
    });
}
