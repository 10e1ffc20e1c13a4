//! The end of the process, and fork(2): what was posted is written before, whoever holds the handles.

use std::time::Duration;

use super::registry;
use crate::actors::Reporter;
use crate::primitives::os::process::{at_exit, at_fork, complain};
use crate::primitives::sync::plain::{AtomicBool, Ordering};
use crate::words::{Error, Left, Operation, Undrained};

/// How long a fork(2) waits until what was posted before it is written.
const FORK_TIME: Duration = Duration::from_millis(10);

/// Has the queues of this process drained when it ends, and when it forks. Called before the first one is there.
///
/// # Errors
///
/// [`Error::Io`] if there is no memory for it.
pub fn arm() -> Result<(), Error> {
    /// Children inherit it, and the handler.
    static ARMED: AtomicBool = AtomicBool::new(false);
    // Relaxed on both: armed twice, the second drain finds nothing to do. No process ends inside of a model.
    if !cfg!(alq_model) && !ARMED.load(Ordering::Relaxed) {
        let error = |error| Error::io(Operation::Map, &error);
        at_exit(drain).map_err(error)?;
        at_fork(before_fork, nothing, nothing).map_err(error)?;
        ARMED.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Called by exit(3), on the thread that ends the process, while the others run on.
extern "C" fn drain() {
    // A child of fork(2) without queues of its own has nothing to drain: those of its parent are none of its business.
    let Some(registry) = registry::existing() else {
        return;
    };
    for (queue, undrained) in registry.exit() {
        last_words(&queue.reporter, "at exit", undrained);
    }
}

/// Called by fork(3), on the thread that forks. A parent that leaves by `_exit` once its child runs, as daemon(3) has it,
/// would lose what is still in its rings.
extern "C" fn before_fork() {
    if let Some(registry) = registry::existing() {
        registry.drain_within(FORK_TIME);
    }
}

extern "C" fn nothing() {}

/// Tells the callback of the queue what is left when no caller can ask any more, or standard error.
pub fn last_words(reporter: &Reporter, when: &str, undrained: Undrained) {
    if reporter.is_set() {
        reporter.report_last(undrained.cause);
    } else {
        let (queue, left) = (reporter.target(), Left(&undrained));
        complain(&format!("alq: {queue}: {when}, {left}\n"));
    }
}
