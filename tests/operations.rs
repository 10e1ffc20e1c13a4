//! Random sequences of operations, against a model (tests/model/): every way of appending, entries
//! that are held, lanes that are sealed, dropped and leaked, a far end that fails, takes little or
//! nothing, flush, sync, reopen, close and drop.
//!
//! Some hundred sequences by default; `ALQ_CASES` says how many.

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
