//! What all models share. The models are in `tests/crashes`; README.md says what they stand for.

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, Model};

/// Explores all states of `model`, and prints their number. Every property must hold in all of
/// them.
pub fn holds<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Hash + Send + Sync + Clone + PartialEq,
    M::Action: Clone + Debug + PartialEq,
{
    let checker = model.checker().spawn_bfs().join();
    checker.assert_properties();
    println!("{name}: {} states", checker.unique_state_count());
}

/// Explores `model`, in which a step is wrong or missing. `property` must fail in some state.
pub fn breaks<M>(name: &str, model: M, property: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Hash + Send + Sync + Clone + PartialEq,
    M::Action: Clone + Debug + PartialEq,
{
    let checker = model.checker().spawn_bfs().join();
    let path = checker.assert_any_discovery(property);
    println!("{name}: found after these steps: {:?}", path.into_actions());
}
