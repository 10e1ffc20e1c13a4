//! A rotation or a packing ends, or fails, at each point between two steps. The next one finishes
//! it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

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

/// The system cannot swap two names.
const NO_SWAP: Script = Script::Fail("swap the names", usize::MAX, libc::EINVAL);

/// Runs `body` up to the point with this number. Returns whether `body` came to its end.
fn up_to(number: usize, can_swap: bool, body: impl FnOnce()) -> bool {
    let run = || catch_unwind(AssertUnwindSafe(body)).is_ok();
    let no_swap = (!can_swap).then_some(NO_SWAP);
    Script::run([Script::End(number)].into_iter().chain(no_swap), run).0
}

#[test]
fn after_two_kills_at_any_points_the_next_process_finishes_the_work() {
    after_two_kills(true);
}

#[test]
fn after_two_kills_where_names_cannot_be_swapped_the_next_process_finishes_the_work() {
    after_two_kills(false);
}

/// If names can be swapped, there is a log after each kill.
fn after_two_kills(can_swap: bool) {
    let mut count = 0;
    'first: for first in 1.. {
        for second in (1 + first % 4..).step_by(4) {
            let mut place = Place::new();
            let log = place.open(small());
            let is_over = up_to(first, can_swap, || some_work(&mut place, &log));
            drop(log);
            if is_over {
                break 'first;
            }
            place.check();
            assert!(!can_swap || place.path().exists(), "{first}");
            let log = place.open(small());
            let is_last = up_to(second, can_swap, || some_work(&mut place, &log));
            drop(log);
            place.check();
            assert!(!can_swap || place.path().exists(), "{first}, {second}");
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
        ("make the new file", false),
        ("swap the names", false),
        ("move the old file aside", false),
        ("move the old file aside", true),
        ("put the new file in place", true),
    ];
    for (step, is_in_two_steps) in steps {
        let mut place = Place::new();
        let log = place.open(small());
        let run = |place: &mut Place| {
            for record in ["one\n", "two\n", "three\n"] {
                place.put(&log, record);
            }
        };
        let fails = [Script::Fail(step, 9, libc::EMFILE), NO_SWAP];
        let scripts = fails.into_iter().take(1 + usize::from(is_in_two_steps));
        Script::run(scripts, || run(&mut place));
        assert_eq!(place.files(), ["log"], "{step}");
        place.check();
        let errors = place.errors(&log);
        assert_eq!(errors.len(), 1, "once, and not once a record: {errors:?}");
        let why = io::Error::from_raw_os_error(libc::EMFILE);
        assert!(
            errors[0].contains(&format!("cannot rotate the log: {why}")),
            "{errors:?}"
        );
        place.set(NOON + 1);
        place.put(&log, "four\n");
        assert_eq!(place.files().len(), 2, "{step}");
        place.check();
    }
}

/// The place of the test below, for a function without captures.
static SWAPPED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The old file was swapped away and cannot get its name. Meanwhile another process has used the
/// new file, or has moved it away, so that the swap cannot be undone.
#[test]
fn a_swap_that_cannot_be_undone_cleanly_loses_nothing() {
    let write = || {
        let path = SWAPPED.lock().unwrap().clone().unwrap();
        let mut log = File::options().append(true).open(path).unwrap();
        log.write_all(b"child\n").unwrap();
    };
    let rename = || {
        let path = SWAPPED.lock().unwrap().clone().unwrap();
        fs::rename(&path, path.with_file_name("moved")).unwrap();
    };
    for (meanwhile, left, last) in [
        // The file of the child is the younger one, so the log goes on in it.
        (write as fn(), "one\ntwo\nthree\n", "child\n"),
        (rename as fn(), "one\ntwo\n", "three\n"),
    ] {
        let mut place = Place::new();
        *SWAPPED.lock().unwrap() = Some(place.path());
        let log = place.open(Rotation::new());
        place.put(&log, "one\n");
        log.ask(&log.asked);
        let at = "move the old file aside";
        let scripts = [Script::Call(at, meanwhile), Script::Fail(at, 1, libc::EIO)];
        Script::run(scripts, || place.put(&log, "two\n"));
        place.set(NOON + 1);
        // Relaxed: only this thread uses it.
        log.asked.store(false, Ordering::Relaxed);
        place.put(&log, "three\n");
        drop(log);
        let log = place.open(Rotation::new());
        let files = place.files();
        let rotated = files.iter().find(|name| name.contains("000000")).unwrap();
        assert!(!rotated.contains("fresh"), "{files:?}");
        assert_eq!(
            fs::read_to_string(place.dir.path().join(rotated)).unwrap(),
            left
        );
        assert_eq!(fs::read_to_string(place.path()).unwrap(), last);
        drop(log);
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
        "sync the folder",
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
        assert_eq!(
            errors.len(),
            1,
            "once, and not once a file: {step}: {errors:?}"
        );
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
