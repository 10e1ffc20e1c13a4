//! Promise: `alq dump` copies the records of a recorder out of its ring file, of a process at work
//! and of one that is gone, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::ring::{change_word, json, number, spoil, stat};
use crate::common::{alq, name, refused, scratch};
use alq::{Error, Flags, Framing, Options, Queue};
use tempfile::TempDir;

/// A recorder at work that has overwritten records, and a copy of its ring file, which looks as that
/// of a killed process.
struct Recorder {
    _queue: Queue,
    dir: TempDir,
    ring: PathBuf,
    left: PathBuf,
}

const RECORDS: &str = "record 98\nrecord 99\n";

fn recorder(options: Options) -> Recorder {
    let (dir, _) = scratch();
    let [ring, left, log] = ["ring", "left", "log"].map(|name| dir.path().join(name));
    let queue = options.recorder(true).ring_file(&ring).open(log).unwrap();
    for i in 10..100 {
        let record = format!("record {i}\n");
        let posted = match queue.writen(record.as_bytes(), Flags::NOWAIT) {
            Err(Error::WrongMode) => queue.write_fixed(record.as_bytes(), Flags::NOWAIT),
            posted => posted,
        };
        posted.unwrap();
    }
    fs::copy(&ring, &left).unwrap();
    Recorder {
        _queue: queue,
        dir,
        ring,
        left,
    }
}

fn small() -> Options {
    Options::new().fixed(10, 2)
}

#[test]
fn the_newest_records_are_printed_after_a_line_that_counts_them() {
    let made = recorder(Options::new().capacity(4096));
    for ring in [&made.ring, &made.left, &made.left] {
        let run = alq(["dump", name(ring)]).assert().success().stderr("");
        let said = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        let line = "--- 64 records (640 bytes) follow; 26 older ones were overwritten; \
                    reason: alq dump ---\nrecord 36\n";
        assert!(said.starts_with(line), "{said}");
        assert!(said.ends_with(RECORDS), "{said}");
        assert_eq!(said.lines().count(), 65);
    }
}

#[test]
fn a_log_gets_them_and_json_counts_them() {
    let made = recorder(Options::new().capacity(4096));
    let to = made.dir.path().join("dumps");
    for ring in [&made.ring, &made.left] {
        let report = json(
            &[
                "dump",
                "--reason",
                "it hangs",
                "--to",
                name(&to),
                name(ring),
            ]
            .map(Path::new),
        );
        assert_eq!(
            (&report["ring"], &report["to"]),
            (&name(ring).into(), &name(&to).into())
        );
        assert_eq!(report["in_use"], *ring == made.ring);
        assert_eq!(report["log"], name(&made.dir.path().join("log")));
        let counts = [
            "records",
            "bytes",
            "overwritten_records",
            "open_reservations",
            "damaged",
        ];
        assert_eq!(
            counts.map(|name| number(&report, name)),
            [64, 640, 26, 0, 0]
        );
    }
    let text = fs::read_to_string(&to).unwrap();
    assert_eq!(text.matches("reason: it hangs ---\nrecord 36\n").count(), 2);
    assert!(text.ends_with(RECORDS) && text.lines().count() == 130);
    let report = json(&[Path::new("dump"), &made.left]);
    assert_eq!(number(&report, "records"), 64, "nothing was taken out");
    assert!(report["to"].is_null());
}

#[test]
fn a_dump_has_the_framing_of_the_records() {
    let lengths = recorder(Options::new().capacity(4096).framing(Framing::Lengths));
    let run = alq(["dump", name(&lengths.left)]).assert().success();
    let said = &run.get_output().stdout;
    let len = u32::from_le_bytes(said[..4].try_into().unwrap()) as usize;
    assert!(said[4..4 + len].ends_with(b"reason: alq dump ---\n"));
    assert!(said[4 + len + 4..].starts_with(b"record "));
    // Records of one length have no line between them.
    let fixed = recorder(small());
    alq(["dump", name(&fixed.ring)])
        .assert()
        .success()
        .stdout(RECORDS);
}

#[test]
fn stat_names_a_recorder_and_its_fill() {
    let made = recorder(Options::new().capacity(4096));
    for ring in [&made.ring, &made.left] {
        let report = stat(ring);
        assert_eq!(report["recorder"], true);
        assert_eq!(
            (
                number(&report, "fill_bytes"),
                number(&report, "pending_bytes")
            ),
            (640, 640)
        );
        assert_eq!(
            (
                number(&report, "overwritten_records"),
                number(&report, "overwritten_bytes")
            ),
            (26, 260)
        );
    }
    let run = alq(["stat", name(&made.left)]).assert().success();
    let said = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert!(said.contains("use          a recorder\n"), "{said}");
    let kept = said.lines().find(|line| line.starts_with("kept "));
    assert!(kept.unwrap().ends_with(" 640 bytes"), "{said}");
    assert!(said.contains(" 26 records since the last dump\n"), "{said}");
}

fn refused_dump(args: &[&Path], part: &str) {
    refused(alq(["dump"]).args(args), 1, &[part]);
}

#[test]
fn what_is_no_recorder_or_cannot_be_written_is_refused() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    let queue = Options::new().ring_file(&ring).open(&log).unwrap();
    refused_dump(&[&ring], "`alq recover`");
    drop(queue);

    let made = recorder(small());
    for (spoilt, part) in spoil(&made.left) {
        refused_dump(&[&spoilt], part);
    }
    refused(alq(["recover"]).arg(&made.left), 1, &["`alq dump`"]);
    let to = Path::new("--to");
    refused_dump(&[to, &made.left, &made.left], "the ring file itself");
    refused_dump(&[to, Path::new("/dev/full"), &made.left], "No space left");
    refused_dump(
        &[to, Path::new("/no/such/folder/log"), &made.left],
        "No such file",
    );
    alq(["dump", name(&made.left)]).assert().stdout(RECORDS);
}

#[test]
fn the_rest_of_a_damaged_ring_is_printed() {
    let made = recorder(small());
    change_word(&made.left, 8192, |place| place ^ 1 << 20); // record 98 begins outside of the ring
    let run = alq(["dump", name(&made.left)])
        .assert()
        .code(3)
        .stdout("record 99\n");
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(said.contains("1 damaged slots"), "{said}");
}
