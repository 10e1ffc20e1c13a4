//! A model of a queue: what a sequence of operations on it must come to, in plain Rust and on one thread.
//!
//! Operations are read from bytes, so that whoever can make bytes can draw them: proptest (tests/operations.rs), libFuzzer
//! and a recorded corpus (fuzz/). The flusher is the real one and runs beside, so the model says what must be, where it
//! can, and what may be, elsewhere.

mod ending;
mod far_end;
mod op;
mod reference;
mod world;

pub use op::{Op, Settings};
pub use world::run;
