//! Promise: a signal ends the reading; everything that was read is still written.
//!
//! Every test holds an end of the input pipe, so that it knows what the tool has read: everything
//! that was fed, less what is still in the pipe.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::common::{
    ALQ, Running, assert_same, fifo, numbers, pipe, scratch, wait_for_len, wait_until,
};
use rustix::fs::OFlags;
use rustix::pipe::fcntl_getpipe_size;
use rustix::process::Signal;
use tempfile::TempDir;

/// A thread that feeds a pipe with numbers until it is stopped.
struct Feeder {
    stop: Arc<AtomicBool>,
    /// The number of bytes that were fed.
    count: Arc<AtomicUsize>,
    fed: JoinHandle<Vec<u8>>,
    /// The reading end of the test.
    rest: File,
}

impl Feeder {
    /// The feeder, and the input for the tool.
    fn start() -> (Self, OwnedFd) {
        let (reader, writer) = pipe();
        let rest = File::from(reader.try_clone().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let fed = thread::spawn({
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            move || feed(&mut File::from(writer), &stop, &count)
        });
        let feeder = Self {
            stop,
            count,
            fed,
            rest,
        };
        (feeder, reader)
    }

    /// Returns what the tool has read. The tool must have ended.
    fn read_by_tool(mut self) -> Vec<u8> {
        self.stop.store(true, Ordering::Relaxed);
        let mut unread = Vec::new();
        self.rest.read_to_end(&mut unread).unwrap(); // until the feeder has closed its end
        let mut fed = self.fed.join().unwrap();
        assert!(fed.ends_with(&unread), "the tool read in order");
        fed.truncate(fed.len() - unread.len());
        fed
    }
}

fn feed(writer: &mut File, stop: &AtomicBool, count: &AtomicUsize) -> Vec<u8> {
    let mut fed = Vec::new();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let from = fed.len();
        for line in number * 1000..(number + 1) * 1000 {
            writeln!(fed, "{line}").unwrap();
        }
        if writer.write_all(&fed[from..]).is_err() {
            break; // the test is over
        }
        count.store(fed.len(), Ordering::Relaxed);
    }
    fed
}

