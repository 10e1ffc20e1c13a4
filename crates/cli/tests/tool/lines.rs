//! Promise: as a log catcher, `alq append` keeps lines whole, stamps them, drops only whole lines,
//! and serves requests between two lines.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::catcher::{Catcher, read};
use crate::common::{append, assert_same, fifo, name, numbers, refused, scratch, text};
use crate::common::{wait_for_len, wait_until};
use rustix::process::Signal;

#[test]
fn lines_come_out_as_they_went_in() {
    for input in [text(20_000), b"no newline at the end".into(), b"".into()] {
        // The ring has room for everything: nothing is dropped.
        let drop = ["--when-full=drop", "--capacity=16M"];
        for args in [&["--line"][..], &drop, &["--line-max=1M"]] {
            let (_dir, log) = scratch();
            let args = args.iter().copied().chain([name(&log)]);
            append(args).write_stdin(&*input).assert().success();
            assert_same(&fs::read(&log).unwrap(), &input);
        }
    }
}

#[test]
fn a_torn_line_in_the_file_does_not_take_the_next_line_with_it() {
    let torn = b"{\"a\":1,\"torn\":";
    let run = |args: &[&str]| {
        let (_dir, log) = scratch();
        fs::write(&log, torn).unwrap();
        let args = args.iter().copied().chain([name(&log)]);
        let run = append(args).write_stdin("{\"b\":2}\n").assert().success();
        let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
        (fs::read(&log).unwrap(), said)
    };
    let ended = [&torn[..], b"\n{\"b\":2}\n"].concat();
    let glued = [&torn[..], b"{\"b\":2}\n"].concat();
    for args in [
        &["--line"][..],
        &["--when-full=drop"],
        &["--rotate-size=1M"],
    ] {
        let (found, said) = run(args);
        assert_eq!(found, ended, "{args:?}");
        let notice = "its last line was torn after 14 bytes; it is ended there";
        assert!(said.contains(notice), "{said}");
    }
    let (found, _) = run(&["--timestamp=%%"]);
    assert_eq!(found, [&torn[..], b"\n% {\"b\":2}\n"].concat());
    for args in [&[][..], &["--line", "--keep-torn-line"]] {
        let (found, said) = run(args);
        assert_eq!(found, glued, "{args:?}");
        assert!(!said.contains("torn"), "{said}");
    }
}

#[test]
fn each_line_gets_a_stamp_and_keeps_its_bytes() {
    let input = text(20_000);
    let stamps = [
        ("--timestamp", 28),
        ("--timestamp=iso", 28),
        ("--timestamp=local", 33),
        ("--timestamp=tai64n", 26),
        ("--timestamp=%H:%M:%S", 9),
    ];
    for (stamp, len) in stamps {
        // One ring has room for everything, so that nothing is dropped; the other has hardly any.
        let drop = ["--when-full=drop", "--capacity=16M"];
        for more in [drop, ["--line", "--capacity=4096"]] {
            let (_dir, log) = scratch();
            let args = [stamp, more[0], more[1], "--quiet", name(&log)];
            append(args).write_stdin(&*input).assert().success();
            let found = fs::read(&log).unwrap();
            let mut bare = Vec::new();
            for line in found.split_inclusive(|byte| *byte == b'\n') {
                assert_eq!(line[len - 1], b' ', "{}", String::from_utf8_lossy(line));
                bare.extend_from_slice(&line[len..]);
            }
            assert_same(&bare, &input);
        }
    }
}

#[test]
fn a_stamp_is_of_the_time_of_the_first_byte() {
    let (_dir, log) = scratch();
    let mut catcher = Catcher::start(&["--timestamp=iso"], &log);
    catcher.feed("begun");
    wait_for_len(&log, 28 + 5); // the beginning of a line is not held back
    let first = read(&log);
    catcher.feed(", ended\nnext");
    catcher.end();
    let found = read(&log);
    let (line, next) = found.split_once('\n').unwrap();
    assert_eq!(line, format!("{first}, ended"));
    assert!(
        next.ends_with("Z next") && next[..27] > line[..27],
        "{found}"
    );
}

