//! logforth 0.30: its asynchronous appender, which blocks when full, around its file appender,
//! called with records as its logger makes them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use logforth::append::Async;
use logforth::append::asynchronous::AsyncBuilder;
use logforth::append::file::FileBuilder;
use logforth::record::Record;
use logforth::{Diagnostic, Error, Layout};

use super::{RECORDS, text};
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Leaves, Log};

/// The message alone.
#[derive(Debug)]
struct Message;

impl Layout for Message {
    fn format(&self, record: &Record<'_>, _: &[Box<dyn Diagnostic>]) -> Result<Vec<u8>, Error> {
        Ok(record.payload().to_string().into_bytes())
    }
}

pub struct Logforth(Arc<Async>);

impl Log for Logforth {
    const NAME: &'static str = "logforth";
    const LEAVES: Leaves = Leaves::NamedFiles;
    type Producer = Of<Arc<Async>>;

    fn open(path: &Path) -> Outcome<Self> {
        let folder = path.parent().expect("in a folder");
        let file = FileBuilder::new(folder, "log").layout(Message).build();
        let queue = AsyncBuilder::new("logforth")
            .buffered_lines_limit(Some(RECORDS))
            .overflow_block()
            .append(file.expect("a file"))
            .build();
        Ok(Self(Arc::new(queue)))
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        Ok(Of(self.0.clone()))
    }

    fn finish(self) -> Outcome<u64> {
        logforth::Append::flush(&*self.0).expect("it takes all");
        Ok(0)
    }
}

impl Append for Of<Arc<Async>> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let text = text(record);
        let payload = format_args!("{text}");
        let record = Record::builder().payload(payload).build();
        logforth::Append::append(&*self.0, &record, &[]).expect("it takes all");
        Ok(())
    }
}
