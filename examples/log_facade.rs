//! Logs with the `log` facade to one file: with a custom format, a level, and a flush that waits.
//!
//!     cargo run --example log_facade --features log -- app.log

use std::process::ExitCode;

use alq::{Options, log::Logger};
use log::{Level, LevelFilter};

fn run(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let queue = Options::new().open(path)?;
    let logger = Logger::new(&queue)
        .level(LevelFilter::Debug)
        .drop_when_full(Level::Debug)
        .format(|out, record| {
            let line = record.line().unwrap_or_default();
            let (level, target) = (record.level(), record.target());
            writeln!(out, "{level:<5} {target}:{line} {}", record.args())
        })
        .install()?;

    for step in 1..=100 {
        log::info!("step {step} of 100");
        log::trace!("not at this level");
    }
    log::error!("out of steps");

    log::logger().flush();
    let lines = std::fs::read_to_string(path)?.lines().count();
    println!("{lines} lines are in {path}, {:?}", logger.lost());
    Ok(())
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: log_facade FILE");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("log_facade: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
