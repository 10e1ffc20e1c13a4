// The eventcount: a waiter is seen, or sees the condition; and a waiter that is woken sees it.
//
// needs: event.notify event.wait
#include "rust.h"

static AtomicU32 epoch, waiters, condition;

// src/primitives/event.rs: fn has_waiters
static bool has_waiters(void) {
    return load(waiters, Relaxed) != 0;
}

// src/primitives/event.rs: fn notify
static void notify(void) {
    fence(or_mutant("event.notify", AcqRel, SeqCst));
    if (has_waiters())
        fetch_add(epoch, 1, Relaxed);
}

// src/primitives/event.rs: fn wait_announced
static bool wait_announced(void) { // once; Rust has a loop
    u32 before = load(epoch, Relaxed);
    fence(or_mutant("event.wait", AcqRel, SeqCst));
    if (atomic_load_explicit(&condition, Relaxed))
        return true;
    while (atomic_load_explicit(&epoch, Relaxed) == before) {}
    return false;
}

// src/primitives/event.rs: fn wait_until
static void wait_until(void) {
    fetch_add(waiters, 1, Relaxed);
    if (!wait_announced())
        assert(wait_announced()); // woken once, it sees the condition
    fetch_sub(waiters, 1, Relaxed);
}

static void *waiter(void *_) {
    wait_until();
    return 0;
}

int main(void) {
    pthread_t one;
    pthread_create(&one, 0, waiter, 0);
    atomic_store_explicit(&condition, 1, Relaxed);
    notify();
    pthread_join(one, 0);
    return 0;
}
