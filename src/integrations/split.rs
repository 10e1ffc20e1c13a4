//! A recorder that takes the less severe events, and is dumped before an error.

use super::losses::Severity;
use crate::face::Queue;

/// Which events a recorder takes.
#[derive(Clone, Debug)]
pub(super) struct Split {
    recorder: Queue,
    /// The number of the most severe level that it takes.
    from: usize,
}

/// The number of the level of errors.
const ERROR: usize = 0;

impl Split {
    /// Events of `level`, and less severe ones, go to `recorder`. Errors never do.
    pub(super) fn new(recorder: &Queue, level: impl Severity) -> Self {
        Self {
            recorder: recorder.clone(),
            from: level.number().max(ERROR + 1),
        }
    }

    /// Returns the recorder, if it takes events of this level. Dumps it before an error.
    pub(super) fn recorder_for(&self, level: impl Severity, target: &str) -> Option<&Queue> {
        if level.number() == ERROR && self.recorder.has_records() {
            // `Options::on_error` gets a failure, which is no reason to lose the error itself.
            let _ = self.recorder.dump(&format!("error in {target}"));
        }
        (level.number() >= self.from).then_some(&self.recorder)
    }
}
