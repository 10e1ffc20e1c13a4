// A reader gets the drain's numbers of one moment.
//
// needs: ledger.odd ledger.again ledger.even ledger.version
// holds: tail.seq tail.pos tail.publish
#define CAPACITY 4
#define SLOTS 4
#include "ring.h"

// src/ring/accounts.rs: fn read
static void *reader(void *_) {
    u64 version = load(drained.version, unless_mutant("ledger.version", Acquire));
    Tail tail;
    progress_load(&drained.tail, &tail);
    u64 taken = load(drained.bytes, Relaxed);
    u64 records = load(drained.records, Relaxed);
    u64 lost_bytes = load(drained.lost_bytes, Relaxed);
    u64 lost_records = load(drained.lost_records, Relaxed);
    u64 padding = load(drained.padding, Relaxed);
    u64 abandoned = load(drained.abandoned, Relaxed);
    u64 ahead = load(drained.ahead, Relaxed);
    if (!is_mutant("ledger.again"))
        fence(Acquire);
    bool is_one_moment = version % 2 == 0 && load(drained.version, Relaxed) == version;
    if (is_one_moment) // otherwise it reads again
        assert(tail.pos == taken - ahead + padding && tail.seq - SLOTS == taken && records == taken
               && abandoned == 0
               && lost_bytes + lost_records == 0);
    return 0;
}

int main(void) {
    append('a', 1);
    append('b', 1);
    pthread_t one = thread(reader, 0);
    drain_step();
    drain_step();
    join(one);
    return 0;
}
