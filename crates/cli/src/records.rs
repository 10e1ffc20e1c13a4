//! Prints records and notices: the output of `alq cat` and `alq follow`.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use alq::read::{End, Item, Notice, Place, ReadError, ReadOptions, Reader, Record};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;
use signal_hook::consts::SIGPIPE;
use signal_hook::low_level::emulate_default_handler;

use crate::read_args::{Form, Format};
use crate::report::{self, Failure};

/// How many bytes are written at once, unless one record has more.
const PART_LEN: usize = 64 << 10;

/// Writes records to standard output.
pub struct Records {
    form: Form,
    buffer: Vec<u8>,
    /// A line that the last file did not end: a newline comes before the next record.
    is_open: bool,
    /// How many notices were faults of the log.
    pub faults: u64,
}

/// A record, as JSON. The names of the fields are those of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    offset: u64,
    position: Option<u64>,
    stamp_ns: Option<u64>,
    /// The record, if it is text.
    text: Option<&'a str>,
    /// The record as hexadecimal digits, if it is not.
    hex: Option<String>,
    /// `whole`, `continues` or `torn`.
    end: &'static str,
}

/// A notice, as JSON.
#[derive(Serialize)]
pub struct Finding {
    pub notice: &'static str,
    pub file: String,
    pub offset: u64,
    pub message: String,
}

impl Finding {
    pub fn of(notice: &Notice, place: &Place) -> Self {
        Self {
            notice: name(notice),
            file: report::name(place.file()),
            offset: place.offset(),
            message: notice.to_string(),
        }
    }
}

fn name(notice: &Notice) -> &'static str {
    match notice {
        Notice::Damaged { .. } => "damaged",
        Notice::Torn { .. } => "torn",
        Notice::Lost { .. } => "lost",
        Notice::Cut { .. } => "cut",
        Notice::Missing { .. } => "missing",
        Notice::OtherLog => "other_log",
        Notice::Gone => "gone",
        Notice::Truncated => "truncated",
        Notice::Unreadable { .. } => "unreadable",
        Notice::Broken { .. } => "broken",
        Notice::Adopted { .. } => "adopted",
        Notice::OtherKey => "other_key",
        Notice::NoChain => "no_chain",
        Notice::NotClosed { .. } => "not_closed",
        Notice::OtherPast { .. } => "other_past",
        _ => "other",
    }
}

impl Records {
    pub fn new(form: Form) -> Self {
        Self {
            form,
            buffer: Vec::with_capacity(2 * PART_LEN),
            is_open: false,
            faults: 0,
        }
    }

    /// Prints an item. It may stay in the buffer until the next [`flush`](Self::flush).
    pub fn print(&mut self, item: &Item<'_>) -> Result<(), Failure> {
        self.format(item)?;
        if self.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    /// Puts an item into the buffer.
    pub fn format(&mut self, item: &Item<'_>) -> Result<(), Failure> {
        match item {
            Item::Record(record) => self.record(record)?,
            Item::Notice(notice, place) => {
                self.faults += u64::from(notice.is_fault());
                if self.form.json {
                    self.json(&Finding::of(notice, place))?;
                } else {
                    let (file, at) = (report::shown(place.file()), place.offset());
                    report::line(&format_args!("{file}: byte {at}: {notice}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the buffer is worth a write.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= PART_LEN
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        if self.form.json {
            let text = std::str::from_utf8(record.bytes()).ok();
            let line = Line {
                file: report::name(record.file()),
                offset: record.offset(),
                position: record.position(),
                stamp_ns: record.stamp_ns(),
                text,
                hex: text.is_none().then(|| hex(record.bytes())),
                end: match record.end() {
                    End::Continues => "continues",
                    End::Torn => "torn",
                    _ => "whole",
                },
            };
            return self.json(&line);
        }
        let is_framed = record.raw().len() != record.bytes().len() + 1;
        match self.form.format {
            Format::Hex => {
                self.buffer.extend(hex(record.bytes()).bytes());
                self.buffer.push(b'\n');
            }
            Format::Raw if is_framed => self.buffer.extend(record.bytes()),
            Format::Raw => self.buffer.extend(record.raw()),
            Format::Text => {
                if std::mem::take(&mut self.is_open) {
                    self.buffer.push(b'\n');
                }
                self.buffer.extend(record.bytes());
                match record.end() {
                    End::Continues => {}
                    End::Torn => self.is_open = true,
                    _ if record.bytes().ends_with(b"\n") => {} // of a framed log
                    _ => self.buffer.push(b'\n'),
                }
            }
        }
        Ok(())
    }

    fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.buffer.extend(report::json_line(value)?.bytes());
        Ok(())
    }

    /// Writes the buffer to standard output. If the reader of a pipe has gone, this process dies by
    /// SIGPIPE, as cat(1) does.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let out = rustix::stdio::stdout();
        let mut rest = &self.buffer[..];
        while !rest.is_empty() {
            match rustix::io::write(out, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_for_room(out)?,
                Err(Errno::PIPE) => die_by_sigpipe(),
                Err(error) => return Err(Failure::new("standard output", io::Error::from(error))),
            }
        }
        self.buffer.clear();
        Ok(())
    }

    /// The bytes that the next flush writes.
    pub fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }
}

fn wait_for_room(out: BorrowedFd<'_>) -> Result<(), Failure> {
    match poll(&mut [PollFd::from_borrowed_fd(out, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Failure::new("standard output", io::Error::from(error))),
    }
}

/// Dies as a program that ignores no SIGPIPE.
pub fn die_by_sigpipe() -> ! {
    let _ = emulate_default_handler(SIGPIPE); // does not return
    signal_hook::low_level::exit(128 + SIGPIPE)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    let pairs = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    pairs.collect()
}

/// Opens the log, or standard input if it is `-`.
pub fn open(log: &Path, options: ReadOptions) -> Result<Reader, ReadError> {
    if log.as_os_str() == "-" {
        options.open_fd(rustix::stdio::stdin())
    } else {
        options.open(log)
    }
}

/// The failure of a reader, whose message names the file.
pub fn failure(log: &Path, error: &ReadError) -> Failure {
    let way_out = match error.io_error().kind() {
        io::ErrorKind::NotFound if error.path() == log => "; `alq follow` waits for a log",
        _ => "",
    };
    Failure::whole(format_args!("{error}{way_out}"))
}
