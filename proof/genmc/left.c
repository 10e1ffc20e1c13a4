// An owner that was asked by another thread leaves its span while the drain reaches it: one of the
// two seals it, and a drain that sees only the seal sees the bytes.
//
// needs -DWITHOUT=lane.begin: lane.seal
// holds: lane.seal
#define CAPACITY 4
#define SLOTS 4
#include "lane.h"

static void *owner(void *_) {
    append_in_lane('b', 2);
    leave();
    return 0;
}

int main(void) {
    append_in_lane('a', 2);
    pthread_t one = thread(owner, 0);
    drain_step();
    drain_step();
    join(one);
    drain_all();
    assert(file_len == 2 && file[0] == 'a' && file[1] == 'b');
    return 0;
}
