//! `alq-nats append`.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use alq::{Flags, Queue};
use alq_nats::{NatsSink, ring_capacity};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::{To, with_options};

#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    to: To,
    /// Ring file, which keeps what is not stored yet: in memory (/run, /dev/shm), not on a disk
    #[arg(long, value_name = "FILE")]
    ring: PathBuf,
    /// Size of the ring, a power of two: at least the bytes of 12 seconds, the longest time without
    /// a leader
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    capacity: usize,
}

fn size(text: &str) -> Result<usize, String> {
    let size = parse_size::Config::new().with_binary().parse_size(text);
    let size = size.map_err(|error| error.to_string())?;
    usize::try_from(size).map_err(|error| error.to_string())
}

/// The most bytes of one record of the queue. The sink finds the lines.
const BLOCK: usize = 64 << 10;

/// The time between two looks at what the servers say.
const LOOK: Duration = Duration::from_millis(500);

/// How long a disturbance lasts before it is reported.
const SPOKEN_AFTER: Duration = Duration::from_secs(1);

/// How long the program waits for a quorum after a signal. Then the ring file keeps the rest.
const PATIENCE: Duration = Duration::from_secs(5);

enum Event {
    /// The end of the input, or the error that ended it.
    End(Result<(), String>),
    Signal(i32),
}

/// Appends standard input.
pub fn run(options: &Options) -> Result<(), String> {
    let sink = options.to.connect(options.ring.exists())?;
    for warning in sink.warnings() {
        eprintln!("alq-nats: {warning}");
    }
    let queue = alq::Options::new()
        .capacity(options.capacity)
        .ring_file(&options.ring)
        .stall_limit(None)
        .open_sink(sink.clone());
    let queue = queue.map_err(|error| format!("{}: {error}", options.to.place()))?;
    let (events, received) = mpsc::channel();
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| error.to_string())?;
    let of_signals = events.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            let _ = of_signals.send(Event::Signal(signal));
        }
    });
    let of_input = queue.clone();
    thread::spawn(move || events.send(Event::End(copy(&of_input))));
    let mut watch = Watch::new(options, &sink, &queue);
    let ended = loop {
        match received.recv_timeout(LOOK) {
            Ok(event) => break event,
            Err(RecvTimeoutError::Timeout) => watch.look(),
            Err(RecvTimeoutError::Disconnected) => return Err("a thread has ended".into()),
        }
    };
    let limit = matches!(ended, Event::Signal(_)).then_some(PATIENCE);
    let closed = watch.close(limit);
    match ended {
        Event::End(ended) => ended.and(closed),
        Event::Signal(signal) => {
            if let Err(message) = closed {
                eprintln!("alq-nats: {}", with_options(&message));
            }
            let _ = emulate_default_handler(signal);
            Ok(())
        }
    }
}

/// Copies whole lines from standard input to the queue; a line that is longer than a block in
/// parts. The last line gets a newline if it has none.
fn copy(queue: &Queue) -> Result<(), String> {
    let mut input = io::stdin().lock();
    let mut block = vec![0; BLOCK];
    let mut len = 0;
    loop {
        let count = match input.read(&mut block[len..]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("standard input: {error}")),
        };
        let is_end = count == 0;
        len += count;
        if is_end && len > 0 && block[len - 1] != b'\n' {
            block.truncate(len);
            block.push(b'\n');
            len += 1;
        }
        let line_end = block[..len].iter().rposition(|&byte| byte == b'\n');
        let whole = match line_end {
            Some(end) => end + 1,
            None if len == block.len() => len,
            None => 0,
        };
        if whole > 0 {
            match queue.writen(&block[..whole], Flags::WAITOK) {
                Ok(_) => {}
                Err(_) => return Ok(()), // the queue is closed, or has failed: the close says why
            }
            block.copy_within(whole..len, 0);
            len -= whole;
        }
        if is_end {
            return Ok(());
        }
    }
}

