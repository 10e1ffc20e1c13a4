// An owner opens its first span while a record follows it and the drain passes: from the claim to
// the first commit the drain finds the owner at work.
//
// needs: lane.opened lane.commit lane.opened:early drain.state
#define CAPACITY 4
#define SLOTS 4
#include "lane.h"

static void *owner(void *_) {
    assert(append_in_lane('a', 2));
    return 0;
}

int main(void) {
    pthread_t one = thread(owner, 0);
    append('z', 1);
    step();
    step();
    join(one);
    drain_all();
    assert(file_len == 2 && file[0] + file[1] == 'a' + 'z');
    return 0;
}
