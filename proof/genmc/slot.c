// A ring with one line of slots. An owner leaves its span while the drain seals it, and its slot
// serves the next claim.
//
// needs-rc11: lane.leave block.open block.set_open
// slow
#define CAPACITY 4
#define SLOTS 2
#include "lane.h"

static void *owner(void *_) {
    append_in_lane('b', 2);
    leave();
    return 0;
}

int main(void) {
    append_in_lane('a', 2);
    step();
    want_room();
    pthread_t one = thread(owner, 0);
    step();
    drain_step();
    bool is_next = append('z', 1) == TAKEN;
    join(one);
    drain_all();
    u32 found = 0;
    for (u32 at = 0; at < file_len; at++)
        found += file[at] == 'b' || file[at] == 'z';
    assert(file[0] == 'a' && found == (records == 2) + is_next);
    return 0;
}