#[test]
fn tai64nlocal_reads_our_stamps() {
    if Command::new("tai64nlocal")
        .stdin(Stdio::null())
        .output()
        .is_err()
    {
        println!("tai64nlocal_reads_our_stamps: skipped, there is no tai64nlocal here");
        return;
    }
    let (_dir, log) = scratch();
    let before = jiff_now();
    append(["--timestamp=tai64n", name(&log)])
        .write_stdin("x\n")
        .assert()
        .success();
    let local = Command::new("tai64nlocal")
        .env("TZ", "UTC")
        .stdin(File::open(&log).unwrap())
        .output()
        .unwrap();
    let local = String::from_utf8(local.stdout).unwrap();
    let after = jiff_now();
    assert!(
        *before <= local[..19] && local[..19] <= *after,
        "{before} {local} {after}"
    );
}

/// The time to the second, from date(1).
fn jiff_now() -> String {
    let date = Command::new("date")
        .args(["-u", "+%F %T"])
        .output()
        .unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_line_that_goes_on_after_a_restart_has_one_stamp() {
    let (_dir, log) = scratch();
    let mut catcher = Catcher::start(&["--timestamp=%H:%M"], &log);
    catcher.feed("half a");
    wait_for_len(&log, 12);
    catcher.tool.signal(Signal::KILL);
    catcher.end();
    append(["--timestamp=%H:%M", "--keep-torn-line", name(&log)])
        .write_stdin(" line\n")
        .assert()
        .success();
    assert!(read(&log).ends_with(" half a line\n"), "{}", read(&log));
}

#[test]
fn sigterm_reads_to_the_end_of_the_line_and_no_further() {
    for more in ["--line", "--when-full=drop"] {
        let (_dir, log) = scratch();
        let mut catcher = Catcher::start(&[more, "--quiet"], &log);
        catcher.feed("one\n");
        wait_for_len(&log, 4);
        catcher.feed("tw");
        catcher.wait_until_read();
        let start = Instant::now();
        catcher.tool.signal(Signal::TERM);
        catcher.feed("o\nthree\n");
        let took = start.elapsed();
        let status = catcher.tool.end();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
        let (_, rest) = catcher.end();
        let found = read(&log);
        assert_eq!(format!("{found}{rest}"), "one\ntwo\nthree\n");
        // The tool waits for a quarter of a second; this test may have been slower.
        assert!(
            found == "one\ntwo\n" || found == "one\ntwo\nthree\n" || took.as_millis() >= 250,
            "{found}"
        );
    }
}

#[test]
fn sigterm_waits_for_a_limited_time_and_sigint_does_not_wait() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_dir, log) = scratch();
        let mut catcher = Catcher::start(&["--line", "--quiet"], &log);
        catcher.feed("never ends");
        wait_for_len(&log, 10);
        catcher.tool.signal(signal);
        assert_eq!(catcher.tool.end().signal(), Some(signal.as_raw()));
        assert_eq!(catcher.end(), (String::new(), String::new()));
        assert_eq!(read(&log), "never ends");
    }
}

#[test]
fn sighup_continues_in_a_new_file_after_the_line() {
    for more in ["--line", "--when-full=drop", "--timestamp=%H"] {
        let (dir, log) = scratch();
        let old = dir.path().join("old");
        let mut catcher = Catcher::start(&[more], &log);
        catcher.feed("one\ntw");
        wait_for_len(&log, 4);
        catcher.wait_until_read();
        fs::rename(&log, &old).unwrap();
        catcher.tool.request(Signal::HUP);
        catcher.feed("o\n");
        wait_until("a new file", || log.exists());
        catcher.feed("three\n");
        catcher.end();
        let bare = |path: &Path| -> Vec<String> {
            let words = |line: &str| line.split(' ').next_back().unwrap().to_owned();
            read(path).lines().map(words).collect()
        };
        assert_eq!(
            (bare(&old), bare(&log)),
            (vec!["one".into(), "two".into()], vec!["three".to_owned()])
        );
    }
}

