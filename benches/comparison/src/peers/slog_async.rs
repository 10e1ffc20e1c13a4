//! slog-async 2 in its blocking mode, around a drain that writes the message to a `BufWriter`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use slog::{Drain, Logger, Never, OwnedKVList, Record, info, o};
use slog_async::{Async, AsyncGuard, OverflowStrategy};

use super::{BUFFER, RECORDS, text};
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};
use alq_measure::limits::append_to;

/// The messages, a line each.
struct Messages(Mutex<BufWriter<File>>);

impl Drain for Messages {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        let mut writer = self.0.lock().expect("one thread uses it");
        writeln!(writer, "{}", record.msg()).expect("it takes all");
        Ok(())
    }
}

pub struct SlogAsync {
    logger: Logger,
    guard: AsyncGuard,
}

impl Log for SlogAsync {
    const NAME: &'static str = "slog-async";
    type Producer = Of<Logger>;

    fn open(path: &Path) -> Outcome<Self> {
        let writer = BufWriter::with_capacity(BUFFER, append_to(path)?);
        let (drain, guard) = Async::new(Messages(Mutex::new(writer)))
            .chan_size(RECORDS)
            .overflow_strategy(OverflowStrategy::Block)
            .build_with_guard();
        let logger = Logger::root(drain.fuse(), o!());
        Ok(Self { logger, guard })
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        Ok(Of(self.logger.clone()))
    }

    fn finish(self) -> Outcome<u64> {
        drop(self.logger);
        drop(self.guard);
        Ok(0)
    }
}

impl Append for Of<Logger> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        info!(self.0, "{}", text(record));
        Ok(())
    }
}