#[test]
fn a_signal_ends_a_tool_that_waits_for_input() {
    for signal in [Signal::INT, Signal::TERM] {
        let (_dir, log) = scratch();
        let (reader, writer) = pipe();
        let mut tool = Running::append([&log], reader);
        let bytes = numbers(5000);
        let mut writer = File::from(writer);
        writer.write_all(&bytes).unwrap();
        wait_for_len(&log, bytes.len() as u64);
        tool.signal(signal);
        let status = tool.end();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        assert_same(&fs::read(&log).unwrap(), &bytes);
        let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
        let start = format!("alq: {} bytes, 5000 lines, ", bytes.len());
        assert!(said.starts_with(&start), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// Sends the signal during endless input. Everything that was read must be written.
fn under_load(args: &[&str], signal: Signal) {
    let (_dir, log) = scratch();
    let (feeder, input) = Feeder::start();
    let mut tool = Running::append(args.iter().map(Path::new).chain([&*log]), input);
    wait_for_len(&log, 100_000);
    tool.signal(signal);
    let status = tool.end();
    assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
    assert_same(&fs::read(&log).unwrap(), &feeder.read_by_tool());
}

#[test]
fn what_was_read_under_load_is_written() {
    under_load(&[], Signal::TERM);
    under_load(&["--quiet", "--capacity=4096"], Signal::INT);
}

#[test]
fn no_signal_loses_what_was_read() {
    // SIGQUIT, too, which may leave a core file.
    for signal in [
        Signal::HUP,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::VTALARM,
    ] {
        under_load(&["--quiet"], signal);
    }
}

#[test]
fn a_signal_that_comes_before_it_is_ready_waits() {
    let (_dir, log) = scratch();
    let (reader, writer) = pipe();
    let mut tool = Running::append([Path::new("--line"), Path::new("--quiet"), &log], reader);
    // As soon as main has begun.
    let status = format!("/proc/{}/status", tool.0.id());
    let blocked = || {
        let status = fs::read_to_string(&status).unwrap();
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:\t"))
            .unwrap();
        u64::from_str_radix(mask, 16).unwrap()
    };
    wait_until("blocked signals", || blocked() >> 9 & 1 == 1);
    for signal in [Signal::USR1, Signal::HUP, Signal::ALARM] {
        tool.signal(signal);
    }
    let mut writer = File::from(writer);
    writer.write_all(b"it lives\n").unwrap();
    drop(writer);
    assert!(tool.end().success());
    assert_eq!(fs::read(&log).unwrap(), b"it lives\n");
}

#[test]
fn a_fifo_without_a_reader_does_not_keep_it() {
    let (dir, _) = scratch();
    let (path, reader) = fifo(&dir);
    drop(reader);
    let (input, _writer) = pipe();
    let mut tool = Running::append([&path], input);
    let task = format!("/proc/{}/task", tool.0.id());
    wait_until("the thread of signals", || {
        fs::read_dir(&task).is_ok_and(|tasks| tasks.count() > 1)
    });
    tool.signal(Signal::TERM);
    assert_eq!(tool.end().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn until_eof_goes_on_to_the_end_of_input() {
    for more in [&["--until-eof"][..], &["--until-eof", "--line"]] {
        let (_dir, log) = scratch();
        let (reader, writer) = pipe();
        let mut tool = Running::append(more.iter().map(Path::new).chain([&*log]), reader);
        let mut writer = File::from(writer);
        writer.write_all(b"before\n").unwrap();
        wait_for_len(&log, 7);
        for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
            tool.signal(signal);
        }
        writer.write_all(b"the last\n").unwrap();
        wait_for_len(&log, 16);
        drop(writer);
        assert!(tool.end().success());
        assert_eq!(fs::read(&log).unwrap(), b"before\nthe last\n");
    }
}

#[test]
fn until_eof_ends_by_sigquit() {
    let (_dir, log) = scratch();
    let (reader, writer) = pipe();
    // No core file.
    let mut command = Command::new("sh");
    let script = r#"ulimit -c 0; exec "$0" append --until-eof "$1""#;
    command.args(["-c", script, ALQ]).arg(&log);
    let mut tool = Running::start(&mut command, reader);
    let mut writer = File::from(writer);
    writer.write_all(b"read\n").unwrap();
    wait_for_len(&log, 5);
    tool.signal(Signal::QUIT);
    assert_eq!(tool.end().signal(), Some(Signal::QUIT.as_raw()));
    assert_eq!(fs::read(&log).unwrap(), b"read\n");
}

#[test]
fn a_limit_of_the_size_of_files_is_an_error() {
    let (dir, log) = scratch();
    let source = dir.path().join("source");
    fs::write(&source, numbers(100_000)).unwrap();
    let mut command = Command::new("sh");
    // In blocks of 512 bytes.
    let script = r#"ulimit -f 100; exec "$0" append "$1""#;
    command.args(["-c", script, ALQ]).arg(&log);
    let mut tool = Running::start(&mut command, File::open(&source).unwrap());
    assert_eq!(tool.end().code(), Some(1));
    let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
    assert!(said.contains("File too large"), "{said}");
}

/// A tool whose FIFO is full and not read.
fn stuck(dir: &TempDir, stderr: impl Into<Stdio>) -> (Running, Feeder, File) {
    let (path, reader) = fifo(dir);
    let (feeder, input) = Feeder::start();
    let mut command = Command::new(ALQ);
    command.args(["append", "--quiet", "--capacity=256K"]);
    command.arg(&path).stdin(input).stderr(stderr);
    let tool = Running(command.spawn().unwrap());
    // The bytes that neither pipe can hold must be in the ring of the tool.
    let sizes = [&reader, &feeder.rest].map(|end| fcntl_getpipe_size(end).unwrap());
    let both: usize = sizes.iter().sum();
    wait_until("more than fits into both pipes", || {
        feeder.count.load(Ordering::Relaxed) > both
    });
    (tool, feeder, reader)
}

/// Sends the signal and waits until the tool says that it cannot end.
fn signal_in_vain(tool: &mut Running, signal: Signal) {
    tool.signal(signal);
    let mut said = String::new();
    let stderr = tool.0.stderr.as_mut().unwrap();
    BufReader::new(stderr).read_line(&mut said).unwrap();
    assert!(said.contains("another signal gives them up"), "{said}");
    assert!(tool.is_alive());
}

#[test]
fn a_second_signal_ends_a_stuck_drain() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT)] {
        let (dir, _) = scratch();
        let (mut tool, _feeder, _reader) = stuck(&dir, Stdio::piped());
        signal_in_vain(&mut tool, first);
        tool.signal(second);
        let status = tool.end();
        assert_eq!(status.signal(), Some(second.as_raw()), "{status}");
    }
}

#[test]
fn a_second_signal_ends_it_also_when_nobody_reads_standard_error() {
    let (dir, _) = scratch();
    let (_screen, full) = pipe();
    rustix::fs::fcntl_setfl(&full, OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&full, &[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&full, OFlags::empty()).unwrap();
    let (mut tool, _feeder, _reader) = stuck(&dir, full);
    tool.signal(Signal::TERM);
    // The tool cannot report the end of the grace, so the test sends the signal repeatedly.
    wait_until("death", || {
        thread::sleep(Duration::from_millis(50));
        tool.signal(Signal::TERM);
        !tool.is_alive()
    });
}

#[test]
fn a_drain_that_gets_unstuck_is_finished() {
    let (dir, _) = scratch();
    let (mut tool, feeder, mut reader) = stuck(&dir, Stdio::piped());
    signal_in_vain(&mut tool, Signal::TERM);
    let mut found = Vec::new();
    reader.read_to_end(&mut found).unwrap();
    let status = tool.end();
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{status}");
    assert_same(&found, &feeder.read_by_tool());
}

#[test]
fn one_request_that_comes_as_two_signals_loses_nothing() {
    let (dir, _) = scratch();
    let (mut tool, feeder, mut reader) = stuck(&dir, Stdio::piped());
    // Two different signals, because the kernel may merge two equal ones.
    tool.signal(Signal::TERM);
    tool.signal(Signal::INT);
    let mut found = Vec::new();
    reader.read_to_end(&mut found).unwrap(); // well within the grace
    let status = tool.end();
    assert!(status.signal().is_some(), "{status}");
    assert_same(&found, &feeder.read_by_tool());
}

/// Starts the tool with the signals `names` ignored, and sends all of them.
fn ignoring(names: &str, signals: &[Signal]) {
    let (_dir, log) = scratch();
    let (reader, writer) = pipe();
    let mut command = Command::new("sh");
    let script = format!(r#"trap "" {names}; exec "$0" append "$1""#);
    command.args(["-c", &script, ALQ]).arg(&log);
    let mut tool = Running::start(&mut command, reader);
    let mut writer = File::from(writer);
    writer.write_all(b"before\n").unwrap();
    wait_for_len(&log, 7);
    for &signal in signals {
        tool.signal(signal);
    }
    writer.write_all(b"after\n").unwrap();
    wait_for_len(&log, 13);
    drop(writer);
    assert!(tool.end().success());
}

#[test]
fn an_ignored_signal_stays_ignored() {
    ignoring("INT", &[Signal::INT]);
    ignoring("INT TERM", &[Signal::INT, Signal::TERM]);
}
