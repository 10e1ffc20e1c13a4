// What the first thread makes, and another one finds or makes too, without a lock: a `Once`; the
// value of a process (-DPROCESS); the page that says which process this is (-DPAGE).
//
// needs: once.get once.set once.other
// needs -DPROCESS: process.existing process.get
// needs -DPAGE: home.word home.page home.other
// needs -DPAGE -DLEAVE: home.leave home.page
#include "rust.h"

typedef struct { int is_whole, home; AtomicU32 generation; } Made;

static _Atomic(Made *) first;
static Made made[2];

static Made *make(int id) {
    made[id].is_whole = true;
    made[id].home = 1;
    return &made[id];
}

// src/primitives/process.rs: fn get
static Made *once_get(void) {
    return load(first, unless_mutant("once.get", Acquire));
}

// src/primitives/process.rs: fn get_or_set
static Made *get_or_set(Made *fresh) {
    Made *found = 0;
    return compare_exchange(first, &found, fresh, unless_mutant("once.set", Release),
                            unless_mutant("once.other", Acquire))
               ? fresh
               : found;
}

// src/primitives/process.rs: fn look
static Made *look(void) {
    return load(first, unless_mutant("process.existing", Acquire));
}

// src/primitives/process.rs: fn get
static Made *process_get(int id) {
    Made *found = look();
    if (found && found->home == 1)
        return found;
    Made *fresh = make(id);
    if (compare_exchange(first, &found, fresh, unless_mutant("process.get", Release), Relaxed))
        return fresh;
    found = look(); // the second time around its loop
    assert(found && found->home == 1);
    return found;
}

// src/primitives/process.rs: fn word
static Made *word(int id) {
    Made *page = load(first, unless_mutant("home.word", Acquire));
    if (!page) {
        Made *fresh = make(id);
        bool is_first = compare_exchange(first, &page, fresh, unless_mutant("home.page", Release),
                                         unless_mutant("home.other", Acquire));
        page = is_first ? fresh : page;
    }
    return page;
}

// src/primitives/process.rs: fn leave_home
static Made *leave_home(void) {
    Made *page = load(first, unless_mutant("home.leave", Acquire));
    if (page)
        store(page->generation, 0, Relaxed);
    return page;
}

static void use(int id) {
#if defined(LEAVE)
    Made *found = id ? leave_home() : word(id); // the fork handler of the child
#elif defined(PAGE)
    Made *found = word(id);
#elif defined(PROCESS)
    Made *found = process_get(id);
#else
    Made *found = id ? once_get() : 0;
    if (!found)
        found = get_or_set(make(id));
#endif
    assert(!found || found->is_whole);
}

static void *other(void *_) {
    use(1);
    return 0;
}

int main(void) {
    pthread_t one = thread(other, 0);
    use(0);
    join(one);
    return 0;
}
