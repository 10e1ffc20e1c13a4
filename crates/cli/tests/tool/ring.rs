//! Promise: with `alq append --ring`, what was read survives a kill, and each misuse is refused.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use crate::common::ring::{Stuck, left, number, spoil, stat};
use crate::common::{Running, alq, append, name, refused, scratch, wait_until};
use alq::Options;
use rustix::process::Signal;

fn said(run: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(run.get_output().stderr.clone()).unwrap()
}

/// Builds `alq append --ring RING`; the caller adds more arguments.
fn with_ring(ring: &Path) -> assert_cmd::Command {
    let mut command = append([Path::new("--ring-on-disk"), Path::new("--ring"), ring]);
    command.write_stdin("x");
    command
}

#[test]
fn a_ring_file_is_made_and_used_again_with_its_own_capacity() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    with_ring(&ring)
        .args(["--capacity", "8K"])
        .arg(&log)
        .write_stdin("first\n")
        .assert()
        .success();
    assert_eq!(number(&stat(&ring), "capacity_bytes"), 8192);
    for same in [&[][..], &["--capacity=8K"], &["--capacity=5000"]] {
        let run = with_ring(&ring).args(same).arg(&log).assert().success();
        let said = said(&run);
        assert!(said.starts_with("alq: 1 bytes, 0 lines, "), "{said}");
        assert!(said.ends_with(" of 8192 bytes\n"), "{said}");
    }
    assert_eq!(fs::read(&log).unwrap(), b"first\nxxx");
}

#[test]
fn a_pipe_gets_what_a_killed_run_had_read_first() {
    let mut stuck = Stuck::start();
    stuck.feed("one\n");
    stuck.feed("two\n");
    let left = stuck.kill();
    let (mut reader, filler) = left.reader.unwrap();
    // As long as there is no writer, a read would see the end of the FIFO.
    let writer = File::options().write(true).open(&left.log).unwrap();
    let mut tool = Running::append(
        [
            Path::new("--ring-on-disk"),
            Path::new("--ring"),
            &left.ring,
            &left.log,
        ],
        File::open("/dev/null").unwrap(),
    );
    let mut found = vec![0; filler + 8];
    reader.read_exact(&mut found).unwrap();
    assert!(tool.end().success());
    drop(writer);
    assert_eq!(&found[filler..], b"one\ntwo\n");
    assert_eq!(rustix::io::ioctl_fionread(&reader).unwrap(), 0, "once");
    let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
    let start = format!(
        "alq: {}: 8 bytes of an earlier run are appended first",
        name(&left.ring)
    );
    assert!(said.starts_with(&start), "{said}");
    assert!(said.contains("\nalq: 0 bytes, 0 lines, "), "{said}");
}

