// The target of a flush: never before the last record that its thread has posted, while the drain
// writes it and another thread claims, posts and takes slots again (-DLATE: the question whether a
// record came too late, after a close that stepped over its open reservation).
//
// needs: survey.look
// needs -DLATE: survey.late post.state
// holds: ledger.even
#define CAPACITY 4
#define SLOTS 2
#include "ring.h"

static bool is_current(u32 seq) {
    Tail tail;
    progress_load(&drained.tail, &tail);
    return seq - (u32)tail.seq < 1u << 31;
}

typedef enum { POSTED, OPEN, RECYCLED } Kind;

// src/ring/survey.rs: fn look
static Kind survey_look(u32 seq, u32 *end) {
    Slot *slot = &slots[seq % SLOTS];
    u64 state = load(slot->state, unless_mutant("survey.look", Acquire));
    u64 place = load(slot->place, Relaxed);
    if (!is_of_lap(state, seq))
        return is_current(seq) ? OPEN : RECYCLED;
    if (seq_of(place) != seq)
        return RECYCLED;
    *end = pos_of(place) + (u32)state;
    return POSTED;
}

// src/ring/survey.rs: fn committed
static bool committed(u32 seq, u32 *start) {
    Slot *slot = &slots[seq % SLOTS];
    u64 state = load(slot->state, unless_mutant("survey.late", Acquire));
    if (!is_of_lap(state, seq))
        return false;
    *start = pos_of(load(slot->place, Relaxed));
    return true;
}

// `Ring::posted_end`
static u32 posted_end(void) {
    Tail tail;
    progress_load(&drained.tail, &tail);
    u64 head = head_word();
    assume(pos_of(head) - (u32)tail.pos <= CAPACITY); // otherwise it reads both again
    u32 end, count = seq_of(head) - (u32)tail.seq; // at most 2
    Kind kind = RECYCLED;
    if (count >= 1)
        kind = survey_look(seq_of(head) - 1, &end);
    if (kind == OPEN && count >= 2)
        kind = survey_look(seq_of(head) - 2, &end);
    if (kind == POSTED)
        return end;
    progress_load(&drained.tail, &tail);
    return tail.pos;
}

static void *posts_and_flushes(void *_) {
    Claim got;
    if (claim(1, &got) == TAKEN) {
        fill(&got, 'm');
        post(&got, 1);
        assert(posted_end() >= got.start + 1);
    }
    return 0;
}

static void *posts(void *_) {
    append('x', 1);
    return 0;
}

static void *asks(void *_) {
    u32 start;
    assert(!committed(SLOTS + 1, &start) || start == 1);
    return 0;
}

int main(void) {
#ifdef LATE
    append('x', 1);
    pthread_t one = thread(posts, 0), two = thread(asks, 0);
#else
    pthread_t one = thread(posts_and_flushes, 0), two = thread(posts, 0);
    drain_step();
#endif
    join(one);
    join(two);
    return 0;
}
