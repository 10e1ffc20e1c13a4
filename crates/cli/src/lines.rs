//! Input as lines: what `alq append` does as a log catcher.
//!
//! Lines go into the ring as they are read, their beginnings too. What is asked for between two lines (to leave, to go on in another
//! file) waits until the line that is open ends; meanwhile input is read byte by byte, so that nothing is read beyond it.

use std::io;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGTERM;

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::input::{Input, Ready};
use crate::intake::{Copied, Intake, Straight, Taken, Tally};
use crate::progress::Progress;
use crate::report::{self, Failure};
use crate::requests::{Asked, Requests};
use crate::signals::Signals;
use crate::stamp::Stamp;
use crate::target::{CHECK_INTERVAL, Target};

/// How long SIGTERM waits for the end of a line; the grace within which another signal does nothing is longer.
const LINE_GRACE: Duration = Duration::from_millis(250);

/// Where a line may be split, if nobody says another length.
pub const LINE_MAX: usize = 64 << 10;

/// How long it lets the input gather after a read that found little. A reader that is always there costs its writers a wake-up a
/// write; the flusher rests for longer than that.
const NAP: Duration = Duration::from_micros(100);

/// Only a pipe that holds at least this is not full before the nap is over.
const WIDE_BYTES: usize = 256 << 10;

/// Moves lines from standard input into the ring.
#[derive(Debug)]
pub struct LinePump<'a> {
    target: &'a Target<'a>,
    input: &'a Input,
    signals: &'a Signals,
    requests: &'a Requests,
    progress: &'a Progress,
    intake: Intake<'a>,
    line_max: usize,
    /// It naps after a read of less than this.
    nap_below: usize,
    /// What waits for the end of a line.
    asked: Asked,
    /// When it leaves, whether a line ends or not.
    leaving: Option<Instant>,
    /// Whether all that was posted is known to be written.
    is_settled: bool,
}

/// The length that a line may have before it is split.
pub fn line_max(options: &Append, capacity: usize) -> Result<usize, Failure> {
    let most = capacity / 4;
    match options.lines.line_max {
        None => Ok(LINE_MAX.min(most)),
        Some(len) if len <= most || options.lines.when_full == WhenFull::Block => Ok(len),
        Some(len) => Err(Failure::new(
            format!("--line-max {len}"),
            format!(
                "with --when-full=drop it must be a quarter of the ring at most, which has {capacity} bytes: raise --capacity"
            ),
        )),
    }
}

impl<'a> LinePump<'a> {
    /// `chunk` is how much is read at once.
    pub fn new(
        options: &Append,
        target: &'a Target<'a>,
        (input, chunk): (&'a Input, usize),
        (signals, requests): (&'a Signals, &'a Requests),
        progress: &'a Progress,
    ) -> Result<Self, Failure> {
        let line_max = line_max(options, target.queue().capacity())?;
        let is_wide = input.widen(chunk).is_some_and(|size| size >= WIDE_BYTES);
        let lines = &options.lines;
        let intake = if lines.timestamp.is_none() && lines.when_full == WhenFull::Block {
            Intake::Straight(Straight::new(target.queue(), chunk, !options.quiet))
        } else {
            let stamp = lines.timestamp.clone().map(Stamp::new);
            let copied = Copied::new(target, chunk, stamp, lines.when_full, line_max);
            Intake::Copied(Box::new(copied))
        };
        Ok(Self {
            target,
            input,
            signals,
            requests,
            progress,
            intake,
            line_max,
            nap_below: if is_wide { chunk / 2 } else { 0 },
            asked: Asked::default(),
            leaving: None,
            is_settled: false, // the ring file may have held something
        })
    }

    pub fn tally(&self) -> &Tally {
        self.intake.tally()
    }

    /// How much was read that the ring has not got, nor will get.
    pub fn unsent_bytes(&self) -> usize {
        self.intake.unsent_bytes()
    }

    /// Runs until the input ends, a signal has come and the line ends, or the queue fails (which its close will report).
    pub fn run(&mut self) -> io::Result<()> {
        let ended = self.pump();
        self.intake.finish();
        ended
    }

    fn pump(&mut self) -> io::Result<()> {
        loop {
            if self.is_between_lines() {
                self.do_what_was_asked();
                if self.leaving.is_some() {
                    return Ok(());
                }
            }
            if self.leaving.is_some_and(|limit| Instant::now() >= limit) {
                return Ok(());
            }
            match self.wait()? {
                Ready::Input => {
                    let is_line_awaited = self.leaving.is_some() || self.asked != Asked::default();
                    match self
                        .intake
                        .read_once(self.input, is_line_awaited.then_some(1))?
                    {
                        Taken::Bytes(count) => {
                            self.is_settled = false;
                            self.progress.add(count);
                            if count < self.nap_below && !is_line_awaited {
                                let others =
                                    [self.requests.descriptor(), self.signals.descriptor()];
                                Input::nap(others, NAP)?;
                            }
                        }
                        Taken::Nothing if self.has_failed() => return Ok(()),
                        Taken::Nothing => {}
                        Taken::End => return Ok(()),
                    }
                }
                Ready::Other(0) => {
                    let Asked { reopen, rotate } = self.requests.take();
                    self.asked.reopen |= reopen;
                    self.asked.rotate |= rotate;
                }
                Ready::Other(_) => match self.signals.received() {
                    Some(SIGTERM) => self.leaving = Some(Instant::now() + LINE_GRACE),
                    _ => return Ok(()),
                },
                Ready::Nothing if self.has_failed() => return Ok(()),
                Ready::Nothing => {}
            }
        }
    }

    fn wait(&self) -> io::Result<Ready> {
        let others = [self.requests.descriptor(), self.signals.descriptor()];
        if let Some(limit) = self.leaving {
            // The signal's own descriptor stays readable.
            let left = limit.saturating_duration_since(Instant::now());
            return self.input.wait(&others[..1], Some(left));
        }
        let limit = (!self.is_settled).then_some(CHECK_INTERVAL);
        self.input.wait(&others, limit)
    }

    /// A line that is too long may be split anywhere.
    fn is_between_lines(&self) -> bool {
        let open_bytes = self.tally().open_bytes;
        open_bytes == 0 || open_bytes >= self.line_max
    }

    fn do_what_was_asked(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        let rotated = asked.rotate.then(|| self.target.rotate());
        let reopened = asked.reopen.then(|| self.target.reopen());
        for done in [rotated, reopened].into_iter().flatten() {
            if let Err(failure) = done {
                self.progress.clear();
                report::line(&failure);
            }
        }
    }

    /// Looks whether FILE is to be given up, and whether there is anything left to fail.
    fn has_failed(&mut self) -> bool {
        let stats = self.target.queue().stats();
        self.is_settled = stats.posted_bytes == stats.written_bytes;
        // Where lines are dropped, a full disk is no reason to stop reading.
        if self.intake.drops() {
            stats.last_error.is_some()
        } else {
            self.target.given_up(&stats).is_some()
        }
    }
}
