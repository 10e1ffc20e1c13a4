//! Promise: the files of a log catcher end with a line, and together they are the input.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::common::catcher::{Catcher, all, read, rotated};
use crate::common::{
    Running, append, assert_same, name, numbers, refused, scratch, text, wait_for_len, wait_until,
};
use rustix::process::Signal;

#[test]
fn files_are_full_and_end_with_a_line() {
    let input = text(20_000);
    let longest = 90;
    for args in [
        &["--rotate-size=16K"][..],
        &["--rotate-size=16K", "--capacity=4K"],
        &["--rotate-size=16K", "--rotate-every=month"],
    ] {
        let (_dir, log) = scratch();
        append(args.iter().copied().chain([name(&log)]))
            .write_stdin(&*input)
            .assert()
            .success();
        assert_same(&all(&log), &input);
        let files = rotated(&log);
        assert!(files.len() > 30);
        for file in files {
            let found = fs::read(file).unwrap();
            assert!(found.ends_with(b"\n"));
            // The beginning of the line was written before its length was known: it stays whole.
            assert!(
                found.len() > (16 << 10) - longest && found.len() < (16 << 10) + longest,
                "{}",
                found.len()
            );
        }
    }
}

#[test]
fn stamped_lines_are_rotated_too() {
    let input = numbers(10_000);
    let (_dir, log) = scratch();
    append(["--rotate-size=16K", "--timestamp", name(&log)])
        .write_stdin(&*input)
        .assert()
        .success();
    let found = String::from_utf8(all(&log)).unwrap();
    let bare: String = found.lines().flat_map(|line| [&line[28..], "\n"]).collect();
    assert_same(bare.as_bytes(), &input);
    assert!(rotated(&log).iter().all(|file| read(file).ends_with('\n')));
}

#[test]
fn only_a_line_that_is_too_long_is_split() {
    let (_dir, log) = scratch();
    let input = format!("{}\n{}\nend", "x".repeat(5000), "y".repeat(1500));
    let args = ["--rotate-size=1K", "--line-max=2K", name(&log)];
    append(args).write_stdin(&*input).assert().success();
    assert_same(&all(&log), input.as_bytes());
    let lens: Vec<usize> = rotated(&log).iter().map(|file| read(file).len()).collect();
    assert_eq!(lens, [2048, 2048, 905, 1501]);
    assert_eq!(read(&log), "end");
}

#[test]
fn a_signal_rotates_after_the_current_line() {
    for signal in [Signal::USR1, Signal::ALARM] {
        let (_dir, log) = scratch();
        let mut catcher = Catcher::start(&["--rotate-size=1G"], &log);
        catcher.feed("one\ntw");
        wait_for_len(&log, 6);
        catcher.tool.signal(signal);
        catcher.feed("o\nthree\n");
        wait_until("a new file", || rotated(&log).len() == 1);
        catcher.end();
        let old = read(&rotated(&log)[0]);
        // The signal may also have come after the last line.
        assert!(
            old.starts_with("one\ntwo\n") && old.ends_with('\n'),
            "{old}"
        );
        assert_eq!(format!("{old}{}", read(&log)), "one\ntwo\nthree\n");
    }
}

#[test]
fn an_idle_log_is_rotated_at_once_and_an_empty_one_not_at_all() {
    let (_dir, log) = scratch();
    let mut catcher = Catcher::start(&["--keep=5", "--rotate-on-signal"], &log);
    catcher.feed("one\n");
    wait_for_len(&log, 4);
    catcher.tool.request(Signal::USR1);
    wait_until("a new file", || rotated(&log).len() == 1);
    catcher.tool.request(Signal::USR1);
    catcher.feed("two\n");
    wait_for_len(&log, 4);
    catcher.end();
    assert_eq!(rotated(&log).len(), 1);
    assert_eq!(all(&log), b"one\ntwo\n");
}

#[test]
fn a_rotation_that_waits_for_a_line_without_an_end_does_not_prevent_the_exit() {
    let (_dir, log) = scratch();
    let mut catcher = Catcher::start(&["--rotate-size=1G", "--capacity=4K"], &log);
    // Too long for the ring, which does not wait for its end, but not too long for the log.
    catcher.feed(&"x".repeat(2000));
    wait_for_len(&log, 2000);
    catcher.tool.request(Signal::USR1);
    catcher.feed("y");
    wait_for_len(&log, 2001);
    catcher.wait_until_read();
    catcher.end();
    assert_eq!(read(&log).len(), 2001);
}

