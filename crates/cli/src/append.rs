//! `alq append`: moves input into the ring, from which the flusher of the queue writes it to FILE.
//!
//! This file owns the order of the steps: check the options, open FILE, open the inputs, pump,
//! sync, close, finish the rotation. The other modules do the steps.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use alq::Framing;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::children;
use crate::input::Input;
use crate::place::Place;
use crate::progress::Progress;
use crate::pump::Pump;
use crate::report::{self, Failure, Summary};
use crate::signals::{Plan, Signals, die_by, status_of};
use crate::stamp::Format;
use crate::target::{CHECK_INTERVAL, Target};
use crate::{recorder, resume, ring};

/// With a command, the exit code for a failure of alq itself, as in timeout(1) and env(1).
const OWN_FAILURE: u8 = 125;

/// The longest wait for a full disk after a signal, if a ring file keeps the rest.
const LAST_STALL: Duration = Duration::from_secs(1);

/// The time between two messages about files that are still to be packed.
const PACKING_EVERY: Duration = Duration::from_secs(10);

/// The longest wait at the end for a requested rotation, which waits for the end of a line that may
/// never come, and, after a signal, for the packer to stop.
const LAST_ROTATION: Duration = Duration::from_millis(500);

/// Appends the input, and prints the summary. Returns the exit code.
pub fn run(options: &Append) -> Result<ExitCode, Failure> {
    let has_command = !options.command.is_empty();
    let plan = Plan {
        has_requests: options.has_units(),
        is_recorder: options.recorder.recorder,
        until_eof: options.until_eof,
    };
    let signals = Signals::catch(plan).map_err(|error| Failure::new("signals", error))?;
    let appended = append(options, &signals);
    if !has_command {
        appended?;
        return Ok(signals.received().map_or(ExitCode::SUCCESS, die_by));
    }
    let code = wait_for_command(&signals)?;
    match (appended, code) {
        (Ok(()), code) => Ok(ExitCode::from(code)),
        (Err(failure), 0) => Err(failure.or_code(OWN_FAILURE)),
        (Err(failure), code) => {
            report::line(&failure);
            Ok(ExitCode::from(code))
        }
    }
}

fn append(options: &Append, signals: &Signals) -> Result<(), Failure> {
    check(options)?;
    if let Some(notice) = options.rotation.notice() {
        report::line(&format_args!("{}: {notice}", report::shown(&options.file)));
    }
    let target = Target::open(options)?;
    let inputs = open_inputs(options, &target, signals)?;
    if let (Some(ring), Some(recovery)) = (&options.ring, target.queue().recovery()) {
        ring::report_recovery(ring, recovery);
    }
    report_torn(options, &target);
    if options.resume {
        resume::skip_appended(&target, &inputs[0])?;
    }
    let progress = progress(options, &target, &inputs);
    target.beside(&progress);
    // Only after FILE is open: the open waits for the reader of a FIFO, and a signal must end it.
    signals.be_graceful(still_busy(&target, &progress));

    let started = Instant::now();
    let mut pump = Pump::new(options, &target, inputs, signals, &progress)?;
    let read = pump.run();
    let status = signals.command_status();
    let reason = recorder::reason_at_end(options, status, signals.received());
    let dumped = reason.map_or(Ok(()), |reason| target.dump_at_end(reason));
    let tally = *pump.tally();
    target.note_dropped(tally.dropped);
    let torn = torn_record(options, &pump);
    if pump.unsent_bytes() > 0 && torn.is_ok() {
        progress.clear();
        report::line(&format_args!(
            "{}: {} bytes more were read, and the ring had no room for them",
            target.place(),
            pump.unsent_bytes()
        ));
    }
    if signals.received().is_some() {
        target.hurry(LAST_STALL);
    }
    // After a failed write, the sync fails with the same cause. The close describes it better.
    let synced = target.sync();
    let finished = dumped
        .and(target.close())
        .and(read.map_err(|error| Failure::new("standard input", error)))
        .and(torn)
        .and(synced);
    let elapsed = started.elapsed();
    finish_rotation(&target, signals, finished.is_ok());
    progress.clear(); // before the next message
    finished?;
    let stats = target.queue().stats();
    if stats.too_long_records > 0 {
        let (records, bytes) = (stats.too_long_records, stats.too_long_bytes);
        let problem = format!(
            "too long for one message, and lost: {records} records of {bytes} bytes; all others \
             are written"
        );
        return Err(Failure::new(target.place(), problem));
    }
    if !options.quiet {
        report::line(&Summary {
            lines: tally.lines,
            dropped: tally.dropped,
            elapsed,
            bytes: target.written_bytes(),
            is_recorder: target.recorder().is_some(),
            stats,
        });
    }
    Ok(())
}

