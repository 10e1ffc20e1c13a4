//! `alq append --framing`: input becomes whole records, which `alq cat` prints as they came in.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::common::{
    Running, alq, append, assert_same, fifo, name, numbers, pipe, refused, scratch, text,
    wait_for_len,
};
use rustix::process::Signal;

const FRAMINGS: [&str; 4] = ["lines", "lengths", "checked", "fixed:7"];

/// The records of a log, as `alq cat` prints them.
fn cat(log: &Path, framing: &str, format: &str) -> Vec<u8> {
    let args = ["cat", "--framing", framing, "--format", format, name(log)];
    let run = alq(args).assert().success();
    run.get_output().stdout.clone()
}

#[test]
fn what_went_in_comes_out_with_every_framing_and_over_rotations() {
    // All lengths of lines, empty ones, a long one, and an end without a newline.
    let input = [&text(3000)[..], &vec![b'x'; 200_000], b"\n\nlast"].concat();
    let input = &input[..input.len() / 7 * 7];
    for framing in FRAMINGS {
        for rotation in [&[][..], &["--rotate-size", "16K", "--compress", "gzip"]] {
            let (dir, log) = scratch();
            // A long line becomes several records; as lines it would get newlines.
            let line_max: &[&str] = match framing {
                "lines" => &["--line-max", "256K"],
                "fixed:7" => &[],
                _ => &["--line-max", "2K"],
            };
            append(["--quiet", "--framing", framing, name(&log)])
                .args(rotation)
                .args(line_max)
                .write_stdin(input)
                .assert()
                .success();
            let files = fs::read_dir(dir.path()).unwrap().count();
            assert_eq!(files > 5, !rotation.is_empty(), "{framing}");
            let whole = if framing == "lines" && !input.ends_with(b"\n") {
                [input, b"\n"].concat()
            } else {
                input.to_vec()
            };
            assert_same(&cat(&log, framing, "raw"), &whole);
            let check = ["check", "--framing", framing, name(&log)];
            alq(check).assert().success();
        }
    }
}

#[test]
fn text_has_one_newline_for_each_record() {
    let (_dir, log) = scratch();
    let args = ["--framing", "checked", "--stamps", name(&log)];
    append(args).write_stdin("a\n\nb").assert().success();
    append(args).write_stdin("c\n").assert().success();
    assert_eq!(cat(&log, "auto", "text"), b"a\n\nb\nc\n");
    let hour = ["cat", "--since", "1h", name(&log)];
    alq(hour).assert().success().stdout("a\n\nb\nc\n");
}

#[test]
fn a_torn_record_is_removed_and_named_and_damage_is_named() {
    let (_dir, log) = scratch();
    let args = ["--quiet", "--framing", "checked", name(&log)];
    append(args).write_stdin("one\ntwo\n").assert().success();
    let file = File::options().write(true).open(&log).unwrap();
    file.set_len(fs::metadata(&log).unwrap().len() - 1).unwrap();
    let run = append(args).write_stdin("three\n").assert().success();
    run.stderr(format!(
        "alq: {}: its last record was torn after 19 bytes; they are removed\n",
        log.display()
    ));
    assert_eq!(cat(&log, "auto", "raw"), b"one\nthree\n");
    let file = File::options().write(true).open(&log).unwrap();
    file.set_len(fs::metadata(&log).unwrap().len() - 2).unwrap();
    let keep = append(args).arg("--keep-torn-record").assert().success();
    keep.stderr(format!(
        "alq: {0}: its last record was torn after 20 bytes; they are in {0}.torn now\n",
        log.display()
    ));
    let aside = fs::read(log.with_extension("log.torn")).unwrap();
    assert!(aside.len() == 20 && aside.ends_with(b"thre"));
    append(args).write_stdin("three\n").assert().success();
    let mut bytes = fs::read(&log).unwrap();
    bytes[64 + 16] ^= 1; // the first record
    fs::write(&log, bytes).unwrap();
    let run = append(args).write_stdin("four\n").assert().success();
    run.stderr(format!(
        "alq: {}: 20 bytes before its end are damaged; `alq check` says where\n",
        log.display()
    ));
    let check = alq(["check", name(&log)]).assert().code(3);
    let said = String::from_utf8(check.get_output().stdout.clone()).unwrap();
    assert!(said.contains("damaged"), "{said}");
}

#[test]
fn input_that_ends_inside_a_fixed_record_fails_and_appends_the_whole_ones() {
    let (_dir, log) = scratch();
    let args = ["--framing", "fixed:4", name(&log)];
    let run = append(args).write_stdin("abcdefghij").assert().code(1);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    let part = "ends inside a record of 4 bytes, and its last 2 bytes are not appended";
    assert!(said.contains(part), "{said}");
    assert_eq!(fs::read(&log).unwrap(), b"abcdefgh");
}

