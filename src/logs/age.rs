//! Computes how old rotated files are, as far as clocks can be trusted.
//!
//! The clock may have been wrong when a file was cut, and may be wrong now. So three sources count:
//!
//! - The time in the name, or else the time of the last write. A time in the future is ignored.
//! - The files after it: a file is at least as old as each file that was cut later.
//! - The steady clock: a file that this process cut off is at most as old as this clock says.

use std::time::Instant;

use super::name::Key;

/// 2026-01-01: a clock that shows an earlier time has not been set yet.
pub(super) const SET_CLOCK: i64 = 1_767_225_600;

/// How many seconds a name may be ahead of the clock before it counts as wrong. A smaller
/// difference is an ordinary correction: some seconds, or hours after a mistaken time zone.
pub(super) const AHEAD_MAX: i64 = 86_400;

/// Whether the clock is set and `key` comes from a clock that was ahead.
pub(super) fn is_from_the_future(key: Key, now: i64) -> bool {
    now >= SET_CLOCK && key.seconds > now.saturating_add(AHEAD_MAX)
}

/// The ages of files in seconds, 0 for an unknown age. `times` holds, oldest first, the key of each
/// file and the time of its last write; `cuts` holds when this process cut files off.
pub(super) fn ages(times: &[(Key, i64)], cuts: &[(Key, Instant)], now: i64) -> Vec<i64> {
    let mut ages = vec![0; times.len()];
    let mut latest = now; // the file was cut off no later than this
    for (age, (key, modified)) in ages.iter_mut().zip(times).rev() {
        let trusted = [key.seconds, *modified].into_iter().find(|at| *at <= now);
        latest = latest.min(trusted.unwrap_or(now));
        let cut = cuts.iter().find(|(cut, _)| cut == key);
        let steady = cut.map(|(_, at)| i64::try_from(at.elapsed().as_secs()).unwrap_or(i64::MAX));
        *age = now.saturating_sub(latest).min(steady.unwrap_or(i64::MAX));
    }
    ages
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use std::time::Instant;

    use super::{Key, ages, is_from_the_future};

    const NOW: i64 = 1_800_000_000;
    const YEARS: i64 = 70 * 365 * 86_400;

    fn key(seconds: i64, number: u32) -> Key {
        Key { seconds, number }
    }

    #[test]
    fn a_time_in_the_future_is_ignored_and_a_file_is_as_old_as_the_next_one() {
        let times = [
            (key(NOW - 100, 0), NOW - 90),
            (key(NOW + YEARS, 0), NOW + YEARS), // the clock was wrong
            (key(NOW + YEARS, 1), NOW - 50),    // the clock was corrected, the name continues
            (key(NOW + YEARS, 2), NOW + YEARS),
        ];
        assert_eq!(ages(&times, &[], NOW), [100, 50, 50, 0]);
        assert_eq!(ages(&times, &[], 0), [0; 4], "the clock is not set yet");
    }

    #[test]
    fn a_file_of_this_run_is_not_older_than_the_steady_clock_says() {
        let times = [(key(10, 0), 10), (key(20, 0), 20)];
        let cuts = [(key(20, 0), Instant::now())];
        let ages = ages(&times, &cuts, NOW);
        assert!(ages[0] == NOW - 10 && ages[1] < 1000, "{ages:?}");
    }

    #[test]
    fn only_a_clock_that_is_set_finds_names_from_the_future() {
        assert!(is_from_the_future(key(NOW + YEARS, 0), NOW));
        assert!(!is_from_the_future(key(NOW + 3600, 0), NOW));
        assert!(!is_from_the_future(key(NOW, 0), 1000), "1970 at boot");
    }
}
