/* lio_listio: lists, also with requests of both implementations. */
#include "test.h"

#include <semaphore.h>

static sem_t called;
static int told;

static void call(union sigval value)
{
    told = value.sival_int;
    sem_post(&called);
}

static struct sigevent event(int value)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = call;
    event.sigev_value.sival_int = value;
    return event;
}

static void wait_until_told(int value)
{
    while (sem_wait(&called) != 0)
        IS(errno, EINTR);
    IS(told, value);
}

static void a_list_is_appended_in_order(void)
{
    struct aiocb cbs[3];
    struct aiocb *list[5] = {&cbs[0], NULL, &cbs[1], &cbs[2], NULL};
    int fd = open_log(O_APPEND);
    fill(&cbs[0], fd, "one ", 4);
    fill(&cbs[1], fd, "no", 2);
    cbs[1].aio_lio_opcode = LIO_NOP;
    fill(&cbs[2], fd, "two", 3);
    IS(lio_listio(LIO_WAIT, list, 5, NULL), 0);
    IS(aio_error(&cbs[0]), 0);
    IS(aio_return(&cbs[0]), 4);
    IS(aio_error(&cbs[1]), EINVAL); /* was not submitted */
    IS(aio_return(&cbs[2]), 3);
    close(fd);
    log_is("one two");
}

/*
 * An append, a write at an offset and a read: different implementations carry them out, as one
 * list.
 */
static void a_list_is_mixed(int mode)
{
    struct aiocb cbs[3];
    struct aiocb *list[3] = {&cbs[0], &cbs[1], &cbs[2]};
    struct sigevent done = event(5);
    char got[8] = "";
    int other = open_log(0), fd, fds[2];
    unlink(log_path);
    fd = open_log(O_APPEND);
    CHECK(pipe(fds) == 0);
    IS(write(fds[1], "hello", 5), 5);
    fill(&cbs[0], fd, "appended", 8);
    fill(&cbs[1], other, "at 3", 4);
    cbs[1].aio_offset = 3;
    fill(&cbs[2], fds[0], got, sizeof got);
    cbs[2].aio_lio_opcode = LIO_READ;
    IS(lio_listio(mode, list, 3, &done), 0);
    if (mode == LIO_NOWAIT)
        wait_until_told(5);
    for (int i = 0; i < 3; i++)
        IS(aio_error(&cbs[i]), 0);
    IS(aio_return(&cbs[0]), 8);
    IS(aio_return(&cbs[1]), 4);
    IS(aio_return(&cbs[2]), 5);
    CHECK(strcmp(got, "hello") == 0);
    IS(lseek(other, 0, SEEK_END), 7);
    close(other);
    close(fds[0]);
    close(fds[1]);
    close(fd);
    log_is("appended");
}

static void mixed_lists(void)
{
    a_list_is_mixed(LIO_WAIT);
    a_list_is_mixed(LIO_NOWAIT);
}

/* The notification of the list comes once, after all members; each member also has its own. */
static void the_event_comes_after_all(void)
{
    struct aiocb cbs[2];
    struct aiocb *list[2] = {&cbs[0], &cbs[1]};
    struct sigevent done = event(9);
    int fds[2], fd = open_log(O_APPEND);
    full_pipe(fds);
    fill(&cbs[0], fd, "quick", 5);
    cbs[0].aio_sigevent = event(1);
    fill(&cbs[1], fds[1], "slow", 4);
    IS(lio_listio(LIO_NOWAIT, list, 2, &done), 0);
    wait_until_told(1);
    IS(aio_return(&cbs[0]), 5);
    IS(aio_error(&cbs[1]), EINPROGRESS);
    FAILS(sem_trywait(&called), EAGAIN);
    empty_pipe(fds[0]);
    wait_until_told(9);
    IS(aio_error(&cbs[1]), 0);
    IS(aio_return(&cbs[1]), 4);
    close(fds[0]);
    close(fds[1]);
    close(fd);
    log_is("quick");
}

static void an_empty_list_tells_at_once(void)
{
    struct aiocb *list[1] = {NULL};
    struct sigevent done = event(3);
    IS(lio_listio(LIO_WAIT, list, 1, NULL), 0);
    IS(lio_listio64(LIO_NOWAIT, (struct aiocb64 **)list, 0, &done), 0);
    wait_until_told(3);
}

static void a_member_that_fails_is_an_error(void)
{
    struct aiocb cbs[2];
    struct aiocb *list[2] = {&cbs[0], &cbs[1]};
    int fd = open_log(O_APPEND), full = open("/dev/full", O_WRONLY | O_APPEND);
    CHECK(full >= 0);
    fill(&cbs[0], full, "no room", 7);
    fill(&cbs[1], fd, "all the same", 12);
    FAILS(lio_listio(LIO_WAIT, list, 2, NULL), EIO);
    IS(aio_error(&cbs[0]), ENOSPC);
    completes(&cbs[1], 12);
    /* If one member is refused, the others are still carried out. */
    fill(&cbs[0], fd, "refused", 7);
    cbs[0].aio_reqprio = -1;
    fill(&cbs[1], fd, "!", 1);
    FAILS(lio_listio(LIO_WAIT, list, 2, NULL), EINVAL);
    IS(aio_error(&cbs[0]), EINVAL);
    completes(&cbs[1], 1);
    close(full);
    close(fd);
    log_is("all the same!");
}

static void bad_arguments(void)
{
    struct aiocb *list[1] = {NULL};
    struct sigevent odd = event(1);
    FAILS(lio_listio(7, list, 1, NULL), EINVAL);
    FAILS(lio_listio(LIO_WAIT, list, -1, NULL), EINVAL);
    odd.sigev_notify = 99;
    FAILS(lio_listio(LIO_NOWAIT, list, 1, &odd), EINVAL);
}

static void nothing(int signo) { (void)signo; }

static void *interrupt(void *argument)
{
    pthread_t *thread = argument;
    /* Signals until the wait has ended: the first may come before the wait begins. */
    while (__atomic_load_n(&told, __ATOMIC_SEQ_CST) != -1) {
        pthread_kill(*thread, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

static void a_handler_ends_the_wait(void)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct aiocb cb, *list[1] = {&cb};
    pthread_t self = pthread_self(), thread;
    int fds[2];
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    full_pipe(fds);
    fill(&cb, fds[1], "late", 4);
    told = 0;
    CHECK(pthread_create(&thread, NULL, interrupt, &self) == 0);
    FAILS(lio_listio(LIO_WAIT, list, 1, NULL), EINTR);
    __atomic_store_n(&told, -1, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    IS(aio_error(&cb), EINPROGRESS);
    empty_pipe(fds[0]);
    completes(&cb, 4);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    CHECK(sem_init(&called, 0, 0) == 0);
    RUN(a_list_is_appended_in_order);
    RUN(mixed_lists);
    RUN(the_event_comes_after_all);
    RUN(an_empty_list_tells_at_once);
    RUN(a_member_that_fails_is_an_error);
    RUN(bad_arguments);
    RUN(a_handler_ends_the_wait);
    return 0;
}