#[test]
fn a_reopen_on_a_signal_begins_a_file_of_the_same_log_between_two_records() {
    for framing in ["checked", "fixed:4"] {
        let (dir, log) = scratch();
        let (reader, writer) = pipe();
        let mut input = File::from(writer);
        let args = ["--quiet", "--framing", framing, name(&log)];
        let mut run = Running::append(args, reader);
        let first = if framing == "checked" { 64 + 20 } else { 4 };
        input.write_all(b"abc\nde").unwrap();
        wait_for_len(&log, first);
        let old = dir.path().join("old");
        fs::rename(&log, &old).unwrap();
        run.request(Signal::HUP); // waits for the end of the second record
        input.write_all(b"f\nghi\n").unwrap();
        drop(input);
        assert!(run.end().success());
        for (file, records) in [(&old, &b"abc\ndef\n"[..]), (&log, b"ghi\n")] {
            assert_same(&cat(file, framing, "raw"), records);
        }
        if framing == "checked" {
            let id = |path| fs::read(path).unwrap()[16..32].to_vec();
            assert_eq!(id(&old), id(&log));
        }
    }
}

#[test]
fn dropped_lines_are_counted_in_a_note_of_the_log() {
    let (dir, log) = scratch();
    let (path, mut reader) = fifo(&dir);
    let (input, writer) = pipe();
    let args = ["--when-full=drop", "--capacity=64K", "--framing=checked"];
    let args = args.into_iter().chain([name(&path)]);
    let mut run = Running::append(args, input);
    let mut writer = File::from(writer);
    // More than the ring and both pipes hold: a write of all of it ends only if lines are dropped.
    writer.write_all(&numbers(200_000)).unwrap();
    drop(writer);
    std::io::copy(&mut reader, &mut File::create(&log).unwrap()).unwrap();
    assert!(run.end().success());
    let check = alq(["check", "--json", name(&log)]).assert().success();
    let report: serde_json::Value = serde_json::from_slice(&check.get_output().stdout).unwrap();
    let lost = report["findings"].as_array().unwrap().iter();
    let lost = lost.map(|found| {
        assert_eq!(found["notice"], "lost", "{found}");
        let message = found["message"].as_str().unwrap();
        let count = message.split(' ').find_map(|word| word.parse::<u64>().ok());
        count.unwrap()
    });
    let lost: u64 = lost.sum();
    assert!(lost > 0);
    assert_eq!(lost + report["records"].as_u64().unwrap(), 200_000);
}

#[test]
fn two_streams_of_a_command_are_records() {
    let (_dir, log) = scratch();
    let command = ["--", "sh", "-c", "echo out; echo err >&2; printf last"];
    append(["--quiet", "--framing", "checked", name(&log)])
        .args(command)
        .assert()
        .success();
    let found = String::from_utf8(cat(&log, "auto", "text")).unwrap();
    let mut lines: Vec<&str> = found.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err", "last", "out"]);
}

#[test]
fn options_that_contradict_the_framing_are_refused() {
    let (_dir, log) = scratch();
    let refuse = |args: &[&str], code, parts: &[&str]| {
        let args = args.iter().copied();
        refused(append(args).write_stdin(""), code, parts);
        assert!(code == 1 || !log.exists());
    };
    let log = name(&log);
    let fixed = "--framing=fixed:4";
    for option in ["--line", "--line-max=2K", "--timestamp", "--when-full=drop"] {
        let named = option.split_once("=2").map_or(option, |(name, _)| name);
        refuse(&[fixed, option, log], 2, &[named, "--framing fixed"]);
    }
    refuse(&[fixed, log, "--", "true"], 2, &["--: it is for lines"]);
    refuse(&["--framing=lines", "--stamps", log], 2, &["--stamps"]);
    let torn = ["--framing=lines", "--keep-torn-record", log];
    refuse(&torn, 2, &["--keep-torn-record", "lengths"]);
    let torn = ["--framing=lines", "--keep-torn-line", log];
    refuse(&torn, 2, &["--keep-torn-line"]);
    let resume = ["--framing=lines", "--resume", log];
    refuse(&resume, 1, &["--resume", "--framing"]);
    refuse(&["--framing=frames", log], 2, &["fixed:100"]);
    let line_max = ["--framing=checked", "--capacity=4096", "--line-max=2K", log];
    refuse(&line_max, 1, &["--line-max 2048", "--framing", "4096"]);
}

#[test]
fn a_log_with_another_framing_is_not_touched() {
    let (_dir, log) = scratch();
    append(["--framing", "checked", name(&log)])
        .write_stdin("x\n")
        .assert()
        .success();
    let before = fs::read(&log).unwrap();
    for args in [&[][..], &["--line"], &["--framing", "lines"]] {
        let args = args.iter().copied().chain([name(&log)]);
        refused(append(args).write_stdin("y\n"), 1, &["checked frames"]);
    }
    assert_eq!(fs::read(&log).unwrap(), before);
}
