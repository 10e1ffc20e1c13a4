/* aio_suspend. */
#include "test.h"

static struct timespec now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time;
}

static long long milliseconds_since(struct timespec start)
{
    struct timespec end = now();
    return (end.tv_sec - start.tv_sec) * 1000LL + (end.tv_nsec - start.tv_nsec) / 1000000;
}

static void one_that_is_complete_is_enough(void)
{
    struct aiocb blocked, cb;
    const struct aiocb *list[3] = {NULL, &blocked, &cb};
    int fds[2], fd = open_log(O_APPEND);
    full_pipe(fds);
    start(&blocked, fds[1], "late");
    start(&cb, fd, "done");
    IS(aio_suspend(list, 3, NULL), 0);
    IS(aio_error(&cb), 0);
    IS(aio_error(&blocked), EINPROGRESS);
    IS(aio_suspend(list, 3, NULL), 0); /* at once: one request is complete */
    empty_pipe(fds[0]);
    completes(&blocked, 4);
    /* A failed request is complete. */
    start(&cb, -1, "bad");
    list[1] = NULL;
    IS(aio_suspend64((const struct aiocb64 **)list, 3, NULL), 0);
    IS(aio_error(&cb), EBADF);
    /* No request to wait for. */
    list[2] = NULL;
    IS(aio_suspend(list, 3, NULL), 0);
    close(fds[0]);
    close(fds[1]);
    close(fd);
    log_is("done");
}

static void a_time_out_is_kept(void)
{
    struct timespec start_time = now(), time = milliseconds(30), zero = milliseconds(0);
    struct aiocb cb;
    const struct aiocb *list[1] = {&cb};
    int fds[2];
    full_pipe(fds);
    start(&cb, fds[1], "late");
    FAILS(aio_suspend(list, 1, &zero), EAGAIN);
    FAILS(aio_suspend(list, 1, &time), EAGAIN);
    CHECK(milliseconds_since(start_time) >= 30);
    time.tv_nsec = 1000000000;
    FAILS(aio_suspend(list, 1, &time), EINVAL);
    FAILS(aio_suspend(list, -1, NULL), EINVAL);
    empty_pipe(fds[0]);
    time = milliseconds(50000);
    IS(aio_suspend(list, 1, &time), 0);
    IS(aio_suspend(list, 1, &zero), 0);
    completes(&cb, 4);
    close(fds[0]);
    close(fds[1]);
}

static int over;

static void nothing(int signo) { (void)signo; }

static void *interrupt(void *argument)
{
    pthread_t *thread = argument;
    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        pthread_kill(*thread, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

/* Also one with SA_RESTART. */
static void a_handler_ends_the_wait(void)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct timespec time = milliseconds(50000);
    struct aiocb cb;
    const struct aiocb *list[1] = {&cb};
    pthread_t self = pthread_self(), thread;
    int fds[2];
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    full_pipe(fds);
    start(&cb, fds[1], "late");
    CHECK(pthread_create(&thread, NULL, interrupt, &self) == 0);
    FAILS(aio_suspend(list, 1, NULL), EINTR);
    FAILS(aio_suspend(list, 1, &time), EINTR);
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    empty_pipe(fds[0]);
    completes(&cb, 4);
    close(fds[0]);
    close(fds[1]);
}

static void clean(void *argument) { *(int *)argument = 1; }

static int cleaned;

static void *wait_long(void *argument)
{
    const struct aiocb *list[1] = {argument};
    pthread_cleanup_push(clean, &cleaned);
    aio_suspend(list, 1, NULL);
    pthread_cleanup_pop(0);
    return NULL;
}

static void a_cancelled_thread_leaves(int asleep)
{
    struct aiocb cb;
    pthread_t thread;
    void *result;
    int fds[2];
    full_pipe(fds);
    start(&cb, fds[1], "late");
    cleaned = 0;
    CHECK(pthread_create(&thread, NULL, wait_long, &cb) == 0);
    if (asleep)
        usleep(20000); /* usually in its sleep; any other place is right too */
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
    IS(cleaned, 1);
    /* The request is not affected. */
    IS(aio_error(&cb), EINPROGRESS);
    empty_pipe(fds[0]);
    completes(&cb, 4);
    close(fds[0]);
    close(fds[1]);
}

static void it_is_a_point_of_cancellation(void)
{
    a_cancelled_thread_leaves(0);
    a_cancelled_thread_leaves(1);
}

/* A read of the next implementation and an append: each of them ends the wait. */
static void both_implementations_at_once(void)
{
    struct timespec time = milliseconds(20);
    struct aiocb read_cb, cb;
    const struct aiocb *list[2] = {&cb, &read_cb};
    char got[4];
    int fds[2], sockets[2];
    full_pipe(fds);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    fill(&read_cb, sockets[0], got, sizeof got);
    IS(aio_read64((struct aiocb64 *)&read_cb), 0);
    start(&cb, fds[1], "late");
    FAILS(aio_suspend(list, 2, &time), EAGAIN);
    IS(write(sockets[1], "read", 4), 4);
    IS(aio_suspend(list, 2, NULL), 0);
    IS(aio_error(&cb), EINPROGRESS);
    IS(aio_error(&read_cb), 0);
    IS(aio_return(&read_cb), 4);
    IS(aio_read(&read_cb), 0);
    empty_pipe(fds[0]);
    IS(aio_suspend(list, 2, NULL), 0);
    IS(aio_error(&read_cb), EINPROGRESS);
    completes(&cb, 4);
    FAILS(aio_suspend(list + 1, 1, &time), EAGAIN); /* only the read */
    IS(write(sockets[1], "rest", 4), 4);
    completes(&read_cb, 4);
    close(fds[0]);
    close(fds[1]);
    close(sockets[0]);
    close(sockets[1]);
}

int main(void)
{
    RUN(one_that_is_complete_is_enough);
    RUN(a_time_out_is_kept);
    RUN(a_handler_ends_the_wait);
    RUN(it_is_a_point_of_cancellation);
    RUN(both_implementations_at_once);
    return 0;
}
