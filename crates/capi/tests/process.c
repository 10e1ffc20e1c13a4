/* Queues at the end of the process, in children of fork(2), and in signal handlers. */
#include "test.h"

static struct alq *queue;

static void opened(const char *name)
{
    IS(alq_open_flags(&queue, path(name), NULL, ALQ_DEFAULT_CMODE, 1 << 16, 0), 0);
}

/* Records that were posted before exit(3), on a queue that is never closed, are in the file. */
static void left_open(void)
{
    struct ale *ale;
    opened("exit.log");
    IS(alq_writen(queue, "copied\n", 7, ALQ_WAITOK | ALQ_NOACTIVATE), 0);
    ale = alq_getn(queue, 7, ALQ_WAITOK);
    memcpy(ale->ae_data, "filled\n", 7);
    alq_post_flags(queue, ale, ALQ_NOACTIVATE);
    exit(0);
}

/*
 * An atexit handler that was registered before the first queue runs after the drain. Its appends
 * bypass the ring.
 */
static void at_the_very_end(void)
{
    struct ale *first = alq_getn(queue, 64, ALQ_WAITOK), *second = alq_getn(queue, 64, ALQ_WAITOK), *again;
    CHECK(first != NULL && second != NULL && first != second);
    IS(first->ae_bytesused, 64);
    first->ae_bytesused = sprintf(first->ae_data, "an entry\n");
    second->ae_bytesused = sprintf(second->ae_data, "another\n");
    alq_post(queue, first);
    alq_post(queue, second);
    again = alq_getn(queue, 64, ALQ_WAITOK);
    CHECK(again == first || again == second);
    IS(alq_writen(queue, "a record\n", 9, ALQ_WAITOK), 0);
    alq_close(queue);
    memset(again->ae_data, 'x', 64); /* the entry was open, so its memory is kept */
    FAILS(alq_post(queue, again), EINVAL);
}

static void after_the_drain(void)
{
    CHECK(atexit(at_the_very_end) == 0);
    opened("after.log");
    IS(alq_writen(queue, "before\n", 7, ALQ_WAITOK), 0);
    exit(0);
}

static void twice_at_the_very_end(void)
{
    struct ale *ale = alq_getn(queue, 4, ALQ_WAITOK);
    ale->ae_bytesused = 0;
    alq_post(queue, ale);
    alq_post(queue, ale);
}

static void after_the_drain_twice(void)
{
    CHECK(atexit(twice_at_the_very_end) == 0);
    opened("twice.log");
    exit(0);
}

static struct ale *of_the_parent;
static struct alq_req *request_of_the_parent;

/* A reopen gives the child its own queue in place of the parent's. */
static void becomes_its_own(void)
{
    enum { OPEN = 100 };
    struct ale *ales[OPEN];
    struct alq_req *req;
    int i;
    IS(alq_reopen_path(queue, path("child.log"), &req), 0);
    IS(alq_return(req), 0);
    IS(alq_writen(queue, "copied\n", 7, ALQ_WAITOK | ALQ_NOACTIVATE), 0);
    for (i = 0; i < OPEN; i++)
        CHECK((ales[i] = alq_getn(queue, 2, ALQ_NOWAIT)) != NULL);
    for (i = OPEN - 1; i >= 0; i--) {
        ales[i]->ae_bytesused = i % 10 == 0 ? 2 : 0;
        memcpy(ales[i]->ae_data, "e\n", 2);
        alq_post(queue, ales[i]);
    }
    IS(alq_fsync(queue, O_DSYNC, &req), 0);
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_return(req), 0);
    file_is("child.log", "copied\ne\ne\ne\ne\ne\ne\ne\ne\ne\ne\n");
}

/* In a child: the parent's queue appends at once; its entries and requests belong to the parent. */
static void child_of_a_user(void)
{
    struct alq_stats stats;
    uint64_t position;
    struct alq_req *req;
    struct alq *own;
    struct ale *ale;
    IS(alq_writen(queue, "child, copied\n", 14, ALQ_WAITOK), 0);
    ale = alq_getn(queue, 32, ALQ_NOWAIT);
    CHECK(ale != NULL);
    ale->ae_bytesused = sprintf(ale->ae_data, "child, filled\n");
    IS(alq_entry_position(queue, ale, &position), ENODATA);
    alq_post(queue, ale);
    memset(of_the_parent->ae_data, 'x', 7);
    alq_post(queue, of_the_parent);
    IS(alq_get_stats(queue, &stats, sizeof stats), 0);
    IS(stats.foreign, 1);
    FAILS(IS(alq_fsync(queue, O_DSYNC, &req), -1), ESRCH);
    IS(alq_error(request_of_the_parent), ESRCH);
    FAILS(IS(alq_return(request_of_the_parent), -1), ESRCH);
    FAILS(IS(alq_written(queue, &req), -1), ESRCH);
    alq_flush(queue);
    IS(alq_open_path(&own, path("own.log"), NULL), 0);
    IS(alq_writen(own, "of the child's own\n", 19, ALQ_WAITOK), 0);
    alq_close(own);
    becomes_its_own();
    alq_close(queue);
    IS(alq_writen(queue, "x", 1, ALQ_WAITOK), EINVAL);
}

