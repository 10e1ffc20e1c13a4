// Lanes: the words of one block, the owner's half and the drain's half of the handshake.
#pragma once
#include "ring.h"

#define BUSY 1

typedef struct { AtomicU64 owner, open, seal, last, dropped; } Block;

static Block block; // the one lane
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;
static AtomicU32 wanted_room;

// The owner's own words: src/ring/lane.rs, Span and Owner
static struct { u32 seq, start, len, committed; } own;
static u64 records;

// src/ring/block.rs: fn open
static u64 block_open(void) {
    return load(block.open, unless_mutant("block.open", Acquire));
}

// src/ring/block.rs: fn set_open
static u32 set_open(u32 seq, u32 len) {
    return (u32)swap(block.open, bits(seq, len), unless_mutant("block.set_open", Release));
}

// src/ring/block.rs: fn shut
static bool shut(u32 seq, u32 len) {
    u64 found = bits(seq, len);
    return compare_exchange(block.open, &found, 0, Relaxed, Relaxed);
}

// src/ring/block.rs: fn set_busy
static void set_busy(void) {
    store(block.owner, records << 1 | BUSY, unless_mutant("block.begin", Release));
}

// src/ring/block.rs: fn set_idle
static void set_idle(void) {
    store(block.owner, records << 1, unless_mutant("block.idle", Release));
}

// src/ring/block.rs: fn is_asked
static bool is_asked(u32 seq) {
    return load(block.seal, Relaxed) >= seq;
}

// src/ring/block.rs: fn set_last
static void set_last(u32 seq) {
    store(block.last, seq, Relaxed);
}

// src/ring/block.rs: fn set_dropped
static void set_dropped(void) {
    store(block.dropped, true, unless_mutant("block.drop", Release));
}

// src/ring/block.rs: fn is_busy
static bool is_busy(void) {
    u64 bits = load(block.owner, unless_mutant("block.busy", Acquire));
    return bits & BUSY && !is_mutant("block.busy:ignored");
}

// src/ring/block.rs: fn records
static u64 block_records(void) {
    return load(block.owner, unless_mutant("block.records", Acquire)) >> 1;
}

// src/ring/block.rs: fn ask
static bool ask_block(u32 seq) {
    bool is_new = load(block.seal, Relaxed) < seq;
    if (is_new)
        store(block.seal, seq, Relaxed);
    return is_new;
}

// src/ring/block.rs: fn last
static u32 block_last(void) {
    return load(block.last, Relaxed);
}

// src/ring/block.rs: fn is_dropped
static bool is_dropped(void) {
    return load(block.dropped, unless_mutant("block.is_dropped", Acquire));
}

// src/ring/lane.rs: fn begin
static bool begin(void) {
    set_busy();
    light_at("lane.begin");
    return !is_asked(own.seq);
}

// src/ring/lane.rs: fn commit
static void commit(uint8_t letter) {
    bytes[(own.start + own.committed) % CAPACITY] = letter; // `Owner::append` has copied it
    own.committed += 1;
    store(slots[own.seq % SLOTS].state, state_of(own.seq, PHASE_OPEN, own.committed),
          unless_mutant("lane.commit", Release));
    records += 1;
    set_idle();
}

// src/ring/seal.rs: fn make_final
static void make_final(u32 seq, u32 len) {
    Slot *slot = &slots[seq % SLOTS];
    u64 state = load(slot->state, Relaxed);
    u32 start = pos_of(load(slot->place, Relaxed));
    if (!is_of_lap(state, seq) || phase_of(state) != PHASE_OPEN)
        return;
    u32 committed = (u32)state;
    if (committed < len)
        give_back(next_seq(seq, true), start, len, committed);
    store(slot->state, state_of(seq, PHASE_SEALED, committed), unless_mutant("lane.seal", Release));
}

// src/ring/lane.rs: fn leave
static void leave(void) {
    if (own.len == 0)
        return;
    bool is_ours = begin() || is_mutant("lane.leave");
    if (is_ours) {
        make_final(own.seq, own.len);
        set_open(own.seq, 0);
    }
    own.len = 0;
    set_idle();
}

