//! The options of a queue that its threads and its waiting callers need, and how its flusher ends.

use std::time::Duration;

use super::dumps::DumpLine;
use super::gap::LossLines;
use crate::words::{Order, SyncPolicy};

/// The options that concern waiting, in one place.
#[derive(Clone, Debug)]
pub struct Config {
    pub order: Order,
    pub lane_span: u32,
    pub stall_limit: Option<Duration>,
    pub refuse_when_stalled: bool,
    pub outstanding_max: usize,
    /// How the log reports refused records; `None` if it does not.
    pub loss_lines: Option<LossLines>,
    /// Whether the ring overwrites its oldest records.
    pub recorder: bool,
    /// How a dump begins; `None` without a line.
    pub dump_line: Option<DumpLine>,
    /// How often the queue syncs although no caller waits; `None` for never.
    pub sync_policy: Option<SyncPolicy>,
}

/// How the flusher of a closed queue ends. Each stage includes the stage before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Last {
    /// Drain everything, waiting for open reservations.
    Drain = 0,
    /// Drain what is posted and step over open reservations.
    StepOver = 1,
    /// Stop at the next step.
    Stop = 2,
}
