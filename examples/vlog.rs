//! A logger like vlog of Open vSwitch: levels, one lock, and an appender that is synchronous while
//! the program starts and asynchronous once it is a daemon. Errors are flushed at once. After a
//! rotation, the log is reopened: first the old appender is dropped. It borrows the file, so the
//! file cannot be closed before.
//!
//!     cargo run --example vlog -- daemon.log

use std::fmt;
use std::fs::{self, File};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use alq::AsyncAppend;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Emer,
    Err,
    Warn,
    Info,
    Debug,
}

/// One open log file.
struct Log<'file> {
    level: Level,
    writer: Mutex<AsyncAppend<'file>>,
}

impl Log<'_> {
    /// Appends one line, unless its level is above that of the log.
    fn log(&self, module: &str, level: Level, message: fmt::Arguments<'_>) -> Result<()> {
        if level > self.level {
            return Ok(());
        }
        // Formatted before the lock is taken, so that a `Display` may log too.
        let name = format!("{level:?}").to_uppercase();
        let line = format!("{module}|{name}|{message}\n");
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write(line.as_bytes())?;
        if level <= Level::Err {
            writer.flush()?; // the process may not live much longer
        }
        Ok(())
    }

    fn is_async(&self) -> bool {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.is_async()
    }
}

/// Opens the log while `body` runs. Then writes all of it, drops the appender, and closes the file.
fn with_log(path: &str, level: Level, body: impl FnOnce(&Log<'_>) -> Result<()>) -> Result<()> {
    let file = File::options().append(true).create(true).open(path)?;
    let log = Log {
        level,
        writer: Mutex::new(AsyncAppend::new(&file)),
    };
    let result = body(&log);
    let mut writer = log
        .writer
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let flushed = writer.flush(); // the drop drains too, but returns no error
    result?;
    Ok(flushed?)
}

/// Logs from four threads.
fn work(log: &Log<'_>, day: u32) -> Result<()> {
    thread::scope(|scope| {
        let work = |port: u32| {
            for packet in 0..1000 {
                log.log(
                    "bridge",
                    Level::Info,
                    format_args!("day {day}, port {port}, packet {packet}"),
                )?;
                log.log("bridge", Level::Debug, format_args!("not to be seen"))?;
            }
            log.log("bridge", Level::Warn, format_args!("port {port} is idle"))
        };
        let threads: Vec<_> = (0..4).map(|port| scope.spawn(move || work(port))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

fn lines(path: &str) -> Result<usize> {
    Ok(fs::read_to_string(path)?.lines().count())
}

fn run(path: &str) -> Result<()> {
    with_log(path, Level::Info, |log| {
        log.log("daemon", Level::Info, format_args!("starting"))?;
        println!("starting: asynchronous: {}", log.is_async());
        // Here a daemon forks into the background. Threads may start only afterwards:
        alq::async_append::enable();
        log.log("daemon", Level::Info, format_args!("started"))?;
        println!("started: asynchronous: {}", log.is_async());
        work(log, 1)?;
        log.log("daemon", Level::Err, format_args!("out of ports"))?;
        // It was flushed, so the file has it now.
        let text = fs::read_to_string(path)?;
        println!("flushed: {}", text.ends_with("daemon|ERR|out of ports\n"));
        Ok(())
    })?;

    let old = format!("{path}.1");
    fs::rename(path, &old)?;
    with_log(path, Level::Info, |log| {
        log.log("daemon", Level::Info, format_args!("reopened"))?;
        work(log, 2)?;
        log.log("daemon", Level::Emer, format_args!("the end"))
    })?;
    println!(
        "{} lines in {old}, {} in {path}",
        lines(&old)?,
        lines(path)?
    );
    Ok(())
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(path), None) = (args.next(), args.next()) else {
        eprintln!("usage: vlog FILE");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vlog: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
