//! `alq cat`, `alq follow` and `alq check`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{
    self, ALQ, Running, alq, append, assert_same, name, numbers, refused, scratch, wait_until,
};
use rustix::process::Signal;

/// Writes numbered lines through `alq append` with small rotated files, packed with zstd.
fn catch(log: &Path, last: usize) {
    let options = ["--rotate-size", "64K", "--compress", "zstd", "--quiet"];
    append([name(log)])
        .args(options)
        .write_stdin(numbers(last))
        .assert()
        .success();
}

#[test]
fn cat_prints_what_was_appended_over_all_files() {
    let (dir, log) = scratch();
    catch(&log, 100_000);
    assert!(fs::read_dir(dir.path()).unwrap().count() > 5);
    for format in ["text", "raw"] {
        let run = alq(["cat", name(&log), "--format", format])
            .assert()
            .success()
            .stderr("");
        assert_same(&run.get_output().stdout, &numbers(100_000));
    }
    alq(["cat", "-n", "2", name(&log)])
        .assert()
        .success()
        .stdout("99999\n100000\n");
    alq(["check", name(&log)]).assert().success();
}

#[test]
fn cat_never_joins_a_torn_line_with_the_next_one() {
    let (dir, log) = scratch();
    fs::write(
        dir.path().join("out.log.20261201T060000Z-000000"),
        "{\"torn\":",
    )
    .unwrap();
    fs::write(&log, "{\"b\":2}\n{\"c").unwrap();
    alq(["cat", name(&log)])
        .assert()
        .success()
        .stdout("{\"torn\":\n{\"b\":2}\n{\"c");
    let raw = alq(["cat", "--format", "raw", name(&log)])
        .assert()
        .success();
    raw.stdout("{\"torn\":{\"b\":2}\n{\"c");
    let hex = alq(["cat", "-n", "1", "--format", "hex", name(&log)])
        .assert()
        .success();
    hex.stdout("7b2263\n");
    let json = alq(["cat", "--json", "-n", "1", name(&log)])
        .assert()
        .success();
    let line = String::from_utf8(json.get_output().stdout.clone()).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["text"], &line["end"]),
        (&"{\"c".into(), &"torn".into()),
        "{line}"
    );
    assert_eq!(
        (&line["offset"], &line["position"]),
        (&8.into(), &serde_json::Value::Null)
    );
    let check = alq(["check", "--json", name(&log)]).assert().code(3);
    let report: serde_json::Value = serde_json::from_slice(&check.get_output().stdout).unwrap();
    assert_eq!(
        (&report["faults"], &report["records"]),
        (&2.into(), &3.into()),
        "{report}"
    );
}

