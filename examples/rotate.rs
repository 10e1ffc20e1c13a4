//! A log that is rotated at 64 KiB, and once on request, as an administrator would do. The rotated
//! files are packed in the background, and the last ten are kept. A hook reports each file.
//!
//!     cargo run --example rotate --features gzip -- app.log

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use alq::rotate::{Compression, Every, Rotation};
use alq::{Flags, Options};

fn run(path: &str) -> Result<(), Box<dyn Error>> {
    let log = Rotation::new()
        .size_bytes(64 << 10)
        .every(Every::Day)
        .keep_files(10)
        .compress(Compression::Gzip)
        .on_rotated(|file| println!("done: {}", file.display()))
        .on_error(|error| eprintln!("rotation: {error}"))
        .open(path)?;
    let queue = Options::new().open_sink(log.clone())?;

    thread::scope(|scope| {
        for worker in 0..2 {
            let queue = &queue;
            scope.spawn(move || {
                for step in 0..10_000 {
                    let line = format!("worker {worker} step {step}\n");
                    if let Err(error) = queue.writen(line.as_bytes(), Flags::WAITOK) {
                        return eprintln!("worker {worker}: {error}");
                    }
                }
            });
        }
    });
    queue.flush()?;
    log.rotate(); // the current content becomes a rotated file
    log.wait_background(Some(Duration::from_secs(60)))?;
    queue.writen(b"the first line of a new file\n", Flags::WAITOK)?;
    queue.close(None)?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path] = arguments.as_slice() else {
        eprintln!("usage: rotate FILE");
        return ExitCode::from(2);
    };
    if let Err(error) = run(path) {
        eprintln!("rotate: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
