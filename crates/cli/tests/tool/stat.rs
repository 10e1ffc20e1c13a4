//! Promise: `alq stat` shows what a ring file holds and what its queue is doing, and changes
//! nothing.

use std::fs::{self, File};
use std::path::Path;

use crate::common::ring::{Stuck, left, number, spoil, stat};
use crate::common::{ALQ, Running, alq, name, numbers, refused, scratch, wait_until};
use alq::ring_file::inspect;
use alq::{Error, Flags, Options};
use serde_json::Value;

fn table(ring: &Path) -> String {
    let run = alq(["stat", name(ring)]).assert().success().stderr("");
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

#[test]
fn a_tool_that_waits_for_input_is_shown_and_not_disturbed() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    let (reader, writer) = crate::common::pipe();
    let args = [
        Path::new("--capacity=64K"),
        Path::new("--ring"),
        &ring,
        &log,
    ];
    let mut tool = Running::append(args, reader);
    let mut writer = File::from(writer);
    std::io::Write::write_all(&mut writer, b"hello\n").unwrap();
    crate::common::wait_for_len(&log, 6);
    wait_until("what it shows", || {
        number(&stat(&ring), "written_bytes") == 6
    });
    let report = stat(&ring);
    let pid = u64::from(tool.0.id());
    assert_eq!(number(&report, "pid"), pid, "{report}");
    assert_eq!(number(&report, "shown_by"), pid, "{report}");
    assert_eq!(report["log"], name(&log));
    assert_eq!(number(&report, "capacity_bytes"), 65_536);
    assert_eq!(number(&report, "drains"), 1);
    for name in [
        "pending_bytes",
        "pending_spans",
        "fill_bytes",
        "open_reservations",
        "damaged",
        "refused_records",
        "syncs",
    ] {
        assert_eq!(number(&report, name), 0, "{name} in {report}");
    }
    for name in ["stall", "stall_reason", "failure", "entry_bytes", "entries"] {
        assert_eq!(report[name], Value::Null, "{name} in {report}");
    }
    let [opened, shown, read] =
        ["opened_ns", "shown_ns", "read_ns"].map(|name| number(&report, name));
    assert!(opened <= shown && shown <= read, "{report}");
    std::io::Write::write_all(&mut writer, b"more\n").unwrap();
    drop(writer);
    assert!(tool.end().success());
    assert_eq!(fs::read(&log).unwrap(), b"hello\nmore\n");
    let report = stat(&ring);
    assert_eq!(
        (&report["pid"], number(&report, "shown_by")),
        (&Value::Null, pid)
    );
}

#[test]
fn a_stall_is_shown_with_its_name_and_age() {
    let mut stuck = Stuck::start();
    stuck.feed("hello\n");
    wait_until("the stall", || stat(&stuck.ring)["stall"] == "EAGAIN");
    let report = stat(&stuck.ring);
    assert_eq!(number(&report, "pending_bytes"), 6);
    assert_eq!(number(&report, "pending_spans"), 1);
    assert_eq!(number(&report, "written_bytes"), 0);
    assert_eq!(report["log"], Value::Null);
    wait_until("it grows", || {
        number(&stat(&stuck.ring), "stall_ns") > number(&report, "stall_ns")
    });
    let said = table(&stuck.ring);
    assert!(said.contains("\nstall       EAGAIN, for "), "{said}");
    let owner = format!("\nowner       process {}, opened ", stuck.tool.0.id());
    assert!(said.contains(&owner), "{said}");
}

/// Waits in its first write until the test ends it.
struct Hangs(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl alq::Sink for Hangs {
    fn write(&self, runs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        let _ = self.0.lock().unwrap().recv(); // an error: the test has ended it before
        Ok(runs.iter().map(|run| run.len()).sum())
    }
}

#[test]
fn a_write_that_does_not_return_is_shown_as_a_stall() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let (end, ended) = std::sync::mpsc::channel();
    let sink = Hangs(std::sync::Mutex::new(ended));
    let queue = Options::new().ring_file(&ring).open_sink(sink).unwrap();
    assert_eq!(number(&stat(&ring), "write_ns"), 0);
    queue.writen(b"hello\n", Flags::WAITOK).unwrap();
    wait_until("a long write", || {
        number(&stat(&ring), "write_ns") > 1_000_000_000
    });
    let said = table(&ring);
    assert!(
        said.contains("\nstall       a write has not returned, for "),
        "{said}"
    );
    drop(end);
    queue.close(None).unwrap();
    assert_eq!(number(&stat(&ring), "write_ns"), 0);
    assert!(table(&ring).contains("\nstall       none\n"));
}