#[test]
fn both_requests_are_met() {
    let (dir, log) = scratch();
    let old = dir.path().join("old");
    let mut catcher = Catcher::start(&["--line"], &log);
    catcher.feed("one\ntw");
    wait_for_len(&log, 6);
    fs::rename(&log, &old).unwrap();
    catcher.tool.request(Signal::USR1); // this request cannot be served here
    catcher.tool.request(Signal::HUP);
    catcher.feed("o\n");
    wait_until("a new file", || log.exists());
    catcher.feed("three\n");
    let (said, _) = catcher.end();
    assert!(said.contains("rotated on a signal only"), "{said}");
    assert_eq!(
        (read(&old), read(&log)),
        ("one\ntwo\n".to_owned(), "three\n".to_owned())
    );
}

#[test]
fn a_log_that_was_moved_away_is_made_anew_on_sighup() {
    let (dir, log) = scratch();
    let old = dir.path().join("elsewhere");
    let mut catcher = Catcher::start(&["--rotate-size=1G"], &log);
    catcher.feed("one\n");
    wait_for_len(&log, 4);
    fs::rename(&log, &old).unwrap();
    catcher.tool.request(Signal::HUP);
    wait_until("a new file", || log.exists());
    catcher.feed("two\n");
    catcher.end();
    assert_eq!(
        (read(&old), read(&log)),
        ("one\n".to_owned(), "two\n".to_owned())
    );
    assert!(rotated(&log).is_empty());
}

#[test]
fn what_is_there_at_the_start_is_cut_off_if_asked() {
    let (dir, log) = scratch();
    let link = dir.path().join("current");
    for input in ["one\n", "two\n", "three\n"] {
        let args = [
            "--rotate-at-start",
            "--keep=1",
            "--link",
            name(&link),
            name(&log),
        ];
        append(args).write_stdin(input).assert().success();
    }
    let found: Vec<String> = rotated(&log).iter().map(|file| read(file)).collect();
    assert_eq!(found, ["two\n"]);
    assert_eq!(read(&link), "three\n");
}

#[test]
fn rotated_files_are_packed_before_it_ends() {
    for (form, unpack) in [("gzip", "gzip"), ("zstd", "zstd")] {
        let (_dir, log) = scratch();
        let input = text(5_000);
        let args = ["--rotate-size=32K", "--compress", form, name(&log)];
        append(args).write_stdin(&*input).assert().success();
        let files = rotated(&log);
        assert!(!files.is_empty());
        assert!(
            files.iter().all(|file| !name(file).ends_with('0')),
            "{files:?}"
        );
        let Ok(unpacked) = Command::new(unpack).arg("-dc").args(&files).output() else {
            println!("rotated_files_are_packed_before_it_ends: {unpack} skipped, it is not here");
            continue;
        };
        let found = [unpacked.stdout, fs::read(&log).unwrap()].concat();
        assert_same(&found, &input);
    }
}

/// Creates rotated files of an earlier run that are not packed, large enough that packing takes
/// some time.
fn leave_much_to_pack(log: &Path) {
    let mut dice = 1_u64;
    let mut noise = vec![0; 32 << 20];
    for byte in &mut noise {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        *byte = dice as u8;
    }
    for number in 0..4 {
        fs::write(
            format!("{}.20261001T10000{number}Z-000000", name(log)),
            &noise,
        )
        .unwrap();
    }
}

/// The number of rotated files that are not packed.
fn plain(log: &Path) -> usize {
    let is_plain = |path: &&PathBuf| path.extension().is_some_and(|it| it != "gz");
    rotated(log).iter().filter(is_plain).count()
}

#[test]
fn a_signal_leaves_packing_to_the_next_start() {
    for is_at_end in [false, true] {
        let (_dir, log) = scratch();
        leave_much_to_pack(&log);
        let args = ["--quiet", "--compress=gz", "--rotate-on-signal"];
        let Catcher {
            mut tool,
            mut input,
            rest,
        } = Catcher::start(&args, &log);
        input.write_all(b"one\n").unwrap();
        wait_for_len(&log, 4);
        let mut input = Some(input);
        if is_at_end {
            input = None;
            let mut said = String::new();
            let stderr = tool.0.stderr.as_mut().unwrap();
            BufReader::new(stderr).read_line(&mut said).unwrap();
            assert!(said.contains(" rotated files of "), "{said}");
            assert!(said.contains("are still to be packed"), "{said}");
        }
        tool.signal(Signal::TERM);
        assert_eq!(tool.end().signal(), Some(Signal::TERM.as_raw()));
        assert!(plain(&log) > 0, "it has packed them all");
        assert_eq!(read(&log), "one\n");
        drop((input, rest));
    }
}

