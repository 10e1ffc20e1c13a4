// A queue fails while a thread claims (or waits, or looks, or opens a span in a lane).
//
// needs -DCLAIMS: gate.fail gate.look
// needs -DWAITS: gate.fail gate.refusal
// needs -DSEES -DWITHOUT=lanes.gate -DALSO=lanes.asked: failure.publish failure.seen
// needs -DLANE: lane.gate lanes.gate fence.light fence.heavy
// holds: claim.take
#define CAPACITY 4
#define SLOTS 4
#include "lane.h"

static AtomicU64 failure; // src/actors/failure.rs, Failure: 1 with `OVER` as 2

// src/actors/failure.rs: fn begin
static void begin_failure(void) {
    store(failure, 1 | 2, Relaxed);
    fail();
    ask_all();
    store(failure, 1, unless_mutant("failure.publish", Release));
}

// src/actors/failure.rs: fn cause
static bool has_failed(void) {
    return load(failure, unless_mutant("failure.seen", Acquire)) == 1;
}

// src/actors/failure.rs: fn last_cause
static bool has_cause(void) {
    return load(failure, Relaxed) != 0;
}

static bool is_lane_refused;

static void *caller(void *_) {
#if defined(CLAIMS)
    if (append('a', 1) == FAILED)
        assert(has_cause());
#elif defined(WAITS)
    if (refusal() == FAILED)
        assert(has_cause());
#elif defined(SEES)
    if (has_failed())
        assert(append('a', 1) == FAILED);
#elif defined(LANE)
    is_lane_refused = !append_in_lane('a', 2);
#endif
    return 0;
}

int main(void) {
    pthread_t one = thread(caller, 0);
    begin_failure();
    join(one);
#ifdef LANE
    assert(is_lane_refused || !append_in_lane('b', 2));
#endif
    return 0;
}