#[test]
fn a_log_gets_what_was_left_before_what_is_new() {
    let left = left(Options::new(), &["written\n"], &["posted1\n", "posted2\n"]);
    let run = with_ring(&left.ring).arg(&left.log).assert().success();
    let text = fs::read_to_string(&left.log).unwrap();
    assert_eq!(text, "written\nposted1\nposted2\nx");
    let said = said(&run);
    let parts = ["16 bytes of an earlier run", "1 reservations never posted"];
    for part in parts.into_iter().chain(["\nalq: 1 bytes, 0 lines, "]) {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

#[test]
fn standard_output_will_do() {
    let (dir, _) = scratch();
    let ring = dir.path().join("ring");
    let mut command = with_ring(&ring);
    command.args(["--follow-links", "/dev/stdout"]);
    command.assert().success().stdout("x");
}

#[test]
fn what_a_full_disk_leaves_stays_in_the_ring() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    let parts = [
        "/dev/full: no room for 0.",
        "No space left",
        "0 bytes are written, 6 bytes stay in ",
        "and `alq recover ",
    ];
    let mut command = with_ring(&ring);
    command.args(["--stall-limit=0.2", "/dev/full"]);
    let run = command.write_stdin("hello\n").assert().code(1);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    let last = said.lines().next_back().unwrap();
    for part in parts {
        assert!(last.contains(part), "no {part:?} in: {said}");
    }
    let run = alq(["recover", name(&ring), "--into", name(&log)]).ok();
    assert!(run.is_ok(), "{run:?}");
    assert_eq!(fs::read(&log).unwrap(), b"hello\n");
}

#[test]
fn a_full_disk_is_noticed_while_no_input_comes() {
    let (dir, _) = scratch();
    let ring = dir.path().join("ring");
    let mut command = with_ring(&ring);
    command.args(["--stall-limit=0.2", "/dev/full"]);
    command.assert().code(1);
    let (reader, writer) = crate::common::pipe();
    let args = ["--ring", name(&ring), "--stall-limit=0.2", "/dev/full"];
    let mut tool = Running::append(args, reader);
    assert_eq!(tool.end().code(), Some(1)); // with the input still open
    drop(writer);
    assert_eq!(number(&stat(&ring), "pending_bytes"), 1);
}

#[test]
fn a_second_signal_leaves_what_was_read_in_the_ring() {
    let mut stuck = Stuck::start();
    stuck.feed("hello\n");
    stuck.tool.signal(Signal::TERM);
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(stuck.tool.0.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
    let part = format!("another signal leaves them in {}", name(&stuck.ring));
    assert!(said.contains(&part), "{said}");
    stuck.tool.signal(Signal::TERM);
    assert!(!stuck.tool.end().success());
    assert_eq!(number(&stat(&stuck.ring), "pending_bytes"), 6);
}

#[test]
fn a_ring_of_another_program_is_refused_with_the_way_out() {
    let left = left(Options::new().fixed(8, 4), &[], &["posted1\n"]);
    let parts = ["another program", "`alq recover "];
    refused(with_ring(&left.ring).arg(&left.log), 1, &parts);
}

#[test]
fn another_capacity_is_a_deployment_and_what_was_left_is_written_first() {
    let left = left(Options::new(), &["written\n"], &["posted1\n", "posted2\n"]);
    let mut command = with_ring(&left.ring);
    let run = command.args(["--capacity=8K"]).arg(&left.log).assert();
    let said = said(&run.success());
    let parts = [
        "16 bytes of an earlier run",
        "\nalq: 1 bytes, 0 lines, ",
        " of 8192 bytes\n",
    ];
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
    let text = fs::read_to_string(&left.log).unwrap();
    assert_eq!(text, "written\nposted1\nposted2\nx");
}

#[test]
fn a_ring_without_a_byte_is_made_anew() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    fs::write(&ring, "").unwrap();
    assert_eq!(number(&stat(&ring), "capacity_bytes"), 0);
    alq(["recover", name(&ring)]).assert().success().stderr("");
    with_ring(&ring).arg(&log).assert().success();
    assert_eq!(number(&stat(&ring), "capacity_bytes"), 1 << 20);
    assert_eq!(fs::read(&log).unwrap(), b"x");
}

/// A disk may be slow, full or frozen. A ring there is accepted with a warning.
#[test]
fn a_ring_on_a_disk_is_warned_of_once() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    drop(Options::new().ring_file(&ring).open(&log).unwrap());
    let on_disk = alq::ring_file::on_disk(&ring).unwrap();
    for accepted in [false, true] {
        let mut command = append(["--ring", name(&ring), "--quiet", name(&log)]);
        if accepted {
            command.arg("--ring-on-disk");
        }
        let said = said(&command.write_stdin("x").assert().success());
        match &on_disk {
            Some(problem) if !accepted => {
                let start = format!("alq: warning: {}: {problem}", name(&ring));
                assert!(
                    said.starts_with(&start) && said.lines().count() == 1,
                    "{said}"
                );
            }
            _ => assert_eq!(said, ""),
        }
    }
    append(["--ring-on-disk", name(&log)]).assert().code(2);
}

