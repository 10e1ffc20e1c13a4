// The ring: claims, the tail, the slots, the drain. One span is one record (no lanes: lane.h).
// Arithmetic is that of src/words/, at small sizes; sequences start at one whole lap.
#pragma once
#include "rust.h"

#ifndef CAPACITY
#define CAPACITY 2 // bytes: a power of two
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef SPANS_MAX
#define SPANS_MAX SLOTS // less on a fixed queue
#endif
#define LINE 2 // slots

typedef struct { u64 seq, pos; } Tail;
typedef struct { AtomicU64 seq, pos; } Progress;
typedef struct { AtomicU64 place, state; } Slot;
typedef struct { u32 seq, start, len; } Claim;
typedef enum { TAKEN, FULL, CLOSED, FAILED, ASIDE } Outcome;

enum { PHASE_OPEN = 1, PHASE_CLOSED = 2, PHASE_SEALED = 3 };
enum { GATE_FAILED = 1, GATE_CLOSED = 2, GATE_ASIDE = 8 };

static u64 bits(u32 seq, u32 pos) { return (u64)seq << 32 | pos; }
static u32 seq_of(u64 bits) { return bits >> 32; }
static u32 pos_of(u64 bits) { return bits; }
static u32 tag_of(u32 seq) { return seq / SLOTS; }
static u64 state_of(u32 seq, u32 phase, u32 used) {
    return (u64)tag_of(seq) << 34 | (u64)phase << 32 | used;
}
static u32 phase_of(u64 state) { return state >> 32 & 3; }
static bool is_of_lap(u64 state, u32 seq) {
    return state >> 34 == tag_of(seq) && phase_of(state) != 0;
}

static struct { // src/ring/claims.rs, Claims
    AtomicU64 head;
    Progress seen;
    AtomicU32 gate;
    AtomicU64 end;
} claims = {(u64)SLOTS << 32, {SLOTS, 0}, 0, ~0ULL};

static struct { // src/ring/accounts.rs, Ledger
    AtomicU64 version;
    Progress tail;
    AtomicU64 bytes, records, lost_bytes, lost_records, padding, abandoned, ahead;
} drained = {0, {SLOTS, 0}, 0, 0, 0, 0, 0};

static Slot slots[SLOTS];
static uint8_t bytes[CAPACITY]; // plain memory: GenMC reports each race

// src/ring/progress.rs: fn load
static void progress_load(Progress *self, Tail *tail) {
    tail->seq = load(self->seq, unless_mutant("tail.seq", Acquire));
    tail->pos = load(self->pos, unless_mutant("tail.pos", Acquire));
}

// src/ring/progress.rs: fn publish
static void progress_publish(Progress *self, const Tail *tail) {
    store(self->pos, tail->pos, Relaxed);
    store(self->seq, tail->seq, unless_mutant("tail.publish", Release));
}

// src/ring/progress.rs: fn raise
static void progress_raise(Progress *self, Tail *tail) {
    u64 pos = fetch_max(self->pos, tail->pos, unless_mutant("seen.pos", Release));
    u64 seq = fetch_max(self->seq, tail->seq, unless_mutant("seen.seq", Release));
    if (tail->seq < seq)
        tail->seq = seq;
    if (tail->pos < pos)
        tail->pos = pos;
}

// A lane's span has the rest of its line of slots.
static u32 next_seq(u32 seq, bool is_lane) {
    return is_lane ? ((seq + 1) | (LINE - 1)) + 1 : seq + 1;
}

static bool has_room(u64 head, const Tail *tail, u32 len, bool is_lane) {
    u32 used = pos_of(head) - (u32)tail->pos;
    u32 spans = next_seq(seq_of(head), is_lane) - (u32)tail->seq;
    return used <= CAPACITY && len <= CAPACITY - used && spans <= SPANS_MAX;
}

static Outcome refusal_of(u32 gate) {
    return gate & GATE_ASIDE    ? ASIDE
           : gate & GATE_CLOSED ? CLOSED
           : gate & GATE_FAILED ? FAILED
                                : TAKEN;
}

// src/ring/claims.rs: fn look
static u64 look(void) {
    return load(claims.head, unless_mutant("claim.head", Acquire));
}

typedef enum { GOT, MISSED_HEAD, MISSED_ROOM } Missed;

// src/ring/claims.rs: fn take
static Missed take(u64 *head, u32 len, bool is_lane) {
    Tail tail;
    progress_load(&claims.seen, &tail);
    u32 gate = load(claims.gate, Relaxed);
    if (gate != 0 || !has_room(*head, &tail, len, is_lane))
        return MISSED_ROOM;
    u64 next = bits(next_seq(seq_of(*head), is_lane), pos_of(*head) + len);
    bool is_taken = compare_exchange_weak(claims.head, head, next,
                                          unless_mutant("claim.take", Release),
                                          unless_mutant("claim.retry", Acquire));
    return is_taken ? GOT : MISSED_HEAD;
}

// src/ring/claims.rs: fn look_again
static Outcome look_again(u64 *head, Tail *tail, u32 len, bool is_lane) {
    progress_raise(&claims.seen, tail);
    u32 gate = load(claims.gate, unless_mutant("gate.look", Acquire));
    if (refusal_of(gate) != TAKEN)
        return refusal_of(gate);
    if (has_room(*head, tail, len, is_lane))
        return TAKEN;
    u64 now = load(claims.head, unless_mutant("claim.again", Acquire));
    if (now == *head || is_mutant("claim.again:skip"))
        return FULL;
    *head = now;
    return TAKEN;
}

