//! Promise: the examples for supervisors work unchanged: runit runs them, and systemd accepts them.
//! logrotate loses no line. A test is skipped, with a message, if its program is not installed.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::catcher::{Catcher, read, rotated};
use crate::common::{ALQ, name, numbers, scratch, wait_for_len, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The program, if it is installed.
fn find(test: &str, program: &str) -> Option<PathBuf> {
    let dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(Path::new);
    let found = dirs
        .iter()
        .map(|dir| dir.join(program))
        .find(|path| path.exists());
    if found.is_none() {
        println!("{test}: skipped, there is no {program} here");
    }
    found
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(path)
}

/// The service folder of the example, run by runsv, with a program that copies lines from a
/// FIFO.
struct Service {
    dir: TempDir,
    runsv: Child,
}

impl Service {
    fn start(runsv: &Path) -> Self {
        let (dir, _) = scratch();
        let path = dir.path();
        let copy = |from: &str, to: &Path| {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(example(from), to).unwrap();
        };
        let app = path.join("app");
        copy("runit/app/run", &app.join("run"));
        copy("runit/app/log/run", &app.join("log/run"));
        fs::create_dir_all(path.join("bin")).unwrap();
        fs::create_dir_all(path.join("logs")).unwrap();
        std::os::unix::fs::symlink(ALQ, path.join("bin/alq")).unwrap();
        // The program prints everything that comes through its FIFO.
        let myapp = path.join("bin/myapp");
        let fifo = path.join("lines");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        fs::write(&myapp, format!("#!/bin/sh\nexec cat <>{}\n", name(&fifo))).unwrap();
        fs::set_permissions(&myapp, fs::Permissions::from_mode(0o755)).unwrap();
        let search = format!("{}:/usr/bin:/bin", name(&path.join("bin")));
        let runsv = Command::new(runsv)
            .arg(&app)
            .env("PATH", search)
            .env("ALQ_RING", path.join("ring"))
            .env("ALQ_LOGS", path.join("logs"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { dir, runsv }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("logs/log")
    }

    /// Lets the program print a text, and waits until its last line is in a file.
    fn say(&self, text: &str) {
        let mut fifo = File::options()
            .write(true)
            .open(self.dir.path().join("lines"))
            .unwrap();
        fifo.write_all(text.as_bytes()).unwrap();
        let last = format!(" {}\n", text.lines().next_back().unwrap());
        wait_until("the last line", || read_all(&self.log()).contains(&last));
    }

    /// The pid of the catcher.
    fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.dir.path().join("app/log/supervise/pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.runsv), Signal::TERM);
        let _ = self.runsv.wait();
    }
}

/// The content of all files of the log, packed or not, as text.
fn read_all(log: &Path) -> String {
    let mut text = String::new();
    for file in rotated(log) {
        if file.extension().is_some_and(|form| form == "zst") {
            let unpacked = Command::new("zstd").arg("-dcq").arg(&file).output();
            text.push_str(&unpacked.map_or_else(
                |_| String::new(),
                |it| String::from_utf8(it.stdout).unwrap(),
            ));
        } else {
            text.push_str(&fs::read_to_string(file).unwrap_or_default());
        }
    }
    text.push_str(&fs::read_to_string(log).unwrap_or_default());
    text
}

#[test]
fn the_run_scripts_of_runit_catch_rotate_and_outlive_a_kill() {
    let Some(runsv) = find("the_run_scripts_of_runit", "runsv") else {
        return;
    };
    let service = Service::start(&runsv);
    service.say("one\ntwo\n");
    let stamped = read(&service.log());
    assert!(
        stamped.lines().all(|line| line.as_bytes()[27] == b' '),
        "{stamped}"
    );
    assert_eq!(
        read(&service.dir.path().join("logs/current")),
        stamped,
        "the link"
    );

    // sv 1
    let first = service.pid().unwrap();
    kill_process(first, Signal::USR1).unwrap();
    wait_until("a rotated file", || rotated(&service.log()).len() == 1);

    for signal in [Signal::KILL, Signal::TERM] {
        let before = service.pid().unwrap();
        kill_process(before, signal).unwrap();
        wait_until("another process", || {
            service.pid().is_some_and(|now| now != before)
        });
        service.say(&format!("after signal {}\n", signal.as_raw()));
    }
    if find("the_run_scripts_of_runit (what is packed)", "zstd").is_some() {
        let bare = |line: &str| line[28..].to_owned();
        let lines: Vec<String> = read_all(&service.log()).lines().map(bare).collect();
        assert_eq!(lines, ["one", "two", "after signal 9", "after signal 15"]);
    }
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let Some(analyze) = find("systemd_finds_no_fault_with_the_units", "systemd-analyze") else {
        return;
    };
    let (dir, _) = scratch();
    for unit in ["alq@.socket", "alq@.service"] {
        // If the tool is not installed, systemd reports it as missing.
        let text = read(&example("systemd").join(unit)).replace("/usr/bin/alq", ALQ);
        fs::write(dir.path().join(unit.replace('@', "@myapp")), text).unwrap();
    }
    let units = ["alq@myapp.socket", "alq@myapp.service"].map(|unit| dir.path().join(unit));
    let run = Command::new(analyze)
        .arg("verify")
        .arg("--man=no")
        .args(&units)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    // systemd-analyze also reads installed units, which are not ours.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("alq@")).collect();
    assert!(run.status.success() && ours.is_empty(), "{said}");
}

/// Runs logrotate once on the log.
fn logrotate(program: &Path, log: &Path, rules: &str) {
    let config = log.with_file_name("logrotate.conf");
    let text = format!(
        "{} {{\nrotate 1000\nnocompress\n{rules}\n}}\n",
        log.display()
    );
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = Command::new(program);
    command
        .arg("--force")
        .arg("--state")
        .arg(log.with_file_name("state"));
    let run = command.arg(&config).output().unwrap();
    assert!(run.status.success(), "{run:?}");
}

/// The files that logrotate has renamed, oldest first, and the log.
fn put_aside(log: &Path) -> Vec<PathBuf> {
    let numbered = (1..).map(|number| PathBuf::from(format!("{}.{number}", log.display())));
    let mut files: Vec<PathBuf> = numbered.take_while(|path| path.exists()).collect();
    files.reverse();
    files.push(log.to_owned());
    files
}

#[test]
fn logrotate_with_create_and_sighup_loses_nothing_and_splits_no_line() {
    let Some(program) = find("logrotate_with_create_and_sighup", "logrotate") else {
        return;
    };
    for more in [&["--line", "--capacity=64K"][..], &["--rotate-size=1G"]] {
        let (_dir, log) = scratch();
        let mut catcher = Catcher::start(more, &log);
        let input = numbers(60_000);
        // Pieces that end inside of lines.
        let mut pieces = input.chunks(997);
        let pid = catcher.tool.0.id();
        let rules = format!("create 0600\npostrotate\nkill -HUP {pid}\nendscript");
        for _ in 0..5 {
            // The last rotation waits for the end of a line, so the test writes until it has
            // happened.
            wait_until("something to rotate", || {
                catcher
                    .input
                    .write_all(pieces.next().unwrap_or(b""))
                    .unwrap();
                fs::metadata(&log).is_ok_and(|log| log.len() > 0)
            });
            logrotate(&program, &log, &rules);
        }
        pieces.for_each(|piece| catcher.input.write_all(piece).unwrap());
        catcher.end();
        let files = put_aside(&log);
        assert_eq!(files.len(), 6);
        let found: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        assert!(found.concat() == input, "{more:?}");
        assert!(
            found[..5].iter().all(|file| file.ends_with(b"\n")),
            "{more:?}"
        );
    }
}

/// `copytruncate` loses what is written between its copy and its truncation, so nothing is written
/// then.
#[test]
fn logrotate_with_copytruncate_leaves_no_hole() {
    let Some(program) = find("logrotate_with_copytruncate", "logrotate") else {
        return;
    };
    for more in [&["--line"][..], &["--rotate-size=1G"]] {
        let (_dir, log) = scratch();
        let mut catcher = Catcher::start(more, &log);
        let input = numbers(5_000);
        let parts: Vec<&[u8]> = input.chunks(input.len() / 4 + 1).collect();
        for part in &parts {
            catcher.input.write_all(part).unwrap();
            wait_for_len(&log, part.len() as u64);
            logrotate(&program, &log, "copytruncate");
        }
        catcher.end();
        let files = put_aside(&log);
        let found: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        assert!(found.concat() == input, "{more:?}");
    }
}
