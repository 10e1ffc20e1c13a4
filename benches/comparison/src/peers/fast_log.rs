//! fast_log 1.7: its `print`, which takes a finished line, to its file appender, with a bounded
//! channel.

use std::io;
use std::path::Path;

use fast_log::Config;

use super::{RECORDS, text};
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};

pub struct FastLog;

impl Log for FastLog {
    const NAME: &'static str = "fast_log";
    type Producer = Self;

    fn open(path: &Path) -> Outcome<Self> {
        let path = path.to_str().expect("a path in UTF-8");
        let config = Config::new().file(path).chan_len(Some(RECORDS));
        fast_log::init(config).expect("the only one of the process");
        Ok(Self)
    }

    fn producer(&mut self) -> Outcome<Self> {
        Ok(Self)
    }

    fn finish(self) -> Outcome<u64> {
        fast_log::flush().expect("it runs").wait();
        Ok(0)
    }
}

impl Append for FastLog {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let mut line = String::with_capacity(record.len());
        line.push_str(text(record));
        line.push('\n');
        fast_log::print(line).expect("it runs");
        Ok(())
    }
}
