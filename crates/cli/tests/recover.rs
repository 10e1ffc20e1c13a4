//! `alq recover`: what a process has left in a ring file goes to its log, or elsewhere.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use alq::Options;
use common::ring::{Left, Stuck, change_word, json, left, number, spoil, stat};
use common::{alq, name, refused};
use serde_json::Value;

/// Two records that are posted, behind one that is written and a reservation that is not posted.
fn two() -> Left {
    left(Options::new(), &["written\n"], &["posted1\n", "posted2\n"])
}

fn recover(args: &[&str]) -> assert_cmd::Command {
    let mut command = alq(["recover"]);
    command.args(args);
    command
}

fn numbers(report: &Value) -> [u64; 6] {
    let names = [
        "bytes",
        "spans",
        "already_written",
        "possibly_repeated",
        "skipped",
        "damaged",
    ];
    names.map(|name| number(report, name))
}

#[test]
fn the_log_gets_what_was_posted_once() {
    let left = two();
    let report = json(&[Path::new("recover"), &left.ring]);
    assert_eq!(numbers(&report), [16, 2, 0, 0, 1, 0]);
    assert_eq!(report["ring"], name(&left.ring));
    assert_eq!(report["log"], name(&left.log));
    assert_eq!(report["dry_run"], false);
    let text = fs::read_to_string(&left.log).unwrap();
    assert_eq!(text, "written\nposted1\nposted2\n");
    let report = json(&[Path::new("recover"), &left.ring]);
    assert_eq!(numbers(&report), [0; 6], "once");
    assert_eq!(fs::read_to_string(&left.log).unwrap(), text);
}

#[test]
fn people_get_a_table() {
    let left = two();
    let run = recover(&[name(&left.ring)]).assert().success().stderr("");
    let said = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    let expected = format!(
        "\
ring               {}
log                {}
found              16 bytes
                    2 spans
already written     0 bytes
possibly repeated   0 bytes
never posted        1 reservations
damaged             0 descriptors
",
        name(&left.ring),
        name(&left.log)
    );
    assert_eq!(said, expected);
}

#[test]
fn a_dry_run_prints_the_same_and_changes_no_byte() {
    let left = two();
    let files = || [&left.ring, &left.log].map(|path| fs::read(path).unwrap());
    let before = files();
    let dry = json(&[Path::new("recover"), Path::new("--dry-run"), &left.ring]);
    assert_eq!(dry["dry_run"], true);
    assert!(files() == before);
    let mut real = json(&[Path::new("recover"), &left.ring]);
    assert!(files() != before);
    real["dry_run"] = true.into();
    assert_eq!(dry, real);
}

#[test]
fn another_file_gets_it_when_asked() {
    let left = two();
    let other = left.dir.path().join("other");
    let args = [name(&left.ring), "--into", name(&other)];
    recover(&args).assert().success();
    assert_eq!(fs::read_to_string(&other).unwrap(), "posted1\nposted2\n");
    assert_eq!(fs::read_to_string(&left.log).unwrap(), "written\n");
    let mode = fs::metadata(&other).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    recover(&args).assert().success();
    assert_eq!(fs::metadata(&other).unwrap().len(), 16, "once");
    let mut both = recover(&args);
    both.arg("--dry-run").assert().code(2);
}

#[test]
fn a_log_that_is_gone_is_made_anew_but_not_its_directory() {
    let left = two();
    fs::remove_file(&left.log).unwrap();
    recover(&[name(&left.ring)]).assert().success();
    let text = fs::read_to_string(&left.log).unwrap();
    assert_eq!(text, "posted1\nposted2\n");

    let left = two();
    let moved = left.dir.path().with_extension("moved");
    fs::rename(left.dir.path(), &moved).unwrap();
    let ring = moved.join("ring");
    let before = fs::read(&ring).unwrap();
    let parts = [name(&left.log), "its directory must exist"];
    refused(&mut recover(&[name(&ring)]), 1, &parts);
    assert!(!left.dir.path().exists());
    assert_eq!(fs::read(&ring).unwrap(), before);
    fs::rename(moved, left.dir.path()).unwrap();
}

#[test]
fn with_nothing_to_write_nothing_is_made() {
    let left = left(Options::new(), &[], &[]);
    fs::remove_file(&left.log).unwrap();
    let other = left.dir.path().join("other");
    let run = recover(&[name(&left.ring), "--into", name(&other)]).ok();
    assert!(run.is_ok(), "{run:?}");
    recover(&[name(&left.ring)]).assert().success();
    assert!(!left.log.exists() && !other.exists());
}

