//! Four threads log to one file. Some format in place, some copy. Every line is whole, and the
//! lines of each thread are in order.
//!
//!     cargo run --example threads -- demo.log

use std::process::ExitCode;
use std::thread;

use alq::{Flags, Options, Queue};

fn log(queue: &Queue, worker: usize) -> Result<(), alq::Error> {
    for step in 0..1000 {
        if step % 2 == 0 {
            queue.writen(
                format!("worker {worker} step {step}\n").as_bytes(),
                Flags::WAITOK,
            )?;
        } else {
            let mut entry = queue.getn(64, Flags::WAITOK)?;
            writeln!(entry, "worker {worker} step {step}, formatted in the ring")?;
            entry.post();
        }
    }
    Ok(())
}

fn run(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let queue = Options::new().open(path)?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|n| {
                scope.spawn({
                    let queue = queue.clone();
                    move || log(&queue, n)
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    queue.close(None)?;
    println!("{:#?}", queue.stats());
    Ok(())
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: threads FILE");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("threads: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
