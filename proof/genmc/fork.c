// The list of what no child of fork(2) may share. A node that is used again, by a thread that then
// forks; a thread that forks while another one adds a node (-DADDS); two threads that each add one
// (-DBOTH); a descriptor that is opened while another thread forks (-DLOCK).
//
// A child runs on the memory of its parent as it is at one moment. Here the thread that forks reads
// this memory, so it may see more than a child does. For -DLOCK it is read with SeqCst: the kernel's
// copy has a place in the order of all such accesses.
//
// needs: views.free views.take
// needs -DADDS: views.at views.child_at views.push views.child_list
// needs -DBOTH: views.push views.list
// needs -DLOCK: fork.begin lock.kept lock.again
#include "rust.h"

#define NO_LOCK 0

typedef struct Node {
    AtomicU64 len, at;
    AtomicU32 lock;
    struct Node *next;
} Node;

static _Atomic(Node *) views;
static AtomicU32 forks[2];
static Node nodes[3];
static bool is_covered[4]; // in the child: what the list says; each mapping is as long as its address
static AtomicU32 opened;
static bool is_leaked;

// src/memory/inherited.rs: fn take_node
static Node *take_node(int id, u64 len) {
    Node *next = load(views, unless_mutant("views.list", Acquire));
    for (; next; next = next->next) {
        u64 found = 0;
        if (compare_exchange(next->len, &found, len, unless_mutant("views.take", Acquire), Relaxed))
            return next;
    }
    Node *fresh = &nodes[id];
    atomic_init(&fresh->len, len);
    fresh->next = load(views, Relaxed);
    while (!compare_exchange(views, &fresh->next, fresh, unless_mutant("views.push", Release),
                             Relaxed))
        ;
    return fresh;
}

// src/memory/inherited.rs: fn keep_from_children
static Node *keep_from_children(int id, u64 at, u64 len) {
    Node *node = take_node(id, len);
    store(node->at, at, unless_mutant("views.at", Release));
    return node;
}

// src/memory/inherited.rs: fn close_lock
static void close_lock(Node *node) {
    swap(node->lock, NO_LOCK, Relaxed);
}

// src/memory/inherited.rs: fn drop
static void drop(Node *node) {
    store(node->at, 0, Relaxed);
    close_lock(node);
    store(node->len, 0, unless_mutant("views.free", Release));
}

static void open_file(void) {
    store(opened, true, SeqCst); // a system call
}

// src/memory/inherited.rs: fn keep_lock
static bool keep_lock(u32 fd) {
    u32 seen[2];
    for (int at = 0; at < 2; at++)
        seen[at] = load(forks[at], Relaxed);
    Node *node = take_node(0, 1);
    open_file();
    store(node->lock, fd, unless_mutant("lock.kept", SeqCst));
    return seen[0] == seen[1] && load(forks[0], unless_mutant("lock.again", SeqCst)) == seen[0];
}

// src/memory/inherited.rs: fn before_fork
static void before_fork(void) {
    fetch_add(forks[0], 1, unless_mutant("fork.begin", SeqCst));
}

// src/memory/inherited.rs: fn after_fork
static void after_fork(void) {
    fetch_add(forks[1], 1, Relaxed);
}

// src/memory/inherited.rs: fn in_child
static void in_child(void) {
    store(forks[1], load(forks[0], Relaxed), Relaxed);
    Node *next = load(views, unless_mutant("views.child_list", Acquire));
    for (; next; next = next->next) {
        u64 at = load(next->at, unless_mutant("views.child_at", Acquire));
        if (at != 0) {
            u64 len = load(next->len, Relaxed);
            // Not the first one: `drop` may run, and a child has the memory before or after it.
            assert(at == 1 || len == at);
            is_covered[at] = true;
        }
        close_lock(next);
    }
}

static void *other(void *_) {
#if defined(LOCK)
    before_fork();
    is_leaked = load(opened, SeqCst) && load(nodes[0].lock, SeqCst) == NO_LOCK;
    after_fork();
#elif defined(BOTH)
    keep_from_children(1, 1, 1);
#elif defined(ADDS)
    keep_from_children(1, 2, 2); // in the node that is free
    keep_from_children(2, 3, 3);
#else
    drop(&nodes[0]);
#endif
    return 0;
}

int main(void) {
#if defined(LOCK)
    pthread_t one = thread(other, 0);
    bool is_kept = keep_lock(1);
    join(one);
    assert(!is_kept || !is_leaked);
#elif defined(BOTH)
    pthread_t one = thread(other, 0);
    keep_from_children(0, 2, 2);
    join(one);
    in_child();
    assert(is_covered[1] && is_covered[2]);
#elif defined(ADDS)
    keep_from_children(0, 1, 1);
    drop(keep_from_children(1, 1, 1));
    pthread_t one = thread(other, 0);
    in_child();
    assert(is_covered[1]);
    join(one);
#else
    keep_from_children(0, 1, 1);
    pthread_t one = thread(other, 0);
    keep_from_children(1, 2, 2);
    in_child();
    assert(is_covered[2]);
    join(one);
#endif
    return 0;
}
