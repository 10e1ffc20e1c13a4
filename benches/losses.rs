//! Tries five ways in which a non-blocking log writer can lose data or hide it, on tracing-appender
//! and on this queue. Prints the table of docs/reliability.md. Fails if this queue breaks a promise
//! made there.
//!
//! Each case runs in a separate process (this program again); the parent then checks its file.
//!
//!     cargo bench --bench losses
#![allow(unsafe_code, reason = "fork and an allocator have no safe interface")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use alq::{Flags, Options, Queue, Sink, SyncOp};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// A line of 32 bytes.
fn line(n: usize) -> String {
    format!("{n:031}\n")
}

/// Counts what the calling thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: AtomicU64 = const { AtomicU64::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing (the
// thread-local is const).
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Relaxed: each thread has its own.
        let _ = ALLOCATIONS.try_with(|count| count.fetch_add(1, Ordering::Relaxed));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(|count| count.load(Ordering::Relaxed))
}

/// A healthy but slow writer: it takes half a millisecond for a line.
struct Slow(File);

impl Slow {
    fn take(&self, bytes: &[u8]) -> io::Result<usize> {
        let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
        thread::sleep(Duration::from_micros(500) * lines as u32);
        (&self.0).write_all(bytes)?;
        Ok(bytes.len())
    }
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Slow {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let first = &runs[0];
        self.take(&first[..first.len().min(64 * 32)])
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

fn append_to(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .append(true)
        .open(path)
        .expect("a file")
}

fn appender(writer: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().lossy(false).finish(writer)
}

fn queue(path: &Path) -> Queue {
    Options::new().open(path).expect("a queue")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [case, whose, path] = &arguments[..] {
        println!("{}", run(case, whose == "alq", Path::new(path)));
        return;
    }
    println!("| what is done | tracing-appender 0.2 | alq |\n|---|---|---|");
    for (case, what) in CASES {
        let [theirs, ours] = ["tracing-appender", "alq"].map(|whose| child(case, whose));
        println!("| {what} | {theirs} | {ours} |");
        let kept = OURS.iter().find(|(name, _)| *name == case);
        let kept = kept.expect("each case has its promise").1;
        assert!(
            ours.contains(kept),
            "{case}: {ours}, where {kept} was promised"
        );
    }
}

const CASES: [(&str, &str); 5] = [
    ("full", "1000 lines to `/dev/full`, and a flush"),
    (
        "slow",
        "2000 lines to a slow writer, then the guard or the queue is dropped",
    ),
    (
        "exit",
        "100000 lines and a flush, then `process::exit` after 1000 more",
    ),
    ("fork", "fork, and 100 lines from the child"),
    ("allocate", "allocations for 1000 lines, by the caller"),
];

/// The required results of this queue.
const OURS: [(&str, &str); 5] = [
    ("full", "ENOSPC"),
    ("slow", "2000 of 2000"),
    ("exit", "101000 of 101000"),
    ("fork", "100 of 100"),
    ("allocate", "0"),
];

/// Runs a case in a separate process, and returns its result.
fn child(case: &str, whose: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let path: PathBuf = dir.path().join("log");
    let program = std::env::current_exe().expect("this program");
    let began = Instant::now();
    let output = Command::new(program)
        .args([case, whose])
        .arg(&path)
        .output()
        .expect("it runs");
    let seconds = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let lines = fs::read(&path).map_or(0, |bytes| bytes.split(|b| *b == b'\n').count() - 1);
    match case {
        "slow" => format!("{lines} of 2000 lines written, after {seconds:.1} s; {said}"),
        "exit" => format!("{lines} of 101000 lines written"),
        "fork" => format!("{lines} of 100 lines written; {said}"),
        _ => said,
    }
}

fn run(case: &str, ours: bool, path: &Path) -> String {
    match (case, ours) {
        ("full", false) => full_theirs(),
        ("full", true) => full_ours(),
        ("slow", false) => {
            let (mut writer, guard) = appender(Slow(append_to(path)));
            (0..2000).for_each(|n| writer.write_all(line(n).as_bytes()).expect("taken"));
            drop(guard);
            "nothing said".to_owned()
        }
        ("slow", true) => {
            let queue = Options::new()
                .open_sink(Slow(append_to(path)))
                .expect("a queue");
            for n in 0..2000 {
                queue
                    .writen(line(n).as_bytes(), Flags::WAITOK)
                    .expect("taken");
            }
            drop(queue);
            "nothing to say".to_owned()
        }
        ("exit", false) => {
            let (mut writer, guard) = appender(append_to(path));
            (0..100_000).for_each(|n| writer.write_all(line(n).as_bytes()).expect("taken"));
            writer.flush().expect("it says Ok");
            (0..1000).for_each(|n| writer.write_all(line(n).as_bytes()).expect("taken"));
            std::mem::forget(guard); // as one in a static
            std::process::exit(0)
        }
        ("exit", true) => {
            let queue = queue(path);
            for n in 0..100_000 {
                queue
                    .writen(line(n).as_bytes(), Flags::WAITOK)
                    .expect("taken");
            }
            queue.flush().expect("written");
            for n in 0..1000 {
                queue
                    .writen(line(n).as_bytes(), Flags::WAITOK)
                    .expect("taken");
            }
            std::mem::forget(queue);
            std::process::exit(0)
        }
        ("fork", false) => {
            let (mut writer, _guard) = appender(append_to(path));
            forked(|| (0..100).all(|n| writer.write_all(line(n).as_bytes()).is_ok()))
        }
        ("fork", true) => {
            let queue = queue(path);
            forked(|| (0..100).all(|n| queue.writen(line(n).as_bytes(), Flags::WAITOK).is_ok()))
        }
        ("allocate", false) => {
            let (mut writer, _guard) = appender(append_to(path));
            allocations_of(|line| writer.write_all(line).expect("taken"))
        }
        ("allocate", true) => {
            let queue = queue(path);
            allocations_of(|line| {
                queue.writen(line, Flags::WAITOK).expect("taken");
            })
        }
        _ => panic!("usage: losses"),
    }
}

fn full_theirs() -> String {
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("it is there");
    let (mut writer, guard) = appender(full);
    let errors = (0..1000)
        .filter(|n| writer.write_all(line(*n).as_bytes()).is_err())
        .count();
    let flush = writer.flush();
    let dropped = writer.error_counter().dropped_lines();
    drop(guard);
    format!("{errors} errors, flush says {flush:?}, {dropped} lines counted as dropped")
}

fn full_ours() -> String {
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("it is there");
    let options = Options::new().stall_limit(Some(Duration::from_millis(200)));
    let queue = options.open_fd(&full).expect("a queue");
    let taken = (0..1000)
        .filter(|n| queue.writen(line(*n).as_bytes(), Flags::WAITOK).is_ok())
        .count();
    let errno = queue.flush().map_or_else(|error| error.errno(), |()| 0);
    let told = if errno == libc::ENOSPC {
        "ENOSPC"
    } else {
        "something else"
    };
    let left = queue
        .close(None)
        .map_or_else(|undrained| undrained.bytes, |()| 0);
    format!(
        "flush says {told}, close that {left} of {} bytes were not written",
        taken * 32
    )
}

/// Runs `append` in a child of fork(2).
fn forked(append: impl FnOnce() -> bool) -> String {
    // SAFETY: the child calls nothing but `append` and _exit; that this is more than a child of a
    // process with threads may do by the letter of fork(2) is what is tried here.
    match unsafe { libc::fork() } {
        0 => {
            let code = i32::from(!append());
            thread::sleep(Duration::from_millis(200)); // time for the writing thread
            // SAFETY: _exit takes an integer and does not return.
            unsafe { libc::_exit(code) }
        }
        child => {
            let mut status = 0;
            // SAFETY: the pointer is to a live integer.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            if status == 0 {
                "every call said Ok"
            } else {
                "not every call said Ok"
            }
            .to_owned()
        }
    }
}

fn allocations_of(mut append: impl FnMut(&[u8])) -> String {
    let lines: Vec<String> = (0..1000).map(line).collect();
    append(lines[0].as_bytes()); // what only the first one needs
    let before = allocations();
    lines.iter().for_each(|line| append(line.as_bytes()));
    (allocations() - before).to_string()
}
