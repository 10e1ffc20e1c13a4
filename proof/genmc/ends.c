// What the end of a queue and a reopen publish; what a loss line reports (-DGAP); and the sink of
// appends that bypass the ring, whose lock a caller finds free although it must not wait (-DPAST).
//
// needs: finish.set finish.has
// needs -DREOPEN: reopen.met reopen.has_met
// needs -DGAP: gap.note gap.take
// needs -DPAST: gate.aside gate.is_aside
#include "ring.h"

static AtomicU64 finished, met, at, refused;
static int result; // what is published
static AtomicU32 kept; // the word of a lock, which a thread that must not wait tries once

// src/actors/outcome.rs: fn set_finished
static void set_finished(void) {
    store(finished, true, unless_mutant("finish.set", Release));
}

// src/actors/outcome.rs: fn has_finished
static bool has_finished(void) {
    return load(finished, unless_mutant("finish.has", Acquire));
}

// src/actors/reopen.rs: fn set_met
static void set_met(u64 number) {
    store(met, number, unless_mutant("reopen.met", Release));
}

// src/actors/reopen.rs: fn has_met
static bool has_met(u64 number) {
    return load(met, unless_mutant("reopen.has_met", Acquire)) >= number;
}

// src/actors/gap.rs: fn note
static bool note(u64 place) {
    if (load(at, Relaxed) != 0)
        return false;
    u64 found = 0;
    return compare_exchange(at, &found, place, unless_mutant("gap.note", Release), Relaxed);
}

// src/actors/gap.rs: fn position
static u64 position(void) {
    return load(at, Relaxed);
}

// src/actors/gap.rs: fn take
static bool take_gap(void) {
    return swap(at, 0, unless_mutant("gap.take", Acquire)) != 0;
}

#define fetch_update(word, yes, no)                                                     \
    ({                                                                                  \
        u32 before = atomic_load_explicit(&(word), no);                                 \
        bool is_set = false;                                                            \
        while (!(before & GATE_CLOSED) && !is_set)                                      \
            is_set = atomic_compare_exchange_weak_explicit(                             \
                &(word), &before, before | GATE_CLOSED | GATE_ASIDE, yes, no);          \
        is_set;                                                                         \
    })

// src/ring/claims.rs: fn set_aside
static void set_aside(void) {
    bool is_set = fetch_update(claims.gate, unless_mutant("gate.aside", Release), Relaxed);
    if (is_set)
        jump();
}

// src/ring/claims.rs: fn is_aside
static bool is_aside(void) {
    return load(claims.gate, unless_mutant("gate.is_aside", Acquire)) & GATE_ASIDE;
}

static void *other(void *_) {
#if defined(REOPEN)
    if (has_met(1))
        assert(result);
#elif defined(GAP)
    // The flusher: a line that is due reports a loss, or the loss would wait for the next one.
    if (position() != 0 && take_gap())
        assert(atomic_load_explicit(&refused, Relaxed) > 0);
#elif defined(PAST)
    if (is_aside()) {
        u32 found = 0;
        assert(compare_exchange(kept, &found, 1, Acquire, Relaxed));
        assert(result);
    }
#else
    if (has_finished())
        assert(result);
#endif
    return 0;
}

int main(void) {
    pthread_t one = thread(other, 0);
#if defined(GAP)
    fetch_add(refused, 1, Relaxed);
    note(1);
#elif defined(PAST)
    atomic_store_explicit(&kept, 1, Relaxed);
    result = 1;
    atomic_store_explicit(&kept, 0, Release);
    set_aside();
#else
    result = 1;
    set_finished();
    set_met(1);
#endif
    join(one);
    return 0;
}
