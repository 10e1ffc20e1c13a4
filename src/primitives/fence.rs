//! The asymmetric fence: free where it runs often, paid for where it runs seldom.

use std::time::Duration;

use super::sync::{
    Ordering, compiler_fence, fence, is_mutant, membarrier, membarrier_register, or_mutant, plain,
    sleep,
};

/// Whether this process has registered for the expedited membarrier: not tried yet, or one of the two below.
static REGISTERED: plain::AtomicU32 = plain::AtomicU32::new(0);
const YES: u32 = 1;
const NO: u32 = 2;

/// Whether this process has registered. Tried once, or by several threads at once, who get the same answer: no lock,
/// which a fork could leave taken in the child.
fn is_registered() -> bool {
    // Relaxed on both: only the answer matters.
    let mut known = REGISTERED.load(Ordering::Relaxed);
    if known == 0 {
        known = if membarrier_register() { YES } else { NO };
        REGISTERED.store(known, Ordering::Relaxed);
    }
    known == YES
}

/// A new process, a child of fork(2), registers again if its parent had: its own queues rely on it.
pub fn renew_registration() {
    // Relaxed: as above.
    if REGISTERED.load(Ordering::Relaxed) == YES {
        membarrier_register();
    }
}

/// Which form of the store-then-load hand-shake this process uses.
///
/// Two threads that each store to one word and then load the other's must both put a full fence between
/// the two, or each may miss the other's store. A post does so for every record, the drain only before it
/// sleeps; so where the kernel has membarrier(2), [`light`](Fences::light) is a compiler fence only and
/// [`heavy`](Fences::heavy) makes every running thread of the process execute a full fence. Where it has
/// not, both are `fence(SeqCst)`. One protocol, two prices; the model checker sees the second form.
///
/// Each place that calls one has a label of its own, and calls it through [`light_at`](Fences::light_at) or
/// [`heavy_at`](Fences::heavy_at), so that a mutant can leave it out.
///
/// Source: membarrier(2), `MEMBARRIER_CMD_PRIVATE_EXPEDITED`.
#[derive(Clone, Copy, Debug)]
pub struct Fences {
    asymmetric: bool,
}

impl Fences {
    /// The form that this process can use; decided once.
    pub fn detect() -> Self {
        Self {
            asymmetric: is_registered(),
        }
    }

    /// The side that runs often, at the place with that label.
    #[inline]
    pub fn light_at(self, label: &str) {
        if !is_mutant(label) {
            self.light();
        }
    }

    /// The side that runs seldom, at the place with that label.
    #[inline]
    pub fn heavy_at(self, label: &str) {
        if !is_mutant(label) {
            self.heavy();
        }
    }

    #[inline]
    fn light(self) {
        if self.asymmetric {
            // SeqCst, of the compiler: keeps it from moving the load up; the fence proper is executed on this
            // thread by the partner's `heavy`.
            compiler_fence(Ordering::SeqCst);
        } else {
            // [fence.light] SeqCst, pairs with [fence.heavy]: of two threads that each store, fence and load, at
            // least one sees the other's store. Nothing weaker orders a store before a load.
            fence(or_mutant("fence.light", Ordering::AcqRel, Ordering::SeqCst));
        }
    }

    fn heavy(self) {
        if !self.asymmetric {
            // [fence.heavy] SeqCst, pairs with [fence.light].
            fence(or_mutant("fence.heavy", Ordering::AcqRel, Ordering::SeqCst));
        } else if !membarrier() {
            // A sandbox that came later has taken it away. Time does the same: no processor holds a store back for so
            // long, and a thread that was stopped between its store and its load was fenced by the switch.
            sleep(IN_ITS_PLACE);
        }
    }
}

/// How long a store may take until every thread sees it: some thousand times what it does take.
const IN_ITS_PLACE: Duration = Duration::from_millis(1);
