/* aio_fsync. The program replaces fsync and fdatasync, to count and to hold the library's calls. */
#include "test.h"

#include <semaphore.h>
#include <sys/syscall.h>

static int full, data, answer;
static sem_t begun, go_on;
static int held;

static int sync_call(long number, int *count, int fd)
{
    __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&held, __ATOMIC_SEQ_CST)) {
        sem_post(&begun);
        while (sem_wait(&go_on) != 0)
            ;
    }
    if (answer != 0) {
        errno = answer;
        return -1;
    }
    return (int)syscall(number, fd);
}

int fsync(int fd) { return sync_call(SYS_fsync, &full, fd); }
int fdatasync(int fd) { return sync_call(SYS_fdatasync, &data, fd); }

static void hold(int how) { __atomic_store_n(&held, how, __ATOMIC_SEQ_CST); }

static void begin_sync(struct aiocb *cb, int fd, int operation)
{
    fill(cb, fd, NULL, 0);
    IS(aio_fsync(operation, cb), 0);
}

static void a_sync_comes_after_what_was_asked_before(void)
{
    enum { COUNT = 100 };
    struct aiocb cbs[COUNT], cb;
    int fd = open_log(O_APPEND);
    full = data = 0;
    for (int i = 0; i < COUNT; i++)
        start(&cbs[i], fd, "x");
    begin_sync(&cb, fd, O_DSYNC);
    completes(&cb, 0);
    IS(data, 1);
    IS(full, 0);
    for (int i = 0; i < COUNT; i++)
        IS(aio_error(&cbs[i]), 0);
    begin_sync(&cb, fd, O_SYNC);
    completes(&cb, 0);
    IS(full, 1);
    close(fd);
    unlink(log_path);
}

static void later_appends_are_not_held_up(void)
{
    struct aiocb before, cb, after;
    int fd = open_log(O_APPEND);
    hold(1);
    start(&before, fd, "before ");
    begin_sync(&cb, fd, O_SYNC);
    while (sem_wait(&begun) != 0)
        ;
    start(&after, fd, "after");
    completes(&after, 5);
    IS(aio_error(&before), 0);
    IS(aio_error(&cb), EINPROGRESS);
    IS(aio_cancel(fd, &cb), AIO_NOTCANCELED);
    hold(0);
    sem_post(&go_on);
    completes(&cb, 0);
    close(fd);
    log_is("before after");
}

/* One call of the stronger kind serves all syncs that wait. */
static void one_call_serves_all(void)
{
    struct aiocb cbs[5];
    int fd = open_log(O_APPEND);
    hold(1);
    full = data = 0;
    begin_sync(&cbs[0], fd, O_DSYNC);
    while (sem_wait(&begun) != 0)
        ;
    for (int i = 1; i < 5; i++)
        begin_sync(&cbs[i], fd, i == 3 ? O_SYNC : O_DSYNC);
    /* Once a later append is complete, the syncs wait for the syncing thread. */
    struct aiocb after;
    start(&after, fd, "after");
    completes(&after, 5);
    hold(0);
    sem_post(&go_on);
    for (int i = 0; i < 5; i++)
        completes(&cbs[i], 0);
    IS(data, 1);
    IS(full, 1);
    close(fd);
    unlink(log_path);
}

static void its_error_is_the_status(void)
{
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    answer = EIO;
    begin_sync(&cb, fd, O_SYNC);
    IS(wait_for(&cb), EIO);
    FAILS(aio_return(&cb), EIO);
    answer = 0;
    begin_sync(&cb, fd, O_SYNC);
    completes(&cb, 0);
    close(fd);
    unlink(log_path);
}

static void other_files_are_synced_too(void)
{
    struct aiocb cb;
    int fd = open_log(0);
    start(&cb, fd, "at 0");
    completes(&cb, 4);
    begin_sync(&cb, fd, O_SYNC);
    completes(&cb, 0);
    close(fd);
    log_is("at 0");
}

static void bad_arguments(void)
{
    struct aiocb cb;
    int fds[2], fd = open_log(O_APPEND);
    fill(&cb, fd, NULL, 0);
    FAILS(aio_fsync(0, &cb), EINVAL);
    FAILS(aio_fsync64(O_RDWR, (struct aiocb64 *)&cb), EINVAL);
    cb.aio_sigevent.sigev_notify = 77;
    FAILS(aio_fsync(O_SYNC, &cb), EINVAL);
    CHECK(pipe(fds) == 0);
    fill(&cb, fds[1], NULL, 0);
    FAILS(aio_fsync(O_SYNC, &cb), EINVAL); /* not a file that can be synced */
    fill(&cb, -1, NULL, 0);
    FAILS(aio_fsync(O_SYNC, &cb), EBADF);
    close(fds[0]);
    close(fds[1]);
    close(fd);
    log_is("");
}

int main(void)
{
    CHECK(sem_init(&begun, 0, 0) == 0);
    CHECK(sem_init(&go_on, 0, 0) == 0);
    RUN(a_sync_comes_after_what_was_asked_before);
    RUN(later_appends_are_not_held_up);
    RUN(one_call_serves_all);
    RUN(its_error_is_the_status);
    RUN(other_files_are_synced_too);
    RUN(bad_arguments);
    return 0;
}
