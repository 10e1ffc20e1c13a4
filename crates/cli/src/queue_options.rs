//! The options of the queue that appends to FILE, as the command line describes it.

use std::time::Duration;

use alq::Options;
use jiff::Timestamp;

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::report::Failure;
use crate::stamp::Stamp;
use crate::{key, recorder, ring};

/// The least time between two lines in FILE about dropped lines.
const LOSS_LINES_EVERY: Duration = Duration::from_secs(1);

/// Returns these options. They do not name a ring file yet ([`ring::in_file`]).
pub fn of(options: &Append) -> Result<Options, Failure> {
    let mut queue = Options::new()
        .capacity(ring::capacity(options)?)
        .mode(options.mode)
        .follow_links(options.follow_links)
        .framing(options.framing.framing)
        .stamps(options.framing.stamps)
        .keep_torn(options.framing.keep_torn_record)
        .stall_limit(None); // `Patience` limits the wait for a full disk
    if let Some(file) = &options.framing.chain {
        queue = queue.chain(key::read(file)?);
    }
    if !options.framing.is_on() {
        queue = queue.end_torn_line(options.ends_torn_line());
    }
    if options.lines.when_full == WhenFull::Drop {
        queue = match options.lines.timestamp.clone().map(Stamp::new) {
            None => queue.loss_lines(LOSS_LINES_EVERY),
            Some(stamp) => queue.loss_lines_with(LOSS_LINES_EVERY, move |lost| {
                let mut line = String::new();
                stamp.write(Timestamp::now(), &mut line);
                line + &format!("{lost}\n")
            }),
        };
    }
    if let Some(policy) = options.sync.policy() {
        queue = queue.sync_every(policy);
    }
    if options.recorder.recorder {
        queue = recorder::add_to(queue, options);
    }
    Ok(queue)
}
