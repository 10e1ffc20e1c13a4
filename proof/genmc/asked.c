// A thread other than the drain asks for the span. The drain finds it asked for, and relies on the
// fence of that thread.
//
// needs: lanes.asked
// slow
#define CAPACITY 4
#define SLOTS 4
#include "lane.h"

static void *owner(void *_) {
    append_in_lane('b', 2);
    return 0;
}

static void *asker(void *_) {
    ask_all();
    return 0;
}

int main(void) {
    append_in_lane('a', 2);
    append('z', 2); // the ring is full
    pthread_t one = thread(owner, 0), two = thread(asker, 0);
    step();
    step();
    bool is_next = append('y', 2) == TAKEN; // where the span was, if it is sealed
    join(one);
    join(two);
    assert(!is_next || (bytes[0] == 'y' && bytes[1] == 'y'));
    return 0;
}
