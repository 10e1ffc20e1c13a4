//! A whole service: events of `tracing` go to a log that is rotated, through a ring file that
//! outlives the process; with metrics, a panic hook, and an orderly end on SIGTERM or SIGINT.
//!
//!     cargo run --example service --features tracing,rotate,metrics -- app.log
//!
//! It serves 1000 requests, one of which panics, and sends itself SIGTERM, as a service manager
//! would.

use std::error::Error;
use std::panic;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use alq::rotate::Rotation;
use alq::{Options, Queue, metrics::Publisher, tracing::Writer};
use metrics_util::debugging::DebuggingRecorder;
use nix::sys::signal::{SigSet, Signal};
use rustix::process::{getpid, kill_process};
use tracing::{Level, debug, error, info};

/// How long the end of the service may take to write the rest of the log.
const END_TIME: Duration = Duration::from_secs(5);

/// How long a panic may wait until its line is written.
const PANIC_TIME: Duration = Duration::from_millis(100);

fn open(path: &str) -> Result<Queue, Box<dyn Error>> {
    let log = Rotation::new()
        .size_bytes(1 << 20)
        .keep_files(10)
        .on_error(|error| eprintln!("alq: {error}"))
        .open(path)?;
    let queue = Options::new()
        .ring_file(format!("{path}.ring")) // a service has it in /run, which is not on a disk
        .ring_optional(true) // without it the service starts too, and `on_error` says why
        .on_error(|report| eprintln!("alq: {report}"))
        .loss_lines(Duration::from_secs(1)) // the log says where records were dropped
        .open_sink(log)?;
    if let Some(found) = queue.recovery().filter(|found| found.bytes > 0) {
        eprintln!("{} bytes of an earlier run are written first", found.bytes);
    }
    Ok(queue)
}

/// Writes the line of a panic to the log before the thread unwinds or the process aborts.
fn log_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        error!("{panicked}");
        let _ = alq::flush_all(Some(PANIC_TIME)); // a stalled log does not stop the panic
        before(panicked);
    }));
}

fn serve(request: u32) {
    debug!(request, "received");
    assert!(request != 500, "request 500 hits a bug");
    info!(request, "served");
}

fn run(path: &str) -> Result<(), Box<dyn Error>> {
    // Before the first thread starts: all threads inherit the mask, so that only `wait` gets the
    // signals.
    let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    ends.thread_block()?;

    DebuggingRecorder::new().install()?; // a service has its exporter here
    let queue = open(path)?;
    let writer = Writer::new(&queue).drop_when_full(Level::DEBUG);
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(writer.clone())
        .init();
    log_panics();
    Publisher::describe();
    let publisher = Publisher::new(&queue, "service");

    thread::spawn(|| {
        for request in 1..=1000 {
            let _ = panic::catch_unwind(|| serve(request)); // the hook has logged it
        }
        kill_process(getpid(), rustix::process::Signal::TERM).expect("a signal to itself");
    });

    let signal = ends.wait()?; // until then, a service publishes its metrics every few seconds
    info!("{} received: the service ends", signal.as_str());
    publisher.publish();
    alq::shutdown(Some(END_TIME))?; // an error says how much was not written, and why

    let (written, lost) = (queue.stats().written_records, writer.lost().full);
    println!("{written} records written, {lost} dropped");
    Ok(())
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: service FILE");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::FAILURE
        }
    }
}