/* A child that closes the queue while it has an open entry. */
static void child_that_forgets(void)
{
    struct ale *ale = alq_getn(queue, 8, ALQ_WAITOK);
    alq_close(queue);
    memset(ale->ae_data, 'x', 8);
    memset(of_the_parent->ae_data, 'x', 7);
    FAILS(alq_post(queue, ale), EINVAL);
}

static void forks(void)
{
    opened("fork.log");
    IS(alq_writen(queue, "before\n", 7, ALQ_WAITOK), 0);
    alq_flush(queue);
    of_the_parent = alq_getn(queue, 7, ALQ_WAITOK);
    IS(alq_writen(queue, "behind\n", 7, ALQ_WAITOK), 0);
    IS(alq_fsync(queue, O_DSYNC, &request_of_the_parent), 0);
    IS(in_child(child_of_a_user), 0);
    IS(in_child(child_that_forgets), 0);
    memcpy(of_the_parent->ae_data, "parent\n", 7);
    alq_post(queue, of_the_parent);
    IS(alq_suspend(&request_of_the_parent, 1, NULL), 0);
    IS(alq_return(request_of_the_parent), 0);
    alq_close(queue);
    file_is("fork.log", "before\nchild, copied\nchild, filled\nparent\nbehind\n");
    file_is("own.log", "of the child's own\n");
}

static void handler(int signo)
{
    struct ale *ale;
    int saved = errno;
    (void)signo;
    if (alq_writen(queue, "s\n", 2, ALQ_NOWAIT) != 0)
        _exit(2);
    ale = alq_getn(queue, 2, ALQ_NOWAIT);
    if (ale == NULL)
        _exit(3);
    memcpy(ale->ae_data, "e\n", 2);
    alq_post(queue, ale);
    if (errno != saved)
        _exit(4);
}

/* A signal handler appends while the interrupted thread has an open entry. */
static void signals(void)
{
    enum { ROUNDS = 500 };
    struct sigaction action;
    struct stat about;
    int i;
    opened("signals.log");
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (i = 0; i < ROUNDS; i++) {
        struct ale *ale = alq_getn(queue, 4, ALQ_WAITOK);
        raise(SIGALRM);
        memcpy(ale->ae_data, "out\n", 4);
        alq_post(queue, ale);
        IS(alq_writen(queue, "out\n", 4, ALQ_WAITOK), 0);
    }
    alq_close(queue);
    CHECK(stat(path("signals.log"), &about) == 0);
    IS(about.st_size, ROUNDS * 12);
}

static struct async_append *appender_of_the_parent;

static void child_that_enables(void)
{
    async_append_write(appender_of_the_parent, "at once\n", 8);
    file_is("appenders.log", "parent\nat once\n");
    async_append_enable();
    async_append_write(appender_of_the_parent, "later\n", 6);
    async_append_flush(appender_of_the_parent);
    file_is("appenders.log", "parent\nat once\nlater\n");
    async_append_write(appender_of_the_parent, "at the end\n", 11);
}

static void appenders_in_children(void)
{
    int fd = open(path("appenders.log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    appender_of_the_parent = async_append_create(fd);
    async_append_write(appender_of_the_parent, "parent\n", 7);
    IS(in_child(child_that_enables), 0);
    async_append_destroy(appender_of_the_parent);
    close(fd);
    file_is("appenders.log", "parent\nat once\nlater\nat the end\n");
}

/* As in daemon(3), the parent ends by _exit(2) as soon as its child runs. */
static void parent_that_leaves(void)
{
    pid_t child;
    opened("daemon.log");
    IS(alq_writen(queue, "starting\n", 9, ALQ_WAITOK | ALQ_NOACTIVATE), 0);
    child = fork();
    CHECK(child >= 0);
    _exit(0);
}

/* A program returns from main without destroying its appender. */
static void appender_left_open(void)
{
    int fd = open(path("appender.log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    async_append_enable();
    async_append_write(async_append_create(fd), "at the end\n", 11);
}

int main(void)
{
    path("");
    IS(in_child(left_open), 0);
    file_is("exit.log", "copied\nfilled\n");
    IS(in_child(after_the_drain), 0);
    file_is("after.log", "before\nan entry\nanother\na record\n");
    IS(in_child(after_the_drain_twice), -SIGABRT);
    CHECK(said("the entry is not open"));
    IS(in_child(appender_left_open), 0);
    file_is("appender.log", "at the end\n");
    forks();
    appenders_in_children();
    IS(in_child(parent_that_leaves), 0);
    file_is("daemon.log", "starting\n");
    signals();
    return test_end("process");
}
