//! ftlog 0.2 with a bounded channel that blocks. It always writes a time and a delay before the
//! message; they are cut off at its writer, so that the file is the same.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use ftlog::{FtLogFormat, LevelFilter, LoggerGuard, Record};

use super::{BUFFER, RECORDS, text};
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};
use alq_measure::limits::append_to;

/// The message alone.
struct Message;

impl FtLogFormat for Message {
    fn msg(&self, record: &Record<'_>) -> Box<dyn Send + Sync + Display> {
        Box::new(record.args().to_string())
    }
}

/// A writer that keeps only the part of each line after its last space.
struct Cut<W>(W);

impl<W: Write> Write for Cut<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let start = line.iter().rposition(|byte| *byte == b' ');
        self.0
            .write_all(&line[start.map_or(0, |space| space + 1)..])?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

pub struct FtLog(LoggerGuard);

impl Log for FtLog {
    const NAME: &'static str = "ftlog";
    type Producer = Messages;

    fn open(path: &Path) -> Outcome<Self> {
        let guard = ftlog::builder()
            .max_log_level(LevelFilter::Info)
            .format(Message)
            .utc()
            .bounded(RECORDS, true)
            .root(Cut(BufWriter::with_capacity(BUFFER, append_to(path)?)))
            .try_init();
        Ok(Self(guard.expect("the only one of the process")))
    }

    fn producer(&mut self) -> Outcome<Messages> {
        Ok(Messages)
    }

    fn finish(self) -> Outcome<u64> {
        drop(self.0);
        Ok(0)
    }
}

pub struct Messages;

impl Append for Messages {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        log::info!("{}", text(record));
        Ok(())
    }
}
