// A recorder: a claim that finds no room overwrites the oldest records. A thread has freed two
// records at once, and another one stores the tail for it and takes their bytes. Or the flusher
// copies a record (-DCOPY); or a thread looks at a slot that was overwritten (-DAGAIN).
//
// needs-rc11: oldest.state oldest.take oldest.look
// needs-rc11 -DCOPY: oldest.release oldest.taken
// needs -DAGAIN: oldest.again
#ifdef AGAIN
#define CAPACITY 4
#define SLOTS 2
#else
#define CAPACITY 2
#define SLOTS 4
#endif
#include "ring.h"

#define COPYING 1
#define TRIES 2 // of a claim: more add nothing that was found

static AtomicU64 oldest = (u64)SLOTS << 1;

typedef enum { GOES_ON, HELD, COPIED } Over;

// src/ring/recorder.rs: fn look
static u64 oldest_look(void) {
    return load(oldest, unless_mutant("oldest.look", Acquire));
}

// src/ring/recorder.rs: fn is_still
static bool is_still(u64 word) {
    if (is_mutant("oldest.again"))
        return oldest_look() == word;
    u64 found = word;
    return compare_exchange(oldest, &found, word, Relaxed, Relaxed);
}

#define TAKE or_mutant("oldest.take", Acquire, AcqRel)

// src/ring/recorder.rs: fn take
static bool take_oldest(u64 from, u64 to) {
    u64 found = from;
    return compare_exchange(oldest, &found, to << 1, or_mutant("oldest.taken", Release, TAKE),
                            Relaxed);
}

// src/ring/recorder.rs: fn begin_copy
static u64 begin_copy(void) {
    u64 word = oldest_look();
    assume(compare_exchange_weak(oldest, &word, word | COPYING, Relaxed, Relaxed));
    return word >> 1;
}

// src/ring/recorder.rs: fn end_copy
static void end_copy(u64 from) {
    store(oldest, from << 1, unless_mutant("oldest.release", Release));
}

// src/ring/overwrite.rs: fn state_of
static u64 state_at(u32 seq) {
    return load(slots[seq % SLOTS].state, unless_mutant("oldest.state", Acquire));
}

// src/ring/overwrite.rs: fn closed_span
static bool closed_span(u32 seq, u32 *start, u32 *committed) {
    u64 state = state_at(seq);
    if (!is_of_lap(state, seq))
        return false;
    u64 place = load(slots[seq % SLOTS].place, Relaxed);
    *start = pos_of(place);
    *committed = (u32)state;
    return phase_of(state) == PHASE_CLOSED && seq_of(place) == seq;
}

// `Ring::store_tail`
static void store_tail(u64 seq, u64 pos) {
    Tail tail = {seq, pos};
    progress_raise(&drained.tail, &tail);
    progress_raise(&claims.seen, &tail);
}

// `Ring::publish_oldest`
static void publish_oldest(u64 seq) {
    Tail tail;
    u32 start, committed;
    progress_load(&drained.tail, &tail);
    if (tail.seq < seq && closed_span(seq - 1, &start, &committed))
        store_tail(seq, tail.pos + (start - (u32)tail.pos) + committed);
}

// `Ring::overwrite`
static Over overwrite(u64 head, u32 len) {
    u64 word = oldest_look();
    if (word & COPYING)
        return COPIED;
    u64 seq = word >> 1;
    Tail tail;
    progress_load(&drained.tail, &tail);
    if (tail.seq != seq) {
        publish_oldest(seq);
        return GOES_ON;
    }
    u32 used = pos_of(head) - (u32)tail.pos;
    if (used > CAPACITY || has_room(head, &tail, len, false))
        return GOES_ON;
    u32 need = used + len > CAPACITY ? used + len - CAPACITY : 0;
    u32 need_spans = seq_of(head) - (u32)seq + 1 > SPANS_MAX;
    u32 spans = 0, end = 0, start, committed;
    while (end < need || spans < need_spans) {
        if (!closed_span(seq + spans, &start, &committed))
            break;
        end = start - (u32)tail.pos + committed;
        spans++;
    }
    if (spans == 0)
        return is_still(word) ? HELD : GOES_ON;
    if (take_oldest(word, seq + spans))
        store_tail(seq + spans, tail.pos + end);
    return GOES_ON;
}

// `append` in a recorder: `HELD` and `COPIED` refuse it.
static Over append_over(uint8_t letter, u32 len) {
    u64 head = look();
    for (u32 tries = 0;; tries++) {
        assume(tries < TRIES);
        Missed missed = take(&head, len, false);
        if (missed == GOT)
            break;
        Tail tail;
        if (missed == MISSED_ROOM) {
            progress_load(&drained.tail, &tail);
            if (look_again(&head, &tail, len, false) == FULL) {
                Over over = overwrite(head, len);
                if (over != GOES_ON)
                    return over;
                head = look();
            }
        }
    }
    Claim got;
    claimed(head, len, &got);
    fill(&got, letter);
    post(&got, len);
    return GOES_ON;
}

#if defined(COPY)
static void *producer(void *_) {
    append_over('b', 2);
    return 0;
}

int main(void) {
    append_over('a', 2);
    pthread_t one = thread(producer, 0);
    u64 from = begin_copy();
    publish_oldest(from);
    u32 start, committed;
    if (from == SLOTS && closed_span(from, &start, &committed))
        assert(bytes[0] == 'a' && bytes[1] == 'a');
    end_copy(from);
    join(one);
    return 0;
}
#elif defined(AGAIN)
static void *producer(void *_) {
    append_over('a', 1);
    return 0;
}

int main(void) {
    append_over('x', 1);
    append_over('y', 1);
    pthread_t one = thread(producer, 0);
    u64 head = look();
    assert(overwrite(head, 1) != HELD);
    join(one);
    return 0;
}
#else
static void *first(void *_) {
    append_over('a', 1);
    return 0;
}

static void *second(void *_) {
    append_over('b', 1);
    assume(pos_of(load(claims.head, Relaxed)) == 2); // both are there
    append_over('c', 2);
    return 0;
}

int main(void) {
    pthread_t one = thread(first, 0), two = thread(second, 0);
    assume(load(oldest, Relaxed) >> 1 == SLOTS + 2);
    append_over('d', 1);
    join(one);
    join(two);
    return 0;
}
#endif
