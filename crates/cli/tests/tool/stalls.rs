//! Promise: a log catcher on a full disk waits, reports the stall at once, and reports its end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use crate::common::catcher::{Catcher, read};
use crate::common::disk::SmallDisk;
use crate::common::{scratch, wait_until};
use rustix::process::Signal;

/// The next line on standard error.
fn next_line(catcher: &mut Catcher) -> String {
    let mut said = String::new();
    let stderr = catcher.tool.0.stderr.as_mut().unwrap();
    // A buffer of one byte, so that it takes no byte of the next line.
    BufReader::with_capacity(1, stderr)
        .read_line(&mut said)
        .unwrap();
    said
}

#[test]
fn a_catcher_waits_for_room_without_an_end_and_says_so_at_once() {
    for more in ["--line", "--stall-limit=forever"] {
        let mut catcher = Catcher::start(&[more], Path::new("/dev/full"));
        catcher.feed("kept\n");
        let said = next_line(&mut catcher);
        assert!(
            said.starts_with("alq: /dev/full: No space left on device"),
            "{said}"
        );
        assert!(said.contains("keeping 5 bytes in memory"), "{said}");
        // The stall lasts longer than the limit of other input.
        assert!(next_line(&mut catcher).contains("for 1 s"));
        assert!(catcher.tool.is_alive());
        catcher.tool.signal(Signal::TERM);
        let said = next_line(&mut catcher);
        assert!(said.contains("another signal gives them up"), "{said}");
        catcher.tool.signal(Signal::TERM);
        assert_eq!(catcher.tool.end().signal(), Some(Signal::TERM.as_raw()));
    }
}

#[test]
fn a_stall_is_said_at_once_where_lines_are_dropped_too() {
    let mut catcher = Catcher::start(
        &["--when-full=drop", "--capacity=16K"],
        Path::new("/dev/full"),
    );
    // More than the ring holds: it waits for room before it drops.
    catcher.feed(&"a line\n".repeat(5_000));
    let said = next_line(&mut catcher);
    assert!(said.contains("(os error 28); "), "{said}");
}

#[test]
fn after_a_signal_a_ring_file_keeps_what_a_full_disk_does_not_take() {
    let (dir, log) = scratch();
    let ring = dir.path().join("ring");
    let ring = ring.to_str().unwrap();
    let mut catcher = Catcher::start(&["--line", "--ring", ring], Path::new("/dev/full"));
    catcher.feed("kept\n");
    // On a disk, a warning comes first; until FILE is open, a signal ends the tool at once.
    let mut said = next_line(&mut catcher);
    if said.contains("warning") {
        said = next_line(&mut catcher);
    }
    assert!(said.contains("No space left"), "{said}");
    catcher.tool.signal(Signal::TERM);
    assert_eq!(catcher.tool.end().code(), Some(1)); // by one signal
    let (said, _) = catcher.end();
    assert!(said.contains("5 bytes stay in "), "{said}");
    let args = ["recover", "--into", log.to_str().unwrap(), ring];
    crate::common::alq(args).assert().success();
    assert_eq!(read(&log), "kept\n");
}

#[test]
fn room_that_comes_is_used_and_said() {
    let Some(disk) = SmallDisk::mount("room_that_comes_is_used_and_said") else {
        return;
    };
    let log = disk.path().join("log");
    fs::write(&log, "").unwrap();
    disk.fill();
    let mut catcher = Catcher::start(&["--line", "--quiet"], &log);
    catcher.feed("kept\n");
    let first = next_line(&mut catcher);
    disk.make_room();
    wait_until("the line", || read(&log) == "kept\n");
    let second = next_line(&mut catcher);
    let (rest, _) = catcher.end();
    assert!(first.contains("(os error 28); keeping 5 bytes"), "{first}");
    assert!(second.contains("accepts data again after"), "{second}");
    assert_eq!(rest, "");
}