/// Takes nothing, and says why in words that are meant for no terminal.
struct Says(&'static str);

impl alq::Sink for Says {
    fn write(&self, _runs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::WouldBlock.into())
    }

    fn stall_reason(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

#[test]
fn a_stall_is_shown_in_the_words_of_the_sink_which_no_terminal_obeys() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let said = "no quorum: 1 of 3\u{1b}[2J\nrefused 0\u{202e}";
    let queue = Options::new().ring_file(&ring).open_sink(Says(said));
    let queue = queue.unwrap();
    queue.writen(b"hello\n", Flags::WAITOK).unwrap();
    wait_until("the words", || stat(&ring)["stall_reason"] == said);
    assert_eq!(stat(&ring)["stall"], "EAGAIN");
    let shown = r"no quorum: 1 of 3\u{1b}[2J\nrefused 0\u{202e}, for ";
    let table = table(&ring);
    assert!(table.contains(&format!("\nstall       {shown}")), "{table}");
    let mut watch = std::process::Command::new(ALQ)
        .args(["stat", "--watch"])
        .arg(&ring)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = watch.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert!(line.contains(&format!(", stall {shown}")), "{line}");
    queue.close(Some(std::time::Duration::ZERO)).unwrap_err();
}

#[test]
fn people_get_a_table() {
    let left = left(Options::new(), &["written\n"], &["posted1\n", "posted2\n"]);
    let me = std::process::id();
    let said = table(&left.ring);
    let (shown, rest): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| line.contains(" ago"));
    assert!(
        shown[0].starts_with(&format!(
            "owner              none; the last was process {me}, opened "
        )),
        "{said}"
    );
    assert!(shown[1].starts_with("shown              "), "{said}");
    let expected = format!(
        "\
ring               {}
id                 {}
log                {}
framing            Raw
use                a queue
capacity           1048576 bytes
fill                    24 bytes
pending                 16 bytes
                         2 spans
already written          0 bytes
possibly repeated        0 bytes
open                     1 reservations
damaged                  0 slots
written                  8 bytes
                         1 records
                         1 drains
                         0 syncs
waits                    0 appends
longest            0.000 s
refused                  0 records
                         0 bytes
stall              none
failure            none",
        name(&left.ring),
        inspect(&left.ring).unwrap().id.unwrap(),
        name(&left.log)
    );
    // The flusher may have seen only the first record, or more.
    let (high, rest): (Vec<&str>, Vec<&str>) =
        rest.iter().partition(|line| line.starts_with("high"));
    assert!(high[0].starts_with("high water        "), "{said}");
    assert_eq!(rest.join("\n"), expected);
}

#[test]
fn refusals_and_a_failure_are_shown() {
    let (dir, _) = scratch();
    let ring = dir.path().join("ring");
    let (reader, writer) = crate::common::pipe();
    let queue = Options::new()
        .fixed(8, 2)
        .ring_file(&ring)
        .open_fd(&writer)
        .unwrap();
    let held = queue.get(Flags::NOWAIT).unwrap();
    queue.write_fixed(b"posted1\n", Flags::NOWAIT).unwrap();
    let refused = queue.write_fixed(b"refused\n", Flags::NOWAIT);
    assert_eq!(refused, Err(Error::WouldBlock));
    let report = stat(&ring);
    let sizes = [
        "entry_bytes",
        "entries",
        "open_reservations",
        "pending_bytes",
    ];
    assert_eq!(
        sizes.map(|name| number(&report, name)),
        [8, 2, 1, 8],
        "{report}"
    );
    assert!(table(&ring).contains("at most\n"));
    drop(reader);
    drop(held);
    wait_until("the failure", || stat(&ring)["failure"] == "EPIPE");
    let report = stat(&ring);
    let counts = ["refused_records", "refused_bytes", "pending_bytes"];
    assert_eq!(
        counts.map(|name| number(&report, name)),
        [1, 8, 8],
        "{report}"
    );
    assert!(queue.close(None).unwrap_err().in_ring_file);
}

