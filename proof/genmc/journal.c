// The words of a ring file, as the next process finds them after a kill: the tail and the intents; a
// place that a recovery fills (-DHOLE); where the oldest record of a recorder is (-DOLDEST). And a
// copy by another process, of bytes that a recorder overwrites meanwhile (-DCOPY).
//
// A killed process leaves the stores up to one of them. So the other thread reads the words twice,
// each time from the last store to the first. If both times are the same, that is what is left.
//
// needs: journal.store journal.tail journal.load
// needs -DHOLE: recover.hole
// needs -DOLDEST: journal.oldest journal.load
// needs -DCOPY: journal.freed journal.copied
#include "rust.h"

// An intent: where the write begins, its bytes, and the check, which is 0 while it does not count.
enum { START, BYTES, CHECK, WORDS };
static u64 check_of(u64 start, u64 len) { return 100 + start * 10 + len; }

static struct { // src/memory/journal.rs, Header
    AtomicU64 tail[3]; // the previous one, the tail, its complement
    AtomicU64 intents[2][WORDS];
    AtomicU64 seq, pos; // the oldest record
} header = {{0, 1, ~1ULL}, {{1, 2, 112}}};

typedef struct { AtomicU64 place, state; } Slot;
static Slot slot;

// src/memory/journal.rs: fn put
static void put(AtomicU64 *word, u64 value) {
    store(*word, value, unless_mutant("journal.store", Release));
}

// src/memory/journal.rs: fn load
static u64 read_word(AtomicU64 *word) {
    return load(*word, unless_mutant("journal.load", Acquire));
}

// `Journal::intend`: the stores are those of `Intent::stores`.
static void intend(AtomicU64 *intent, u64 start, u64 len) {
    put(&intent[CHECK], 0);
    put(&intent[START], start);
    put(&intent[BYTES], len);
    put(&intent[CHECK], check_of(start, len));
}

// src/memory/journal.rs: fn set_tail
static void set_tail(u64 tail) {
    u64 before = load(header.tail[1], Relaxed);
    int words[4] = {2, 0, 1, 2}; // `Entries::tail_stores`
    u64 values[4] = {~before, before, tail, ~tail};
    for (int i = 0; i < 4; i++)
        store(header.tail[words[i]], values[i], unless_mutant("journal.tail", Release));
}

// src/ring/recover.rs: fn fill_hole
static void fill_hole(Slot *slot, u64 place, u64 dropped) {
    store(slot->place, place, Relaxed);
    store(slot->state, dropped, unless_mutant("recover.hole", Release));
}

// src/memory/journal.rs: fn free_to
static void free_to(u64 seq, u64 pos) {
    fetch_max(header.seq, seq, unless_mutant("journal.oldest", Release));
    fetch_max(header.pos, pos, unless_mutant("journal.oldest", Release));
    fence(unless_mutant("journal.freed", Release));
}

static AtomicU64 byte; // of the ring

// read(2), which orders nothing here
static u64 read_file(AtomicU64 *word) {
    return load(*word, Relaxed);
}

// src/face/ring_dump.rs: fn copy
static void copy(void) {
    u64 copied = read_file(&byte);
    fence(unless_mutant("journal.copied", Acquire));
    u64 seq = read_file(&header.seq);
    assert(copied == 0 || seq == 1);
}

#define LEFT_MAX 7
typedef struct { u64 words[LEFT_MAX]; } Left;

static void look(Left *left) {
#if defined(HOLE)
    left->words[0] = load(slot.state, Acquire);
    left->words[1] = load(slot.place, Acquire);
#elif defined(OLDEST)
    left->words[0] = read_word(&header.pos);
    left->words[1] = read_word(&header.seq);
#else
    for (int i = 0; i < 3; i++)
        left->words[i] = read_word(&header.tail[i == 2 ? 0 : 2 - i]);
    for (int i = 0; i < WORDS; i++)
        left->words[3 + i] = read_word(&header.intents[1][WORDS - 1 - i]);
#endif
}

static void recover(const u64 *left) {
#if defined(HOLE)
    assert(left[0] == 0 || left[1] == 1);
#elif defined(OLDEST)
    assert(left[0] == 0 || left[1] == 1);
#else
    u64 check = left[0], tail = left[1], previous = left[2];
    assert(~check == tail || ~check == previous);
    u64 check_of_intent = left[3], len = left[4], start = left[5];
    bool counts = check_of_intent != 0;
    assert(!counts || check_of_intent == check_of(start, len)); // it would be reported as damage
    assert(tail == 1 || (counts && start == 2)); // the byte after the tail may be in the log
#endif
}

static void *next(void *_) {
#ifdef COPY
    copy();
#else
    Left first = {{0}}, second = {{0}};
    look(&first);
    look(&second);
    for (int i = 0; i < LEFT_MAX; i++)
        assume(first.words[i] == second.words[i]);
    recover(first.words);
#endif
    return 0;
}

int main(void) {
    pthread_t one = thread(next, 0);
#if defined(HOLE)
    fill_hole(&slot, 1, 1);
#elif defined(OLDEST)
    free_to(1, 1);
#elif defined(COPY)
    free_to(1, 1);
    store(byte, 'b', Relaxed);
#else
    intend(header.intents[1], 2, 1);
    set_tail(2);
#endif
    join(one);
    return 0;
}
