//! The real logrotate (if it is installed) rotates the log of a busy queue without loss, and
//! without a torn record of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{
    Log, Record, WAIT, Watched, assert_accounts, assert_complete, parse, spawn, wait_for,
};
use alq::{Options, Queue};

/// A program and its logrotate rules, in a separate folder.
struct Logrotate {
    log: Log,
    program: &'static str,
}

impl Logrotate {
    fn find(test: &str) -> Option<Self> {
        let program = ["/usr/sbin/logrotate", "/usr/bin/logrotate"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        if program.is_none() {
            println!("{test}: skipped, there is no logrotate here");
        }
        Some(Self {
            log: Log::new(),
            program: program?,
        })
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.log.path().with_file_name(name)
    }

    /// Forces one rotation.
    fn run(&self, rules: &str) {
        let config = self.beside("logrotate.conf");
        let path = self.log.path();
        let text = format!(
            "{} {{\nrotate 1000\nnocompress\n{rules}\n}}\n",
            path.display()
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
        let output = Command::new(self.program)
            .arg("--force")
            .arg("--state")
            .arg(self.beside("state"))
            .arg(&config)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The rotated files, oldest first, and then the log.
    fn files(&self) -> Vec<PathBuf> {
        let rotated = (1..=1000).map(|number| self.beside(&format!("test.log.{number}")));
        let mut files: Vec<_> = rotated.take_while(|path| path.exists()).collect();
        files.reverse();
        files.push(self.log.path());
        files
    }
}

/// Appends until it must stop. Returns the number of records.
fn write_until(queue: &Queue, over: &AtomicBool) -> u32 {
    let mut seq = 0;
    while !over.load(Ordering::Relaxed) {
        let len = Record::MIN_LEN + seq as usize % 200;
        let writer = 0;
        let text = Record { writer, seq, len }.text();
        queue.writen(text.as_bytes(), WAIT).unwrap();
        seq += 1;
        if seq % 10 == 0 {
            queue.flush().unwrap(); // logrotate copies until it has caught up
        }
    }
    seq
}

/// Rotates a log several times while it is written, and calls `after` after each rotation. Returns
/// the number of records.
fn rotate(logrotate: &Logrotate, queue: &Queue, rules: &str, after: impl Fn()) -> u32 {
    let over = Arc::new(AtomicBool::new(false));
    let writer: Watched<u32> = {
        let (queue, over) = (queue.clone(), Arc::clone(&over));
        spawn(move || write_until(&queue, &over))
    };
    for _ in 0..8 {
        let enough = queue.stats().written_bytes + 20_000;
        wait_for("traffic", || queue.stats().written_bytes > enough);
        logrotate.run(rules);
        after();
    }
    over.store(true, Ordering::Relaxed);
    let count = writer.join();
    queue.close(None).unwrap();
    count
}

#[test]
fn create_and_a_reopen_lose_nothing() {
    let Some(logrotate) = Logrotate::find("create_and_a_reopen_lose_nothing") else {
        return;
    };
    let queue = logrotate.log.open(Options::new().capacity(1 << 14));
    let reopen = || {
        let path = logrotate.log.path();
        queue.reopen_path(path).unwrap().wait().unwrap();
    };
    let count = rotate(&logrotate, &queue, "create 0600", reopen);
    let files = logrotate.files();
    assert_eq!(files.len(), 9);
    let mut records = Vec::new();
    let mut bytes = 0;
    for file in files {
        let text = fs::read(file).unwrap();
        bytes += text.len() as u64;
        records.extend(parse(&text)); // each has whole records only
    }
    assert_complete(&records, &[count]);
    assert_accounts(&queue, bytes, 0);
}

/// `copytruncate` loses the bytes written between the copy and the truncation, as its manual says.
/// We tear no remaining record: a file begins and ends at a record's boundary, except at the end of
/// a copy that was made during a write.
#[test]
fn copytruncate_leaves_no_hole_and_no_torn_record() {
    let test = "copytruncate_leaves_no_hole_and_no_torn_record";
    let Some(logrotate) = Logrotate::find(test) else {
        return;
    };
    let queue = logrotate.log.open(Options::new().capacity(1 << 14));
    rotate(&logrotate, &queue, "copytruncate", || {});
    let mut records = Vec::new();
    for file in logrotate.files() {
        let text = fs::read(file).unwrap();
        assert!(!text.contains(&0), "a hole");
        let end = text.iter().rposition(|byte| *byte == b'\n');
        records.extend(parse(&text[..end.map_or(0, |end| end + 1)]));
    }
    assert!(records.is_sorted_by_key(|record| record.seq));
    assert_eq!(queue.stats().lost_bytes, 0, "we lose nothing");
}
