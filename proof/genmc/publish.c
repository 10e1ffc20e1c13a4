// Two producers and a drain: every record that is posted is written, whole and once.
//
// needs: post.state drain.state
// holds: claim.head claim.take claim.retry
#define CAPACITY 4
#include "ring.h"

static void *producer(void *letter) {
    assert(append((uint8_t)(u64)letter, 2) == TAKEN);
    return 0;
}

int main(void) {
    pthread_t one = thread(producer, 'a'), two = thread(producer, 'b');
    drain_step();
    drain_step();
    join(one);
    join(two);
    drain_step();
    drain_step();
    assert(file_len == 4 && file[0] == file[1] && file[2] == file[3] && file[0] + file[2] == 'a' + 'b');
    return 0;
}
