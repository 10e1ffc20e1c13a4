//! Checks the options of a rotation and converts them into what the log works with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Rotation;
use super::every::Calendar;
use super::lines::{Inside, Lines};
use crate::words::Error;

impl Rotation {
    pub(super) fn check(&self) -> Result<(), Error> {
        let invalid = |option, value, allowed| {
            Err(Error::InvalidOption {
                option,
                value,
                allowed,
            })
        };
        if self.size_bytes == Some(0) {
            return invalid("size_bytes", 0, "1 byte or more");
        }
        if self.line_max_bytes == Some(0) {
            return invalid("whole_lines", 0, "1 byte or more");
        }
        if self.mode > 0o7777 {
            return invalid("mode", u64::from(self.mode), "0 to 0o7777");
        }
        self.compression.check()
    }

    /// What the log keeps whole, records or lines, and whether it ends inside a line. `last` reads
    /// the last byte of the log.
    pub(super) fn inside(&self, last: impl FnOnce() -> Option<u8>) -> Inside {
        let Some(max_bytes) = self.line_max_bytes else {
            return Inside::Record(false);
        };
        let mut lines = Lines::new(max_bytes);
        if !self.at_start {
            lines.ends_with(last());
        }
        Inside::Line(lines)
    }

    pub(super) fn calendar(&self) -> Result<Option<Calendar>, Error> {
        let calendar = |every| Calendar::new(every, &self.zone);
        self.every.map(calendar).transpose()
    }

    /// The current time in seconds since 1970, from the clock that the caller set, if any.
    pub(super) fn now(&self) -> i64 {
        let now = self
            .clock
            .as_ref()
            .map_or_else(SystemTime::now, |now| now());
        seconds_of(now)
    }
}

/// Whole seconds since 1970; negative before 1970.
pub(super) fn seconds_of(time: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()) - 1,
    }
}
