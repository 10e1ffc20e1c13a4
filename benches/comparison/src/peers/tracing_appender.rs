//! tracing-appender 0.2: its non-blocking writer, as it is (lossy), lossless, and lossless around a
//! `BufWriter`, which its worker flushes whenever its queue is empty. Used as a writer, without the
//! formatting of tracing-subscriber.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::{BUFFER, RECORDS};
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};
use alq_measure::limits::append_to;

/// A writer and what its drop waits for.
pub struct Appender {
    writer: NonBlocking,
    guard: WorkerGuard,
}

impl Appender {
    fn new(lossy: bool, writer: impl Write + Send + 'static) -> Self {
        let builder = NonBlockingBuilder::default()
            .lossy(lossy)
            .buffered_lines_limit(RECORDS);
        let (writer, guard) = builder.finish(writer);
        Self { writer, guard }
    }

    fn finish(self) -> Outcome<u64> {
        let counter = self.writer.error_counter();
        drop(self.guard);
        Ok(counter.dropped_lines() as u64)
    }
}

pub struct Lossless(Appender);
pub struct Buffered(Appender);
pub struct Lossy(Appender);

macro_rules! log {
    ($log:ident, $name:literal, $lossless:literal, $open:expr) => {
        impl Log for $log {
            const NAME: &'static str = $name;
            const LOSSLESS: bool = $lossless;
            type Producer = Of<NonBlocking>;

            fn open(path: &Path) -> Outcome<Self> {
                Ok(Self($open(append_to(path)?)))
            }

            fn producer(&mut self) -> Outcome<Self::Producer> {
                Ok(Of(self.0.writer.clone()))
            }

            fn finish(self) -> Outcome<u64> {
                self.0.finish()
            }
        }
    };
}

log!(Lossless, "tracing-appender", true, |file| Appender::new(
    false, file
));
log!(Buffered, "tracing-app. + BufWriter", true, |file| {
    Appender::new(false, BufWriter::with_capacity(BUFFER, file))
});
log!(Lossy, "tracing-app., lossy", false, |file| Appender::new(
    true, file
));

impl Append for Of<NonBlocking> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.0.write_all(record).expect("it takes all");
        Ok(())
    }
}
