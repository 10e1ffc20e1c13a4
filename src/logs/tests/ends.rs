//! A rotation or a packing ends, or fails, at each point between two steps. The next one finishes
//! it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{NOON, Place};
use crate::logs::log::Log;
use crate::logs::point::Script;
use crate::logs::{Compression, Rotation};

/// A form of compression that is compiled in.
fn form() -> Compression {
    if cfg!(feature = "gzip") {
        Compression::Gzip
    } else {
        Compression::None
    }
}

/// Does three rotations and the work after them. The last record is still in the log.
fn some_work(place: &mut Place, log: &Log) {
    for record in ["one\n", "two\n", "three\n", "four\n"] {
        place.put(log, record);
    }
    log.go_through(Vec::new());
}

fn small() -> Rotation {
    Rotation::new().size_bytes(5).compress(form())
}

/// Runs `body` up to the point with this number. Returns whether `body` came to its end.
fn up_to(number: usize, body: impl FnOnce()) -> bool {
    let run = || catch_unwind(AssertUnwindSafe(body)).is_ok();
    Script::run(Some(Script::End(number)), run).0
}

#[test]
fn after_two_kills_at_any_points_the_next_process_finishes_the_work() {
    let mut count = 0;
    'first: for first in 1.. {
        for second in (1 + first % 4..).step_by(4) {
            let mut place = Place::new();
            let log = place.open(small());
            let is_over = up_to(first, || some_work(&mut place, &log));
            drop(log);
            if is_over {
                break 'first;
            }
            place.check();
            let log = place.open(small());
            let is_last = up_to(second, || some_work(&mut place, &log));
            drop(log);
            place.check();
            let log = place.open(small());
            some_work(&mut place, &log);
            place.check();
            let left = place.files();
            let is_whole = |name: &String| {
                name == "log" || name.len() == "log.".len() + 23 + form().suffix().len()
            };
            assert!(left.iter().all(is_whole), "{first}, {second}: {left:?}");
            count += 1;
            if is_last {
                break;
            }
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_step_that_fails_leaves_the_log_where_it_is_and_is_tried_again_in_the_next_second() {
    let steps = [
        "make the new file",
        "move the old file aside",
        "put the new file in place",
    ];
    for step in steps {
        let mut place = Place::new();
        let log = place.open(small());
        let run = |place: &mut Place| {
            for record in ["one\n", "two\n", "three\n"] {
                place.put(&log, record);
            }
        };
        Script::run(Some(Script::Fail(step, 9, libc::EMFILE)), || {
            run(&mut place);
        });
        assert_eq!(place.files(), ["log"], "{step}");
        place.check();
        let errors = place.errors(&log);
        assert_eq!(errors.len(), 1, "once, and not once a record: {errors:?}");
        assert!(
            errors[0].contains("cannot rotate the log: Too many open files"),
            "{errors:?}"
        );
        place.set(NOON + 1);
        place.put(&log, "four\n");
        assert_eq!(place.files().len(), 2, "{step}");
        place.check();
    }
}

/// The new file is in place, but the log cannot continue in it.
#[test]
fn a_rotation_that_fails_half_way_is_finished_by_the_next_check() {
    let mut place = Place::new();
    let log = place.open(small());
    place.put(&log, "one\n");
    let step = Script::Fail("continue in the new file", 1, libc::EIO);
    Script::run(Some(step), || place.put(&log, "two\n"));
    log.go_through(Vec::new());
    place.put(&log, "still there\n"); // the file was not packed in between
    place.check();
    place.set(NOON + 1);
    place.put(&log, "three\n");
    log.go_through(Vec::new());
    place.check();
    assert_eq!(fs::read(place.path()).unwrap(), b"three\n");
}

#[test]
fn a_file_that_cannot_be_packed_stays_as_it_is_until_it_can() {
    if form() == Compression::None {
        return;
    }
    let steps = [
        "make the packed file",
        "pack",
        "sync the packed file",
        "name the packed file",
        "sync the directory",
        "remove the plain file",
    ];
    for step in steps {
        let mut place = Place::new();
        let log = place.open(small());
        let fail = Script::Fail(step, 9, libc::ENOSPC);
        Script::run(Some(fail), || some_work(&mut place, &log));
        place.check();
        assert!(
            !place.files().iter().any(|name| name.ends_with(".packing")),
            "{step}"
        );
        let errors = place.errors(&log);
        assert_eq!(errors.len(), 3, "{step}: {errors:?}");
        log.go_through(Vec::new());
        let packed = place.files();
        assert_eq!(
            packed.iter().filter(|name| name.contains(".gz")).count(),
            3,
            "{packed:?}"
        );
        assert_eq!(packed.len(), 4);
        place.check();
    }
}
