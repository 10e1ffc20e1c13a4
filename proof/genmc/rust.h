// Rust's names for atomic accesses, so that a twin reads like its source and one parser reads both
// (tests/tidy/twins.rs). `-DMUTANT=LABEL` weakens the access with that label, as `ALQ_MUTANT` does in
// the loom models; `-DWITHOUT=LABEL` and `-DALSO=LABEL` weaken others.
#pragma once
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;
typedef _Atomic uint64_t AtomicU64;
typedef _Atomic uint32_t AtomicU32;

#define Relaxed memory_order_relaxed
#define Acquire memory_order_acquire
#define Release memory_order_release
#define AcqRel memory_order_acq_rel
#define SeqCst memory_order_seq_cst

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
// Clang evaluates these before GenMC sees the program: an ordering has to be a constant.
#define is_mutant(name)                                                                  \
    (__builtin_strcmp(TEXT(MUTANT), name) == 0 || __builtin_strcmp(TEXT(WITHOUT), name) == 0 \
     || __builtin_strcmp(TEXT(ALSO), name) == 0)
#define or_mutant(name, weak, strong) (is_mutant(name) ? weak : strong)
#define unless_mutant(name, strong) or_mutant(name, Relaxed, strong)

#define load(word, order) atomic_load_explicit(&(word), order)
#define store(word, value, order) atomic_store_explicit(&(word), value, order)
#define swap(word, value, order) atomic_exchange_explicit(&(word), value, order)
#define fetch_add(word, value, order) atomic_fetch_add_explicit(&(word), value, order)
#define fetch_sub(word, value, order) atomic_fetch_sub_explicit(&(word), value, order)
#define fetch_or(word, value, order) atomic_fetch_or_explicit(&(word), value, order)
#define fetch_and(word, value, order) atomic_fetch_and_explicit(&(word), value, order)
#define fetch_max(word, value, order) __c11_atomic_fetch_max(&(word), value, order)
#define fence(order) atomic_thread_fence(order)
// `found` points to the expected value, and gets the value that was there. GenMC gives the load of
// an exchange that fails the ordering of one that succeeds, so the fence provides `no`.
#define compare_exchange(word, found, value, yes, no)                                  \
    (atomic_compare_exchange_strong_explicit(&(word), found, value, yes, Relaxed)      \
     || (no == Acquire && (atomic_thread_fence(Acquire), false)))
#define compare_exchange_weak(word, found, value, yes, no) \
    compare_exchange(word, found, value, yes, no)

// src/primitives/fence.rs, in the form with two fences: fn light
static inline void fences_light(void) {
    fence(or_mutant("fence.light", AcqRel, SeqCst));
}

// src/primitives/fence.rs: fn heavy
static inline void fences_heavy(void) {
    fence(or_mutant("fence.heavy", AcqRel, SeqCst));
}

#define light_at(label) ((void)(is_mutant(label) || (fences_light(), 0)))
#define heavy_at(label) ((void)(is_mutant(label) || (fences_heavy(), 0)))

// Drops the executions in which `condition` is false: a thread that would wait or try again.
#define assume(condition) __VERIFIER_assume(condition)

static pthread_t thread(void *(*run)(void *), u64 argument) {
    pthread_t one;
    pthread_create(&one, 0, run, (void *)argument);
    return one;
}

static void join(pthread_t one) {
    pthread_join(one, 0);
}