#[test]
fn looking_changes_no_byte() {
    let left = left(Options::new(), &["written\n"], &["posted1\n"]);
    let before = fs::read(&left.ring).unwrap();
    stat(&left.ring);
    table(&left.ring);
    assert_eq!(fs::read(&left.ring).unwrap(), before);
}

#[test]
fn one_that_is_busy_seems_never_damaged() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    let source = dir.path().join("source");
    fs::write(&source, numbers(3_000_000)).unwrap();
    let mut command = std::process::Command::new("sh");
    command.args([
        "-c",
        r#"cat "$3" "$3" "$3" "$3" | "$0" append --capacity 4K --ring "$1" "$2""#,
    ]);
    command.args([Path::new(ALQ), &ring, &log, &source]);
    let mut tool = Running::start(&mut command, std::process::Stdio::null());
    wait_until("the ring file", || ring.exists());
    while tool.is_alive() {
        assert_eq!(number(&stat(&ring), "damaged"), 0);
    }
    assert!(tool.end().success());
}

#[test]
fn what_is_no_good_ring_file_is_refused() {
    let left = left(Options::new(), &[], &["posted1\n"]);
    for (ring, part) in spoil(&left.ring) {
        let parts = [name(&ring), part];
        refused(&mut alq(["stat", name(&ring)]), 1, &parts);
        refused(&mut alq(["stat", "--json", name(&ring)]), 1, &parts);
    }
    alq(["stat"]).assert().code(2);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(ALQ);
    command.args(["stat", name(&left.ring)]).stdout(full);
    let mut tool = Running::start(&mut command, std::process::Stdio::null());
    assert_eq!(tool.end().code(), Some(1));
    let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
    assert!(
        said.starts_with("alq: standard output: No space left"),
        "{said}"
    );
}

/// Whether a ring is in use is decided by its lock. The pid of a process in another PID namespace
/// cannot be seen here.
#[test]
fn a_ring_that_a_process_of_another_namespace_has_is_in_use() {
    let mut stuck = Stuck::start();
    stuck.feed("hello\n");
    let mut look = std::process::Command::new("unshare");
    let inside =
        r#"mount -t proc none /proc && "$0" stat --json "$1" && "$0" recover --dry-run "$1""#;
    look.args([
        "--pid",
        "--fork",
        "--mount",
        "sh",
        "-c",
        inside,
        ALQ,
        name(&stuck.ring),
    ]);
    let looked = match look.output() {
        Ok(looked) if !looked.stdout.is_empty() => looked,
        _ => return println!("skipped: there is no other namespace to be had"),
    };
    let report: Value = serde_json::from_slice(&looked.stdout).unwrap();
    assert_eq!(
        (&report["in_use"], &report["pid"]),
        (&Value::Bool(true), &Value::Null)
    );
    assert_eq!(number(&report, "pending_bytes"), 6);
    assert_eq!(
        looked.status.code(),
        Some(1),
        "recover leaves it to its process"
    );
    let said = String::from_utf8(looked.stderr).unwrap();
    assert!(
        said.contains("of another PID namespace) has it open"),
        "{said}"
    );
    assert_eq!(stat(&stuck.ring)["in_use"], true);
    let left = stuck.kill();
    assert_eq!(stat(&left.ring)["in_use"], false);
}

/// A file claims to be a large ring and is empty: `stat` needs less memory than its slots
/// would take.
#[test]
fn a_hostile_ring_costs_no_memory() {
    use std::os::unix::fs::FileExt;
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    drop(Options::new().ring_file(&ring).open(&log).unwrap());
    let header = fs::read(&ring).unwrap();
    let mut words: Vec<u64> = header[..64]
        .chunks(8)
        .map(|word| u64::from_ne_bytes(word.try_into().unwrap()))
        .collect();
    let (capacity, slots) = (1 << 28, 1_u64 << 22);
    (words[3], words[4], words[5]) = (capacity, slots, slots);
    // docs/format.md: FNV-1a.
    words[7] = words[..7]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let file = File::create(&ring).unwrap();
    file.write_all_at(&header[..8192], 0).unwrap();
    let start: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    file.write_all_at(&start, 0).unwrap();
    file.set_len(8192 + 16 * slots + capacity).unwrap();
    let mut command = std::process::Command::new("sh");
    let script = r#"ulimit -v 50000; exec "$0" stat --json "$1""#;
    let run = command
        .args(["-c", script, ALQ, name(&ring)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(number(&report, "capacity_bytes"), capacity);
}
