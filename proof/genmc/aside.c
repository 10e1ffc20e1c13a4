// The flusher changes its sink. A thread that must not wait, or a child of fork(2), finds the new
// sink with its lock free; and (-DKEEP) at the end of the process the sink that is kept is the new
// one. Locks are words here, because a lock may be seen late.
//
// needs: aside.switch aside.sink
// needs -DKEEP:
#include "rust.h"

enum { OLD = 1, NEW };

typedef struct { AtomicU32 lock; int value; } Mutex;

static Mutex sinks[2] = {{0, OLD}}, kept; // what each lock protects is plain memory
static AtomicU32 current;

static bool try_lock(Mutex *mutex) {
    u32 found = 0;
    return compare_exchange(mutex->lock, &found, 1, Acquire, Relaxed);
}

static void lock(Mutex *mutex) {
    assume(try_lock(mutex));
}

static void unlock(Mutex *mutex) {
    store(mutex->lock, 0, Release);
}

// src/ends/aside.rs: fn switch_to
static void switch_to(int sink) {
    u32 next = 1 - load(current, Relaxed);
    lock(&sinks[next]);
    sinks[next].value = sink;
    unlock(&sinks[next]);
    store(current, next, unless_mutant("aside.switch", Release));
    lock(&kept);
    if (kept.value)
        kept.value = sink;
    unlock(&kept);
}

// src/ends/aside.rs: fn sink
static int sink(void) {
    Mutex *slot = &sinks[load(current, unless_mutant("aside.sink", Acquire))];
    if (!try_lock(slot))
        return 0;
    int found = slot->value;
    unlock(slot);
    return found;
}

// src/ends/aside.rs: fn keep
static void keep(void) {
    lock(&kept);
    Mutex *slot = &sinks[load(current, Relaxed)];
    lock(slot);
    kept.value = slot->value;
    unlock(slot);
    unlock(&kept);
}

static void *other(void *_) {
#ifdef KEEP
    keep();
#else
    assert(sink() != 0);
#endif
    return 0;
}

int main(void) {
    pthread_t one = thread(other, 0);
    switch_to(NEW);
    join(one);
#ifdef KEEP
    assert(kept.value == NEW);
#endif
    return 0;
}
