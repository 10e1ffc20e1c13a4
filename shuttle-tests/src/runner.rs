//! Draws, counts and repeats schedules.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use shuttle::rand::Rng;
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// The number of executions for one seed. PCT needs several, because it learns from each execution
/// how long the next may be.
const BATCH: usize = 50;

/// The number of executions of each scenario with each scheduler, unless `ALQ_SHUTTLE_ITERATIONS`
/// is set.
const SHORT_FORM: usize = 200;

/// The most changes of priority that PCT makes, apart from those of waiting threads. A fault shows
/// only if it needs no more of them.
const PCT_DEPTH: usize = 4;

/// The limit of steps. A scenario takes some thousand steps, so one that reaches the limit never
/// ends.
const STEPS_MAX: usize = 500_000;

/// Lets one scenario run at a time: the registry of queues belongs to the whole process, and the
/// locks of shuttle are for one real thread.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `scenario` on random schedules, half of them uniform, half by PCT, and prints their number.
///
/// # Panics
///
/// If the scenario panics. The message has the command that draws the same schedule again.
pub fn explore(name: &str, scenario: fn()) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let began = Instant::now();
    let iterations = number("ALQ_SHUTTLE_ITERATIONS").map_or(SHORT_FORM, |n| n as usize);
    let first_seed = number("ALQ_SHUTTLE_SEED").unwrap_or(1);
    let batches = iterations.div_ceil(BATCH) as u64;
    // A seed is useless if anything else affects the schedule: each of these runs twice, and must
    // take the same steps.
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
    config.failure_persistence = FailurePersistence::None; // the seed is shorter
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true; // that it treats every ordering as SeqCst: the README says so
    let runner = Runner::new(scheduler, config);
    let result = catch_unwind(AssertUnwindSafe(|| runner.run(scenario)));
    if let Err(panic) = result {
        eprintln!(
            "{name} failed. Once more:\nALQ_SHUTTLE_SEED={seed} ALQ_SHUTTLE_ITERATIONS=1 \
             cargo test --release {name}"
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

/// Returns a random number that the seed of the schedule determines.
pub fn below(limit: usize) -> usize {
    shuttle::rand::thread_rng().gen_range(0..limit)
}

/// Returns `true` once in `count` times on average.
pub fn is_one_in(count: usize) -> bool {
    below(count) == 0
}
