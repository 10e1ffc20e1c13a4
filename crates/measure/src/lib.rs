//! Tools for measuring, shared by the benchmarks (`benches/`) and `alq bench`:
//!
//! - [`records`]: records that can be checked one by one in a log.
//! - [`machine`]: the properties of the machine on which the figures depend.
//!
//! Nothing here panics: an error is returned, and the tool reports it.

pub mod machine;
pub mod records;

/// The result of a step of a measurement. Callers report an error and do not distinguish its kinds.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
