// A thread that has seen a lane open a span asks for room. The drain seals that span: the head that
// it reads is not older than the one that the thread has seen.
//
// needs -DWITHOUT=lane.gate: room.want room.wanted
#define CAPACITY 8
#define SLOTS 4
#include "lane.h"

static AtomicU32 is_wanting;

static void *owner(void *_) {
    append_in_lane('a', 2);
    want_room();
    store(is_wanting, true, Relaxed);
    return 0;
}

int main(void) {
    pthread_t one = thread(owner, 0);
    assume(load(is_wanting, Relaxed)); // the drain comes late, and sees little
    bool is_taken = take_wanted();
    u64 head = head_word();
    if (is_taken)
        assert(seq_of(head) == SLOTS + 2);
    join(one);
    return 0;
}
