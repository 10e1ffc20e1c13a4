//! `--recorder`: makes the dumps that are asked for.
//!
//! `Queue::dump` waits until the dump is written, and gives the reason of it. Here it runs on a
//! thread, because FILE may accept no data: then input is read on, and the stall is reported.

use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use alq::{Dump, Error, Framing, Options, Queue};
use jiff::Timestamp;
use memchr::memmem::Finder;
use nix::sys::signal::Signal;

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::report::{self, Failure};
use crate::stamp::Stamp;

/// The longest wait of the input for a dump. The flusher copies the records first, so in this time
/// it has the lines that led to the dump, also if it cannot write them.
const COPY_TIME: Duration = Duration::from_secs(1);

/// What asks for dumps of a queue.
#[derive(Debug)]
pub struct Recorder {
    queue: Queue,
    texts: Vec<Finder<'static>>,
    /// Ends when the dump in progress does.
    running: RefCell<Option<Receiver<()>>>,
}

impl Recorder {
    /// Returns the recorder of the queue; `None` for any other queue.
    pub fn of(queue: &Queue, options: &Append) -> Option<Self> {
        let texts = options.recorder.dump_on.iter();
        queue.is_recorder().then(|| Self {
            queue: queue.clone(),
            texts: texts.map(|text| Finder::new(text).into_owned()).collect(),
            running: RefCell::default(),
        })
    }

    /// Makes a dump if `line` has one of the texts.
    pub fn look(&self, line: &[u8]) {
        let is_in = |text: &&Finder<'_>| text.find(line).is_some();
        if let Some(text) = self.texts.iter().find(is_in) {
            let text = String::from_utf8_lossy(text.needle());
            self.dump(format!("a line with {text}"));
        }
    }

    /// Makes a dump, and waits for it for a moment.
    pub fn dump(&self, reason: String) {
        if self.begin(reason) {
            let _ = self.wait(COPY_TIME); // the queue continues to write it
        }
    }

    /// Begins a dump. Returns false if the one before it is still being written: then one that says
    /// `requested` follows it, and it is not waited for.
    pub fn begin(&self, reason: String) -> bool {
        if self.wait(Duration::ZERO).is_err() {
            self.queue.request_dump();
            return false;
        }
        let (done, running) = channel();
        let queue = self.queue.clone();
        let dump = move || {
            let dumped = queue.dump(&reason);
            // A failed write is in the statistics of the queue, and ends `alq append`.
            if let (Err(error), None) = (dumped, queue.stats().last_error) {
                if error != Error::Closed {
                    report::line(&format_args!("the dump ({reason}) failed: {error}"));
                }
            }
            drop(done);
        };
        let started = thread::Builder::new().spawn(dump);
        if started.is_err() {
            self.queue.request_dump();
            return false;
        }
        *self.running.borrow_mut() = Some(running);
        true
    }

    /// Waits for the dump in progress.
    pub fn wait(&self, limit: Duration) -> Result<(), Error> {
        let mut running = self.running.borrow_mut();
        let is_over = running.as_ref().is_none_or(|running| match limit {
            Duration::ZERO => running.try_recv() == Err(TryRecvError::Disconnected),
            limit => running.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected),
        });
        if !is_over {
            return Err(Error::TimedOut);
        }
        *running = None;
        Ok(())
    }
}

/// Adds the recorder of the command line to the options of a queue. With stamps, the line of a dump
/// has one too.
pub fn add_to(queue: Options, options: &Append) -> Options {
    let queue = queue.recorder(options.recorder.recorder);
    match options.lines.timestamp.clone().map(Stamp::new) {
        None => queue,
        Some(stamp) => queue.dump_line_with(move |dump: &Dump| {
            let mut line = String::new();
            stamp.write(Timestamp::now(), &mut line);
            line + &format!("{dump}\n")
        }),
    }
}

/// Why the end is a reason for a dump, if it is one: `status` is the status of the command, and
/// `received` the signal that ends alq. A command that was asked to end, by SIGTERM or SIGINT, has
/// not failed.
pub fn reason_at_end(
    options: &Append,
    status: Option<ExitStatus>,
    received: Option<i32>,
) -> Option<String> {
    let failure = status.and_then(|status| match (status.code(), status.signal()) {
        (Some(0), _) | (None, None) => None,
        (Some(code), _) => Some(format!("the command ended with exit code {code}")),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(Signal::SIGTERM | Signal::SIGINT) => None,
            _ => Some(format!("the command was ended by {}", name_of(signal))),
        },
    });
    let end = || received.map_or_else(|| "the end of input".to_owned(), name_of);
    failure.or_else(|| options.recorder.dump_at_end.then(end))
}

fn name_of(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |one| one.to_string())
}

/// Refuses options that contradict `--recorder`.
pub fn check(options: &Append) -> Result<(), Failure> {
    if !options.recorder.recorder {
        return Ok(());
    }
    let refused = [
        (
            options.framing.framing == Framing::Raw,
            "--framing raw",
            "a recorder keeps whole records: choose lines, lengths or fixed:BYTES",
        ),
        (
            options.framing.framing == Framing::Checked,
            "--framing checked",
            "a recorder cannot have it, because the positions of its records have gaps: choose \
             lines or lengths",
        ),
        (
            options.lines.when_full == WhenFull::Drop,
            "--when-full=drop",
            "a recorder never waits for FILE: leave it out",
        ),
        (
            options.sync.last().is_some(),
            options.sync.last().map_or("", |(_, option)| option),
            "a recorder has no syncs: leave it out",
        ),
    ];
    match refused.into_iter().find(|(is_given, ..)| *is_given) {
        Some((_, option, problem)) => Err(Failure::new(option, problem).or_code(2)),
        None => Ok(()),
    }
}