#[test]
fn times_choose_records() {
    let (_dir, log) = scratch();
    let lines = [
        "2026-12-01T06:00:00Z a",
        "2026-12-01T06:00:01Z b",
        "2026-12-01T06:00:02Z c",
    ];
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    let range = [
        "--since",
        "2026-12-01T06:00:01Z",
        "--until",
        "2026-12-01T06:00:02Z",
    ];
    let run = alq(["cat", name(&log)]).args(range).assert().success();
    run.stdout(lines[1].to_owned() + "\n");
    refused(
        &mut alq(["cat", "--since", "soon", name(&log)]),
        2,
        &["--since soon: it must be a time"],
    );
    refused(
        &mut alq(["cat", "--from", "0", name(&log)]),
        1,
        &["no positions", "not framed"],
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let (dir, log) = scratch();
    refused(
        &mut alq(["cat", name(&log)]),
        1,
        &[name(&log), "No such file", "alq follow"],
    );
    refused(
        &mut alq(["check", name(&log)]),
        1,
        &[name(&log), "No such file"],
    );
    let dir = name(dir.path());
    refused(&mut alq(["cat", dir]), 1, &[dir, "not a regular file"]);
    refused(
        &mut alq(["follow", "/dev/null"]),
        1,
        &["/dev/null", "not a regular file"],
    );
}

#[test]
fn cat_dies_by_sigpipe_as_cat_does() {
    let (_dir, log) = scratch();
    catch(&log, 200_000);
    let mut child = Command::new(ALQ)
        .args(["cat", name(&log)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::with_capacity(10, child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(13));
}

fn start_follow(args: &[&str], stdout: impl Into<Stdio>) -> Running {
    let mut command = Command::new(ALQ);
    command.arg("follow").args(args).stdout(stdout);
    Running::start(&mut command, Stdio::null())
}

#[test]
fn follow_begins_with_the_last_lines_and_ends_by_the_signal() {
    let (_dir, log) = scratch();
    fs::write(&log, numbers(30)).unwrap();
    let mut follow = start_follow(&["-n", "2", name(&log)], Stdio::piped());
    let mut lines = BufReader::new(follow.0.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!([next(), next()], ["29", "30"]);
    fs::rename(&log, log.with_extension("1")).unwrap();
    fs::write(&log, "31\n").unwrap();
    assert_eq!(next(), "31");
    follow.signal(Signal::TERM);
    assert_eq!(follow.end().signal(), Some(15));
}

#[test]
fn an_idle_follow_does_not_wake_up_and_notices_that_its_reader_has_gone() {
    let (_dir, log) = scratch();
    fs::write(&log, "1\n").unwrap();
    let mut follow = start_follow(&[name(&log)], Stdio::piped());
    let mut out = BufReader::new(follow.0.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let status = format!("/proc/{}/status", follow.0.id());
    let field = |name: &str| {
        let text = fs::read_to_string(&status).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().to_owned()
    };
    let sleeps = || field("voluntary_ctxt_switches:").parse::<u64>().unwrap();
    // It has printed the line; the next time that it sleeps, it sleeps in poll(2).
    let mut before = 0;
    wait_until("sleep", || {
        before = sleeps();
        before > 0 && field("State:").starts_with('S') && before == sleeps()
    });
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(sleeps(), before, "it has woken up");
    drop(out);
    assert_eq!(follow.end().signal(), Some(13));
}

/// `ALQ_LINES=1000000` is the long form.
#[test]
fn follow_killed_and_started_again_prints_every_line_once() {
    let (dir, log) = scratch();
    let count = std::env::var("ALQ_LINES").map_or(100_000, |lines| lines.parse().unwrap());
    let (cursor, copy) = (dir.path().join("cursor"), dir.path().join("copy"));
    let (read, write) = common::pipe();
    let args = [
        "--rotate-size",
        "64K",
        "--compress",
        "gzip",
        "--quiet",
        name(&log),
    ];
    let mut catcher = Running::append(args, read);
    let input = numbers(count);
    let len = input.len() as u64;
    let writer = std::thread::spawn(move || File::from(write).write_all(&input).unwrap());
    let (mut kills, mut seed) = (0, 7_u64);
    loop {
        let out = File::options()
            .append(true)
            .create(true)
            .open(&copy)
            .unwrap();
        let before = out.metadata().unwrap().len();
        if before >= len {
            break;
        }
        let mut follow = start_follow(&["--cursor", name(&cursor), name(&log)], out);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let more = (seed >> 33) % (len / 20);
        common::wait_for_len(&copy, (before + more).min(len));
        follow.signal(if kills % 4 == 3 {
            Signal::TERM
        } else {
            Signal::KILL
        });
        follow.end();
        kills += 1;
    }
    writer.join().unwrap();
    assert!(catcher.end().success());
    assert_same(&fs::read(&copy).unwrap(), &numbers(count));
    println!("{count} lines, {kills} kills");
}

#[test]
fn cat_and_check_read_standard_input() {
    let (_dir, log) = scratch();
    let args = ["--quiet", "--framing", "checked", name(&log)];
    append(args).write_stdin(numbers(50_000)).assert().success();
    let mut bytes = fs::read(&log).unwrap();
    let cat = alq(["cat", "-"]).write_stdin(&*bytes).assert().success();
    assert_same(&cat.get_output().stdout, &numbers(50_000));
    alq(["check", "-"]).write_stdin(&*bytes).assert().success();
    bytes[1000] ^= 1;
    bytes.pop();
    let check = ["check", "--json", "-"];
    let check = alq(check).write_stdin(&*bytes).assert().code(3);
    let report: serde_json::Value = serde_json::from_slice(&check.get_output().stdout).unwrap();
    assert_eq!(
        (&report["faults"], &report["log"]),
        (&3.into(), &"-".into())
    );
    assert_eq!(report["findings"][0]["file"], "/dev/fd/0", "{report}");
    let last = alq(["cat", "-n", "1", "-"])
        .write_stdin("x\n")
        .assert()
        .code(1);
    let said = String::from_utf8(last.get_output().stderr.clone()).unwrap();
    assert!(said.contains("it can be read only once"), "{said}");
}

#[test]
fn cat_prints_what_standard_input_has_before_it_waits_for_more() {
    let (input, writer) = common::pipe();
    let mut writer = File::from(writer);
    let mut command = Command::new(ALQ);
    command.args(["cat", "-"]).stdout(Stdio::piped());
    let mut cat = Running::start(&mut command, input);
    let mut lines = BufReader::new(cat.0.stdout.take().unwrap()).lines();
    for line in ["one", "two"] {
        writeln!(writer, "{line}").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), line); // before the next one is written
    }
    drop(writer);
    assert!(cat.end().success());
}
