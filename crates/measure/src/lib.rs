//! What the benchmarks (`benches/`) and `alq bench` measure with:
//!
//! ```text
//!  turn (a process each)  ->  work (a workload)  ->  contestant (limits, queues)
//!    |                          |
//!    v                          v
//!  spreads, ratios            records (each is checked)
//! ```
//!
//! - [`contestant`]: what a way to append must be able to do; [`limits`], the bounds of any queue
//!   of this kind; [`queues`], this queue.
//! - [`work`]: the workloads, and the results; `run` and [`busy`] carry them out.
//! - [`turn`]: turns, and the statistics over them.
//! - [`records`]: records that can be checked one by one in a log.
//! - [`machine`]: the properties of the machine on which the figures depend.
//! - `chart`: charts as SVG (feature `chart`).
//!
//! Nothing here panics: an error is returned, and the program reports it.

pub mod busy;
#[cfg(feature = "chart")]
pub mod chart;
pub mod contestant;
pub mod limits;
pub mod machine;
pub mod queues;
pub mod records;
mod run;
mod stalled;
pub mod turn;
pub mod work;

/// The result of a step of a measurement. Callers report an error and do not distinguish its kinds.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
