//! Promise: `alq recover` appends what a process left in a ring file to its log or to another file,
//! and refuses what it cannot trust.

use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::common::ring::{Left, Stuck, change_word, json, left, number, spoil, stat};
use crate::common::{alq, name, refused};
use alq::{Flags, Framing, Options, Sink};
use serde_json::Value;

/// Two posted records, after one that is written and a reservation that is not posted.
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
damaged             0 slots
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

/// The log that the ring names is opened only if it is still the same file. `recover` creates no
/// file, follows no link and does not wait.
#[test]
fn a_log_that_is_gone_or_replaced_asks_for_another_file() {
    let left = two();
    let before = fs::read(&left.ring).unwrap();
    let [kept, other] = ["kept", "other"].map(|name| left.dir.path().join(name));
    fs::rename(&left.log, &kept).unwrap();
    let refuse = |part: &str| {
        let parts = [name(&left.ring), name(&left.log), part, "--into FILE"];
        refused(&mut recover(&[name(&left.ring)]), 1, &parts);
        assert!(fs::read(&left.ring).unwrap() == before);
    };
    refuse("no longer exists");
    assert!(!left.log.exists(), "it is not made");
    fs::write(&left.log, "of another\n").unwrap();
    refuse("is another file now");
    assert_eq!(fs::read(&left.log).unwrap(), b"of another\n");
    fs::remove_file(&left.log).unwrap();
    std::os::unix::fs::symlink(&kept, &left.log).unwrap();
    refuse("is another file now");
    fs::remove_file(&left.log).unwrap();
    fs::create_dir(&left.log).unwrap();
    refuse("is another file now");
    fs::remove_dir(&left.log).unwrap();
    let (fifo, reader) = crate::common::fifo(&left.dir);
    fs::rename(fifo, &left.log).unwrap();
    refuse("is another file now"); // with a reader
    drop(reader);
    refuse("is another file now"); // and without
    recover(&[name(&left.ring), "--into", name(&other)])
        .assert()
        .success();
    assert_eq!(fs::read(&other).unwrap(), b"posted1\nposted2\n");
    assert_eq!(fs::read(&kept).unwrap(), b"written\n");
}

/// A user can put any path into a ring file: root opens no file that it names, and creates no file.
#[test]
fn a_ring_of_another_user_is_refused_before_anything_that_it_names() {
    let left = two();
    fs::remove_file(&left.log).unwrap();
    let ring = name(&left.ring);
    let mut spoilt = Vec::new();
    for mode in [0o620, 0o602] {
        spoilt.push((None, mode));
    }
    spoilt.push((Some(65534), 0o600));
    for (owner, mode) in spoilt {
        fs::set_permissions(&left.ring, fs::Permissions::from_mode(mode)).unwrap();
        if owner.is_some() && std::os::unix::fs::chown(&left.ring, owner, None).is_err() {
            continue; // only root can give a file away
        }
        let (fifo, _) = crate::common::fifo(&left.dir);
        fs::rename(fifo, &left.log).unwrap();
        for args in [
            &[ring][..],
            &[ring, "--dry-run"],
            &[ring, "--into", "other"],
        ] {
            refused(&mut recover(args), 1, &[ring, "it belongs to user", "mode"]);
        }
        let report = stat(&left.ring);
        let problem = report["untrusted"].as_str().unwrap();
        assert!(problem.contains("it belongs to user"), "{report}");
        assert_eq!(
            number(&report, "pending_bytes"),
            16,
            "what it says is shown"
        );
        fs::remove_file(&left.log).unwrap();
    }
    assert!(!left.log.exists());
}

