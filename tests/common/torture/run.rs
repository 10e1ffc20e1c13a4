//! The length and the seed of a torture, and its child processes.

use std::panic::{set_hook, take_hook};
use std::{env, process};

use crate::common::fork::{Child, End, fork};

/// The number of processes to kill: `ALQ_KILLS`.
pub fn kills() -> usize {
    let kills = env::var("ALQ_KILLS").map(|text| text.parse().unwrap());
    kills.unwrap_or(300)
}

/// The number of the first chain of lives: `ALQ_SEED`.
pub fn seed() -> usize {
    let seed = env::var("ALQ_SEED").map(|text| text.parse().unwrap());
    seed.unwrap_or(1)
}

/// Starts a child that fails when any of its threads panics.
pub fn start(body: impl FnOnce()) -> Child {
    fork(End::AtOnce, || {
        let say = take_hook();
        set_hook(Box::new(move |panic| {
            say(panic);
            process::abort(); // in any thread
        }));
        body();
    })
}
