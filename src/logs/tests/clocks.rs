//! A clock that was, or is, wrong by years does not mix up names or ages.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use super::{NOON, Place};
use crate::logs::Rotation;

const YEARS: u64 = 70 * 365 * 86_400;
const HOUR: u64 = 3600;

fn rotated(place: &Place) -> Vec<String> {
    let mut names = place.files();
    names.retain(|name| name != "log");
    names
}

fn set_modified(place: &Place, name: &str, seconds: u64) {
    let file = fs::File::options()
        .append(true)
        .open(place.dir.path().join(name));
    let at = UNIX_EPOCH + Duration::from_secs(seconds);
    file.unwrap().set_modified(at).unwrap();
}

#[test]
fn names_that_a_wrong_clock_put_into_the_future_are_corrected_in_order() {
    let mut place = Place::new();
    let log = place.open(Rotation::new().size_bytes(1));
    place.put(&log, "a\n");
    place.put(&log, "b\n");
    place.set(NOON + YEARS);
    place.put(&log, "c\n");
    place.put(&log, "d\n");
    assert!(
        rotated(&place)[1].starts_with("log.2096"),
        "{:?}",
        place.files()
    );
    place.set(NOON + HOUR);
    log.go_through(Vec::new());
    let names = rotated(&place);
    assert_eq!(names[1], "log.20261124T124620Z-000000");
    assert_eq!(names[2], "log.20261124T124620Z-000001");
    place.set(NOON + 2 * HOUR);
    place.put(&log, "e\n");
    assert_eq!(
        rotated(&place)[3],
        "log.20261124T134620Z-000000",
        "later names are correct, too"
    );
    place.check();
}

/// A machine without a battery boots with such a clock. Then no age is known.
#[test]
fn a_clock_at_1970_changes_no_name_and_ends_no_age() {
    let mut place = Place::new();
    let keeping = || {
        Rotation::new()
            .size_bytes(1)
            .keep_age(Duration::from_secs(HOUR))
    };
    let log = place.open(keeping());
    place.put(&log, "a\n");
    place.put(&log, "b\n");
    drop(log);
    place.set(100);
    let log = place.open(keeping());
    place.put(&log, "c\n");
    log.go_through(Vec::new());
    let before = rotated(&place);
    assert_eq!(before.len(), 2);
    assert!(
        before
            .iter()
            .all(|name| name.starts_with("log.20261124T1146")),
        "{before:?}"
    );
    place.check();
}

#[test]
fn a_file_that_was_cut_off_at_1970_is_not_old_when_the_clock_is_set() {
    let mut place = Place::new();
    place.set(100);
    let log = place.open(
        Rotation::new()
            .size_bytes(1)
            .keep_age(Duration::from_secs(HOUR)),
    );
    place.put(&log, "a\n");
    place.put(&log, "b\n");
    assert!(rotated(&place)[0].starts_with("log.1970"));
    place.set(NOON);
    place.put(&log, "c\n");
    log.go_through(Vec::new());
    assert_eq!(rotated(&place).len(), 2);
    place.check();
}

/// A name is corrected to the time of the last write, or to that of the next file.
#[test]
fn one_second_of_a_clock_that_is_years_ahead_does_not_end_keep_age() {
    let place = Place::new();
    let put = |name: &str, written: u64| {
        fs::write(place.dir.path().join(name), name).unwrap();
        set_modified(&place, name, written);
    };
    put("log.20990101T000000Z-000000", NOON + YEARS);
    put("log.20990101T000000Z-000001", NOON - 5 * HOUR); // the clock was right again
    put("log.20990101T000000Z-000002", NOON - HOUR / 2);
    let log = place.open(Rotation::new().keep_age(Duration::from_secs(HOUR)));
    log.go_through(Vec::new());
    let left = rotated(&place);
    assert_eq!(left, ["log.20261124T111620Z-000000"]);
    let text = fs::read_to_string(place.dir.path().join(&left[0])).unwrap();
    assert_eq!(text, "log.20990101T000000Z-000002");
}