/// The failure if input has ended inside a record of a fixed length.
fn torn_record(options: &Append, pump: &Pump<'_>) -> Result<(), Failure> {
    match (options.framing.framing, pump.open_bytes()) {
        (Framing::Fixed(len), bytes @ 1..) => {
            let problem = format!(
                "it ends inside a record of {len} bytes, and its last {bytes} bytes are not appended"
            );
            Err(Failure::new("standard input", problem))
        }
        _ => Ok(()),
    }
}

/// Says what was found at the end of FILE, and what was done about it.
fn report_torn(options: &Append, target: &Target<'_>) {
    let Some(found) = target.queue().recovery() else {
        return;
    };
    let place = target.place();
    match (found.torn_bytes, options.framing.framing) {
        (0, _) => {}
        (torn, Framing::Raw | Framing::Lines) => report::line(&format_args!(
            "{place}: its last line was torn after {torn} bytes; it is ended there"
        )),
        (torn, _) if options.framing.keep_torn_record => report::line(&format_args!(
            "{place}: its last record was torn after {torn} bytes; they are in {place}.torn now"
        )),
        (torn, _) => report::line(&format_args!(
            "{place}: its last record was torn after {torn} bytes; they are removed"
        )),
    }
    if options.framing.is_on() && found.unreadable_bytes > 0 {
        report::line(&format_args!(
            "{place}: {} bytes before its end are damaged; `alq check` says where",
            found.unreadable_bytes
        ));
    }
}

/// Returns standard input, or starts the command and returns its two streams.
fn open_inputs(
    options: &Append,
    target: &Target<'_>,
    signals: &Signals,
) -> Result<Vec<Input>, Failure> {
    if options.command.is_empty() {
        return Ok(vec![standard_input(target)?]);
    }
    let mut streams = Vec::new();
    signals.adopt(|| {
        let (pid, [output, error]) = children::start(&options.command)?;
        streams = vec![output.into(), error.into()];
        Ok(pid)
    })?;
    Ok(streams)
}

fn standard_input(target: &Target<'_>) -> Result<Input, Failure> {
    let failure = |error| Failure::new("standard input", error);
    let input = Input::standard().map_err(failure)?;
    if target
        .kind()
        .is_same_file(&input.metadata().map_err(failure)?)
    {
        let problem = "standard input is the same file, so appending would never end";
        return Err(Failure::new(target.place(), problem));
    }
    Ok(input)
}

/// Waits until the command ends, and returns its exit code; 0 if it was not started.
fn wait_for_command(signals: &Signals) -> Result<u8, Failure> {
    while signals.is_command_alive() {
        let mut fds = [PollFd::from_borrowed_fd(
            signals.descriptor(),
            PollFlags::IN,
        )];
        retry_on_intr(|| poll(&mut fds, None)).map_err(|error| Failure::new("signals", error))?;
        signals.take();
    }
    let Some(status) = signals.command_status() else {
        return Ok(0);
    };
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, signal) => status_of(signal.unwrap_or(0)),
    })
}

