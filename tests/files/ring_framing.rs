//! Records in a ring file are written as they were framed, whatever the next queue asks for.

use std::fs;
use std::path::Path;

use crate::common::child::end_of_child;
use crate::common::torture::label::die;
use crate::common::{LATER, NEVER_STALLS, STALLS_SOON, wait_until_parked};
use alq::ring_file::inspect;
use alq::{Error, Framing, Options, RingFileProblem as Problem};

fn options(folder: &Path) -> Options {
    Options::new()
        .capacity(4096)
        .stall_limit(Some(NEVER_STALLS))
        .ring_file(folder.join("ring"))
}

/// A ring whose records are framed as `framing`, in a process that was killed.
fn left_with(test: &str, way: &str, framing: Framing) -> Option<tempfile::TempDir> {
    let ended = end_of_child(test, way, |folder| {
        let queue = options(folder).framing(framing);
        let queue = queue.open(folder.join("log")).unwrap();
        wait_until_parked(&queue);
        queue.writen(b"left", LATER).unwrap();
        die();
    })?;
    let state = inspect(ended.folder.path().join("ring")).unwrap();
    assert_eq!(state.framing, Some(framing));
    Some(ended.folder)
}

#[test]
fn records_are_written_as_they_were_framed_and_then_the_new_framing_begins() {
    let test = "records_are_written_as_they_were_framed_and_then_the_new_framing_begins";
    for (way, before, after, expected) in [
        ("lines", Framing::Lines, Framing::Raw, "left\nnew"),
        ("raw", Framing::Raw, Framing::Lines, "left\nnew\n"),
        (
            "same",
            Framing::Lengths,
            Framing::Lengths,
            "\u{4}\0\0\0left\u{3}\0\0\0new",
        ),
        ("fixed", Framing::Fixed(4), Framing::Fixed(2), "leftne"),
    ] {
        let Some(folder) = left_with(test, way, before) else {
            continue;
        };
        let folder = folder.path();
        let queue = options(folder).framing(after);
        let queue = queue.open(folder.join("log")).unwrap();
        let found = queue.recovery().unwrap();
        let is_drained = before != after;
        assert_eq!(
            found.drained_bytes,
            if is_drained { found.bytes } else { 0 }
        );
        let new = if way == "fixed" { "ne" } else { "new" };
        queue.writen(new.as_bytes(), LATER).unwrap();
        queue.close(None).unwrap();
        assert_eq!(
            fs::read_to_string(folder.join("log")).unwrap(),
            expected,
            "{way}"
        );
        let state = inspect(folder.join("ring")).unwrap();
        assert_eq!(state.framing, Some(after));
    }
}

/// A queue must not begin a framing while records of another one are in its ring.
#[test]
fn with_another_framing_a_log_that_takes_nothing_is_an_error() {
    let test = "with_another_framing_a_log_that_takes_nothing_is_an_error";
    let Some(folder) = left_with(test, "", Framing::Lines) else {
        return;
    };
    let folder = folder.path();
    let full = || {
        options(folder)
            .other_log(true)
            .stall_limit(Some(STALLS_SOON))
    };
    drop(full().framing(Framing::Lines).open("/dev/full").unwrap());
    let error = full().open("/dev/full").unwrap_err();
    let is_full = matches!(error, Error::Stalled { errno, .. } if errno == libc::ENOSPC);
    assert!(is_full, "{error}");
    let state = inspect(folder.join("ring")).unwrap();
    assert_eq!(
        (state.framing, state.pending.bytes),
        (Some(Framing::Lines), 5)
    );
}

#[test]
fn records_of_another_framing_go_to_no_other_log() {
    let test = "records_of_another_framing_go_to_no_other_log";
    let Some(folder) = left_with(test, "", Framing::Lines) else {
        return;
    };
    let folder = folder.path();
    let other = |framing| {
        let options = options(folder).other_log(true).framing(framing);
        options.open(folder.join("other"))
    };
    let [found, asked] = ["Lines", "Lengths"].map(str::to_owned);
    let bytes = 5;
    let expected = Problem::OtherFraming {
        found,
        asked,
        bytes,
    };
    let Error::RingFile { problem, .. } = other(Framing::Lengths).unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(*problem, expected);
    other(Framing::Lines).unwrap().close(None).unwrap();
    assert_eq!(fs::read(folder.join("other")).unwrap(), b"left\n");
}