// src/ring/lane.rs: fn mark
static void mark(void) {
    Slot *slot = &slots[(own.seq + 1) % SLOTS];
    store(slot->place, bits((own.seq + 1) ^ 1, records), Relaxed);
    store(slot->state, 1ULL << 34, Relaxed); // the note of lane 1: no phase
}

// src/ring/lane.rs: fn open
static bool open_span(u32 len) {
    Claim got;
    if (claim_width(len, true, &got) != TAKEN)
        return false;
    own.seq = got.seq;
    own.start = got.start;
    own.len = got.len;
    own.committed = 0;
    mark();
    set_busy();
    set_last(got.seq);
    if (!is_mutant("lane.opened:early"))
        set_open(got.seq, got.len);
    store(slots[got.seq % SLOTS].state, state_of(got.seq, PHASE_OPEN, 0),
          unless_mutant("lane.opened", Release));
    if (is_mutant("lane.opened:early"))
        set_open(got.seq, got.len);
    light_at("lane.gate");
    return refusal() == TAKEN;
}

// One record of one byte: `Owner::begins`, and `leave` and `open` if that fails. A span that was
// opened at a closed gate is left.
static bool append_in_lane(uint8_t letter, u32 span_len) {
    if (own.committed == own.len || !begin()) {
        leave();
        if (!open_span(span_len)) {
            leave();
            return false;
        }
    }
    commit(letter);
    return true;
}

// The drain's request: src/ring/seal.rs, Seals
static bool is_out;
static u32 out_len;

// `Asked::is_final`
static bool is_final(void) {
    return block_open() != bits(cursor.seq, out_len) || !is_busy();
}

// src/ring/seal.rs: fn ask
static void ask(u64 head, bool is_all_wanted) {
    u32 from = cursor.seq;
    is_out = false;
    pthread_mutex_lock(&blocks_lock);
    u64 open = block_open();
    u32 seq = seq_of(open), len = (u32)open;
    bool is_new = false;
    if (len != 0) {
        u32 ahead = seq - from;
        bool is_newest = next_seq(seq, true) == seq_of(head);
        if (ahead == 0) {
            is_out = true;
            out_len = len;
        }
        if (ahead == 0 || (ahead < seq_of(head) - from && (is_all_wanted || !is_newest)))
            is_new = ask_block(seq);
    }
    if (is_new)
        heavy_at("seal.ask");
    pthread_mutex_unlock(&blocks_lock);
}

// `Seals::seal`
static void seal(u64 head, bool is_all_wanted) {
    u32 seq = cursor.seq;
    ask(head, is_all_wanted);
    if (!is_out) {
        make_final(seq, 0);
    } else if (is_final()) {
        shut(seq, out_len);
        make_final(seq, out_len);
        is_out = false;
    }
}

// src/ring/lanes.rs: fn want_room
static void want_room(void) {
    store(wanted_room, true, unless_mutant("room.want", Release));
}

// src/ring/lanes.rs: fn take_wanted
static bool take_wanted(void) {
    return load(wanted_room, Relaxed)
           && swap(wanted_room, false, unless_mutant("room.wanted", Acquire));
}

static u32 wanted_before;

// `Drain::seal`
static void drain_seal(void) {
    u64 state;
    u32 start;
    if (!span(&start, &state) || phase_of(state) != PHASE_OPEN || (u32)state != taken)
        return;
    bool is_wanted = take_wanted();
    u64 head = head_word();
    if (is_wanted)
        wanted_before = seq_of(head);
    bool is_all = (u32)cursor.seq < wanted_before;
    bool is_newest = next_seq(cursor.seq, true) == seq_of(head);
    if (is_all || !is_newest || is_out)
        seal(head, is_all);
}

// src/ring/lanes.rs: fn ask_all
static void ask_all(void) {
    pthread_mutex_lock(&blocks_lock);
    heavy_at("lanes.gate");
    u64 open = block_open();
    if ((u32)open != 0)
        ask_block(seq_of(open));
    heavy_at("lanes.asked");
    pthread_mutex_unlock(&blocks_lock);
}

static void step(void) {
    drain_step();
    drain_seal();
}

static void drain_all(void) {
    step();
    step();
    step();
}