/// The progress line. Hidden if input or output use the terminal, or if there are several inputs.
fn progress(options: &Append, target: &Target<'_>, inputs: &[Input]) -> Progress {
    let is_other = inputs.len() > 1
        || target.recorder().is_some()
        || inputs[0].is_terminal()
        || target.kind().is_terminal(target.place().path());
    if options.quiet || is_other {
        return Progress::none();
    }
    Progress::on_terminal(target.queue(), inputs[0].bytes_left())
}

/// Refuses options that contradict each other.
fn check(options: &Append) -> Result<(), Failure> {
    let is_without_command = env::args_os().next_back().is_some_and(|last| last == "--");
    if options.command.is_empty() && is_without_command {
        let problem = "no command comes after it: name one, or leave out the -- to read standard \
                       input";
        return Err(Failure::new("--", problem).or_code(2));
    }
    if let (Place::Output, true) = (Place::of(&options.file), options.rotation.is_on()) {
        let problem =
            "it has no name, so it cannot be rotated: name a file, or pipe into another alq";
        return Err(Failure::new("standard output", problem).or_code(2));
    }
    let format = options
        .file
        .to_str()
        .filter(|file| Format::parse(file).is_ok());
    if let (Some(format), true) = (format, options.lines.timestamp.is_some()) {
        let problem = format!(
            "this format of --timestamp is taken for FILE: write --timestamp={format} FILE, \
             or ./{format} for a file of that name"
        );
        return Err(Failure::new(format, problem).or_code(2));
    }
    let has_command = !options.command.is_empty();
    recorder::check(options)?;
    options.framing.check(&options.lines, has_command)?;
    let refuse = |other: &str| {
        let problem = format!(
            "{other} changes what FILE holds, so FILE cannot be compared with standard input"
        );
        Err(Failure::new("--resume", problem))
    };
    match options {
        Append { resume: false, .. } => Ok(()),
        _ if options.lines.timestamp.is_some() => refuse("--timestamp"),
        _ if options.framing.is_on() => refuse("--framing"),
        _ if options.lines.when_full == WhenFull::Drop => refuse("--when-full=drop"),
        _ if options.rotation.loses_bytes() => {
            refuse("--keep, --keep-age, --keep-bytes, --keep-free or --compress")
        }
        _ => Ok(()),
    }
}

/// Returns the function that reports what is still to be written, if that takes longer than the
/// grace after a signal.
fn still_busy(target: &Target<'_>, progress: &Progress) -> impl FnOnce() + Send + 'static {
    let place = target.place().to_string();
    let outcome = match target.ring() {
        Some(ring) => format!("leaves them in {}", report::shown(ring)),
        None => "gives them up".to_owned(),
    };
    let (queue, progress) = (target.queue().clone(), progress.clone());
    move || {
        let stats = queue.stats();
        let left = stats.posted_bytes - stats.written_bytes;
        if left == 0 || queue.is_recorder() {
            return; // everything is written; the next start packs. A recorder keeps the rest
        }
        progress.clear();
        report::line(&format_args!(
            "{place}: {left} bytes are still to be written; another signal {outcome}"
        ));
    }
}

/// Waits until rotated files are packed and old ones are deleted, and says what it waits for. After
/// a signal it stops packing, and the next start continues.
fn finish_rotation(target: &Target<'_>, signals: &Signals, is_written: bool) {
    let Some(log) = target.log() else { return };
    // In these cases a rotation that waits for the end of a line may never happen.
    let is_open = !is_written || target.ends_inside_line();
    let mut end = (target.has_asked() && is_open).then(|| Instant::now() + LAST_ROTATION);
    let mut said = None;
    loop {
        if signals.received().is_some() {
            log.stop_packing();
            end = end.or_else(|| Some(Instant::now() + LAST_ROTATION));
        }
        // Its failures were reported when they happened.
        if log.wait_background(Some(CHECK_INTERVAL)) != Err(alq::Error::TimedOut)
            || end.is_some_and(|end| Instant::now() >= end)
        {
            return;
        }
        if said.is_none_or(|said: Instant| said.elapsed() >= PACKING_EVERY) {
            said = Some(Instant::now());
            target.tell_packing();
        }
    }
}
