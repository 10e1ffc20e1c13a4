// A thread counts what is written and what is in the ring, while a lane appends and the drain seals
// its span: a record that the lane has counted is in one of the two. And (-DDROPPED) a lane that is
// gone shows its last span and its last record.
//
// needs: block.records
// needs -DBUSY: block.begin
// needs -DDROPPED -DWITHOUT=lane.begin: block.drop block.is_dropped
#define CAPACITY 4
#define SLOTS 4
#include "lane.h"

// `Lanes::counts`, without the lock: the order of its reads.
static u64 counts(void) {
    is_dropped();
    u64 counted = block_records();
    if ((u32)block_open() != 0)
        is_busy();
    return counted;
}

static void *counter(void *_) {
#ifdef DROPPED
    if (is_dropped())
        assert(block_last() == SLOTS && block_records() == 1);
#else
    u64 counted = counts();
    u64 written = atomic_load_explicit(&drained.bytes, Relaxed);
    u64 state = atomic_load_explicit(&slots[0].state, Acquire);
    u64 in_ring = is_of_lap(state, SLOTS) ? (u32)state : 0;
    assert(written >= counted || in_ring >= counted);
#endif
    return 0;
}

int main(void) {
    pthread_t one = thread(counter, 0);
    append_in_lane('a', 2);
#if defined(DROPPED)
    leave();
    set_dropped();
#elif defined(BUSY)
    begin();
#else
    step();
#endif
    join(one);
    return 0;
}
