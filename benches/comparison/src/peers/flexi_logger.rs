//! flexi_logger 0.31 in its asynchronous mode: the file writer, called with records as the `log`
//! macros make them, with a pool of as many buffers as others have places; its channel has no
//! bound.

use std::fmt::Debug;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flexi_logger::writers::{FileLogWriter, LogWriter};
use flexi_logger::{DeferredNow, FileSpec, WriteMode};
use log::Record;

use super::{RECORDS, text};
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Leaves, Log};

#[derive(Debug)]
pub struct FlexiLogger(Arc<FileLogWriter>);

fn message(to: &mut dyn Write, _: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
    write!(to, "{}", record.args())
}

impl Log for FlexiLogger {
    const NAME: &'static str = "flexi_logger";
    const LEAVES: Leaves = Leaves::NamedFiles;
    type Producer = Of<Arc<FileLogWriter>>;

    fn open(path: &Path) -> Outcome<Self> {
        let spec = FileSpec::try_from(path).expect("a path of a file");
        let mode = WriteMode::AsyncWith {
            pool_capa: RECORDS,
            message_capa: 200,
            flush_interval: Duration::from_secs(1),
        };
        let builder = FileLogWriter::builder(spec)
            .format(message)
            .write_mode(mode);
        Ok(Self(Arc::new(builder.try_build().expect("a writer"))))
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        Ok(Of(self.0.clone()))
    }

    fn finish(self) -> Outcome<u64> {
        self.0.shutdown();
        Ok(0)
    }
}

impl Append for Of<Arc<FileLogWriter>> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let text = text(record);
        let args = format_args!("{text}");
        let record = Record::builder().args(args).level(log::Level::Info).build();
        self.0
            .write(&mut DeferredNow::new(), &record)
            .expect("it takes all");
        Ok(())
    }
}
