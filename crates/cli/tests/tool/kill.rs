//! Promise: a run that is killed at any moment and started again loses nothing and repeats nothing.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::common::catcher::{all, rotated};
use crate::common::ring::{json, number, stat};
use crate::common::{ALQ, Running, assert_same, name, numbers, scratch};
use rustix::process::Signal;
use tempfile::TempDir;

/// The number of logs to write, each with several kills.
fn rounds() -> u64 {
    let rounds = std::env::var("ALQ_TOOL_KILLS").map(|text| text.parse().unwrap());
    rounds.unwrap_or(20)
}

/// Numbers without a pattern, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Lets the tool run for a while, and kills it if it has not ended. Returns true if it had ended.
///
/// The kill may come during the start, the recovery, a read, a write or the end. The result does
/// not depend on the moment.
fn kill(mut tool: Running, dice: &mut Dice) -> bool {
    // Starting takes some milliseconds, and so does the work.
    thread::sleep(Duration::from_micros(dice.roll(12_000)));
    tool.signal(Signal::KILL);
    let status = tool.end();
    if status.code().is_some_and(|code| code != 0) {
        let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
        panic!("{status}: {said}");
    }
    status.success()
}

fn len(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |log| log.len())
}

/// Appends `input` with the command of `start`, which is killed several times. The log must then be
/// the input.
fn killed_some_times(
    dice: &mut Dice,
    input: &[u8],
    start: impl Fn(&mut Dice, [&Path; 3]) -> Running,
) -> (TempDir, PathBuf) {
    let (dir, log) = scratch();
    let (source, ring) = (dir.path().join("source"), dir.path().join("ring"));
    fs::write(&source, input).unwrap();
    let paths = [&*source, &ring, &log];
    let kills = 1 + dice.roll(8);
    let is_done = (0..kills).any(|_| {
        let is_done = kill(start(dice, paths), dice);
        assert!(input.starts_with(&all(&log)));
        is_done
    });
    if !is_done {
        let mut last = start(dice, paths);
        let status = last.end();
        let said = std::io::read_to_string(last.0.stderr.take().unwrap()).unwrap();
        assert!(status.success(), "{status}: {said}");
    }
    assert_same(&all(&log), input);
    assert_eq!(number(&stat(&ring), "pending_bytes"), 0);
    (dir, log)
}

/// `alq append --ring` with more arguments.
fn append(more: &[&str], [_, ring, log]: [&Path; 3], input: File) -> Running {
    let mut command = Command::new(ALQ);
    command.args([
        "append",
        "--quiet",
        "--ring-on-disk",
        "--ring",
        name(ring),
        name(log),
    ]);
    Running::start(command.args(more), input)
}

#[test]
fn with_resume_it_is_simply_started_again() {
    let input = numbers(100_000);
    for round in 1..=rounds() {
        let mut dice = Dice(round);
        let capacity = format!("--capacity={}", 4096 << (2 * dice.roll(3)));
        killed_some_times(&mut dice, &input, |_, paths| {
            let input = File::open(paths[0]).unwrap();
            append(&["--resume", &capacity], paths, input)
        });
    }
}

/// The files also end with a line, wherever the kills came.
#[test]
fn with_rotation_the_files_together_are_the_input() {
    let input = numbers(100_000);
    for round in 1..=rounds() {
        let mut dice = Dice(round);
        let capacity = format!("--capacity={}", 4096 << (2 * dice.roll(3)));
        let size = format!("--rotate-size={}", 1024 << (2 * dice.roll(4)));
        let (_dir, log) = killed_some_times(&mut dice, &input, |_, paths| {
            let input = File::open(paths[0]).unwrap();
            append(&["--resume", "--fsync", &capacity, &size], paths, input)
        });
        for file in rotated(&log) {
            assert!(fs::read(file).unwrap().ends_with(b"\n"));
        }
    }
}

#[test]
fn after_a_recovery_the_length_of_the_log_says_where_to_go_on() {
    let input = numbers(100_000);
    for round in 1..=rounds() {
        let mut dice = Dice(round);
        killed_some_times(&mut dice, &input, |dice, paths| {
            let [source, ring, log] = paths;
            recover(ring, dice);
            // As `tail -c +$((length + 1)) source`.
            let mut input = File::open(source).unwrap();
            input.seek(SeekFrom::Start(len(log))).unwrap();
            append(&["--capacity=16K"], paths, input)
        });
    }
}

/// `alq recover` can be killed and started again too, and does what its dry run has printed.
fn recover(ring: &Path, dice: &mut Dice) {
    if !ring.exists() {
        return;
    }
    if dice.roll(2) == 0 {
        let mut command = Command::new(ALQ);
        let input = File::open("/dev/null").unwrap();
        kill(
            Running::start(
                command
                    .arg("recover")
                    .arg(ring)
                    .stdout(std::process::Stdio::null()),
                input,
            ),
            dice,
        );
    }
    let recover = Path::new("recover");
    let foreseen = json(&[recover, Path::new("--dry-run"), ring]);
    let mut done = json(&[recover, ring]);
    done["dry_run"] = true.into();
    assert_eq!(done, foreseen);
    assert_eq!(number(&done, "possibly_repeated"), 0);
    assert_eq!(number(&done, "damaged"), 0);
}
