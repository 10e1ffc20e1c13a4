//! Helpers for the tests of the tool.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

pub mod catcher;
#[path = "../../../../../tests/common/disk.rs"]
pub mod disk;
pub mod ring;
pub mod terminal;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The built tool.
pub const ALQ: &str = env!("CARGO_BIN_EXE_alq");

/// The longest wait of a test for an event, before it fails.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// Creates a temporary folder, and returns it with the path of a log in it.
pub fn scratch() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("out.log");
    (dir, log)
}

/// `alq append ARGS`, to be run by `assert_cmd`.
pub fn append<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> assert_cmd::Command {
    let mut command = alq(["append"]);
    command.args(args);
    command
}

/// `alq ARGS`, to be run by `assert_cmd`.
pub fn alq<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(ALQ);
    command.args(args).timeout(DEADLINE);
    command
}

/// Runs the command, which must fail with `code` and one line that has all `parts`.
#[track_caller]
pub fn refused(command: &mut assert_cmd::Command, code: i32, parts: &[&str]) {
    let run = command.assert().code(code).stdout("");
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("alq: ") && said.ends_with('\n'), "{said}");
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

pub fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A text with lines of all lengths, empty lines, and bytes that are not ASCII.
pub fn text(lines: usize) -> Vec<u8> {
    let mut text = String::new();
    for i in 0..lines {
        text.extend((0..i % 79).map(|k| char::from(b'a' + ((i + k) % 26) as u8)));
        text.push_str(if i % 5 == 0 { " grün\n" } else { "\n" });
    }
    text.into_bytes()
}

/// The numbers from 1 to `last`, one per line.
pub fn numbers(last: usize) -> Vec<u8> {
    use std::io::Write;
    let mut text = Vec::new();
    for i in 1..=last {
        writeln!(text, "{i}").unwrap();
    }
    text
}

/// Waits until `is_so` returns true. Fails the test if that takes too long.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "it did not come: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the file has at least `len` bytes.
pub fn wait_for_len(path: &Path, len: u64) {
    wait_until("bytes in the file", || {
        fs::metadata(path).is_ok_and(|found| found.len() >= len)
    });
}

/// `assert_eq` for long contents: reports where they differ, without printing them.
#[track_caller]
pub fn assert_same(found: &[u8], expected: &[u8]) {
    if found != expected {
        let same = found.iter().zip(expected).take_while(|(a, b)| a == b);
        let (len, expected_len) = (found.len(), expected.len());
        panic!(
            "{len} bytes, not {expected_len}, the same up to {}",
            same.count()
        );
    }
}

/// A FIFO in `dir` and its reading end, which holds it open.
pub fn fifo(dir: &TempDir) -> (PathBuf, File) {
    let path = dir.path().join("fifo");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Without NONBLOCK the open would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let reader = rustix::fs::open(&path, flags, Mode::empty()).unwrap();
    rustix::fs::fcntl_setfl(&reader, OFlags::RDONLY).unwrap();
    (path, reader.into())
}

/// A pipe (reader, writer). No child inherits its ends by accident.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

/// A tool that runs beside the test; killed if the test fails.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// `alq append ARGS` with this standard input, and standard error in a pipe.
    pub fn append<S: AsRef<OsStr>>(
        args: impl IntoIterator<Item = S>,
        stdin: impl Into<Stdio>,
    ) -> Self {
        let mut command = Command::new(ALQ);
        command.arg("append").args(args);
        Self::start(&mut command, stdin)
    }

    pub fn start(command: &mut Command, stdin: impl Into<Stdio>) -> Self {
        let child = command.stdin(stdin).stderr(Stdio::piped()).spawn();
        Self(child.unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Sends a signal that does not end the tool, and waits until its thread for signals has taken
    /// it: the signal is not pending any more, and the thread sleeps again.
    pub fn request(&self, signal: Signal) {
        self.signal(signal);
        let process = format!("/proc/{}", self.0.id());
        let bit = 1_u64 << (signal.as_raw() - 1);
        wait_until("a signal that is taken", || {
            let tasks = fs::read_dir(format!("{process}/task")).unwrap();
            let tasks = tasks.map(|task| status_of(&task.unwrap().path()));
            let is_asleep = |task: &String| {
                field(task, "Name:") == "alq-signals" && field(task, "State:").starts_with('S')
            };
            let pending = status_of(Path::new(&process));
            let pending = u64::from_str_radix(field(&pending, "ShdPnd:"), 16).unwrap();
            pending & bit == 0 && tasks.collect::<Vec<_>>().iter().any(is_asleep)
        });
    }

    pub fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits for the end, which must come in time.
    pub fn end(&mut self) -> ExitStatus {
        wait_until("the end of the tool", || !self.is_alive());
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The status of a process or a thread, by its folder in /proc. Empty if it has ended.
fn status_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("status")).unwrap_or_default()
}

/// The value of a field of a status.
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim()
}
