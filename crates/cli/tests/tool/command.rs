//! Promise: `alq append FILE -- command` catches the lines of the command, passes signals on to it,
//! and returns its exit code.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::catcher::read;
use crate::common::{
    ALQ, Running, append, fifo, name, pipe, refused, scratch, wait_for_len, wait_until,
};
use rustix::process::{Pid, Signal, kill_process};

/// Builds `alq append MORE LOG -- sh -c SCRIPT`.
fn start(more: &[&str], log: &Path, script: &str) -> Running {
    let (input, _) = pipe();
    let args = more
        .iter()
        .copied()
        .chain(["--quiet", name(log), "--", "sh", "-c", script]);
    Running::append(args, input)
}

/// Returns true if this system lets the test create namespaces.
fn unshare(test: &str) -> Option<Command> {
    let mut command = Command::new("unshare");
    command.args(["-pf", "--mount-proc"]);
    let mut tried = Command::new("unshare");
    tried
        .args(["-pf", "--mount-proc", "true"])
        .stderr(Stdio::null());
    if tried.status().is_ok_and(|status| status.success()) {
        return Some(command);
    }
    println!("{test}: skipped, no namespace can be made here");
    None
}

/// The process that `unshare` has started.
fn inside(unshare: &Running) -> Pid {
    let pid = unshare.0.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let child = || fs::read_to_string(&children).unwrap().trim().parse().ok();
    wait_until("a process inside", || child().is_some());
    Pid::from_raw(child().unwrap()).unwrap()
}

#[test]
fn both_streams_are_caught_and_the_exit_code_is_that_of_the_command() {
    for (script, code) in [
        ("echo out; echo err >&2; printf open", 0),
        ("echo out; echo err >&2; printf open; exit 7", 7),
        ("echo out; echo err >&2; printf open; kill -9 $$", 137),
        ("echo out; echo err >&2; printf open; kill $$", 143),
    ] {
        let (_dir, log) = scratch();
        let run = append(["--quiet", name(&log), "--", "sh", "-c", script]).assert();
        run.code(code).stdout("").stderr("");
        let found = read(&log);
        let mut lines: Vec<&str> = found.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "open", "out"]);
        assert!(
            found.ends_with('\n'),
            "a last line gets a newline: {found:?}"
        );
    }
}

#[test]
fn lines_of_both_streams_stay_whole() {
    // Each stream gets its lines in halves, and one line that is longer than a pipe and longer than
    // --line-max.
    let script = r#"
        halves() { i=0; while [ $i -lt 500 ]; do printf "$1 "; printf "%s\n" $i; i=$((i+1)); done; }
        halves a & halves b >&2 & wait; head -c 200000 /dev/zero | tr '\0' x; echo"#;
    let (_dir, log) = scratch();
    append(["--quiet", name(&log), "--", "sh", "-c", script])
        .assert()
        .success();
    let found = read(&log);
    for stream in ["a", "b"] {
        let numbers = found.lines().filter_map(|line| line.strip_prefix(stream));
        let numbers: Vec<u32> = numbers
            .map(|number| number.trim().parse().unwrap())
            .collect();
        assert!(numbers.iter().copied().eq(0..500), "{stream}");
    }
    let long: Vec<&str> = found.lines().filter(|line| line.starts_with('x')).collect();
    assert_eq!(long.concat().len(), 200_000);
    assert!(long.iter().all(|line| line.len() <= 64 << 10));
    assert_eq!(found.lines().count(), 1000 + long.len());
}

#[test]
fn standard_input_is_the_commands() {
    let (_dir, log) = scratch();
    append(["--quiet", name(&log), "--", "cat"])
        .write_stdin("typed\n")
        .assert()
        .success();
    assert_eq!(read(&log), "typed\n");
}

#[test]
fn signals_are_passed_on_and_what_the_command_says_then_is_caught() {
    for (signal, trap) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR2, "USR2"),
    ] {
        let (_dir, log) = scratch();
        let script = format!(
            "trap 'echo got {trap}; exit 3' {trap}; echo ready; while :; do sleep 0.01; done"
        );
        let mut tool = start(&[], &log, &script);
        wait_for_len(&log, 6);
        tool.signal(signal);
        assert_eq!(tool.end().code(), Some(3));
        assert_eq!(read(&log), format!("ready\ngot {trap}\n"));
    }
}

#[test]
fn a_command_that_ignores_a_signal_goes_on() {
    let (dir, log) = scratch();
    let (path, reader) = fifo(&dir);
    drop(reader);
    let script = format!(
        "trap '' TERM; echo ready; read word <{}; echo $word",
        name(&path)
    );
    let mut tool = start(&[], &log, &script);
    wait_for_len(&log, 6);
    tool.signal(Signal::TERM);
    tool.signal(Signal::TERM);
    fs::write(&path, "still here\n").unwrap();
    assert_eq!(tool.end().code(), Some(0));
    assert_eq!(read(&log), "ready\nstill here\n");
}