// src/ring/claims.rs: fn give_back
static bool give_back(u32 next_seq, u32 start, u32 len, u32 used) {
    u64 found = bits(next_seq, start + len);
    return compare_exchange(claims.head, &found, bits(next_seq, start + used),
                            unless_mutant("give_back.take", Release), Relaxed);
}

// src/ring/claims.rs: fn head_word
static u64 head_word(void) {
    return load(claims.head, unless_mutant("head.load", Acquire));
}

// src/ring/claims.rs: fn end_of
static bool end_of(u64 head, u64 *ended) {
    if ((load(claims.gate, Relaxed) & GATE_CLOSED) == 0)
        return false;
    u64 end = load(claims.end, Relaxed);
    *ended = end;
    return bits(seq_of(end) + SLOTS, pos_of(end)) == head;
}

// src/ring/claims.rs: fn fail
static void fail(void) {
    fetch_or(claims.gate, GATE_FAILED, unless_mutant("gate.fail", Release));
}

// src/ring/claims.rs: fn refusal
static Outcome refusal(void) {
    return refusal_of(load(claims.gate, unless_mutant("gate.refusal", Acquire)));
}

// src/ring/claims.rs: fn jump
static void jump(void) {
    u64 head = load(claims.head, Relaxed);
    for (;;) {
        store(claims.end, head, Relaxed);
        u64 closed = bits(seq_of(head) + SLOTS, pos_of(head));
        if (compare_exchange(claims.head, &head, closed, unless_mutant("end.jump", Release),
                             Relaxed))
            return;
    }
}

// src/ring/claims.rs: fn close
static void ring_close(void) {
    u32 before = fetch_or(claims.gate, GATE_CLOSED, Relaxed);
    if ((before & GATE_CLOSED) == 0)
        jump();
}

// src/ring/reserve.rs: fn claimed
static void claimed(u64 head, u32 len, Claim *claim) {
    claim->seq = seq_of(head);
    claim->start = pos_of(head);
    claim->len = len;
    store(slots[claim->seq % SLOTS].place, head, Relaxed);
}

// `Ring::claim`
static Outcome claim_width(u32 len, bool is_lane, Claim *got) {
    u64 head = look();
    for (;;) {
        Missed missed = take(&head, len, is_lane);
        if (missed == GOT)
            break;
        if (missed == MISSED_ROOM) {
            Tail tail;
            progress_load(&drained.tail, &tail);
            Outcome outcome = look_again(&head, &tail, len, is_lane);
            if (outcome != TAKEN)
                return outcome;
        }
    }
    claimed(head, len, got);
    return TAKEN;
}

static Outcome claim(u32 len, Claim *got) {
    return claim_width(len, false, got);
}

static void fill(const Claim *claim, uint8_t letter) {
    for (u32 at = 0; at < claim->len; at++)
        bytes[(claim->start + at) % CAPACITY] = letter;
}

// src/ring/reserve.rs: fn post
static void post(const Claim *claim, u32 used) {
    if (used < claim->len)
        give_back(claim->seq + 1, claim->start, claim->len, used);
    store(slots[claim->seq % SLOTS].state, state_of(claim->seq, PHASE_CLOSED, used),
          unless_mutant("post.state", Release));
}

static Outcome append(uint8_t letter, u32 len) {
    Claim got;
    Outcome outcome = claim(len, &got);
    if (outcome == TAKEN) {
        fill(&got, letter);
        post(&got, len);
    }
    return outcome;
}

// src/ring/accounts.rs: fn publish
static void accounts_publish(const Tail *tail, u64 taken) {
    u64 version = load(drained.version, Relaxed);
    store(drained.version, version + 1, Relaxed);
    if (!is_mutant("ledger.odd"))
        fence(Release);
    store(drained.bytes, taken, Relaxed);
    store(drained.records, taken, Relaxed);
    store(drained.lost_bytes, 0, Relaxed);
    store(drained.lost_records, 0, Relaxed);
    store(drained.padding, 0, Relaxed);
    store(drained.abandoned, 0, Relaxed);
    store(drained.ahead, 0, Relaxed);
    progress_publish(&drained.tail, tail);
    store(drained.version, version + 2, unless_mutant("ledger.even", Release));
}

static Tail cursor = {SLOTS, 0};
static u32 taken; // of the span at the cursor
static uint8_t file[16];
static u32 file_len;

// src/ring/read.rs: fn span
static bool span(u32 *start, u64 *state) {
    u32 seq = cursor.seq;
    *state = load(slots[seq % SLOTS].state, unless_mutant("drain.state", Acquire));
    if (!is_of_lap(*state, seq))
        return false;
    *start = cursor.pos - taken;
    if (taken > 0)
        return true;
    u64 place = load(slots[seq % SLOTS].place, Relaxed);
    assert(seq_of(place) == seq);
    *start = pos_of(place);
    return true;
}

// Writes what is posted of the next span to the file, and frees it, as `Drain::step` does. Returns
// whether the cursor has moved.
static bool drain_step(void) {
    u64 state;
    u32 start;
    if (!span(&start, &state))
        return false;
    u32 from = start + taken, committed = (u32)state;
    bool is_final = phase_of(state) != PHASE_OPEN;
    if (!is_final && committed == taken)
        return false;
    for (u32 at = from; at < start + committed; at++)
        file[file_len++] = bytes[at % CAPACITY];
    taken = is_final ? 0 : committed;
    cursor.pos = start + committed;
    if (is_final)
        cursor.seq = next_seq(cursor.seq, phase_of(state) != PHASE_CLOSED);
    accounts_publish(&cursor, file_len);
    return true;
}

static bool ended(u64 *end) {
    return end_of(head_word(), end);
}
