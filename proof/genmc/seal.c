// The drain asks for a lane's span, finds its owner idle, makes the span final, and gives its
// unused byte to the next claim. The owner appends at the same time.
//
// needs: lane.begin seal.ask fence.light fence.heavy block.busy block.idle block.busy:ignored
// holds: block.begin
// slow
#define CAPACITY 4
#define SLOTS 4
#include "lane.h"

static void *owner(void *_) {
    append_in_lane('b', 2);
    return 0;
}

int main(void) {
    append_in_lane('a', 2);
    append('z', 2); // the ring is full
    pthread_t one = thread(owner, 0);
    step();
    step();
    bool is_next = append('y', 2) == TAKEN; // where the span was, if it is sealed
    join(one);
    assert(!is_next || (bytes[0] == 'y' && bytes[1] == 'y'));
    return 0;
}