/// Tells the user what happens: a line on a terminal, and messages about disturbances.
struct Watch<'a> {
    options: &'a Options,
    sink: &'a NatsSink,
    queue: &'a Queue,
    has_line: bool,
    troubled_since: Option<Instant>,
    is_said: bool,
    is_warned: bool,
    looked: Instant,
    posted_bytes: u64,
}

impl<'a> Watch<'a> {
    fn new(options: &'a Options, sink: &'a NatsSink, queue: &'a Queue) -> Self {
        Self {
            options,
            sink,
            queue,
            has_line: io::stderr().is_terminal(),
            troubled_since: None,
            is_said: false,
            is_warned: false,
            looked: Instant::now(),
            posted_bytes: 0,
        }
    }

    fn look(&mut self) {
        let stats = self.queue.stats();
        let (posted, kept) = (stats.posted_bytes, stats.posted_bytes - stats.written_bytes);
        let rate = (posted - self.posted_bytes) as f64 / self.looked.elapsed().as_secs_f64();
        (self.posted_bytes, self.looked) = (posted, Instant::now());
        let needed = ring_capacity(rate as u64);
        if needed > self.options.capacity && !self.is_warned {
            self.is_warned = true;
            self.say(&format!(
                "at {:.1} MB/s the ring holds less than the 12 s that a new leader may take: use \
                 --capacity {}M",
                rate / 1e6,
                needed >> 20
            ));
        }
        let place = self.options.to.place();
        let trouble = self.sink.trouble();
        match (&trouble, self.troubled_since) {
            (Some(reason), Some(since)) if since.elapsed() >= SPOKEN_AFTER && !self.is_said => {
                self.is_said = true;
                let ring = self.options.ring.display();
                self.say(&format!(
                    "{place}: {reason}; keeping {kept} bytes in {ring} and retrying"
                ));
            }
            (Some(_), since) => self.troubled_since = since.or_else(|| Some(Instant::now())),
            (None, since) => {
                if let Some(since) = since.filter(|_| self.is_said) {
                    let age = since.elapsed().as_secs_f32();
                    self.say(&format!("{place}: accepts records again after {age:.1} s"));
                }
                (self.troubled_since, self.is_said) = (None, false);
            }
        }
        if self.has_line {
            let state = trouble.unwrap_or_else(|| "stored by a quorum".to_owned());
            let state = with_options(&state);
            let written = stats.written_bytes as f64 / 1e6;
            eprint!(
                "\r\x1b[K{place}: {written:.1} MB stored, {kept} bytes in the ring, {:.1} MB/s; {state}",
                rate / 1e6
            );
        }
    }

    /// Waits until a quorum has stored everything, at most for `limit`.
    fn close(&mut self, limit: Option<Duration>) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            match self.queue.flush_timeout(LOOK) {
                Ok(()) => break,
                Err(error) if self.queue.stats().last_error.is_some() => {
                    let reason = self.sink.trouble().unwrap_or_else(|| error.to_string());
                    return Err(format!("{}{reason}", self.kept()));
                }
                Err(_) if limit.is_some_and(|limit| begun.elapsed() >= limit) => {
                    let reason = self
                        .sink
                        .trouble()
                        .unwrap_or_else(|| "no answer yet".into());
                    return Err(format!("{}{reason}", self.kept()));
                }
                Err(_) => self.look(),
            }
        }
        let closed = self.queue.close(Some(PATIENCE));
        closed.map_err(|error| format!("{}{error}", self.kept()))?;
        self.look();
        if self.has_line {
            eprintln!();
        }
        Ok(())
    }

    /// What is not stored, and how it gets there.
    fn kept(&self) -> String {
        let stats = self.queue.stats();
        format!(
            "{}: {} bytes are not stored and stay in {}, for the next start or `alq-nats recover`: ",
            self.options.to.place(),
            stats.posted_bytes - stats.written_bytes,
            self.options.ring.display()
        )
    }

    fn say(&self, message: &str) {
        let clear = if self.has_line { "\r\x1b[K" } else { "" };
        eprintln!("{clear}alq-nats: {}", with_options(message));
    }
}
