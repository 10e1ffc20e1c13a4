//! `alq cat`: prints the records of a log and its rotated files.

use alq::read::{Item, ReadOptions};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::read_args::Cat;
use crate::records::{self, Records, failure};
use crate::report::Failure;

/// Prints the records. Returns how many faults the log has.
pub fn run(options: Cat) -> Result<u64, Failure> {
    let log = options.log;
    let failed = |error| failure(&log, &error);
    let reader = ReadOptions::new().framing(options.form.framing);
    let mut reader = records::open(&log, reader).map_err(failed)?;
    if let Some(n) = options.last {
        reader.seek_last(n).map_err(failed)?;
    }
    if let Some(position) = options.from {
        reader.seek_position(position).map_err(failed)?;
    }
    if let Some(time) = options.since {
        reader.seek_time(time).map_err(failed)?;
    }
    let is_end = |item: &Item<'_>| match item {
        Item::Record(record) => {
            let at = |limit| record.position().is_some_and(|at| at >= limit);
            let time = |limit| record.stamp().is_some_and(|time| time >= limit);
            options.to.is_some_and(at) || options.until.is_some_and(time)
        }
        _ => false,
    };
    let is_input = log.as_os_str() == "-";
    let mut records = Records::new(options.form);
    let is_at_the_end = loop {
        match reader.next().map_err(failed)? {
            Some(item) if is_end(&item) => break false,
            Some(item) => {
                records.print(&item)?;
                if is_input && !has_more() {
                    records.flush()?; // the next record may take its time
                }
            }
            None => break true,
        }
    };
    if is_at_the_end {
        while let Some(item) = reader.finish() {
            records.print(&item)?;
        }
    }
    records.flush()?;
    Ok(records.faults)
}

/// Whether standard input has more, or has ended.
fn has_more() -> bool {
    let input = rustix::stdio::stdin();
    let at_once = Timespec::default();
    let mut fds = [PollFd::from_borrowed_fd(input, PollFlags::IN)];
    poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
}
