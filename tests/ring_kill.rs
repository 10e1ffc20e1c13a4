//! After any number of kills of a process with a ring file, the log holds every acknowledged
//! record, once.
//!
//! `ALQ_KILLS=20000` runs the long form.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::{fs, hint, thread};

use common::Numbers;
use common::child::in_child;
use common::fork;
#[cfg(feature = "read")]
use common::frames;
use common::torture::label::{Deaths, Label, count_deaths};
#[cfg(feature = "chain")]
use common::torture::life::KEY;
use common::torture::life::{Life, Place};
use common::torture::oracle::{Oracle, WRITERS};
use common::torture::run::{kills, seed, start};

/// When a life ends.
enum End {
    /// The process kills itself at this label.
    Label(Label, u32),
    /// After the parent has counted this far: while the process opens the ring file, or soon after.
    Count(usize),
    /// After this much work.
    Work(u64),
}

fn draw_end(numbers: &mut Numbers) -> End {
    match numbers.below(4) {
        0 => {
            let most = 64 << numbers.below(14);
            End::Count(numbers.below(most))
        }
        1 => End::Work(numbers.below(300) as u64),
        _ => {
            let label = Label::ALL[numbers.below(Label::ALL.len())];
            let passes = if label.is_of_recovery() {
                1
            } else {
                1 << numbers.below(6)
            };
            End::Label(label, 1 + numbers.below(passes) as u32)
        }
    }
}

/// Runs several processes on one ring file and one log, kills each, and checks the log. Returns how
/// many records it holds.
fn chain(folder: &Path, oracle: Oracle, numbers: &mut Numbers, kills: usize) -> usize {
    let draw = |numbers: &mut Numbers| [4096, 1 << 14, 1 << 16][numbers.below(3)];
    let mut place = Place::in_folder(folder, draw(numbers), numbers.below(3) > 0);
    place.is_framed = cfg!(feature = "frames") && numbers.below(2) == 0;
    place.is_chained = cfg!(feature = "chain") && place.is_framed && numbers.below(2) == 0;
    oracle.clear();
    for number in 0..kills {
        if numbers.below(4) == 0 {
            place.capacity = draw(numbers); // killed while the ring is drained and made anew, too
        }
        let end = draw_end(numbers);
        let life = Life {
            number: number as u32,
            seed: numbers.below(1 << 30),
            writers: 1 + numbers.below(WRITERS),
            operations: 150,
            end: match end {
                End::Label(label, nth) => Some((label, nth)),
                _ => None,
            },
        };
        let since = oracle.clock();
        let child = start(|| life.live(&place, oracle));
        match end {
            End::Label(..) => {}
            End::Count(count) => (0..count).for_each(|_| hint::spin_loop()),
            End::Work(work) => {
                while oracle.clock() < since + work && !child.has_ended() {
                    thread::yield_now();
                }
            }
        }
        if !matches!(end, End::Label(..)) {
            child.kill();
        }
        child.join_killed();
    }
    start(|| place.recover(oracle)).join();
    let content = place.content();
    #[cfg(feature = "read")]
    assert!(!place.is_framed || frames::found(&place.log).concat() == content);
    #[cfg(feature = "chain")]
    if place.is_chained && !content.is_empty() {
        let options = alq::read::ReadOptions::new().chain(KEY);
        let proved = frames::found_with(&place.log, options).concat();
        assert_eq!(proved, content);
    }
    let records = oracle.check(&content);
    fs::remove_file(&place.ring).unwrap();
    fs::remove_file(&place.log).unwrap();
    records
}

#[test]
#[allow(unsafe_code, reason = "memory that processes share")]
fn after_kills_each_acknowledged_record_is_in_the_log_once() {
    let test = "after_kills_each_acknowledged_record_is_in_the_log_once";
    in_child(test, || {
        let folders = ["/dev/shm", "/var/tmp"].map(|on| tempfile::tempdir_in(on).unwrap());
        let oracle = Oracle::new();
        // SAFETY: they are atomics.
        let deaths: &'static Deaths = unsafe { fork::shared() };
        count_deaths(deaths);
        let (mut done, mut records) = (0, 0);
        let mut chain_number = seed();
        while done < kills() {
            let mut numbers = Numbers::new(chain_number);
            let kills = 1 + numbers.below(6);
            let folder = folders[numbers.below(2)].path();
            let result = catch_unwind(AssertUnwindSafe(|| {
                chain(folder, oracle, &mut numbers, kills)
            }));
            match result {
                Ok(more) => records += more,
                Err(panic) => {
                    eprintln!("again with ALQ_SEED={chain_number} ALQ_KILLS=1; in {folder:?}");
                    std::mem::forget(folders);
                    resume_unwind(panic);
                }
            }
            chain_number += 1;
            done += kills;
        }
        let sums = oracle.sums();
        println!("{done} kills, {records} records in the logs, {sums:?}");
        for (label, deaths) in Label::ALL.iter().zip(deaths) {
            let deaths = deaths.load(Ordering::Relaxed);
            println!("{deaths} {label:?}");
            assert!(deaths > 0 || done < 2000, "nobody has died at {label:?}");
        }
        assert!(done < 100 || sums.bytes > 0 && sums.already_written > 0 && sums.skipped > 0);
    });
}
