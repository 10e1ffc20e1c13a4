//! The loop that moves input into the ring, until it ends or a signal asks to end.
//!
//! Bytes go into the ring as soon as they are read, even the beginning of a line. A request that
//! must be served between two lines (to end, to continue in another file) waits for the end of the
//! current line, or of a record of a fixed length. Until then input is read byte by byte, so that
//! nothing after the line is read. If input is neither, a request is served after any byte.

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

/// The longest wait of SIGTERM for the end of a line. It is shorter than the grace during which
/// another signal does nothing.
const LINE_GRACE: Duration = Duration::from_millis(250);

/// The pause after a short read, in which input gathers. Without it, every write to the pipe would
/// have to wake this reader. The naps of the flusher are longer.
const NAP: Duration = Duration::from_micros(100);

/// A pipe of at least this size does not become full during the nap.
const WIDE_BYTES: usize = 256 << 10;

/// Moves input into the ring.
#[derive(Debug)]
pub struct Pump<'a> {
    target: &'a Target<'a>,
    /// `None` for an input that has ended.
    inputs: Vec<Option<Input>>,
    /// The input that is read first if several are ready.
    turn: usize,
    signals: &'a Signals,
    progress: &'a Progress,
    intake: Intake<'a>,
    /// The length from which a line may be split; 0 if input is neither lines nor records.
    line_max: usize,
    /// A read of fewer bytes than this is followed by a nap.
    nap_below: usize,
    /// The requests that wait for the end of the line.
    asked: Asked,
    /// When to end even if the line has not ended; `None` if no signal asked to end.
    leaving: Option<Instant>,
    /// The number of bytes still to read from each input; `None` until the command has ended.
    last_bytes: Option<Vec<u64>>,
    /// True if the inputs are the streams of a command.
    has_command: bool,
    /// True if the inputs are read to their ends, even after the command has ended.
    until_eof: bool,
    /// True if everything that was posted is known to be written.
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
        if options.has_units() {
            line_max = options.line_max(target.queue().capacity())?;
            let is_wide = |input: &Input| input.widen(chunk).is_some_and(|size| size >= WIDE_BYTES);
            // Not `all`, which would stop at the first narrow pipe: every input is widened.
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
            is_settled: false, // the ring file may have held bytes
            looked: Instant::now(),
        })
    }

    pub fn tally(&self) -> &Tally {
        self.intake.tally()
    }

    /// The number of bytes that were read and will not reach the ring.
    pub fn unsent_bytes(&self) -> usize {
        self.intake.unsent_bytes()
    }

    /// The number of bytes of a line or record that has not ended.
    pub fn open_bytes(&self) -> usize {
        self.intake.open_bytes()
    }

    /// Runs until the input ends, until a signal has come and the line ends, or until the queue
    /// fails (which its close will report). Then closes the inputs, so that their writers do not
    /// wait for a reader that has stopped reading.
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

    /// Serves the requests that wait for the end of the line, if it has ended. Returns true if the
    /// loop must end.
    fn is_over(&mut self) -> bool {
        if self.is_between_lines() {
            self.do_what_was_asked();
            if self.leaving.is_some() {
                return true;
            }
        }
        let is_late = self.leaving.is_some_and(|limit| Instant::now() >= limit);
        let is_at_end = self.inputs.iter().all(Option::is_none);
        // A command may close its streams and continue to run.
        let is_ended = is_at_end && (!self.has_command || self.signals.command_status().is_some());
        is_late || is_ended
    }

    /// The longest wait for input; `None` means no limit.
    fn patience(&self) -> Option<Duration> {
        if self.last_bytes.is_some() {
            return Some(Duration::ZERO);
        }
        match self.leaving {
            Some(limit) => Some(limit.saturating_duration_since(Instant::now())),
            None => (!self.is_settled).then_some(CHECK_INTERVAL),
        }
    }

    /// Reads an input once. Returns false if the loop must end.
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

    /// Closes an input, and moves the rest of its last line into the ring.
    fn end(&mut self, at: usize) {
        if self.inputs[at].take().is_some() {
            self.intake.finish(at);
        }
    }

    fn hear(&mut self) {
        let Asked {
            reopen,
            rotate,
            dump,
        } = self.signals.take();
        if let (true, Some(recorder)) = (dump, self.target.recorder()) {
            recorder.dump("SIGUSR2".to_owned()); // at once: the line may never end
            self.is_settled = false;
        }
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

    /// Returns true at the end of a line, and anywhere in a line that is too long.
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

    /// Looks at FILE: returns true if it is given up. Also updates `is_settled`.
    fn has_failed(&mut self) -> bool {
        self.looked = Instant::now();
        let stats = self.target.queue().stats();
        self.is_settled = match self.target.recorder() {
            Some(recorder) => recorder.wait(Duration::ZERO).is_ok(),
            None => stats.posted_bytes == stats.written_bytes,
        };
        let given_up = self.target.given_up(&stats);
        // If lines are dropped, reading continues while the disk is full.
        if self.intake.drops() {
            stats.last_error.is_some()
        } else {
            given_up.is_some()
        }
    }
}
