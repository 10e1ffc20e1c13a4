//! `alq append`: input goes into the ring, the flusher of the queue takes it from there.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

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
use crate::resume;
use crate::ring;
use crate::signals::{Plan, Signals, die_by, status_of};
use crate::stamp::Format;
use crate::target::{CHECK_INTERVAL, Target};

/// With a command, the code for what went wrong here, as timeout(1) and env(1) have it.
const OWN_FAILURE: u8 = 125;

/// How long a full disk is waited for after a signal, where a ring file keeps the rest.
const LAST_STALL: Duration = Duration::from_secs(1);

/// How often it says what is still to be packed.
const PACKING_EVERY: Duration = Duration::from_secs(10);

/// How long a rotation that was asked for is waited for at the end: it waits for the end of a line
/// that may not come.
const LAST_ROTATION: Duration = Duration::from_millis(500);

/// Appends input as `options` say, and prints the summary.
pub fn run(options: &Append) -> Result<ExitCode, Failure> {
    let has_command = !options.command.is_empty();
    let plan = Plan {
        has_requests: options.is_lines(),
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
    let target = Target::open(options)?;
    let inputs = open_inputs(options, &target, signals)?;
    if let (Some(ring), Some(recovery)) = (&options.ring, target.queue().recovery()) {
        ring::tell(ring, recovery);
    }
    if options.resume {
        resume::skip_appended(&target, &inputs[0])?;
    }
    let progress = progress(options, &target, &inputs);
    target.beside(&progress);
    // Not before FILE is open: a FIFO without a reader is waited for, and a signal ends that wait.
    signals.be_graceful(still_busy(&target, &progress));

    let started = Instant::now();
    let mut pump = Pump::new(options, &target, inputs, signals, &progress)?;
    let read = pump.run();
    let tally = *pump.tally();
    target.note_dropped(tally.dropped);
    if pump.unsent_bytes() > 0 {
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
    // It fails with the cause of a failed write, which the close says better.
    let synced = target.sync();
    let finished = target
        .close()
        .and(read.map_err(|error| Failure::new("standard input", error)))
        .and(synced);
    let elapsed = started.elapsed();
    finish_rotation(&target, signals, finished.is_ok());
    progress.clear(); // whatever is said next
    finished?;
    if !options.quiet {
        report::line(&Summary {
            lines: tally.lines,
            dropped: tally.dropped,
            elapsed,
            bytes: target.written_bytes(),
            stats: target.queue().stats(),
        });
    }
    Ok(())
}

/// Standard input, or the streams of the command, which is started.
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
    if target.is_same_file(&input.metadata().map_err(failure)?) {
        let problem = "standard input is the same file, and appending would never end";
        return Err(Failure::new(target.place(), problem));
    }
    Ok(input)
}

/// The exit code of the command; 0 if it was not started.
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

/// The progress line, unless something else is to be seen on that terminal.
fn progress(options: &Append, target: &Target<'_>, inputs: &[Input]) -> Progress {
    let is_other = inputs.len() > 1 || inputs[0].is_terminal() || target.is_terminal();
    if options.quiet || is_other {
        return Progress::none();
    }
    Progress::on_terminal(target.queue(), inputs[0].bytes_left())
}

/// Whether the options go together.
fn check(options: &Append) -> Result<(), Failure> {
    options.rotation.check()?;
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
            "it is a time stamp, and here it is taken for FILE: write --timestamp={format} FILE, \
             or ./{format} for a file of that name"
        );
        return Err(Failure::new(format, problem).or_code(2));
    }
    let refuse = |other: &str| {
        let problem = format!(
            "{other} changes what FILE holds, so that it cannot be compared with standard input"
        );
        Err(Failure::new("--resume", problem))
    };
    match options {
        Append { resume: false, .. } => Ok(()),
        _ if options.lines.timestamp.is_some() => refuse("--timestamp"),
        _ if options.lines.when_full == WhenFull::Drop => refuse("--when-full=drop"),
        _ if options.rotation.loses_bytes() => {
            refuse("--keep, --keep-age, --keep-bytes or --compress")
        }
        _ => Ok(()),
    }
}

/// What is said when the process outlives the grace after a signal.
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
        if left == 0 {
            return; // what is left is the next start's
        }
        progress.clear();
        report::line(&format_args!(
            "{place}: {left} bytes are still to be written; another signal {outcome}"
        ));
    }
}

/// Waits until what was cut off is packed, and what is too old is gone, and says what it waits for.
/// After a signal it does not: the next start does that.
fn finish_rotation(target: &Target<'_>, signals: &Signals, is_written: bool) {
    let Some(log) = target.log() else { return };
    // A rotation that waits for the end of a line may wait for ever then.
    let is_open = !is_written || target.ends_inside_line();
    let is_bounded = target.has_asked() && is_open;
    let started = Instant::now();
    let mut said = None;
    loop {
        // Its failures were told when they came.
        if log.wait_background(Some(CHECK_INTERVAL)) != Err(alq::Error::TimedOut) {
            return;
        }
        let is_asked_to_end = signals.received().is_some();
        let is_late = started.elapsed() >= LAST_ROTATION;
        if (is_asked_to_end || is_bounded) && (is_late || !target.has_asked()) {
            return;
        }
        if said.is_none_or(|said: Instant| said.elapsed() >= PACKING_EVERY) {
            said = Some(Instant::now());
            target.tell_packing();
        }
    }
}
