//! Promise: `alq stat --watch` shows a screen on a terminal and lines elsewhere, until a signal
//! comes or the ring file is removed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::ring::Stuck;
use crate::common::terminal::OnTerminal;
use crate::common::{ALQ, Running, alq, name, refused, scratch, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// Builds `alq stat --watch` with a hundred readings per second.
fn watch(ring: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(ALQ);
    command.args(["stat", "--watch", "--interval=0.01"]);
    command.args(options).arg(ring).stdin(Stdio::null());
    command
}

/// The screen of a terminal after these bytes. The tool only moves up and clears lines.
fn screen(shown: &str) -> Vec<String> {
    let (mut lines, mut at) = (vec![String::new()], 0);
    let mut rest = shown;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '\n' => {
                at += 1;
                lines.resize_with(lines.len().max(at + 1), String::new);
            }
            '\r' => {}
            '\x1b' => {
                let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) else {
                    break; // the rest is still to come
                };
                let count = rest[1..end].parse().unwrap_or(1);
                match rest.as_bytes()[end] {
                    b'A' => at -= count,
                    b'B' => at += count,
                    b'K' => lines[at].clear(),
                    other => panic!("{:?} in {shown:?}", char::from(other)),
                }
                rest = &rest[end + 1..];
            }
            other => lines[at].push(other),
        }
    }
    lines
}

/// The line of a screen with this label, if there is exactly one.
fn row(lines: &[String], label: &str) -> Option<String> {
    let mut rows = lines.iter().filter_map(|line| line.strip_prefix(label));
    let row = rows.next()?.trim().to_owned();
    rows.next().is_none().then_some(row)
}

/// Waits until the screen has such a line. Until then it may be half drawn.
fn wait_for_row(tool: &OnTerminal, label: &str, is_it: impl Fn(&str) -> bool) {
    wait_until(label, || {
        row(&screen(&tool.shown()), label).is_some_and(|row| is_it(&row))
    });
}

#[test]
fn a_screen_is_drawn_over_and_says_who_goes() {
    let test = "a_screen_is_drawn_over_and_says_who_goes";
    let mut stuck = Stuck::start();
    stuck.feed("hello\n");
    let ring = stuck.ring.clone();
    let on = |line| {
        let mut command = watch(&ring, &[]);
        command.stdout(line).stderr(Stdio::piped());
        command
    };
    let Some(mut tool) = OnTerminal::start(test, on) else {
        return;
    };
    tool.wait_for("EAGAIN, for ");
    tool.wait_for("nothing has been written for ");
    let pid = stuck.tool.0.id();
    wait_for_row(&tool, "owner", |row| row == format!("process {pid}"));
    wait_for_row(&tool, "pending", |row| row == "6 bytes in 1 spans");
    wait_for_row(&tool, "fill", |row| row.starts_with('▕'));
    let left = stuck.kill();
    let gone = format!("no process; {pid} has gone");
    wait_for_row(&tool, "owner", |row| row == gone);
    fs::remove_file(&left.ring).unwrap();
    let mut said = String::new();
    let mut stderr = tool.tool.0.stderr.take().unwrap();
    let (code, shown) = tool.end();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(
        said,
        format!(
            "alq: {}: the ring file has been removed\n",
            left.ring.display()
        )
    );
    assert_eq!(code, Some(1));
    let lines = screen(&shown);
    assert_eq!(
        row(&lines, "owner").as_ref(),
        Some(&gone),
        "the last look stays"
    );
    assert_eq!(
        lines.last().map(String::as_str),
        Some(""),
        "the next line is free"
    );
}

#[test]
fn a_screen_that_is_ended_leaves_its_last_look() {
    let test = "a_screen_that_is_ended_leaves_its_last_look";
    let stuck = Stuck::start();
    let on = |line| {
        let mut command = watch(&stuck.ring, &[]);
        command.stdout(line);
        command
    };
    let Some(mut tool) = OnTerminal::start(test, on) else {
        return;
    };
    tool.wait_for("\x1b["); // it has drawn twice
    tool.tool.signal(Signal::INT);
    let status = tool.tool.end();
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()));
    let (_, shown) = tool.end();
    let lines = screen(&shown);
    assert!(row(&lines, "owner").is_some(), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some(""), "{lines:?}");
}

#[test]
fn elsewhere_each_look_is_a_line() {
    let mut stuck = Stuck::start();
    stuck.feed("hello\n");
    let mut command = watch(&stuck.ring, &[]);
    let mut tool = Running::start(command.stdout(Stdio::piped()), Stdio::null());
    let mut lines = BufReader::new(tool.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let pid = stuck.tool.0.id();
    assert!(first.starts_with("fill 0 % ("), "{first}");
    assert!(first.ends_with(&format!("process {pid}")), "{first}");
    let stalled = lines.find(|line| line.as_ref().unwrap().contains("stall EAGAIN, for "));
    let stalled = stalled.unwrap().unwrap();
    assert!(
        !stalled.contains('\x1b') && stalled.contains("written 0 B/s"),
        "{stalled}"
    );
    let left = stuck.kill();
    let gone = lines.find(|line| line.as_ref().unwrap().contains("has gone"));
    assert!(
        gone.unwrap()
            .unwrap()
            .ends_with(&format!("no process; {pid} has gone"))
    );
    tool.signal(Signal::TERM);
    assert_eq!(tool.end().signal(), Some(Signal::TERM.as_raw()));
    let mut said = String::new();
    tool.0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    let ring = left.ring.display();
    assert_eq!(
        said,
        format!(
            "alq: {ring}: process {pid} has gone, and 6 bytes stay, \
             which `alq recover {ring}` writes\n"
        )
    );
}

#[test]
fn changes_since_the_last_reading_are_shown() {
    let mut stuck = Stuck::start();
    let mut command = watch(&stuck.ring, &["--json"]);
    let mut tool = Running::start(command.stdout(Stdio::piped()), Stdio::null());
    let mut lines = BufReader::new(tool.0.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["pending_bytes"], 0);
    stuck.feed("hello\n");
    wait_until("what was fed", || next()["pending_bytes"] == 6);
    let filler = stuck.filler;
    let read = stuck.reader.read_exact(&mut vec![0; filler]);
    read.unwrap();
    wait_until("what was written", || {
        let look = next();
        look["pending_bytes"] == 0 && look["written_bytes"] == 6 && look["written_records"] == 1
    });
}

#[test]
fn wrong_use_is_refused() {
    let (dir, _) = scratch();
    let missing = dir.path().join("missing");
    let mut command = alq(["stat", "--watch", name(&missing)]);
    refused(&mut command, 1, &["cannot open the ring file"]);
    for interval in ["0", "-1", "soon"] {
        let option = format!("--interval={interval}");
        let mut command = alq(["stat", "--watch", &option, name(&missing)]);
        refused(&mut command, 2, &["--interval", "0.01 to 86400 seconds"]);
    }
    let alone = alq(["stat", "--interval=1", name(&missing)])
        .assert()
        .code(2);
    let said = String::from_utf8_lossy(&alone.get_output().stderr).into_owned();
    assert!(said.contains("--watch"), "{said}");
}
