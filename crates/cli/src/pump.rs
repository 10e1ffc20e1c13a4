//! Moves input into the ring, until it ends or a signal asks to end.
//!
//! Bytes go into the ring as they are read, the beginnings of lines too. What is asked for between
//! two lines (to leave, to go on in another file) waits until the line that is open ends; meanwhile
//! input is read byte by byte, so that nothing is read beyond it. Where input is no stream of
//! lines, every byte ends one.

use std::io;
use std::time::{Duration, Instant};

use nix::libc::SIGTERM;

use crate::args::Append;
use crate::input::{self, Input, Ready};
use crate::intake::Intake;
use crate::progress::Progress;
use crate::report::{self, Failure};
use crate::signals::{Asked, Signals};
use crate::straight::{Taken, Tally, chunk};
use crate::target::{CHECK_INTERVAL, Target};

/// How long SIGTERM waits for the end of a line; the grace within which another signal does nothing
/// is longer.
const LINE_GRACE: Duration = Duration::from_millis(250);

/// How long it lets the input gather after a read that found little. A reader that is always there
/// costs its writers a wake-up a write; the flusher rests for longer than that.
const NAP: Duration = Duration::from_micros(100);

/// Only a pipe that holds at least this is not full before the nap is over.
const WIDE_BYTES: usize = 256 << 10;

/// Moves input into the ring.
#[derive(Debug)]
pub struct Pump<'a> {
    target: &'a Target<'a>,
    /// `None` has ended.
    inputs: Vec<Option<Input>>,
    /// Of several inputs that have something, the one to read.
    turn: usize,
    signals: &'a Signals,
    progress: &'a Progress,
    intake: Intake<'a>,
    /// Where a longer line may be split; 0 if input is no stream of lines.
    line_max: usize,
    /// It naps after a read of less than this.
    nap_below: usize,
    /// What waits for the end of a line.
    asked: Asked,
    /// When it leaves, whether a line ends or not.
    leaving: Option<Instant>,
    /// How much is still read of each input after the command has ended.
    last_bytes: Option<Vec<u64>>,
    /// Whether the inputs are the streams of a command, and read to their ends even if that has
    /// ended.
    has_command: bool,
    until_eof: bool,
    /// Whether all that was posted is known to be written.
    is_settled: bool,
    looked: Instant,
}

impl<'a> Pump<'a> {
    pub fn new(
        options: &Append,
        target: &'a Target<'a>,
        inputs: Vec<Input>,
        signals: &'a Signals,
        progress: &'a Progress,
    ) -> Result<Self, Failure> {
        let chunk = chunk(target.queue());
        let mut line_max = 0;
        let mut nap_below = 0;
        if options.is_lines() {
            line_max = options.lines.line_max(target.queue().capacity())?;
            let is_wide = |input: &Input| input.widen(chunk).is_some_and(|size| size >= WIDE_BYTES);
            // All of them are widened.
            if inputs.iter().filter(|input| is_wide(input)).count() == inputs.len() {
                nap_below = chunk / 2;
            }
        }
        Ok(Self {
            target,
            intake: Intake::new(options, target, inputs.len())?,
            inputs: inputs.into_iter().map(Some).collect(),
            turn: 0,
            signals,
            progress,
            line_max,
            nap_below,
            asked: Asked::default(),
            leaving: None,
            last_bytes: None,
            has_command: !options.command.is_empty(),
            until_eof: options.until_eof,
            is_settled: false, // the ring file may have held something
            looked: Instant::now(),
        })
    }

    pub fn tally(&self) -> &Tally {
        self.intake.tally()
    }

    /// How much was read that the ring has not got, nor will get.
    pub fn unsent_bytes(&self) -> usize {
        self.intake.unsent_bytes()
    }

    /// Runs until the input ends, a signal has come and the line ends, or the queue fails (which
    /// its close will report). Then the inputs are closed: their writers do not wait for a reader
    /// that reads no more.
    pub fn run(&mut self) -> io::Result<()> {
        let ended = self.pump();
        for at in 0..self.inputs.len() {
            self.end(at);
        }
        Input::close_standard();
        ended
    }

