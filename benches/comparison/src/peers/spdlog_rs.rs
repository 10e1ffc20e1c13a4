//! spdlog-rs 0.5: a file sink with its own buffer, in its asynchronous pool sink with one thread,
//! which blocks when full.

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use spdlog::formatter::{PatternFormatter, pattern};
use spdlog::sink::{AsyncPoolSink, FileSink, OverflowPolicy};
use spdlog::{Logger, ThreadPool, info};

use super::{RECORDS, text};
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};

pub struct SpdlogRs(Arc<Logger>);

impl Log for SpdlogRs {
    const NAME: &'static str = "spdlog-rs";
    type Producer = Of<Arc<Logger>>;

    fn open(path: &Path) -> Outcome<Self> {
        let capacity = NonZeroUsize::new(RECORDS).expect("not zero");
        let pool = ThreadPool::builder().capacity(capacity).build_arc();
        let file = FileSink::builder()
            .path(path)
            .formatter(PatternFormatter::new(pattern!("{payload}\n")))
            .build_arc();
        let sink = AsyncPoolSink::builder()
            .thread_pool(pool.expect("a thread"))
            .overflow_policy(OverflowPolicy::Block)
            .sink(file.expect("a file"))
            .build_arc();
        let logger = Logger::builder().sink(sink.expect("a sink")).build_arc();
        Ok(Self(logger.expect("a logger")))
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        Ok(Of(self.0.clone()))
    }

    /// The drop of the last handle ends the pool's thread; the drop of the sink flushes its buffer.
    fn finish(self) -> Outcome<u64> {
        drop(self.0);
        Ok(0)
    }
}

impl Append for Of<Arc<Logger>> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        info!(logger: self.0, "{}", text(record));
        Ok(())
    }
}
