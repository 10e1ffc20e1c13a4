//! The head of the ring when its numbers go round: a thread that stops between its look at the head
//! and its compare-and-swap is fooled if the head has the same value again. With a counter of two
//! bits the checker shows it; docs/ring.md has the arithmetic for 32 bits.
//!
//! | action | function |
//! |---|---|
//! | `Look` | `Claims::look`, and the room check of `Claims::take` |
//! | `Swap` | the compare-and-swap of `Claims::take` |
//! | `Other`, `Drain` | a whole claim of another thread; `Drain::step` |

use alq_proof::{breaks, holds};
use stateright::{Model, Property};

const CAPACITY: u8 = 2;
const CLAIMS: u8 = 7;

struct Head {
    modulus: u8,
}

#[derive(Clone, Debug, Default, Hash, PartialEq, Eq)]
struct State {
    /// Claims and drained claims, as they really are.
    claimed: u8,
    drained: u8,
    /// What the sleeping thread has read of the head.
    seen: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Look,
    Swap,
    Other,
    Drain,
}

impl Model for Head {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let has_room = state.claimed - state.drained < CAPACITY && state.claimed < CLAIMS;
        if has_room {
            actions.extend([Action::Other, Action::Look]);
        }
        if state.seen.is_some() {
            actions.push(Action::Swap);
        }
        if state.drained < state.claimed {
            actions.push(Action::Drain);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Look => state.seen = Some(state.claimed % self.modulus),
            Action::Swap => {
                // If it fails, the thread looks again.
                if state.seen.take() == Some(state.claimed % self.modulus) {
                    state.claimed += 1;
                }
            }
            Action::Other => state.claimed += 1,
            Action::Drain => state.drained += 1,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "no claim takes what is not drained",
            |_, state: &State| state.claimed - state.drained <= CAPACITY,
        )]
    }
}

#[test]
fn a_head_that_does_not_come_round_never_fools_a_claim() {
    holds("wrap", Head { modulus: u8::MAX });
}

#[test]
fn with_a_counter_of_two_bits_a_claim_takes_bytes_that_are_not_drained() {
    breaks(
        "wrap",
        Head { modulus: 4 },
        "no claim takes what is not drained",
    );
}
