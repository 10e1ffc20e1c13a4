/* aio_cancel: takes back requests that are not being written. */
#include "test.h"

/* Requests that wait for one that is being written. */
static void cancel_behind_a_blocked_write(struct aiocb cbs[4], int fds[2])
{
    full_pipe(fds);
    start_blocked(&cbs[0], fds[1], "0123");
    for (int i = 1; i < 4; i++)
        start(&cbs[i], fds[1], "0123");
}

static void one_request_is_taken_back(void)
{
    struct aiocb cbs[4];
    char got[13];
    int fds[2];
    cancel_behind_a_blocked_write(cbs, fds);
    IS(aio_cancel(fds[1], &cbs[2]), AIO_CANCELED);
    IS(aio_error(&cbs[2]), ECANCELED);
    FAILS(aio_return(&cbs[2]), ECANCELED);
    IS(aio_cancel(fds[1], &cbs[2]), AIO_ALLDONE);
    IS(aio_error(&cbs[0]), EINPROGRESS);
    IS(aio_error(&cbs[1]), EINPROGRESS);
    IS(aio_error(&cbs[3]), EINPROGRESS);
    empty_pipe(fds[0]);
    completes(&cbs[3], 4);
    completes(&cbs[0], 4);
    completes(&cbs[1], 4);
    IS(read(fds[0], got, sizeof got), 12);
    IS(aio_cancel(fds[1], &cbs[0]), AIO_ALLDONE);
    IS(aio_cancel(fds[1], NULL), AIO_ALLDONE);
    close(fds[0]);
    close(fds[1]);
}

static void all_requests_are_taken_back(void)
{
    struct aiocb cbs[4];
    char got[13];
    int fds[2];
    cancel_behind_a_blocked_write(cbs, fds);
    IS(aio_cancel64(fds[1], NULL), AIO_NOTCANCELED);
    IS(aio_error(&cbs[0]), EINPROGRESS);
    for (int i = 1; i < 4; i++)
        IS(aio_error(&cbs[i]), ECANCELED);
    IS(aio_cancel(fds[1], &cbs[0]), AIO_NOTCANCELED);
    empty_pipe(fds[0]);
    completes(&cbs[0], 4);
    IS(read(fds[0], got, sizeof got), 4);
    /* The file still works. */
    start(&cbs[1], fds[1], "more");
    completes(&cbs[1], 4);
    close(fds[0]);
    close(fds[1]);
}

static volatile sig_atomic_t canceled, notified;

static void count(int signo, siginfo_t *info, void *context)
{
    struct aiocb *cb = info->si_value.sival_ptr;
    (void)signo;
    (void)context;
    if (aio_error(cb) == ECANCELED)
        canceled++;
    notified++;
}

static void a_cancelled_request_notifies(void)
{
    struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
    struct aiocb blocked[4], cb;
    sigset_t mask, before;
    int fds[2];
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN);
    CHECK(pthread_sigmask(SIG_BLOCK, &mask, &before) == 0);
    cancel_behind_a_blocked_write(blocked, fds);
    fill(&cb, fds[1], "not this", 8);
    cb.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
    cb.aio_sigevent.sigev_signo = SIGRTMIN;
    cb.aio_sigevent.sigev_value.sival_ptr = &cb;
    IS(aio_write(&cb), 0);
    IS(aio_cancel(fds[1], &cb), AIO_CANCELED);
    while (!notified)
        sigsuspend(&before);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    IS(canceled, 1);
    empty_pipe(fds[0]);
    for (int i = 0; i < 4; i++)
        completes(&blocked[i], 4);
    close(fds[0]);
    close(fds[1]);
}

/* A read that waits belongs to the next implementation: its answer counts too. */
static void reads_count_too(void)
{
    struct aiocb read_cb, cbs[4];
    char got[16];
    int fds[2], sockets[2], answer;
    cancel_behind_a_blocked_write(cbs, fds);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    fill(&read_cb, sockets[0], got, sizeof got);
    IS(aio_read(&read_cb), 0);
    IS(aio_error(&read_cb), EINPROGRESS);
    /* The read may be running or not. */
    answer = aio_cancel(sockets[0], NULL);
    CHECK(answer == AIO_NOTCANCELED || answer == AIO_CANCELED);
    if (answer == AIO_NOTCANCELED) {
        IS(aio_cancel(sockets[0], &read_cb), AIO_NOTCANCELED);
        IS(write(sockets[1], "x", 1), 1);
        completes(&read_cb, 1);
    }
    empty_pipe(fds[0]);
    for (int i = 0; i < 4; i++)
        completes(&cbs[i], 4);
    close(fds[0]);
    close(fds[1]);
    close(sockets[0]);
    close(sockets[1]);
}

static void bad_arguments(void)
{
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    FAILS(aio_cancel(-1, NULL), EBADF);
    FAILS(aio_cancel(999, NULL), EBADF);
    fill(&cb, fd, "x", 1);
    FAILS(aio_cancel(0, &cb), EINVAL); /* another descriptor */
    IS(aio_cancel(fd, &cb), AIO_ALLDONE);
    IS(aio_cancel(fd, NULL), AIO_ALLDONE);
    close(fd);
    log_is("");
}

int main(void)
{
    RUN(one_request_is_taken_back);
    RUN(all_requests_are_taken_back);
    RUN(a_cancelled_request_notifies);
    RUN(reads_count_too);
    RUN(bad_arguments);
    return 0;
}
