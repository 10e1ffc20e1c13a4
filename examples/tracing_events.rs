//! Four threads write `tracing` events to one file. If the ring is full, debug events are
//! discarded, and the others wait.
//!
//!     cargo run --example tracing_events --features tracing -- app.log

use std::process::ExitCode;
use std::thread;

use alq::{Options, tracing::Writer};
use tracing::{Level, debug, info, info_span, warn};

fn work(worker: usize) {
    let _span = info_span!("work", worker).entered();
    info!("started");
    for step in 0..1000 {
        debug!(step, "a step");
    }
    warn!("nothing left to do");
}

fn run(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let queue = Options::new().open(path)?;
    let writer = Writer::new(&queue).drop_when_full(Level::DEBUG);
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(Level::DEBUG)
        .with_writer(writer.clone())
        .init();

    let workers: Vec<_> = (0..4).map(|n| thread::spawn(move || work(n))).collect();
    for worker in workers {
        worker.join().expect("no worker panics");
    }

    queue.flush()?; // the end of the process would drain it, too
    let (written, lost) = (queue.stats().written_records, writer.lost().full);
    println!(
        "{} events: {written} written, {lost} dropped",
        written + lost
    );
    Ok(())
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: tracing_events FILE");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracing_events: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
