//! Promise: the progress line appears only on a terminal, is cleared before any message, and is
//! drawn at most ten times a second.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::terminal::{OnTerminal, terminal};
use crate::common::{ALQ, assert_same, fifo, numbers, pipe, scratch};

/// The bytes that clear a line: move to its start, and delete it.
const CLEARED: &str = "\r\x1b[2K";

/// `alq append` with its standard error on a terminal.
fn start(test: &str, args: &[&Path], stdin: impl Into<Stdio>) -> Option<OnTerminal> {
    OnTerminal::start(test, |line| {
        let mut command = Command::new(ALQ);
        command.arg("append").args(args).stdin(stdin).stderr(line);
        command
    })
}

/// The line that stays on the screen: the one after the last clearing.
#[track_caller]
fn last_line(shown: &str) -> &str {
    let (before, last) = shown.rsplit_once(CLEARED).expect(shown);
    assert!(!before.contains('\n'), "{shown:?}");
    assert_eq!(last.matches('\n').count(), 1, "{shown:?}");
    last.trim_end()
}

#[test]
fn a_pipe_shows_bytes_rate_and_fill_and_is_cleared_before_the_summary() {
    let test = "a_pipe_shows_bytes_rate_and_fill_and_is_cleared_before_the_summary";
    let (_dir, log) = scratch();
    let (reader, writer) = pipe();
    let Some(tool) = start(test, &[&log], reader) else {
        return;
    };
    let mut writer = File::from(writer);
    let started = Instant::now();
    for _ in 0..200 {
        writer.write_all(&[b'x'; 10_000]).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    drop(writer);
    let (code, shown) = tool.end();
    let most = started.elapsed().as_millis() / 100 + 2;
    assert_eq!(code, Some(0), "{shown:?}");
    let drawn = shown.matches("B/s, ring ").count();
    assert!((2..=most).contains(&(drawn as u128)), "{drawn}: {shown:?}");
    assert!(shown.contains(" % full"), "{shown:?}");
    let summary = last_line(&shown);
    assert!(
        summary.starts_with("alq: 2000000 bytes, 0 lines, "),
        "{summary}"
    );
}

#[test]
fn a_file_shows_the_total_and_the_time_left() {
    let test = "a_file_shows_the_total_and_the_time_left";
    let (dir, _) = scratch();
    let source = dir.path().join("source");
    let bytes = numbers(300_000); // more than the ring and the FIFO hold
    fs::write(&source, &bytes).unwrap();
    let (log, mut reader) = fifo(&dir);
    let Some(tool) = start(test, &[&log], File::open(&source).unwrap()) else {
        return;
    };
    tool.wait_for(" left");
    let mut found = Vec::new();
    reader.read_to_end(&mut found).unwrap();
    let (code, shown) = tool.end();
    assert_eq!(code, Some(0), "{shown:?}");
    assert_same(&found, &bytes);
    let total = format!(" of {:.2} MB, ", bytes.len() as f64 / 1e6);
    assert!(shown.contains(&total), "{shown:?}");
    assert!(last_line(&shown).contains(" 300000 lines, "), "{shown:?}");
}

#[test]
fn it_is_cleared_before_an_error() {
    let test = "it_is_cleared_before_an_error";
    let (reader, writer) = pipe();
    let Some(tool) = start(
        test,
        &[Path::new("--stall-limit=0.2"), Path::new("/dev/full")],
        reader,
    ) else {
        return;
    };
    let mut writer = File::from(writer);
    tool.wait_for(" full");
    writer.write_all(b"hello\n").unwrap();
    drop(writer);
    let (code, shown) = tool.end();
    assert_eq!(code, Some(1), "{shown:?}");
    // Two messages: the stall, above the line, and the failure.
    let (before, last) = shown.rsplit_once(CLEARED).expect(&shown);
    assert_eq!(before.matches('\n').count(), 1, "{shown:?}");
    assert!(
        before.contains("alq: /dev/full: No space left"),
        "{shown:?}"
    );
    assert!(last.starts_with("alq: /dev/full: no room for"), "{shown:?}");
}

#[test]
fn quiet_shows_nothing() {
    let (_dir, log) = scratch();
    let (reader, writer) = pipe();
    let args = [Path::new("--quiet"), &log];
    let Some(tool) = start("quiet_shows_nothing", &args, reader) else {
        return;
    };
    let mut writer = File::from(writer);
    writer.write_all(b"hello\n").unwrap();
    thread::sleep(Duration::from_millis(150));
    drop(writer);
    assert_eq!(tool.end(), (Some(0), String::new()));
}

#[test]
fn input_from_a_terminal_is_not_disturbed() {
    let test = "input_from_a_terminal_is_not_disturbed";
    let (_dir, log) = scratch();
    let Some((mut keyboard, input)) = terminal(test) else {
        return;
    };
    let Some(tool) = start(test, &[&log], input) else {
        return;
    };
    keyboard.write_all(b"typed\n").unwrap();
    thread::sleep(Duration::from_millis(150));
    keyboard.write_all(b"\x04").unwrap(); // end of input
    let (code, shown) = tool.end();
    assert_eq!(code, Some(0), "{shown:?}");
    assert!(
        shown.starts_with("alq: 6 bytes, 1 lines, "),
        "no progress line: {shown:?}"
    );
    assert_eq!(fs::read(&log).unwrap(), b"typed\n");
}
