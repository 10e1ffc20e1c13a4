//! What the benchmarks (benches/) and `alq bench` measure with: records whose log can be checked record by record, and what
//! the figures depend on besides the code. Nothing here panics; the tool reports what went wrong.

pub mod machine;
pub mod records;

/// The result of a step of a measurement. A caller reports an error; it does not handle its cases.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
