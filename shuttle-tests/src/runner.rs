//! How schedules are drawn, counted, and drawn again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use shuttle::rand::Rng;
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// Executions that one seed stands for: PCT needs a row of them, since it learns from each how long the next may be.
const BATCH: usize = 50;

/// Executions of each scenario with each scheduler, if `ALQ_SHUTTLE_ITERATIONS` does not say how many.
const SHORT_FORM: usize = 200;

/// How many changes of priority PCT makes, at most, beyond those of threads that wait: how many must fall together for a
/// fault to show.
const PCT_DEPTH: usize = 4;

/// A scenario takes some thousand steps. One that takes so many does not come to an end.
const STEPS_MAX: usize = 500_000;

/// The registry of queues is the whole process's, and shuttle's locks are for one real thread: one scenario at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `scenario` on drawn schedules, half of them uniformly random, half by PCT, and prints how many.
///
/// # Panics
///
/// As the scenario does, in the first schedule in which it does, and with what draws that schedule again.
pub fn explore(name: &str, scenario: fn()) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let began = Instant::now();
    let iterations = number("ALQ_SHUTTLE_ITERATIONS").map_or(SHORT_FORM, |n| n as usize);
    let first_seed = number("ALQ_SHUTTLE_SEED").unwrap_or(1);
    let batches = iterations.div_ceil(BATCH) as u64;
    // A seed is worth nothing if anything else decides, too: each of these is run twice, and must take the same steps.
    let random = RandomScheduler::new_from_seed(first_seed, BATCH);
    let twice = UncontrolledNondeterminismCheckScheduler::new(random);
    run(name, first_seed, twice, scenario);
    for seed in first_seed..first_seed + batches {
        run(
            name,
            seed,
            RandomScheduler::new_from_seed(seed, BATCH),
            scenario,
        );
        let pct = PctScheduler::new_from_seed(seed, PCT_DEPTH, BATCH);
        run(name, seed, pct, scenario);
    }
    println!(
        "{name}: {} executions, seeds {first_seed} to {}, {:.1} s",
        2 * batches * BATCH as u64,
        first_seed + batches - 1,
        began.elapsed().as_secs_f64()
    );
}

fn run(name: &str, seed: u64, scheduler: impl Scheduler + 'static, scenario: fn()) {
    let mut config = Config::new();
    config.stack_size = 1 << 17;
    config.failure_persistence = FailurePersistence::None; // the seed says it shorter
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true; // that it takes every ordering for SeqCst: the README says so
    let runner = Runner::new(scheduler, config);
    let result = catch_unwind(AssertUnwindSafe(|| runner.run(scenario)));
    if let Err(panic) = result {
        eprintln!(
            "{name} failed. Once more: ALQ_SHUTTLE_SEED={seed} ALQ_SHUTTLE_ITERATIONS=1 cargo test --release {name}"
        );
        resume_unwind(panic);
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number")),
    )
}

/// A number that is drawn with the schedule, and comes again with its seed.
pub fn below(limit: usize) -> usize {
    shuttle::rand::thread_rng().gen_range(0..limit)
}

/// Once in `count` times.
pub fn is_one_in(count: usize) -> bool {
    below(count) == 0
}
