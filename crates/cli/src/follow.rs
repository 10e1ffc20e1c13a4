//! `alq follow`: prints the records of a log as they are written, and saves its place.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use alq::read::{Cursor, ReadOptions, Reader};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::read_args::Follow;
use crate::records::{Records, die_by_sigpipe, failure};
use crate::report::{self, Failure};
use crate::signals::Signals;

/// How many records come first by default.
const LAST: u64 = 10;

/// Follows until a signal comes, which is returned.
pub fn run(options: Follow) -> Result<i32, Failure> {
    let signals = Signals::handle().map_err(|error| Failure::new("signals", error))?;
    let Follow {
        log,
        last,
        cursor,
        form,
    } = options;
    let failed = |error| failure(&log, &error);
    let reader = ReadOptions::new()
        .framing(form.framing)
        .may_be_missing(true);
    let mut reader = reader.open(&log).map_err(failed)?;
    let mut output = Output::open(cursor.as_deref())?;
    let is_resumed = output.resume(&mut reader).map_err(failed)?;
    match last {
        _ if is_resumed => {}
        Some(n) => reader.seek_last(n).map_err(failed)?,
        None if cursor.is_none() => reader.seek_last(LAST).map_err(failed)?,
        None => {}
    }
    output.save(&reader.cursor())?; // a kill after the first write must find a place
    let mut follow = reader.follow().map_err(failed)?;
    let mut records = Records::new(form);
    loop {
        while let Some(item) = follow.try_next().map_err(failed)? {
            output.print(&mut records, &item)?;
            if records.is_full() {
                output.flush(&mut records, &follow.cursor())?;
                if let Some(signal) = signals.received() {
                    return Ok(signal);
                }
            }
        }
        output.flush(&mut records, &follow.cursor())?;
        if let Some(signal) = signals.received() {
            return Ok(signal);
        }
        wait(&follow, &signals)?;
    }
}

/// Waits for the log, for a signal, or for the end of the reader of standard output.
fn wait(follow: &alq::read::Follow, signals: &Signals) -> Result<(), Failure> {
    let out = rustix::stdio::stdout();
    let mut fds = [
        PollFd::new(follow, PollFlags::IN),
        PollFd::from_borrowed_fd(signals.descriptor(), PollFlags::IN),
        PollFd::from_borrowed_fd(out, PollFlags::empty()),
    ];
    match poll(&mut fds, None) {
        Ok(_) if fds[2].revents().contains(PollFlags::ERR) => die_by_sigpipe(),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Failure::new("standard output", io::Error::from(error))),
    }
}

/// Standard output, and the file that says how far it has got.
///
/// The file has two lines: the cursor, and, if standard output is a regular file, its device, inode
/// and length at that place. A kill between the write of records and the write of the cursor leaves
/// records after that length. The next run prints the same bytes again, so it skips them.
struct Output<'a> {
    path: Option<&'a Path>,
    cursor: Option<Cursor>,
    /// The bytes after the saved length, which need not be written again.
    written: Vec<u8>,
    is_changed: bool,
}

impl<'a> Output<'a> {
    fn open(path: Option<&'a Path>) -> Result<Self, Failure> {
        let mut output = Self {
            path,
            cursor: None,
            written: Vec::new(),
            is_changed: false,
        };
        let Some(path) = path else {
            return Ok(output);
        };
        let failed = |error: io::Error| Failure::new(report::shown(path), error);
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(output),
            Err(error) => return Err(failed(error)),
        };
        let mut lines = text.lines();
        let cursor = lines.next().unwrap_or_default().parse();
        let way_out = "delete it to begin with the first record";
        output.cursor = Some(cursor.map_err(|error| {
            Failure::new(report::shown(path), format_args!("{error}; {way_out}"))
        })?);
        if let Some(line) = lines.next() {
            output.written = written_after(line).map_err(failed)?;
        }
        Ok(output)
    }

    fn resume(&self, reader: &mut Reader) -> Result<bool, alq::read::ReadError> {
        if let Some(cursor) = &self.cursor {
            reader.resume(cursor)?;
        }
        Ok(self.cursor.is_some())
    }

    fn print(&mut self, records: &mut Records, item: &alq::read::Item<'_>) -> Result<(), Failure> {
        self.is_changed = true;
        records.format(item)
    }

    fn flush(&mut self, records: &mut Records, cursor: &Cursor) -> Result<(), Failure> {
        if !std::mem::take(&mut self.is_changed) {
            return Ok(());
        }
        let pending = records.pending();
        let same = pending
            .iter()
            .zip(&self.written)
            .take_while(|(a, b)| a == b);
        let same = same.count();
        if same == pending.len() || same == self.written.len() {
            pending.drain(..same);
            self.written.drain(..same);
        } else {
            self.written.clear(); // another program has written there
        }
        records.flush()?;
        self.save(cursor)
    }

    /// Saves the place that standard output has got to, if there is a file for it.
    fn save(&self, cursor: &Cursor) -> Result<(), Failure> {
        let Some(path) = self.path else {
            return Ok(());
        };
        let saved = replace(path, &format!("{cursor}\n{}", self.place()));
        saved.map_err(|error| Failure::new(report::shown(path), error))
    }

    /// The line that says how long standard output is, if it is a regular file.
    fn place(&self) -> String {
        let found = File::open("/proc/self/fd/1").and_then(|file| file.metadata());
        match found {
            Ok(found) if found.is_file() => {
                let len = found.len().saturating_sub(self.written.len() as u64);
                format!("{} {} {len}\n", found.dev(), found.ino())
            }
            _ => String::new(),
        }
    }
}

/// What standard output has after the saved length, if it still is the same file.
fn written_after(line: &str) -> io::Result<Vec<u8>> {
    let mut numbers = line.split(' ').map(str::parse::<u64>);
    let (Some(Ok(device)), Some(Ok(inode)), Some(Ok(len))) =
        (numbers.next(), numbers.next(), numbers.next())
    else {
        return Ok(Vec::new());
    };
    let kind = fs::metadata("/proc/self/fd/1")?;
    if !kind.is_file() || (kind.dev(), kind.ino()) != (device, inode) || kind.len() < len {
        return Ok(Vec::new());
    }
    let mut rest = vec![0; usize::try_from(kind.len() - len).unwrap_or(0)];
    File::open("/proc/self/fd/1")?.read_exact_at(&mut rest, len)?;
    Ok(rest)
}

/// Replaces the file at once, so that a kill leaves the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = File::create(&name)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&name, path)
}
