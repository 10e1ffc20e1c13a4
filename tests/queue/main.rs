//! What a queue promises its callers: appends, waits, flushes, closes, completions. Each file says
//! which promise it holds.

#[path = "../common/mod.rs"]
mod common;

mod append;
mod async_append;
mod async_limits;
mod bad_input;
mod close;
mod completion;
mod consistency;
mod consistency_errors;
mod errors;
mod failures;
mod fixed;
mod flush;
mod held;
mod idle;
mod lanes;
mod loss_lines;
mod ordered;
mod quiet;
mod recorder;
mod refusals;
mod refuse_when_stalled;
mod regressions;
mod reservations;
mod reserve;
mod slow_readers;
mod stall_reports;
mod stall_shown;
mod stalls;
mod suspend;
mod sync_every;
mod thread_lanes;
mod waiting;
mod writer;
