//! After any sequence of operations, the queue and its file agree with a model (tests/model/).
//!
//! The random sequences append in every way, hold entries, seal, drop and leak lanes, flush, sync,
//! reopen, close and drop, with a sink that fails or accepts little or nothing.
//!
//! The default is some hundred sequences; `ALQ_CASES` sets the number.

mod common;
mod model;

use common::spawn;
use model::{Op, Settings};
use proptest::prelude::*;

fn cases() -> u32 {
    let cases = std::env::var("ALQ_CASES").map(|text| text.parse().expect("a number"));
    cases.unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_sequence_of_operations_does_as_the_model(
        settings in any::<[u8; Settings::LEN]>().prop_map(Settings::decode),
        ops in prop::collection::vec(any::<[u8; Op::LEN]>().prop_map(Op::decode), 1..120),
    ) {
        spawn(move || model::run(settings, &ops)).join();
    }
}
