//! Which levels wait for room, for how long, and which are refused while there still is some.

use std::time::Duration;

use super::losses::{LEVELS, Losses, Severity};
use crate::ends::{Cause, Counter};
#[cfg(feature = "tracing")]
use crate::face::Lane;
use crate::face::Queue;
use crate::words::{Error, Flags};

/// How long events wait for room, by level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// The number of the most severe level that does not wait.
    drop_from: Option<usize>,
    wait_at_most: Option<Duration>,
    /// For each level: the fill, in percent, above which its events are refused.
    fill_max: [Option<u8>; LEVELS],
}

impl Policy {
    /// Every level waits without a limit.
    pub(super) const WAIT: Self = Self {
        drop_from: None,
        wait_at_most: None,
        fill_max: [None; LEVELS],
    };

    pub(super) fn drop_from(self, level: impl Severity) -> Self {
        Self {
            drop_from: Some(level.number()),
            ..self
        }
    }

    pub(super) fn wait_at_most(self, time: Duration) -> Self {
        Self {
            wait_at_most: Some(time),
            ..self
        }
    }

    /// Refuses events of `level`, and less severe ones, above a fill of `percent`.
    pub(super) fn drop_above(mut self, level: impl Severity, percent: u8) -> Self {
        for of_level in &mut self.fill_max[level.number()..] {
            *of_level = Some(of_level.map_or(percent, |before| before.min(percent)));
        }
        self
    }

    /// How an event of this level is appended.
    pub(super) fn patience<'a>(&self, level: impl Severity, memory: &'a Memory) -> Patience<'a> {
        let level = level.number();
        let waits = self.drop_from.is_none_or(|from| level < from);
        Patience {
            memory,
            level,
            waits,
            timeout: self.wait_at_most.filter(|_| waits),
            fill_max: self.fill_max[level],
        }
    }

    /// How an event of unknown level is appended.
    #[cfg(feature = "tracing")]
    pub(super) fn patience_of_all<'a>(&self, memory: &'a Memory) -> Patience<'a> {
        Patience {
            memory,
            level: LEVELS,
            waits: true,
            timeout: self.wait_at_most,
            fill_max: None,
        }
    }
}

/// What the events of one writer leave for the later ones.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) losses: Losses,
    /// How far the queue was drained when an event had waited in vain, plus 1; 0 if none has.
    in_vain_at: Counter,
}

/// How one event is appended, and where its loss is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience<'a> {
    memory: &'a Memory,
    level: usize,
    waits: bool,
    timeout: Option<Duration>,
    fill_max: Option<u8>,
}

impl Patience<'_> {
    /// How the same event is appended to a recorder, which is always full and always has room.
    pub(super) fn in_recorder(self) -> Self {
        Self {
            fill_max: None,
            ..self
        }
    }

    /// Returns whether an event of `len` bytes leaves room for more severe ones. If not, counts it
    /// as lost.
    pub(super) fn admits(&self, queue: &Queue, len: usize) -> bool {
        let Some(percent) = self.fill_max else {
            return true;
        };
        let admits = queue.keeps_headroom(len, percent);
        if !admits {
            self.memory.losses.add(self.level, Some(Cause::Headroom));
        }
        admits
    }

    /// Appends with the flags and the time limit of this event.
    pub(super) fn place<T>(
        &self,
        queue: &Queue,
        append: impl FnOnce(Flags, Option<Duration>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if !self.waits || (self.timeout.is_some() && self.is_in_vain(queue)) {
            return append(Flags::NOWAIT, None);
        }
        let placed = append(Flags::WAITOK, self.timeout);
        let gave_up = matches!(placed, Err(Error::TimedOut | Error::Held { .. }));
        if gave_up && self.timeout.is_some() {
            let drained = queue.drained_bytes();
            self.memory
                .in_vain_at
                .set(drained.map_or(0, |bytes| bytes + 1));
        }
        placed
    }

    /// Returns whether an event has waited in vain, and nothing was drained since. Another wait
    /// would be in vain too.
    fn is_in_vain(&self, queue: &Queue) -> bool {
        let Some(at) = self.memory.in_vain_at.get().checked_sub(1) else {
            return false;
        };
        let is_in_vain = queue.drained_bytes() == Some(at);
        if !is_in_vain {
            self.memory.in_vain_at.set(0);
        }
        is_in_vain
    }

    pub(super) fn append(self, queue: &Queue, text: &[u8]) -> Result<(), Error> {
        if !self.admits(queue, text.len()) {
            return Ok(());
        }
        let write = |flags, timeout| match timeout {
            None => queue.writen(text, flags),
            Some(timeout) => queue.writen_timeout(text, flags, timeout),
        };
        self.place(queue, write).map(drop)
    }

    #[cfg(feature = "tracing")]
    pub(super) fn append_in(
        self,
        queue: &Queue,
        lane: &mut Lane,
        text: &[u8],
    ) -> Result<(), Error> {
        if !self.admits(queue, text.len()) {
            return Ok(());
        }
        let write = |flags, timeout| match timeout {
            None => lane.writen(text, flags),
            Some(timeout) => lane.writen_timeout(text, flags, timeout),
        };
        self.place(queue, write).map(drop)
    }

    /// Counts the event if it was lost. Returns the error to report.
    pub(super) fn settle(&self, appended: Result<(), Error>) -> Result<(), Error> {
        self.memory.losses.settle(self.level, appended)
    }
}
