// A close against an append and the drain: the append is part of the ring and is written, or it is
// refused with `Closed`, never with `Full`. A thread that finds the end finds where it is.
//
// needs: end.jump claim.head
// needs -DOBSERVER: end.jump head.load
// holds: claim.take
#define CAPACITY 4
#define SLOTS 4
#include "ring.h"

static Outcome outcome;

static void *writer(void *_) {
    outcome = append('a', 2);
    return 0;
}

static void *closer(void *_) {
    ring_close();
    return 0;
}

static void *observer(void *_) {
    u64 head = head_word(), end;
    if (seq_of(head) >= 2 * SLOTS)
        assert(end_of(head, &end) && seq_of(end) < seq_of(head));
    return 0;
}

int main(void) {
    pthread_t one = thread(writer, 0), two = thread(closer, 0);
#ifdef OBSERVER
    pthread_t three = thread(observer, 0);
    join(three);
#endif
    drain_step();
    join(one);
    join(two);
    while (drain_step()) {}
    u64 end;
    assert(ended(&end) && seq_of(end) == (u32)cursor.seq);
    assert(outcome == CLOSED ? file_len == 0 : outcome == TAKEN && file_len == 2);
    return 0;
}
