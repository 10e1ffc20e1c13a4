//! Promise: FILE gets its input byte for byte, and the summary has the right numbers.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::{Running, append, assert_same, numbers, pipe, scratch, text};
use rustix::fs::{Mode, OFlags};

/// Appends `input` to a new file with `args`, and compares.
#[track_caller]
fn check(input: &[u8], args: &[&str]) {
    let (_dir, log) = scratch();
    append([Path::new("--quiet"), &log])
        .args(args)
        .write_stdin(input)
        .assert()
        .success()
        .stdout("")
        .stderr("");
    assert_same(&fs::read(&log).unwrap(), input);
}

/// Bytes without a pattern, the same in every run.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn an_empty_input_makes_an_empty_file() {
    check(b"", &[]);
}

#[test]
fn one_byte_is_enough() {
    check(b"x", &[]);
}

#[test]
fn a_last_line_without_newline_stays_so() {
    check(b"first\nlast", &[]);
}

#[test]
fn text_of_many_lines_is_the_same() {
    check(&text(20_000), &[]);
}

#[test]
fn two_million_numbers_are_the_same() {
    check(&numbers(2_000_000), &[]);
}

#[test]
fn noise_of_64_mib_is_the_same() {
    check(&noise(64 << 20), &[]);
}

#[test]
fn the_smallest_ring_is_enough() {
    check(&noise(1 << 20), &["--capacity", "4096"]);
    check(&text(2000), &["--capacity", "1"]);
}

#[test]
fn a_ring_larger_than_the_input_is_fine() {
    check(&noise(1 << 20), &["--capacity", "16M"]);
}

#[test]
fn input_from_a_file_is_read_too() {
    let (dir, log) = scratch();
    let source = dir.path().join("source");
    let bytes = noise((3 << 20) + 17);
    fs::write(&source, &bytes).unwrap();
    let mut command = append(["--quiet"]);
    command.arg(&log).pipe_stdin(&source).unwrap();
    command.assert().success();
    let mut tool = Running::append([&log], fs::File::open(&source).unwrap());
    assert!(tool.end().success());
    assert_same(&fs::read(&log).unwrap(), &[&*bytes, &*bytes].concat());
}

#[test]
fn input_that_comes_byte_by_byte_is_the_same() {
    let (_dir, log) = scratch();
    let (reader, writer) = pipe();
    let mut tool = Running::append([&log], reader);
    let mut writer = fs::File::from(writer);
    let bytes = text(100);
    for byte in &bytes {
        writer.write_all(&[*byte]).unwrap();
    }
    drop(writer);
    assert!(tool.end().success());
    assert_same(&fs::read(&log).unwrap(), &bytes);
}

#[test]
fn a_non_blocking_input_is_waited_for() {
    let (_dir, log) = scratch();
    let (reader, writer) = pipe();
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
    let mut tool = Running::append([&log], reader);
    let mut writer = fs::File::from(writer);
    writer.write_all(b"early\n").unwrap();
    crate::common::wait_for_len(&log, 6); // the tool has found the pipe empty since, or will find it so
    writer.write_all(b"late\n").unwrap();
    drop(writer);
    assert!(tool.end().success());
    assert_same(&fs::read(&log).unwrap(), b"early\nlate\n");
}

#[test]
fn each_run_appends() {
    let (_dir, log) = scratch();
    for line in ["first\n", "second\n"] {
        append([&log]).write_stdin(line).assert().success();
    }
    assert_same(&fs::read(&log).unwrap(), b"first\nsecond\n");
}

#[test]
fn a_fifo_gets_it_all() {
    let (dir, _) = scratch();
    let (path, reader) = crate::common::fifo(&dir);
    let bytes = noise(1 << 20);
    let mut tool = {
        let (input, writer) = pipe();
        let bytes = bytes.clone();
        std::thread::spawn(move || fs::File::from(writer).write_all(&bytes).unwrap());
        Running::append([&path], input)
    };
    // As long as there is no writer, a read would see the end of the FIFO.
    let read = std::thread::spawn(move || {
        let mut found = Vec::new();
        let start = std::time::Instant::now();
        while found.len() < 1 << 20 && start.elapsed() < crate::common::DEADLINE {
            std::io::copy(&mut &reader, &mut found).unwrap();
        }
        found
    });
    assert!(tool.end().success());
    assert_same(&read.join().unwrap(), &bytes);
}

#[test]
fn the_summary_is_one_line_with_the_right_numbers() {
    let (_dir, log) = scratch();
    let bytes = numbers(12_345);
    let run = append([&log])
        .write_stdin(&*bytes)
        .assert()
        .success()
        .stdout("");
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    let start = format!("alq: {} bytes, 12345 lines, ", bytes.len());
    assert!(said.starts_with(&start), "{said}");
    for part in [
        " s, ",
        " GB/s, ",
        " drains, high-water mark ",
        " of 1048576 bytes\n",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn an_unfinished_line_is_no_line() {
    let (_dir, log) = scratch();
    let run = append([&log]).write_stdin("one\ntwo").assert().success();
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(said.starts_with("alq: 7 bytes, 1 lines, "), "{said}");
}

#[test]
fn a_new_file_has_the_mode_that_was_asked_for() {
    rustix::process::umask(Mode::WGRP | Mode::WOTH); // the inherited one could be stricter
    for (args, expected) in [
        (&[][..], 0o600),
        (&["--mode", "640"], 0o640),
        (&["--mode=0600"], 0o600),
    ] {
        let (_dir, log) = scratch();
        append(args).arg(&log).write_stdin("x").assert().success();
        let mode = fs::metadata(&log).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, expected, "{args:?}");
    }
}

#[test]
fn fsync_works_for_new_and_old_files_and_through_links() {
    let (dir, log) = scratch();
    for _ in 0..2 {
        append(["--fsync"])
            .arg(&log)
            .write_stdin("x\n")
            .assert()
            .success();
    }
    assert_same(&fs::read(&log).unwrap(), b"x\nx\n");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("new.log", &link).unwrap();
    append(["--fsync", "--follow-links"])
        .arg(&link)
        .write_stdin("y\n")
        .assert()
        .success();
    assert_same(&fs::read(dir.path().join("new.log")).unwrap(), b"y\n");
    // The parent of a bare name is the current folder.
    let mut command = append(["--fsync", "bare.log"]);
    command
        .current_dir(&dir)
        .write_stdin("z\n")
        .assert()
        .success();
    assert_same(&fs::read(dir.path().join("bare.log")).unwrap(), b"z\n");
}

#[test]
fn a_sync_policy_syncs_the_rest_at_the_end() {
    for args in [
        &["--sync-every=3600"][..],
        &["--sync-every=0.001", "--sync-bytes=64K"],
    ] {
        let (dir, log) = scratch();
        let ring = dir.path().join("ring");
        append(args)
            .arg("--ring-on-disk")
            .arg("--ring")
            .arg(&ring)
            .arg(&log)
            .write_stdin("x\n")
            .assert()
            .success();
        assert_same(&fs::read(&log).unwrap(), b"x\n");
    }
}
