// The drain parks on an empty ring while a thread posts; or (-DSTOP) a thread tells it how to end.
// GenMC reports a sleep from which no thread wakes it.
//
// needs: post.fence park.fence park.look fence.light fence.heavy
// needs -DSTOP: bell.ring bell.taken
// holds: bell.ring bell.taken
#define CAPACITY 2
#define SLOTS 2
#include "ring.h"

enum { NOTHING, MARK, ANY };
enum { SILENT, ASLEEP, RUNG };

static AtomicU64 interest;
static AtomicU32 signal_word;
static AtomicU32 last;

// src/primitives/doorbell.rs: fn interest_after_publication
static u64 interest_after_publication(void) {
    light_at("post.fence");
    return load(interest, Relaxed);
}

// src/primitives/doorbell.rs: fn ring
static void ring_bell(void) {
    // the futex call that follows is the end of the loop in `nap`
    swap(signal_word, RUNG, unless_mutant("bell.ring", Release));
}

// src/primitives/doorbell.rs: fn ring_for
static void ring_for(u64 seen) {
    if (compare_exchange(interest, &seen, NOTHING, Relaxed, Relaxed))
        ring_bell();
}

// src/primitives/doorbell.rs: fn awake
static void awake(void) {
    swap(signal_word, SILENT, unless_mutant("bell.taken", Acquire));
    store(interest, NOTHING, Relaxed);
}

// src/primitives/doorbell.rs: fn sleep
static void nap(void) {
    u32 found = SILENT;
    if (compare_exchange(signal_word, &found, ASLEEP, Relaxed, Relaxed))
        while (atomic_load_explicit(&signal_word, Relaxed) == ASLEEP) {}
    awake();
}

// src/primitives/doorbell.rs: fn park
static void park(u64 wanted, bool (*is_due)(void)) {
    store(interest, wanted, Relaxed);
    heavy_at("park.fence");
    if (!is_mutant("park.look") && is_due())
        awake();
    else
        nap();
}

// src/actors/outcome.rs: fn set_last
static void set_last(u32 stage) {
    fetch_max(last, stage, Relaxed);
}

// src/actors/outcome.rs: fn last
static u32 how_to_end(void) {
    return load(last, Relaxed);
}

static bool has_claims_ahead(void) {
    return seq_of(head_word()) != (u32)cursor.seq;
}

static void *poster(void *_) {
#ifdef STOP
    set_last(2);
    ring_bell();
#else
    append('a', 1);
    u64 seen = interest_after_publication();
    if (seen == ANY)
        ring_for(seen);
#endif
    return 0;
}

int main(void) {
    pthread_t one = thread(poster, 0);
#ifdef STOP
    park(ANY, has_claims_ahead);
    assert(how_to_end() == 2);
#else
    if (!drain_step()) {
        park(ANY, has_claims_ahead);
        drain_step(); // if the record is claimed and not posted, the drain parks again
    }
#endif
    join(one);
    return 0;
}
