//! fast_log 1.7: its `print`, which takes a finished line, to its file appender, with a bounded
//! channel.

use std::path::Path;

use fast_log::Config;

use super::{RECORDS, text};
use crate::common::contestant::{Append, Log};

pub struct FastLog;

impl Log for FastLog {
    const NAME: &'static str = "fast_log";
    type Producer = Self;

    fn open(path: &Path) -> Self {
        let path = path.to_str().expect("a path in UTF-8");
        let config = Config::new().file(path).chan_len(Some(RECORDS));
        fast_log::init(config).expect("the only one of the process");
        Self
    }

    fn producer(&mut self) -> Self {
        Self
    }

    fn finish(self) -> u64 {
        fast_log::flush().expect("it runs").wait();
        0
    }
}

impl Append for FastLog {
    fn append(&mut self, record: &[u8]) {
        let mut line = String::with_capacity(record.len());
        line.push_str(text(record));
        line.push('\n');
        fast_log::print(line).expect("it runs");
    }
}
