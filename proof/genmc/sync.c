// The group sync: what a thread may rely on that finds a position durable (plain, -DFULL, -DDOUBT),
// and how a wait meets a watermark that moves (-DWATCH, -DALARM, -DWRITTEN).
//
// needs: durable.raise_data durable.data
// needs -DFULL: durable.raise_full durable.full
// needs -DDOUBT: durable.raise_data durable.data
// needs -DWATCH: watch.fence
// needs -DALARM: alarm.set watch.fence
// needs -DWRITTEN: watch.written watch.fence
#include "rust.h"

static AtomicU64 data, full, is_doubted, alarm_word = ~0ULL, tail;
static AtomicU32 count;
static AtomicU32 looks;
static int synced;      // what a sync that has returned leaves
static bool is_resolved, is_added;
static pthread_mutex_t list = PTHREAD_MUTEX_INITIALIZER;

// src/actors/durability.rs: fn reached
static u64 reached(bool is_full) {
    switch (is_full) {
    case false:
        return load(data, unless_mutant("durable.data", Acquire));
    default:
        return load(full, unless_mutant("durable.full", Acquire));
    }
}

// src/actors/durability.rs: fn raise
static void raise(bool is_full, u64 pos) {
    fetch_max(data, pos, unless_mutant("durable.raise_data", Release));
    if (is_full)
        fetch_max(full, pos, unless_mutant("durable.raise_full", Release));
}

// src/actors/durability.rs: fn doubt
static void doubt(void) {
    store(is_doubted, true, Relaxed);
}

// src/actors/durability.rs: fn verdict
static bool is_durable(u64 target, bool is_full) {
    bool is_reached = target <= reached(is_full);
    if (!load(is_doubted, Relaxed))
        return is_reached;
    return false; // the doubt covers the target
}

// src/ends/pending.rs: fn add
static void add(void) {
    pthread_mutex_lock(&list);
    is_added = true;
    fetch_add(count, 1, Relaxed);
    pthread_mutex_unlock(&list);
}

// src/ends/pending.rs: fn is_awaited
static bool is_awaited(void) {
    fence(or_mutant("watch.fence", AcqRel, SeqCst));
    return load(count, Relaxed) != 0;
}

// src/ends/pending.rs: fn settle
static void settle_list(u64 written) {
    u32 settled = 0;
    pthread_mutex_lock(&list);
    if (is_added && written >= 1) {
        is_added = false;
        is_resolved = true;
        settled = 1;
    }
    pthread_mutex_unlock(&list);
    fetch_sub(count, settled, Relaxed);
}

// `Outcome::settle`
static bool settle(void) {
    bool is_waited_for = is_awaited();
    if (is_waited_for)
        settle_list(atomic_load_explicit(&tail, Acquire));
    return is_waited_for;
}

// src/actors/rhythm.rs: fn arm
static void arm(void) {
    store(alarm_word, 1, Relaxed);
    fence(or_mutant("alarm.set", AcqRel, SeqCst));
}

// src/actors/rhythm.rs: fn is_reached
static bool is_alarm_reached(u64 tail) {
    return load(alarm_word, Relaxed) <= tail;
}

// `Durability::look`: that it wakes the sync thread is in event.c.
static void durability_look(void) {
    atomic_fetch_add_explicit(&looks, 1, Relaxed);
}

// src/actors/shared.rs: fn watch
static void watch(void) {
    add();
    is_awaited(); // as `settle` begins
    if (!is_mutant("watch.written") && atomic_load_explicit(&tail, Relaxed) >= 1)
        durability_look();
}

static bool is_seen;

static void *other(void *_) {
#if defined(WATCH)
    add();
    settle();
#elif defined(WRITTEN)
    watch();
#elif defined(ALARM)
    arm();
    is_seen = atomic_load_explicit(&tail, Relaxed) >= 1;
#elif defined(DOUBT)
    assert(!is_durable(1, false));
#elif defined(FULL)
    if (is_durable(1, true))
        assert(synced);
#else
    if (is_durable(1, false))
        assert(synced);
#endif
    return 0;
}

int main(void) {
    pthread_t one;
    pthread_create(&one, 0, other, 0);
#if defined(WATCH)
    atomic_store_explicit(&tail, 1, Release);
    settle();
    pthread_join(one, 0);
    assert(is_resolved);
#elif defined(ALARM) || defined(WRITTEN)
    atomic_store_explicit(&tail, 1, Release);
    if (is_awaited() || is_alarm_reached(1))
        durability_look();
    pthread_join(one, 0);
    assert(is_seen || atomic_load_explicit(&looks, Relaxed) > 0);
#else
#ifdef DOUBT
    doubt();
#endif
    synced = 1;
    raise(true, 1);
    pthread_join(one, 0);
#endif
    return 0;
}
