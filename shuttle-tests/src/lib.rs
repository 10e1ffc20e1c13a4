//! Code shared by the scenarios: drawing schedules, the producers, the sink, and the oracle.

#[cfg(not(alq_shuttle))]
compile_error!(
    "the scenarios need `--cfg alq_shuttle`: run `cargo test --release` in the shuttle-tests \
     folder, whose .cargo/config.toml sets it"
);

mod producer;
mod runner;
mod sink;

pub use producer::{Ledger, Producer, Way};
pub use runner::{below, explore, is_one_in};
pub use sink::{FarEnd, Mood};
