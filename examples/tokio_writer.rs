//! Tasks append through `AsyncWrite` and in place in the ring. They share a small ring, and no task
//! blocks its thread.
//!
//!     cargo run --example tokio_writer --features tokio -- app.log

use std::process::ExitCode;
use std::time::Duration;

use alq::{Error, Options, Queue, tokio::AsyncWriter};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// The time-out of each wait.
const PATIENCE: Duration = Duration::from_secs(5);

async fn copy(queue: Queue) -> std::io::Result<()> {
    let mut writer = AsyncWriter::new(&queue);
    for step in 0..1000 {
        let line = format!("copied, step {step}\n");
        timeout(PATIENCE, writer.write_all(line.as_bytes())).await??;
    }
    timeout(PATIENCE, writer.shutdown()).await? // written, and on disk
}

async fn format_in_place(queue: Queue) -> Result<(), Error> {
    for step in 0..1000 {
        let mut entry = queue.reserve(64).await?;
        writeln!(entry, "formatted in the ring, step {step}")?;
        entry.post();
    }
    Ok(())
}

async fn run(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let queue = Options::new().capacity(4096).open(path)?;
    let copied = tokio::spawn(copy(queue.clone()));
    let formatted = tokio::spawn(format_in_place(queue.clone()));
    copied.await??;
    formatted.await??;
    queue.close(Some(PATIENCE))?;
    println!("{} records written", queue.stats().written_records);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: tokio_writer FILE");
        return ExitCode::from(2);
    };
    match run(&path).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio_writer: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
