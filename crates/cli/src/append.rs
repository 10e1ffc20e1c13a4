//! `alq append`: standard input goes into the ring, the flusher of the queue takes it from there.

use std::io;
use std::path::Path;
use std::time::Instant;

use alq::{Error, Flags, Queue};

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::input::{Found, Input, Ready};
use crate::lines::LinePump;
use crate::progress::Progress;
use crate::report::{self, Dropped, Failure, Summary};
use crate::requests::Requests;
use crate::resume;
use crate::ring;
use crate::signals::Signals;
use crate::target::{CHECK_INTERVAL, Target};

/// Why the appending ended, when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of standard input is appended.
    Input,
    /// This signal came; what had been read is appended.
    Signal(i32),
}

/// Reads at most this much at once. More makes no system call cheaper, and leaves the near caches.
const CHUNK_MAX: usize = 256 << 10;

/// Appends standard input as `options` say, and prints the summary.
pub fn run(options: &Append) -> Result<Ending, Failure> {
    check(options)?;
    let target = Target::open(options)?;
    let input = open_input(&target)?;
    let queue = target.queue();
    if let (Some(ring), Some(recovery)) = (&options.ring, queue.recovery()) {
        ring::tell(ring, recovery);
    }
    if options.resume {
        resume::skip_appended(&target, &input)?;
    }
    let progress = progress(options, &target, &input);
    // Not before FILE is open: a FIFO without a reader is waited for, and a signal must end that wait.
    let signals = handle_signals(&target, &progress)?;

    let started = Instant::now();
    let (read, lines, dropped) = if options.is_lines() {
        let requests = Requests::handle().map_err(|error| Failure::new("signals", error))?;
        let from = (&input, chunk(target.queue()));
        let mut pump = LinePump::new(options, &target, from, (&signals, &requests), &progress)?;
        let read = pump.run();
        let tally = pump.tally();
        let dropped = Dropped {
            lines: tally.dropped_lines,
            bytes: tally.dropped_bytes,
        };
        let lines = tally.lines;
        if pump.unsent_bytes() > 0 {
            progress.clear();
            report::line(&format_args!(
                "{}: {} bytes more were read, and the ring had no room for them",
                target.path().display(),
                pump.unsent_bytes()
            ));
        }
        (read, lines, dropped)
    } else {
        let mut pump = Pump::new(&target, &input, &signals, &progress, !options.quiet);
        let read = pump.run();
        (read, pump.lines, Dropped::default())
    };
    let synced = target.sync(); // fails with the cause of a failed write, which the close tells better
    let finished = target
        .close()
        .and(read.map_err(|error| Failure::new("standard input", error)))
        .and(synced);
    let elapsed = started.elapsed();
    target.finish_rotation(finished.is_ok());
    progress.clear(); // whatever is said next
    finished?;
    if !options.quiet {
        report::line(&Summary {
            lines,
            dropped,
            elapsed,
            bytes: target.written_bytes(),
            stats: queue.stats(),
        });
    }
    Ok(signals.received().map_or(Ending::Input, Ending::Signal))
}

/// How much is read at once: a quarter of the ring, so that reading and writing overlap; no ring is smaller than a page.
fn chunk(queue: &Queue) -> usize {
    (queue.capacity() / 4).min(CHUNK_MAX)
}

/// The progress line, unless something else is to be seen on that terminal.
fn progress(options: &Append, target: &Target<'_>, input: &Input) -> Progress {
    if options.quiet || input.is_terminal() || target.is_terminal() {
        return Progress::none();
    }
    Progress::on_terminal(target.queue(), input.bytes_left())
}

/// Whether the options go together.
fn check(options: &Append) -> Result<(), Failure> {
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

fn open_input(target: &Target<'_>) -> Result<Input, Failure> {
    let failure = |error| Failure::new("standard input", error);
    let input = Input::standard().map_err(failure)?;
    if target.is_same_file(&input.metadata().map_err(failure)?) {
        let problem = "standard input is the same file, and appending would never end";
        return Err(Failure::new(target.path().display(), problem));
    }
    Ok(input)
}

fn handle_signals(target: &Target<'_>, progress: &Progress) -> Result<Signals, Failure> {
    let path = target.path().to_owned();
    let ring = target.ring().map(Path::to_owned);
    let (queue, progress) = (target.queue().clone(), progress.clone());
    let still_busy = move || {
        let stats = queue.stats();
        let left = stats.posted_bytes - stats.written_bytes;
        let path = path.display();
        let outcome = match &ring {
            Some(ring) => format!("leaves them in {}", ring.display()),
            None => "gives them up".to_owned(),
        };
        progress.clear();
        report::line(&format_args!(
            "{path}: {left} bytes are still to be written; another signal {outcome}"
        ));
    };
    Signals::handle(still_busy).map_err(|error| Failure::new("signals", error))
}

/// Moves standard input into the ring.
#[derive(Debug)]
struct Pump<'a> {
    target: &'a Target<'a>,
    queue: &'a Queue,
    input: &'a Input,
    signals: &'a Signals,
    progress: &'a Progress,
    chunk: usize,
    /// Whether all that was posted is known to be written.
    is_settled: bool,
    counts_lines: bool,
    lines: u64,
}

impl<'a> Pump<'a> {
    fn new(
        target: &'a Target<'a>,
        input: &'a Input,
        signals: &'a Signals,
        progress: &'a Progress,
        counts_lines: bool,
    ) -> Self {
        let queue = target.queue();
        Self {
            target,
            queue,
            input,
            signals,
            progress,
            chunk: chunk(queue),
            is_settled: false, // the ring file may have held something
            counts_lines,
            lines: 0,
        }
    }

    /// Runs until the input ends, a signal comes, or the queue fails (which its close will report).
    ///
    /// Nothing is reserved while it waits: an open reservation would cost room.
    fn run(&mut self) -> io::Result<()> {
        loop {
            let limit = (!self.is_settled).then_some(CHECK_INTERVAL);
            match self.input.wait(&[self.signals.descriptor()], limit)? {
                Ready::Other(_) => return Ok(()),
                Ready::Nothing if self.has_failed() => return Ok(()),
                Ready::Nothing => {}
                Ready::Input => {
                    if !self.read_once()? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// One read(2) straight into the ring; `false` when there is no more to read, or no use in reading.
    fn read_once(&mut self) -> io::Result<bool> {
        let getn = || {
            self.queue
                .getn_timeout(self.chunk, Flags::WAITOK, CHECK_INTERVAL)
        };
        let mut entry = match getn() {
            Ok(entry) => entry,
            Err(Error::TimedOut) => return Ok(!self.has_failed()),
            Err(_) => return Ok(false), // the close tells why
        };
        match self.input.read(&mut entry)? {
            Found::End => return Ok(false),
            Found::Nothing => {}
            Found::Bytes(count) => {
                if self.counts_lines {
                    self.lines += memchr::memchr_iter(b'\n', &entry[..count]).count() as u64;
                }
                entry.set_bytes_used(count);
                entry.post();
                self.is_settled = false;
                self.progress.add(count);
            }
        }
        Ok(true)
    }

    /// Looks whether FILE is to be given up, and whether there is anything left to fail.
    fn has_failed(&mut self) -> bool {
        let stats = self.queue.stats();
        self.is_settled = stats.posted_bytes == stats.written_bytes;
        self.target.given_up(&stats).is_some()
    }
}