/// A path from a ring file or from the command line cannot move the cursor.
#[test]
fn what_a_ring_names_reaches_no_terminal_as_it_is() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let (dir, _) = crate::common::scratch();
    let log = dir
        .path()
        .join(OsStr::from_bytes(b"a\n\x1b[2J\xc2\x9b\xff.log"));
    let ring = dir.path().join("ring");
    drop(Options::new().ring_file(&ring).open(&log).unwrap());
    let shown = "a\\n\\u{1b}[2J\\u{9b}\\xff.log";
    for (args, expected) in [
        (&["stat"][..], shown),
        (&["recover"], shown),
        (
            &["stat", "--json"],
            "a\\\\n\\\\u{1b}[2J\\\\u{9b}\\\\xff.log",
        ),
    ] {
        let run = alq(args).arg(&ring).assert().success();
        let said = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        assert!(said.contains(expected), "{said}");
        assert!(!said.trim_end().contains(['\u{1b}', '\u{9b}']), "{said:?}");
    }
    let missing = dir.path().join("\u{1b}[2J");
    let run = alq(["stat"]).arg(&missing).assert().code(1);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("\\u{1b}[2J") && !said.contains('\u{1b}'),
        "{said:?}"
    );
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
    let parts = [ring, "does not name its log", "--into FILE"];
    refused(&mut recover(&[ring]), 1, &parts);
    let dry = json(&[Path::new("recover"), Path::new("--dry-run"), &left.ring]);
    assert_eq!(dry["log"], Value::Null);
    assert_eq!(number(&dry, "bytes"), 6);
    let other = left.dir.path().join("other");
    recover(&[ring, "--into", name(&other)]).assert().success();
    assert_eq!(fs::read(&other).unwrap(), b"hello\n");
}

/// A log that is no file, with a place that could be a path.
struct Far;

const PLACE: &str = "far:stream";

impl Sink for Far {
    fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn place(&self) -> Option<String> {
        Some(PLACE.to_owned())
    }
}

#[test]
fn what_was_for_a_place_is_named_and_goes_to_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring");
    let queue = Options::new().ring_file(&ring).ring_on_disk(true);
    let queue = queue.stall_limit(Some(Duration::from_millis(1)));
    let queue = queue.framing(Framing::Lengths).open_sink(Far).unwrap();
    queue.writen(b"left", Flags::NOWAIT).unwrap();
    let _ = queue.close(None); // the sink accepts nothing
    drop(queue);
    fs::write(folder.path().join(PLACE), "").unwrap();
    let shown = stat(&ring);
    assert_eq!(
        (&shown["log"], &shown["place"]),
        (&Value::Null, &PLACE.into())
    );
    assert_eq!(shown["framing"], "Lengths");
    let ring = name(&ring);
    let parts = [ring, "no file", PLACE, "start the program", "--into FILE"];
    let mut command = recover(&[ring]);
    refused(command.current_dir(folder.path()), 1, &parts);
    assert_eq!(fs::read(folder.path().join(PLACE)).unwrap(), b"");
    let other = folder.path().join("other");
    recover(&[ring, "--into", name(&other)]).assert().success();
    assert_eq!(fs::read(&other).unwrap(), b"\x04\0\0\0left");
}

#[test]
fn damage_has_an_exit_code_of_its_own() {
    let left = left(
        Options::new(),
        &[],
        &["posted1\n", "posted2\n", "posted3\n"],
    );
    // After the two pages of the header: the reservation, and the place of the second record.
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
    let folder = [name(&left.ring), "--into", name(left.dir.path())];
    refused(&mut recover(&folder), 1, &["Is a directory"]);
    let itself = [name(&left.ring), "--into", name(&left.ring)];
    refused(&mut recover(&itself), 1, &["it is the log itself"]);
    recover(&[name(&left.ring)]).assert().success();
    assert_eq!(fs::metadata(&left.log).unwrap().len(), 24);
}

#[test]
fn a_full_disk_keeps_the_bytes_in_the_ring() {
    let left = two();
    let args = [name(&left.ring), "--into", "/dev/full"];
    let run = recover(&args).assert().code(1).stdout("");
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    let last = said.lines().last().unwrap(); // it also reports the stall while it waits
    assert!(last.starts_with("alq: /dev/full: no room for "), "{said}");
    let kept = "0 bytes are written, 16 bytes stay in ";
    assert!(
        last.contains("No space left") && last.contains(kept),
        "{said}"
    );
    let report = stat(&left.ring);
    assert_eq!(number(&report, "pending_bytes"), 16);
}
