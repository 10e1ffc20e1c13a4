// A writer waits in the line for room that the drain makes (-DASLEEP: it has joined and is about to
// sleep). GenMC reports a sleep from which no thread wakes it.
//
// needs: line.join line.notify line.look fence.light fence.heavy
// needs -DASLEEP -DWITHOUT=line.notify: line.wake line.look
// holds: line.wake
#define CAPACITY 1
#define SLOTS 1
#include "ring.h"

enum { ASLEEP_IN_LINE, WOKEN };

static AtomicU32 count;
static AtomicU32 woken;
static bool is_in_line;
static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;

// src/primitives/waiters.rs: fn announced
static void announced(void) {
    heavy_at("line.join");
}

// src/primitives/waiters.rs: fn join
static void join_line(void) {
    pthread_mutex_lock(&line_lock);
    is_in_line = true;
    fetch_add(count, 1, Relaxed);
    pthread_mutex_unlock(&line_lock);
    announced();
}

// src/primitives/waiters.rs: fn is_awaited
static bool is_awaited(void) {
    light_at("line.notify");
    return load(count, Relaxed) != 0;
}

// src/primitives/waiters.rs: fn wake
static void wake(void) {
    swap(woken, WOKEN, unless_mutant("line.wake", Release));
}

// src/primitives/waiters.rs: fn look
static void look_in_line(void) {
    swap(woken, ASLEEP_IN_LINE, unless_mutant("line.look", Acquire));
}

// src/primitives/waiters.rs: fn leave
static void leave_line(void) {
    pthread_mutex_lock(&line_lock);
    is_in_line = false;
    fetch_sub(count, 1, Relaxed);
    pthread_mutex_unlock(&line_lock);
}

// `Intake::room_came`
static void room_came(void) {
    if (!is_awaited())
        return;
    pthread_mutex_lock(&line_lock);
    if (is_in_line)
        wake();
    pthread_mutex_unlock(&line_lock);
}

// `Intake::wait_for_room`
static void *writer(void *_) {
#ifndef ASLEEP
    if (append('b', 1) == TAKEN)
        return 0;
    join_line();
#endif
    look_in_line();
    if (append('b', 1) != TAKEN) {
        while (atomic_load_explicit(&woken, Relaxed) == ASLEEP_IN_LINE) {}
        look_in_line();
        assert(append('b', 1) == TAKEN); // woken once, it sees the room
    }
    leave_line();
    return 0;
}

int main(void) {
    append('a', 1); // the ring is full
#ifdef ASLEEP
    join_line();
#endif
    pthread_t one = thread(writer, 0);
    drain_step();
    room_came();
    join(one);
    return 0;
}