/// What sort of file FILE is comes from its descriptor. By name, a start could find another file,
/// or none.
#[test]
fn a_log_that_is_moved_away_all_the_time_hinders_no_start() {
    let (dir, log) = scratch();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = fs::rename(&log, dir.path().join("moved"));
            }
        });
        for _ in 0..30 {
            let mut command = append(["--quiet", "--rotate-size=1K", name(&log)]);
            command
                .write_stdin("a line\n")
                .assert()
                .success()
                .stderr("");
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn resume_continues_after_all_files() {
    let input = numbers(50_000);
    let (dir, log) = scratch();
    let source = dir.path().join("source");
    for part in [100_000, 200_000, input.len()] {
        fs::write(&source, &input[..part]).unwrap();
        let (succeeded, said) = resume(&source, &log);
        assert!(succeeded, "{said}");
        assert_same(&all(&log), &input[..part]);
    }
    // A FIFO with the name of a rotated file, and without a writer.
    let mut fifo = log.clone().into_os_string();
    fifo.push(".20200101T000000Z-000000");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let (succeeded, said) = resume(&source, &log);
    assert!(succeeded, "{said}");
    fs::remove_file(fifo).unwrap();
    let first = &rotated(&log)[1];
    fs::write(first, read(first).replace('7', "8")).unwrap();
    let (succeeded, said) = resume(&source, &log);
    assert!(!succeeded && said.contains("differs from byte"), "{said}");
}

/// Runs the tool. Returns whether it succeeded, and its messages.
fn resume(source: &Path, log: &Path) -> (bool, String) {
    let args = ["--resume", "--rotate-size=16K", name(log)];
    let mut tool = Running::append(args, File::open(source).unwrap());
    let succeeded = tool.end().success();
    let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
    (succeeded, said)
}

#[test]
fn what_does_not_go_together_is_refused() {
    let (_dir, log) = scratch();
    for more in [
        &["--keep=3", "--rotate-at-start"][..],
        &["--compress=gzip", "--rotate-size=1K"],
        &["--timestamp"],
        &["--when-full=drop"],
    ] {
        let args = ["--resume"].iter().chain(more).copied().chain([name(&log)]);
        let option = more[0].split('=').next().unwrap();
        refused(append(args).write_stdin("x\n"), 1, &["--resume", option]);
        assert!(!log.exists());
    }
    for wrong in [
        "--rotate-size=5",
        "--rotate-every=year",
        "--keep-age=7",
        "--compress=rar",
    ] {
        let option = wrong.split('=').next().unwrap();
        refused(&mut append([wrong, name(&log)]), 2, &[option]);
    }
    let null = Path::new("/dev/null");
    refused(
        append(["--keep=3", "--rotate-at-start", name(null)]).write_stdin(""),
        1,
        &["/dev/null", "regular file"],
    );
}

#[test]
fn rules_for_rotated_files_alone_rotate_at_16_mib_and_say_so() {
    let line = format!("{}\n", "x".repeat((1 << 20) - 1));
    for rule in [
        "--keep=3",
        "--keep-age=1d",
        "--keep-bytes=64M",
        "--compress=gz",
    ] {
        let (_dir, log) = scratch();
        let run = append([rule, name(&log)])
            .write_stdin(line.repeat(17))
            .assert()
            .success();
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(said.contains("16M"), "{rule}: {said}");
        assert_eq!(fs::metadata(&log).unwrap().len(), 1 << 20, "{rule}");
        assert_eq!(rotated(&log).len(), 1, "{rule}");
    }
    // Each of these options says when to rotate.
    for trigger in [
        "--rotate-size=1K",
        "--rotate-every=daily",
        "--rotate-at-start",
        "--rotate-on-signal",
    ] {
        let (_dir, log) = scratch();
        let args = ["--keep=3", trigger, name(&log)];
        let run = append(args).write_stdin("x\n").assert().success();
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(!said.contains("16M"), "{trigger}: {said}");
    }
}

#[test]
fn a_second_catcher_of_one_log_is_refused() {
    let (_dir, log) = scratch();
    let mut catcher = Catcher::start(&["--keep=3", "--rotate-on-signal"], &log);
    catcher.feed("one\n");
    wait_for_len(&log, 4);
    let pid = catcher.tool.0.id().to_string();
    refused(
        append(["--keep=3", "--rotate-at-start", name(&log)]).write_stdin(""),
        1,
        &["rotated already", &pid],
    );
    catcher.end();
}