#[test]
fn a_ring_of_fixed_entries_is_opened_as_it_was_made() {
    let fixed = Options::new().fixed(8, 4);
    let left = left(fixed, &["written\n"], &["posted1\n", "posted2\n"]);
    recover(&[name(&left.ring)]).assert().success();
    let text = fs::read_to_string(&left.log).unwrap();
    assert_eq!(text, "written\nposted1\nposted2\n");
}

#[test]
fn what_was_for_a_pipe_needs_a_file() {
    let mut stuck = Stuck::start();
    stuck.feed("hello\n");
    let left = stuck.kill();
    let ring = name(&left.ring);
    let parts = [ring, "not known which log", "--into FILE"];
    refused(&mut recover(&[ring]), 1, &parts);
    let dry = json(&[Path::new("recover"), Path::new("--dry-run"), &left.ring]);
    assert_eq!(dry["log"], Value::Null);
    assert_eq!(number(&dry, "bytes"), 6);
    let other = left.dir.path().join("other");
    recover(&[ring, "--into", name(&other)]).assert().success();
    assert_eq!(fs::read(&other).unwrap(), b"hello\n");
}

#[test]
fn damage_has_an_exit_code_of_its_own() {
    let left = left(
        Options::new(),
        &[],
        &["posted1\n", "posted2\n", "posted3\n"],
    );
    // Behind the two pages of the header: the reservation, and the place of the second record.
    change_word(&left.ring, 8192 + 2 * 16, |place| place ^ 1 << 40);
    for args in [&["--dry-run"][..], &[]] {
        let mut command = recover(&[name(&left.ring), "--json"]);
        let run = command.args(args).assert().code(3).stderr("");
        let report = serde_json::from_slice(&run.get_output().stdout).unwrap();
        assert_eq!(numbers(&report), [16, 2, 0, 0, 1, 1], "{report}");
    }
    let text = fs::read_to_string(&left.log).unwrap();
    assert_eq!(text, "posted1\nposted3\n");
    recover(&[name(&left.ring)]).assert().code(0);
}

#[test]
fn a_ring_in_use_is_left_to_its_process() {
    let mut stuck = Stuck::start();
    stuck.feed("hello\n");
    let process = format!("process {} has it open", stuck.tool.0.id());
    let other = stuck.dir.path().join("other");
    let ring = name(&stuck.ring);
    for args in [
        &[ring][..],
        &[ring, "--dry-run"],
        &[ring, "--into", name(&other)],
    ] {
        refused(
            &mut recover(args),
            1,
            &[ring, &process, "`alq stat` shows it"],
        );
    }
    assert!(!other.exists());
    assert_eq!(number(&stat(&stuck.ring), "pending_bytes"), 6);
}

#[test]
fn what_is_no_good_ring_file_is_refused_and_none_is_made() {
    let left = two();
    for (ring, part) in spoil(&left.ring) {
        for dry in [&[][..], &["--dry-run"]] {
            let parts = [name(&ring), part];
            refused(recover(&[name(&ring)]).args(dry), 1, &parts);
        }
    }
    assert!(!left.dir.path().join("missing").exists());
    assert_eq!(fs::read(&left.log).unwrap(), b"written\n");
    recover(&[]).assert().code(2);
}

#[test]
fn a_log_that_cannot_be_written_keeps_the_bytes_in_the_ring() {
    let left = two();
    let link = left.dir.path().join("link");
    std::os::unix::fs::symlink(&left.log, &link).unwrap();
    let args = [name(&left.ring), "--into", name(&link)];
    let parts = [name(&link), "symbolic link", "name the file itself"];
    refused(&mut recover(&args), 1, &parts);
    let directory = [name(&left.ring), "--into", name(left.dir.path())];
    refused(&mut recover(&directory), 1, &["Is a directory"]);
    let itself = [name(&left.ring), "--into", name(&left.ring)];
    refused(&mut recover(&itself), 1, &["it is the log itself"]);
    recover(&[name(&left.ring)]).assert().success();
    assert_eq!(fs::metadata(&left.log).unwrap().len(), 24);
}

#[test]
fn a_full_disk_keeps_the_bytes_in_the_ring() {
    let left = two();
    let args = [name(&left.ring), "--into", "/dev/full"];
    let parts = [
        "/dev/full: no room for 5s: No space left",
        "0 bytes are written, 16 bytes stay in ",
    ];
    refused(&mut recover(&args), 1, &parts);
    let report = stat(&left.ring);
    assert_eq!(number(&report, "pending_bytes"), 16);
}
