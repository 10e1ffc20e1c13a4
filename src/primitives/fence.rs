//! The asymmetric fence: almost free on the side that runs often, expensive on the side that runs
//! seldom.
//!
//! This file owns the process's registration for membarrier(2), and decides which form all
//! handshakes of the process use.

use std::time::Duration;

use super::sync::{
    Ordering, compiler_fence, fence, is_mutant, membarrier, membarrier_register, or_mutant, plain,
    sleep,
};

/// Whether this process has registered for the expedited membarrier: 0 before the first try, then
/// `YES` or `NO`.
static REGISTERED: plain::AtomicU32 = plain::AtomicU32::new(0);
const YES: u32 = 1;
const NO: u32 = 2;

/// Returns whether this process has registered; the first call registers it. Several threads may do
/// so at once and get the same answer. It takes no lock, because a fork could leave a lock taken in
/// the child.
fn is_registered() -> bool {
    // Relaxed on both: only the answer matters.
    let mut known = REGISTERED.load(Ordering::Relaxed);
    if known == 0 {
        known = if membarrier_register() { YES } else { NO };
        REGISTERED.store(known, Ordering::Relaxed);
    }
    known == YES
}

/// Registers a child of fork(2) again if its parent had registered: the child's own queues rely on
/// it.
pub fn renew_registration() {
    // Relaxed: as above.
    if REGISTERED.load(Ordering::Relaxed) == YES {
        membarrier_register();
    }
}

/// Which form of the store-then-load handshake this process uses.
///
/// Two threads each store to one word and then load the other's word. Both must put a full fence
/// between the two steps, or each may miss the other's store. A post does so for every record, the
/// drain only before it sleeps. So if the kernel has membarrier(2), [`light`](Fences::light) is
/// only a compiler fence, and [`heavy`](Fences::heavy) makes every running thread of the process
/// execute a full fence. Otherwise both are `fence(SeqCst)`. It is one protocol in two forms; the
/// model checkers see the second form.
///
/// Each place that needs a fence has its own label and calls [`light_at`](Fences::light_at) or
/// [`heavy_at`](Fences::heavy_at) with it, so that a mutant can leave this fence out.
///
/// Source: membarrier(2), `MEMBARRIER_CMD_PRIVATE_EXPEDITED`.
#[derive(Clone, Copy, Debug)]
pub struct Fences {
    asymmetric: bool,
}

impl Fences {
    /// Returns the form that this process can use. The first call in the process decides it.
    pub fn detect() -> Self {
        Self {
            asymmetric: is_registered(),
        }
    }

    /// Executes the cheap fence, at the place with this label. For the side that runs often.
    #[inline]
    pub fn light_at(self, label: &str) {
        if !is_mutant(label) {
            self.light();
        }
    }

    /// Executes the expensive fence, at the place with this label. For the side that runs seldom.
    #[inline]
    pub fn heavy_at(self, label: &str) {
        if !is_mutant(label) {
            self.heavy();
        }
    }

    #[inline]
    fn light(self) {
        if self.asymmetric {
            // SeqCst, for the compiler only: it may not move the load up. The partner's `heavy`
            // makes this thread execute the processor's fence.
            compiler_fence(Ordering::SeqCst);
        } else {
            // [fence.light] SeqCst, pairs with [fence.heavy]: of two threads that each store, fence
            // and load, at least one sees the other's store. No weaker ordering keeps a store
            // before a later load.
            fence(or_mutant("fence.light", Ordering::AcqRel, Ordering::SeqCst));
        }
    }

    fn heavy(self) {
        if !self.asymmetric {
            // [fence.heavy] SeqCst, pairs with [fence.light].
            fence(or_mutant("fence.heavy", Ordering::AcqRel, Ordering::SeqCst));
        } else if !membarrier() {
            // A sandbox has forbidden membarrier(2) after the registration. A pause does the same:
            // no processor holds a store back for so long, and a thread that was stopped between
            // its store and its load was fenced by the context switch.
            sleep(IN_ITS_PLACE);
        }
    }
}

/// The length of that pause: about a thousand times as long as a store takes to reach every thread.
const IN_ITS_PLACE: Duration = Duration::from_millis(1);
