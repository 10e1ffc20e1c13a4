//! The end of the process, and fork(2): before either, the queues of this process are drained, even
//! if threads still have handles.
//!
//! The hooks run inside exit(3) and fork(2), on the thread that called them. They own no state
//! except the flag that they are installed.

use std::time::Duration;

use super::registry;
use crate::actors::Reporter;
use crate::primitives::os::process::{at_exit, at_fork, complain};
use crate::primitives::sync::plain::{AtomicBool, Ordering};
use crate::words::{Error, Left, Operation, Undrained};

/// How long fork(2) waits until everything posted before it is written.
const FORK_TIME: Duration = Duration::from_millis(10);

/// Installs the hooks that drain the queues at exit and at fork(2). Called before the first queue
/// is opened.
///
/// # Errors
///
/// [`Error::Io`] if there is no memory for the hooks.
pub fn arm() -> Result<(), Error> {
    /// Children of fork(2) inherit the flag and the hooks.
    static ARMED: AtomicBool = AtomicBool::new(false);
    // Relaxed on both: if the hooks are installed twice, the second drain finds nothing to do. No
    // process ends inside a model.
    if !cfg!(alq_model) && !ARMED.load(Ordering::Relaxed) {
        let error = |error| Error::io(Operation::Map, &error);
        at_exit(drain).map_err(error)?;
        at_fork(before_fork, nothing, nothing).map_err(error)?;
        ARMED.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Called by exit(3), on the thread that ends the process, while the other threads still run.
extern "C" fn drain() {
    // A child of fork(2) that has opened no queue has nothing to drain: the parent drains its own.
    let Some(registry) = registry::existing() else {
        return;
    };
    for (queue, undrained) in registry.exit() {
        report_undrained(&queue.intake.trouble.reporter, "at exit", undrained);
    }
}

/// Called by fork(2), on the thread that forks. Without it, a parent that calls `_exit` once its
/// child runs, as in daemon(3), would lose the records in its rings.
extern "C" fn before_fork() {
    if let Some(registry) = registry::existing() {
        registry.drain_within(FORK_TIME);
    }
}

extern "C" fn nothing() {}

/// Reports what is left when no caller can ask any more: to the callback of the queue, or, without
/// a callback, to standard error.
pub fn report_undrained(reporter: &Reporter, when: &str, undrained: Undrained) {
    if reporter.is_set() {
        reporter.report_last(undrained);
    } else {
        let (queue, left) = (reporter.target(), Left(&undrained));
        complain(&format!("alq: {queue}: {when}, {left}\n"));
    }
}