#[test]
fn a_file_that_cannot_be_opened_anew_is_said_and_the_old_one_stays() {
    let (dir, log) = scratch();
    let old = dir.path().join("old");
    let mut catcher = Catcher::start(&["--line"], &log);
    catcher.feed("one\n");
    wait_for_len(&log, 4);
    fs::rename(&log, &old).unwrap();
    fs::create_dir(&log).unwrap();
    catcher.tool.request(Signal::HUP);
    catcher.feed("two\n");
    wait_for_len(&old, 8);
    let (said, _) = catcher.end();
    assert!(said.contains("Is a directory"), "{said}");
    assert_eq!(read(&old), "one\ntwo\n");
}

#[test]
fn sigusr1_without_a_rotation_is_answered_and_kills_nobody() {
    for signal in [Signal::USR1, Signal::ALARM] {
        let (_dir, log) = scratch();
        let mut catcher = Catcher::start(&["--line"], &log);
        catcher.feed("one\n");
        wait_for_len(&log, 4);
        catcher.tool.request(signal);
        catcher.feed("two\n");
        let (said, _) = catcher.end();
        assert!(said.contains("--rotate"), "{said}");
        assert_eq!(read(&log), "one\ntwo\n");
    }
}

/// Splits a log with loss lines: the other lines, and the numbers of lost lines and bytes.
fn lines_and_losses(log: &str) -> (Vec<&str>, u64, u64) {
    let (mut lost_lines, mut lost_bytes) = (0, 0);
    let mut lines = Vec::new();
    for line in log.lines() {
        let Some(loss) = line.strip_prefix("alq: ") else {
            lines.push(line);
            continue;
        };
        let words: Vec<&str> = loss.split(' ').collect();
        assert!(loss.ends_with("bytes dropped: queue full"), "{loss}");
        lost_lines += words[0].parse::<u64>().unwrap();
        lost_bytes += words[2].parse::<u64>().unwrap();
    }
    (lines, lost_lines, lost_bytes)
}

#[test]
fn lines_without_room_are_dropped_whole_and_counted_twice() {
    let (dir, _) = scratch();
    let (path, mut reader) = fifo(&dir);
    let mut catcher = Catcher::start(&["--when-full=drop", "--capacity=16K"], &path);
    let all = numbers(100_000);
    catcher.input.write_all(&all).unwrap(); // returns although the log is not read
    drop(catcher.input);
    let mut found = String::new();
    reader.read_to_string(&mut found).unwrap();
    assert!(catcher.tool.end().success());
    let said = std::io::read_to_string(catcher.tool.0.stderr.take().unwrap()).unwrap();

    let (lines, lost_lines, lost_bytes) = lines_and_losses(&found);
    let got: Vec<u32> = lines.iter().map(|line| line.parse().unwrap()).collect();
    assert!(got.is_sorted(), "the order stays");
    assert!(lost_lines > 0);
    assert_eq!(got.len() as u64 + lost_lines, 100_000);
    let got_bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert_eq!(got_bytes as u64 + lost_bytes, all.len() as u64);
    let told = format!(", {lost_lines} lines of {lost_bytes} bytes dropped\n");
    assert!(said.ends_with(&told), "{said}");
}

#[test]
fn a_line_about_dropped_lines_has_a_stamp_as_the_others() {
    let (dir, _) = scratch();
    let (path, mut reader) = fifo(&dir);
    let options = ["--when-full=drop", "--capacity=16K", "--timestamp"];
    let mut catcher = Catcher::start(&options, &path);
    catcher.input.write_all(&numbers(100_000)).unwrap();
    drop(catcher.input);
    let mut found = String::new();
    reader.read_to_string(&mut found).unwrap();
    assert!(catcher.tool.end().success());
    let mut losses = 0;
    for line in found.lines() {
        let (stamp, text) = line.split_once(' ').unwrap();
        assert!(stamp.ends_with('Z') && stamp.len() == 27, "{line}");
        losses += usize::from(text.starts_with("alq: "));
    }
    assert!(losses > 0);
}