/// With `--ring-optional` a service starts, whatever is wrong with its ring, except that another
/// process has it open.
#[test]
fn an_optional_ring_that_cannot_be_used_is_in_memory_and_the_reason_is_named() {
    let (dir, log) = scratch();
    let text = dir.path().join("text");
    fs::write(&text, "not a ring\n").unwrap();
    let stuck = Stuck::start();
    let missing = dir.path().join("missing/ring");
    let reasons = [
        (&missing, "its folder must exist"),
        (&text, "not a ring file"),
    ];
    for (ring, reason) in reasons {
        let before = fs::read(ring).ok();
        let mut run = with_ring(ring);
        let run = run
            .args(["--ring-optional", "--quiet", name(&log)])
            .assert()
            .success();
        let said = said(&run);
        let start = format!("alq: warning: {}: ", name(ring));
        assert!(said.starts_with(&start) && said.contains(reason), "{said}");
        assert!(said.ends_with("the ring is in memory now, and a kill -9 loses it\n"));
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(fs::read(ring).ok(), before, "it is not changed");
    }
    assert_eq!(fs::read(&log).unwrap(), b"xx");
    // A ring that can be used is used.
    let ring = dir.path().join("ring");
    let mut run = with_ring(&ring);
    let run = run
        .args(["--ring-optional", "--quiet", name(&log)])
        .assert();
    assert_eq!(said(&run.success()), "");
    assert!(ring.exists());
    append(["--ring-optional", name(&log)]).assert().code(2);
    // A second process on one ring is a mistake.
    wait_until("the lock of the ring", || {
        stat(&stuck.ring)["in_use"] == true
    });
    let mut run = with_ring(&stuck.ring);
    let run = run.args(["--ring-optional", name(&log)]).assert();
    assert!(said(&run.failure()).contains("has it open"));
    assert_eq!(fs::read(&log).unwrap(), b"xxx");
}

/// If `ulimit -f` is below the size of the ring, a message says so, and no signal kills the
/// process.
#[test]
fn a_limit_of_files_below_the_size_of_the_ring_is_named() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    let script = r#"ulimit -f 8; exec "$0" "$@" </dev/null"#;
    let shell = |args: &[&str]| {
        let mut command = assert_cmd::Command::new("sh");
        command
            .args(["-c", script, crate::common::ALQ, "append"])
            .args(args);
        command
    };
    let parts = [name(&ring), "File too large", "ulimit -f"];
    refused(&mut shell(&["--ring", name(&ring), name(&log)]), 1, &parts);
    assert!(!ring.exists());
    shell(&["--quiet", name(&log)])
        .assert()
        .success()
        .stderr(""); // in memory it has no such limit
}

#[test]
fn a_ring_for_another_log_is_refused_with_the_way_out() {
    let left = left(Options::new(), &[], &["posted1\n"]);
    let other = left.dir.path().join("other");
    let before = fs::read(&left.ring).unwrap();
    let parts = ["8 bytes for another log", name(&left.log), "alq recover"];
    refused(with_ring(&left.ring).arg(&other), 1, &parts);
    assert_eq!(fs::read(&left.ring).unwrap(), before);
}

#[test]
fn what_is_no_good_ring_file_is_refused() {
    let left = left(Options::new(), &[], &["posted1\n"]);
    for (ring, part) in spoil(&left.ring) {
        if ring.exists() {
            let parts = [name(&ring), part];
            refused(with_ring(&ring).arg(&left.log), 1, &parts);
        }
    }
    let link = left.dir.path().join("link");
    std::os::unix::fs::symlink(&left.ring, &link).unwrap();
    let parts = [name(&link), "symbolic link", "name the file itself"];
    refused(with_ring(&link).arg(&left.log), 1, &parts);
    let nowhere = left.dir.path().join("nowhere/ring");
    let parts = [name(&nowhere), "its folder must exist"];
    refused(with_ring(&nowhere).arg(&left.log), 1, &parts);
    let parts = ["it is the log itself"];
    let own = left.dir.path().join("own");
    refused(with_ring(&own).arg(&own), 1, &parts);
    let mut command = append(["--capacity=2G", "--ring", name(&nowhere)]);
    refused(command.arg(&left.log), 1, &["its folder must exist"]);
}

#[test]
fn a_ring_in_use_is_refused_and_its_process_named() {
    let stuck = Stuck::start();
    let process = format!("process {}", stuck.tool.0.id());
    let other = stuck.dir.path().join("other");
    let parts = [name(&stuck.ring), &process, "has it open"];
    refused(with_ring(&stuck.ring).arg(&other), 1, &parts);
}