    fn pump(&mut self) -> io::Result<()> {
        while !self.is_over() {
            if self.looked.elapsed() >= CHECK_INTERVAL && self.has_failed() {
                return Ok(());
            }
            match input::wait(
                &self.inputs,
                self.turn,
                self.signals.descriptor(),
                self.patience(),
            )? {
                Ready::Input(at) => {
                    if !self.read(at)? {
                        return Ok(());
                    }
                }
                Ready::Signal => self.hear(),
                Ready::Nothing if self.last_bytes.is_some() => return Ok(()),
                Ready::Nothing if self.has_failed() => return Ok(()),
                Ready::Nothing => {}
            }
        }
        Ok(())
    }

    /// Does what waits for the end of a line, if that has come; whether there is nothing more to
    /// do.
    fn is_over(&mut self) -> bool {
        if self.is_between_lines() {
            self.do_what_was_asked();
            if self.leaving.is_some() {
                return true;
            }
        }
        let is_late = self.leaving.is_some_and(|limit| Instant::now() >= limit);
        let is_at_end = self.inputs.iter().all(Option::is_none);
        // A command may close its streams and go on.
        let is_ended = is_at_end && (!self.has_command || self.signals.command_status().is_some());
        is_late || is_ended
    }

    /// How long it waits for input.
    fn patience(&self) -> Option<Duration> {
        if self.last_bytes.is_some() {
            return Some(Duration::ZERO);
        }
        match self.leaving {
            Some(limit) => Some(limit.saturating_duration_since(Instant::now())),
            None => (!self.is_settled).then_some(CHECK_INTERVAL),
        }
    }

    /// Reads an input once; `false` if there is no use in going on.
    fn read(&mut self, at: usize) -> io::Result<bool> {
        self.turn = at + 1;
        let Some(input) = &self.inputs[at] else {
            return Ok(true);
        };
        let is_line_awaited =
            self.line_max > 0 && (self.leaving.is_some() || self.asked != Asked::default());
        match self
            .intake
            .read_once((input, at), is_line_awaited.then_some(1))?
        {
            Taken::Bytes(count) => {
                self.is_settled = false;
                self.progress.add(count);
                if let Some(left) = self.last_bytes.as_mut().map(|last| &mut last[at]) {
                    *left = left.saturating_sub(count as u64);
                    if *left == 0 {
                        self.end(at);
                    }
                } else if count < self.nap_below && !is_line_awaited {
                    input::nap(self.signals.descriptor(), NAP)?;
                }
                Ok(true)
            }
            Taken::Nothing => Ok(!self.has_failed()),
            Taken::End => {
                self.end(at);
                Ok(true)
            }
            Taken::Refused => Ok(false),
        }
    }

    /// Reads an input no more.
    fn end(&mut self, at: usize) {
        if self.inputs[at].take().is_some() {
            self.intake.finish(at);
        }
    }

    fn hear(&mut self) {
        let Asked { reopen, rotate } = self.signals.take();
        self.asked.reopen |= reopen;
        self.asked.rotate |= rotate;
        if let Some(signal) = self.signals.received() {
            let grace = if signal == SIGTERM && self.line_max > 0 {
                LINE_GRACE
            } else {
                Duration::ZERO
            };
            self.leaving.get_or_insert(Instant::now() + grace);
        }
        let has_ended = self.signals.command_status().is_some();
        if has_ended && !self.until_eof && self.last_bytes.is_none() {
            let available = |input: &Option<Input>| input.as_ref().map_or(0, Input::available);
            let last: Vec<u64> = self.inputs.iter().map(available).collect();
            (0..last.len())
                .filter(|&at| last[at] == 0)
                .for_each(|at| self.end(at));
            self.last_bytes = Some(last);
        }
    }

    /// A line that is too long may be split anywhere.
    fn is_between_lines(&self) -> bool {
        let open_bytes = self.intake.open_bytes();
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
        self.looked = Instant::now();
        let stats = self.target.queue().stats();
        self.is_settled = stats.posted_bytes == stats.written_bytes;
        let given_up = self.target.given_up(&stats);
        // Where lines are dropped, a full disk is no reason to stop reading.
        if self.intake.drops() {
            stats.last_error.is_some()
        } else {
            given_up.is_some()
        }
    }
}