#[test]
fn the_signals_of_a_catcher_stay_its_own() {
    let (dir, log) = scratch();
    let (path, reader) = fifo(&dir);
    drop(reader);
    let old = dir.path().join("old");
    let script = format!("echo one; read word <{}; echo $word", name(&path));
    let mut tool = start(&[], &log, &script);
    wait_for_len(&log, 4);
    fs::rename(&log, &old).unwrap();
    tool.signal(Signal::HUP);
    wait_until("a new file", || log.exists());
    fs::write(&path, "two\n").unwrap();
    assert_eq!(tool.end().code(), Some(0));
    assert_eq!(
        (read(&old), read(&log)),
        ("one\n".to_owned(), "two\n".to_owned())
    );
}

#[test]
fn a_command_that_cannot_be_started_has_the_codes_of_a_shell() {
    let (dir, log) = scratch();
    let log = name(&log);
    refused(
        &mut append([log, "--", "/no/such"]),
        127,
        &["/no/such", "No such file"],
    );
    refused(
        &mut append([log, "--", "/etc/passwd"]),
        126,
        &["/etc/passwd", "Permission denied"],
    );
    let mark = dir.path().join("mark");
    let nowhere = dir.path().join("missing/log");
    let mut command = append([name(&nowhere), "--", "touch", name(&mark)]);
    refused(&mut command, 125, &[name(&nowhere), "No such file"]);
    assert!(!mark.exists(), "without a log, nothing is started");
}

#[test]
fn a_log_that_fails_is_said_and_the_command_goes_on() {
    let (dir, _) = scratch();
    let mark = dir.path().join("mark");
    let script = format!(
        "trap '' PIPE; echo lost; sleep 0.6; echo lost; touch {}",
        name(&mark)
    );
    let run = append(["--stall-limit=0.2", "/dev/full", "--", "sh", "-c", &script]).assert();
    let run = run.code(125);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(said.contains("No space left"), "{said}");
    assert!(mark.exists());
}

#[test]
fn processes_that_the_command_leaves_behind_are_waited_for_only_if_asked() {
    let (dir, log) = scratch();
    let (path, reader) = fifo(&dir);
    drop(reader);
    // This process holds the streams of the command open until the test writes to the FIFO.
    let script = format!("cat {} & echo first; exit 4", name(&path));
    assert_eq!(start(&[], &log, &script).end().code(), Some(4));
    assert_eq!(read(&log), "first\n");
    fs::write(&path, "nobody reads it\n").unwrap();

    let mut tool = start(&["--until-eof"], &log, &script);
    wait_for_len(&log, 12);
    assert!(tool.is_alive());
    fs::write(&path, "late\n").unwrap();
    assert_eq!(tool.end().code(), Some(4));
    assert_eq!(read(&log), "first\nfirst\nlate\n");
}

#[test]
fn process_1_ends_by_signals_with_128_and_their_number() {
    let Some(mut unshare) = unshare("process_1_ends_by_signals") else {
        return;
    };
    let (dir, _) = scratch();
    for (number, signal) in [Signal::TERM, Signal::INT].into_iter().enumerate() {
        let log = dir.path().join(number.to_string());
        let (reader, writer) = pipe();
        let mut command = Command::new(unshare.get_program());
        command
            .args(unshare.get_args())
            .args([ALQ, "append", "--quiet"])
            .arg(&log);
        let mut tool = Running::start(&mut command, reader);
        std::io::Write::write_all(&mut File::from(writer.try_clone().unwrap()), b"one\n").unwrap();
        wait_for_len(&log, 4);
        kill_process(inside(&tool), signal).unwrap();
        assert_eq!(tool.end().code(), Some(128 + signal.as_raw()));
        assert_eq!(read(&log), "one\n");
    }
    // A second signal, with a log that accepts no data.
    let (reader, writer) = pipe();
    let args = [ALQ, "append", "--quiet", "--line", "/dev/full"];
    let mut tool = Running::start(unshare.args(args), reader);
    std::io::Write::write_all(&mut File::from(writer), b"one\n").unwrap();
    let pid = inside(&tool);
    wait_until("its end", || {
        let _ = kill_process(pid, Signal::TERM);
        std::thread::sleep(std::time::Duration::from_millis(50));
        !tool.is_alive()
    });
    assert_eq!(tool.end().code(), Some(143));
}

#[test]
fn process_1_reaps_orphans() {
    let Some(mut unshare) = unshare("process_1_reaps_orphans") else {
        return;
    };
    let (_dir, log) = scratch();
    // The first shell leaves a process that ends at once; process 1 inherits it. The second waits
    // until it is the only child of process 1.
    let script = "sh -c 'true & exit'
        until [ $(cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') . 1 ') = 1 ]; do :; done
        cat /proc/[0-9]*/stat
        exit 6";
    unshare.args([
        ALQ,
        "append",
        "--quiet",
        name(&log),
        "--",
        "sh",
        "-c",
        script,
    ]);
    let (input, _) = pipe();
    let mut tool = Running::start(&mut unshare, input);
    assert_eq!(tool.end().code(), Some(6));
    let found = read(&log);
    assert!(found.starts_with("1 (alq) "), "{found}");
    assert!(!found.contains(" Z "), "{found}");
}

/// The ENTRYPOINT of an image ends with `--`, and there is no CMD.
#[test]
fn two_dashes_without_a_command_are_refused() {
    let (_dir, log) = scratch();
    let run = append([name(&log), "--"]).write_stdin("x").assert().code(2);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(
        said.starts_with("alq: --: no command comes after it"),
        "{said}"
    );
    assert!(!log.exists());
}
