//! Publishes the counters of a queue to a recorder of the `metrics` facade. The recorder here keeps
//! them, so that they can be printed. A program has an exporter instead.
//!
//!     cargo run --example published_metrics --features metrics -- app.log

use std::process::ExitCode;

use alq::{Flags, Options, metrics::Publisher};
use metrics_util::debugging::DebuggingRecorder;

fn run(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install()?;

    let queue = Options::new().open(path)?;
    Publisher::describe();
    let publisher = Publisher::new(&queue, "app");
    for _ in 0..1000 {
        queue.writen(b"one record\n", Flags::WAITOK)?;
    }
    queue.flush()?;

    publisher.publish(); // a program does so every few seconds
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        println!("{}: {value:?}", key.key());
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: published_metrics FILE");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("published_metrics: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
