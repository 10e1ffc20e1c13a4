//! A model of a queue, in plain Rust and on one thread: the result that a sequence of operations
//! must have.
//!
//! Operations are read from bytes, so every source of bytes can generate them: proptest
//! (tests/operations.rs), libFuzzer and a recorded corpus (fuzz/). The flusher is the real one, on
//! its own thread. So the model knows some results exactly, and for the others what is possible.

mod ending;
mod far_end;
mod op;
mod reference;
mod world;

pub use op::{Op, Settings};
pub use world::run;
