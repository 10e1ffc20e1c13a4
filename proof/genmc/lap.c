// A record takes the byte of the one before it, which the drain has written (-DTWO: two producers,
// of which one may rely on the tail that the other has seen).
//
// needs: ledger.odd
// needs-rc11: tail.pos
// needs-rc11 -DTWO: seen.pos
#ifdef TWO
#define CAPACITY 2
#else
#define CAPACITY 1
#endif
#define SLOTS 4
#include "ring.h"

static void *producer(void *letter) {
    append((uint8_t)(u64)letter, 1);
    return 0;
}

int main(void) {
    append('x', CAPACITY);
    pthread_t one = thread(producer, 'a');
#ifdef TWO
    pthread_t two = thread(producer, 'b');
#endif
    drain_step();
    join(one);
#ifdef TWO
    join(two);
#endif
    while (drain_step()) {}
    assert(file[0] == 'x' && file[CAPACITY - 1] == 'x');
    assert(file_len <= CAPACITY || file[CAPACITY] != 'x');
    return 0;
}
