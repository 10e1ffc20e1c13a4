// A record is shorter than its reservation. The bytes that its owner gives back have been written
// by it, and go to the next claim: one that begins after, one in progress, or (-DCAPACITY=2)
// one that found the ring full.
//
// needs: give_back.take claim.head claim.retry
// needs -DCAPACITY=2: give_back.take claim.again
// holds: claim.take
#ifndef CAPACITY
#define CAPACITY 4
#endif
#define SLOTS 4
#include "ring.h"

static void *short_post(void *_) {
    Claim got;
    if (claim(2, &got) != TAKEN)
        return 0;
    fill(&got, 'a');
    post(&got, 1);
    return 0;
}

static void *other(void *_) {
    append('b', 1);
    return 0;
}

int main(void) {
    pthread_t one = thread(short_post, 0), two = thread(other, 0);
    join(one);
    join(two);
    while (drain_step()) {}
    for (u32 at = 0; at < file_len; at++)
        assert(file[at] == 'a' || file[at] == 'b');
    assert(file_len < 2 || file[0] != file[1]);
    return 0;
}
