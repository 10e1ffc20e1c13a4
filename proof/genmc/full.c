// A fixed queue of one entry, in a ring that has room for more: it never seems to hold more than
// its entry, although head and tail are read one after the other.
//
// needs: claim.take head.load tail.publish tail.seq seen.seq
// holds: seen.pos tail.pos
#define CAPACITY 8
#define SLOTS 4
#define SPANS_MAX 1
#include "ring.h"

static void *claims_one(void *_) {
    Claim got;
    if (claim(2, &got) == TAKEN)
        post(&got, 2);
    return 0;
}

// `Ring::fill`: the head first.
static void *reads_fill(void *_) {
    u64 head = head_word();
    Tail tail;
    progress_load(&drained.tail, &tail);
    u32 used = pos_of(head) - (u32)tail.pos;
    assert(used > CAPACITY || used <= 2);
    return 0;
}

int main(void) {
    assert(append('x', 2) == TAKEN);
    pthread_t one = thread(claims_one, 0), two = thread(claims_one, 0);
    pthread_t reader = thread(reads_fill, 0);
    drain_step();
    join(one);
    join(two);
    join(reader);
    return 0;
}