#[test]
fn resuming_continues_after_the_bytes_that_the_log_holds() {
    let (dir, log) = scratch();
    let source = dir.path().join("source");
    let text = crate::common::text(10_000); // several of the chunks that are compared at once
    fs::write(&source, &text).unwrap();
    for held in [0, 1, 65_536, 65_537, text.len() - 1, text.len()] {
        fs::write(&log, &text[..held]).unwrap();
        let args = [Path::new("--resume"), &log];
        let mut tool = Running::append(args, File::open(&source).unwrap());
        assert!(tool.end().success());
        crate::common::assert_same(&fs::read(&log).unwrap(), &text);
        let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
        let start = format!("alq: {} bytes, ", text.len() - held);
        assert!(said.starts_with(&start), "{said}");
    }
}

#[test]
fn resuming_is_refused_where_it_cannot_be_right() {
    let (dir, log) = scratch();
    let source = dir.path().join("source");
    fs::write(&source, "one\ntwo\n").unwrap();
    let refuse = |log: &Path, input: File, parts: &[&str]| {
        let mut tool = Running::append([Path::new("--resume"), log], input);
        assert_eq!(tool.end().code(), Some(1));
        let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
        for part in parts.iter().copied().chain([name(log), "--resume"]) {
            assert!(said.contains(part), "no {part:?} in: {said}");
        }
    };
    let source = || File::open(&source).unwrap();
    for (held, at) in [("one\nten\n", "byte 5 "), ("one\ntwo\nthree\n", "byte 8 ")] {
        fs::write(&log, held).unwrap();
        refuse(&log, source(), &["beginning of standard input", at]);
        assert_eq!(fs::read_to_string(&log).unwrap(), held);
    }
    let (reader, mut writer) = {
        let (reader, writer) = crate::common::pipe();
        (File::from(reader), File::from(writer))
    };
    writer.write_all(b"one\n").unwrap();
    refuse(&log, reader, &["standard input is not a file"]);
    let (fifo, _reader) = crate::common::fifo(&dir);
    refuse(&fifo, source(), &["it is not a file"]);
}

/// A refusal does not wait for a pipe that accepts none of the bytes in the ring.
#[test]
fn a_refusal_leaves_in_the_ring_what_nobody_reads() {
    let mut stuck = Stuck::start();
    stuck.feed("hello\n");
    let left = stuck.kill();
    let mut command = with_ring(&left.ring);
    command.arg("--resume").arg(&left.log).assert().code(1);
    assert_eq!(number(&stat(&left.ring), "pending_bytes"), 6);
}

#[test]
fn resuming_counts_what_was_left_in_the_ring() {
    // Many, so that they are not written at once.
    let lines: Vec<String> = (0..15_000).map(|line| format!("{line:07}\n")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let left = left(Options::new(), &lines[..5], &lines[5..14_000]);
    let source = left.dir.path().join("source");
    fs::write(&source, lines.concat()).unwrap();
    let args = [
        Path::new("--resume"),
        &left.log,
        Path::new("--ring"),
        &left.ring,
    ];
    let mut tool = Running::append(args, File::open(&source).unwrap());
    assert!(tool.end().success());
    crate::common::assert_same(&fs::read(&left.log).unwrap(), &fs::read(&source).unwrap());
}

#[test]
fn a_shell_starts_it_again_on_the_same_pipe() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    let (reader, writer) = crate::common::pipe();
    let script = r#"until "$0" append --quiet --ring "$1" "$2"; do :; done"#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, crate::common::ALQ, name(&ring), name(&log)]);
    let mut shell = Running::start(&mut command, reader);
    let mut writer = File::from(writer);
    for line in ["one\n", "two\n", "three\n"] {
        writer.write_all(line.as_bytes()).unwrap();
        wait_until("the line", || {
            fs::read_to_string(&log).is_ok_and(|text| text.ends_with(line))
        });
        let owner = stat(&ring)["pid"].as_u64().unwrap();
        let owner = rustix::process::Pid::from_raw(owner as i32).unwrap();
        rustix::process::kill_process(owner, Signal::KILL).unwrap();
    }
    drop(writer);
    assert!(shell.end().success());
    assert_eq!(fs::read_to_string(&log).unwrap(), "one\ntwo\nthree\n");
}
