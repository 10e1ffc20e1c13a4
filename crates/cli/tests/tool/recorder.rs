//! Promise: `alq append --recorder` keeps the newest lines and writes nothing but dumps: on a
//! signal, after a line, when the command fails, at the end, and after a kill.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::common::catcher::read;
use crate::common::{
    Running, alq, append, name, numbers, pipe, refused, scratch, wait_for_len, wait_until,
};
use rustix::process::Signal;

/// The line of a dump.
fn head(records: usize, bytes: usize, overwritten: usize, reason: &str) -> String {
    let (unit, verb) = match records {
        1 => ("record", "follows"),
        _ => ("records", "follow"),
    };
    format!(
        "--- {records} {unit} ({bytes} bytes) {verb}; {overwritten} older ones were overwritten; \
         reason: {reason} ---\n"
    )
}

/// `alq append --recorder MORE LOG -- sh -c SCRIPT`.
fn command(more: &[&str], log: &Path, script: &str) -> assert_cmd::Command {
    let args = ["--recorder", "--quiet"].iter().chain(more).copied();
    append(args.chain([name(log), "--", "sh", "-c", script]))
}

#[test]
fn nothing_is_written_without_a_reason() {
    let (_dir, log) = scratch();
    let run = append(["--recorder", name(&log)])
        .write_stdin(numbers(10))
        .assert();
    let run = run.success();
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(
        said.ends_with(", 0 dumped, 0 overwritten, 10 discarded\n"),
        "{said}"
    );
    assert_eq!(read(&log), "");
}

#[test]
fn the_newest_lines_are_written_at_the_end_if_asked_for() {
    let (_dir, log) = scratch();
    let mut input = numbers(1000);
    input.extend(b"the last one"); // it gets a newline
    let run = append([
        "--recorder",
        "--dump-at-end",
        "--capacity",
        "4K",
        name(&log),
    ])
    .write_stdin(input)
    .assert();
    run.success();
    let text = read(&log);
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap();
    let kept: Vec<&str> = lines.collect();
    assert_eq!(kept.last(), Some(&"the last one\n"));
    let bytes = kept.iter().map(|line| line.len()).sum();
    assert_eq!(
        first,
        head(kept.len(), bytes, 1001 - kept.len(), "the end of input")
    );
    for (line, number) in kept.iter().rev().skip(1).zip((1..=1000).rev()) {
        assert_eq!(*line, format!("{number}\n"));
    }
    assert!(kept.len() > 40, "{}", kept.len());
}

#[test]
fn a_line_with_a_text_is_the_end_of_a_dump() {
    let (_dir, log) = scratch();
    let args = [
        "--recorder",
        "--dump-on",
        "ERROR",
        "--dump-on",
        "panicked",
        name(&log),
    ];
    let input = "a\nb\nan ERROR\nc\nit panicked\nd\n";
    append(args).write_stdin(input).assert().success();
    let expected = [
        &head(3, 13, 0, "a line with ERROR"),
        "a\nb\nan ERROR\n",
        &head(2, 14, 0, "a line with panicked"),
        "c\nit panicked\n",
    ];
    assert_eq!(read(&log), expected.concat());
}

/// The input is in the middle of a line, which may never end.
#[test]
fn a_signal_makes_a_dump_at_once_and_ends_nothing() {
    let (_dir, log) = scratch();
    let (reader, writer) = pipe();
    let mut input = File::from(writer);
    let mut tool = Running::append(["--recorder", "--quiet", name(&log)], reader);
    input.write_all(b"one\ntwo\nhal").unwrap();
    wait_until("input that is read", || {
        rustix::io::ioctl_fionread(&input).unwrap() == 0
    });
    tool.request(Signal::USR2);
    let first = head(2, 8, 0, "SIGUSR2") + "one\ntwo\n";
    wait_for_len(&log, first.len() as u64);
    input.write_all(b"f\nthree\n").unwrap();
    drop(input);
    assert!(tool.end().success());
    assert_eq!(read(&log), first); // the rest is in no dump
}

#[test]
fn a_command_that_fails_is_dumped_and_one_that_does_not_is_not() {
    let cases = [
        ("exit 0", 0, None),
        ("kill -TERM $$", 143, None),
        ("exit 3", 3, Some("the command ended with exit code 3")),
        (
            "kill -SEGV $$",
            139,
            Some("the command was ended by SIGSEGV"),
        ),
    ];
    for (end, code, reason) in cases {
        let (_dir, log) = scratch();
        let script = format!("echo one; echo two; {end}");
        command(&[], &log, &script).assert().code(code);
        let expected = reason.map(|reason| head(2, 8, 0, reason) + "one\ntwo\n");
        assert_eq!(read(&log), expected.unwrap_or_default(), "{end}");
    }
}

#[test]
fn the_next_run_writes_what_a_killed_one_has_kept() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    let args = [
        "--recorder",
        "--ring-on-disk",
        "--ring",
        name(&ring),
        name(&log),
    ];
    let (reader, writer) = pipe();
    let mut input = File::from(writer);
    let mut tool = Running::append(args, reader);
    input.write_all(b"one\ntwo\n").unwrap();
    wait_until("lines in the ring", || {
        let run = alq(["stat", "--json", name(&ring)]).output().unwrap();
        String::from_utf8_lossy(&run.stdout).contains("\"pending_bytes\":8")
    });
    tool.0.kill().unwrap();
    tool.end();
    assert_eq!(read(&log), "");
    let run = append(args).write_stdin("three\n").assert().success();
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("8 bytes of an earlier run are dumped first"),
        "{said}"
    );
    assert_eq!(
        read(&log),
        head(2, 8, 0, "the process was killed") + "one\ntwo\n"
    );
}

#[test]
fn the_line_of_a_dump_has_a_stamp_if_lines_have_one() {
    let (_dir, log) = scratch();
    let args = ["--recorder", "--timestamp=%Y", "--dump-at-end", name(&log)];
    append(args).write_stdin("one\n").assert().success();
    let text = read(&log);
    let (stamp, rest) = text.split_once(' ').unwrap();
    assert_eq!(stamp.len(), 4);
    assert_eq!(rest, head(1, 9, 0, "the end of input") + stamp + " one\n");
}

#[test]
fn a_dump_on_a_full_disk_is_an_error_at_the_end() {
    let args = [
        "--recorder",
        "--stall-limit",
        "0.3",
        "--dump-on",
        "2",
        "/dev/full",
    ];
    let run = append(args).write_stdin(numbers(3)).assert().code(1);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(said.contains("No space left on device"), "{said}");
}

#[test]
fn options_that_contradict_a_recorder_are_refused() {
    let (_dir, log) = scratch();
    let log = name(&log);
    for (more, part) in [
        (&["--framing", "raw"][..], "whole records"),
        (&["--framing", "checked"], "--framing checked"),
        (&["--when-full", "drop"], "never waits"),
        (&["--fsync"], "--fsync"),
        (&["--sync-every", "1"], "--sync-every"),
    ] {
        let args = [&["--recorder", log], more].concat();
        refused(&mut append(args), 2, &[part]);
    }
    for args in [&["--dump-at-end", log][..], &["--dump-on", "x", log]] {
        append(args).assert().code(2);
    }
    assert!(!Path::new(log).exists());
}
