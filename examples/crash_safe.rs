//! A log that loses nothing to a `kill -9`. The program aborts in the middle of line 1000. Run it
//! again, and it continues.
//!
//!     cargo run --example crash_safe -- demo.log
//!
//! The ring is a file next to the log. Here it is on a disk; a program puts it on tmpfs, in a
//! folder of /run.

use std::process::{ExitCode, abort};

use alq::{Flags, Options};

fn run(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let queue = Options::new()
        .ring_file(format!("{path}.ring"))
        .open(path)?;
    let found = queue.recovery().copied().unwrap_or_default();
    println!(
        "{} bytes were posted and not written; {} may be in the log twice",
        found.bytes, found.possibly_repeated_bytes
    );
    if found.skipped_entries > 0 {
        writeln!(queue, "the last run was cut off")?;
        queue.close(None)?;
        return Ok(());
    }
    for n in 1..1000 {
        let line = format!("line {n}\n");
        // The line need not be written soon.
        queue.writen(line.as_bytes(), Flags::WAITOK | Flags::NOACTIVATE)?;
    }
    let mut entry = queue.getn(100, Flags::WAITOK)?;
    write!(entry, "line 1000: half of what it is to")?;
    abort(); // no destructor and no handler runs
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: crash_safe FILE");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crash_safe: {error}");
            ExitCode::FAILURE
        }
    }
}