#[test]
fn a_reader_that_is_slow_costs_no_line() {
    // The tool drops lines once FILE took nothing for 1 s. If the machine was so busy that this
    // reader paused for nearly that long, the run shows nothing.
    while read_slowly() >= PAUSE_MAX {}
}

const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Reads from a tool with a full ring, and returns the longest time from one read to the next. If
/// it is far below 1 s, no line may be missing.
fn read_slowly() -> Duration {
    let (dir, _) = scratch();
    let (path, mut reader) = fifo(&dir);
    let args = ["--when-full=drop", "--line-max=1K", "--capacity=4K"];
    let mut catcher = Catcher::start(&args, &path);
    let input = numbers(40_000);
    let feeder = std::thread::spawn({
        let input = input.clone();
        move || {
            catcher.input.write_all(&input).unwrap();
            catcher.end()
        }
    });
    let mut found = Vec::new();
    let mut piece = vec![0; 1 << 14];
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while let count @ 1.. = reader.read(&mut piece).unwrap() {
        longest = longest.max(last.elapsed());
        last = Instant::now();
        found.extend_from_slice(&piece[..count]);
        std::thread::sleep(Duration::from_millis(60));
    }
    let (said, _) = feeder.join().unwrap();
    if longest < PAUSE_MAX {
        assert!(!said.contains("dropped"), "{said}");
        assert_same(&found, &input);
    }
    longest
}

#[test]
fn what_was_dropped_is_said_of_a_failure_too() {
    let args = [
        "--when-full=drop",
        "--capacity=16K",
        "--stall-limit=0.2",
        "/dev/full",
    ];
    let run = append(args).write_stdin(numbers(100_000)).assert().code(1);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    let last = said.lines().next_back().unwrap();
    let (_, dropped) = last.rsplit_once(", ").unwrap();
    let words: Vec<&str> = dropped.split(' ').collect();
    let (lines, bytes): (usize, usize) = (words[0].parse().unwrap(), words[3].parse().unwrap());
    assert_eq!(
        [words[1], words[4], words[5]],
        ["lines", "bytes", "dropped"],
        "{said}"
    );
    let left: Vec<&str> = last.split(' ').collect();
    let at = left
        .iter()
        .position(|word| word.starts_with("read"))
        .unwrap();
    let left: usize = left[at - 3].parse().unwrap();
    assert_eq!(left + bytes, numbers(100_000).len(), "{said}");
    assert!(lines > 90_000, "{said}");
}

#[test]
fn where_lines_are_dropped_a_long_one_becomes_several() {
    let (_dir, log) = scratch();
    let long = "x".repeat(2500);
    let input = format!("{}\n{long}\nend", "y".repeat(1024));
    let args = ["--when-full=drop", "--line-max=1K", name(&log)];
    append(args).write_stdin(input).assert().success();
    let lens: Vec<usize> = read(&log).lines().map(str::len).collect();
    assert_eq!(lens, [1024, 1024, 1024, 452, 3]);
}

#[test]
fn wrong_options_are_refused() {
    let (_dir, log) = scratch();
    let log = name(&log);
    refused(
        &mut append(["--line-max=0", log]),
        2,
        &["--line-max", "1K to 1G"],
    );
    refused(
        &mut append(["--timestamp=never", log]),
        2,
        &["--timestamp", "tai64n"],
    );
    let args = ["--when-full=drop", "--line-max=64K", "--capacity=64K", log];
    refused(
        append(args).write_stdin(""),
        1,
        &["--line-max", "quarter of the ring"],
    );
}

#[test]
fn a_pause_inside_of_a_line_costs_no_time_of_the_processor() {
    let (_dir, log) = scratch();
    let mut catcher = Catcher::start(&["--line"], &log);
    catcher.feed("open");
    wait_for_len(&log, 4);
    catcher.tool.request(Signal::HUP); // the tool now waits for the end of the line
    std::thread::sleep(Duration::from_millis(300));
    let stat = read(Path::new(&format!("/proc/{}/stat", catcher.tool.0.id())));
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    assert!(ticks < 20, "{ticks} of 30 hundredths of a second");
    catcher.end();
}
