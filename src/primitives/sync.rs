//! The only file that names the atomics and threads of the standard library, or those of a model
//! checker in their place.
//!
//! All other layers are compiled unchanged in every world: in the shipped one (`sync/native.rs`),
//! and in those of loom and shuttle (`sync/model.rs`). `alq_model` is set in both of the latter.
//! The cfgs belong to this crate, because a global `--cfg loom` would also change every dependency
//! that reads it.

pub use imp::{
    Arc, AtomicBool, AtomicU32, AtomicU64, Futex, Mutex, Ordering, PlainArc, PlainWeak, ThreadId,
    Threads, compiler_fence, fence, membarrier, membarrier_register, sleep, spawn_quiet, spin_loop,
    this_thread,
};

#[cfg(not(alq_model))]
#[path = "sync/native.rs"]
mod imp;

#[cfg(alq_model)]
#[path = "sync/model.rs"]
mod imp;

/// Returns a number that no other call in this process returns.
pub fn unique_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};

    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only the number matters, and an RMW never returns it twice. It is not part of a
    // protocol, so the model does not see it.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The standard library's atomics and lock, in all worlds: for values that are not part of a
/// protocol that the model sees.
pub mod plain {
    pub use std::sync::Mutex;
    pub use std::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };
}

/// Returns whether the models run on the mutant `name` (`ALQ_MUTANT`): the code with one weakness
/// built in, which a model must find. A mutant has the label of the place that it weakens
/// (docs/ordering.md); `+` joins several. Outside the models there are no mutants.
#[cfg(alq_model)]
pub fn is_mutant(name: &str) -> bool {
    static MUTANT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let mutants = MUTANT.get_or_init(|| std::env::var("ALQ_MUTANT").unwrap_or_default());
    !mutants.is_empty() && mutants.split('+').any(|mutant| mutant == name)
}

#[cfg(not(alq_model))]
#[inline]
pub const fn is_mutant(_name: &str) -> bool {
    false
}

/// Returns `strong`, or Relaxed in the mutant `name`.
#[inline]
pub fn unless_mutant(name: &str, strong: Ordering) -> Ordering {
    or_mutant(name, Ordering::Relaxed, strong)
}

/// Returns `strong`, or `weak` in the mutant `name`.
#[inline]
pub fn or_mutant(name: &str, weak: Ordering, strong: Ordering) -> Ordering {
    if is_mutant(name) { weak } else { strong }
}

#[cfg(any(test, fuzzing, alq_model))] // only the heap memory uses it
pub use imp::Tracked;
