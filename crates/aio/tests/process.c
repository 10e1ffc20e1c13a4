/* fork(2) and the end of the process. */
#include "test.h"

static int fd, fds[2];
static struct aiocb outstanding;

static void use_it_in_a_child(void)
{
    struct aiocb cb, sync;
    const struct aiocb *list[1] = {&outstanding};
    /* Outstanding requests of the parent stay with the parent. */
    IS(aio_error(&outstanding), ECANCELED);
    IS(aio_suspend(list, 1, NULL), 0);
    FAILS(aio_return(&outstanding), ECANCELED);
    start(&cb, fd, "child ");
    fill(&sync, fd, NULL, 0);
    IS(aio_fsync(O_SYNC, &sync), 0);
    completes(&sync, 0);
    completes(&cb, 6);
}

static void a_child_has_requests_of_its_own(void)
{
    struct aiocb cb;
    fd = open_log(O_APPEND);
    start(&cb, fd, "parent ");
    completes(&cb, 7);
    full_pipe(fds);
    start(&outstanding, fds[1], "once");
    IS(in_child(use_it_in_a_child), 0);
    IS(aio_error(&outstanding), EINPROGRESS);
    start(&cb, fd, "parent");
    completes(&cb, 6);
    empty_pipe(fds[0]);
    completes(&outstanding, 4);
    close(fds[0]);
    close(fds[1]);
    close(fd);
    log_is("parent child parent");
}

/* A child does not keep files open that it does not know of. */
static void a_child_keeps_no_file_open(void)
{
    struct aiocb cb;
    char got[8];
    int gate[2];
    pid_t child;
    full_pipe(fds);
    CHECK(pipe(gate) == 0);
    start(&cb, fds[1], "last");
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(fds[0]);
        close(fds[1]);
        close(gate[1]);
        IS(read(gate[0], got, 1), 0); /* lives until the parent has seen the end */
        _exit(0);
    }
    empty_pipe(fds[0]);
    completes(&cb, 4);
    close(fds[1]);
    IS(read(fds[0], got, sizeof got), 4);
    IS(read(fds[0], got, sizeof got), 0);
    close(gate[1]);
    IS(waitpid(child, NULL, 0), child);
    close(gate[0]);
    close(fds[0]);
}

static void *append_all_the_time(void *argument)
{
    volatile int *go_on = argument;
    while (*go_on) {
        struct aiocb cb;
        start(&cb, fd, "x");
        completes(&cb, 1);
    }
    return NULL;
}

static void append_once(void)
{
    struct aiocb cb;
    start(&cb, fd, "c");
    completes(&cb, 1);
}

static void forks_beside_appends(void)
{
    volatile int go_on = 1;
    pthread_t threads[2];
    int children = 0, bytes, c = 0;
    char *text;
    fd = open_log(O_APPEND);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, append_all_the_time, (void *)&go_on) == 0);
    for (; children < 50; children++)
        IS(in_child(append_once), 0);
    go_on = 0;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    bytes = (int)lseek(fd, 0, SEEK_END);
    text = malloc((size_t)bytes);
    IS(pread(fd, text, (size_t)bytes, 0), bytes);
    for (int i = 0; i < bytes; i++)
        c += text[i] == 'c';
    IS(c, children);
    free(text);
    close(fd);
    unlink(log_path);
}

static void submit_and_exit(void)
{
    static struct aiocb cbs[100];
    for (int i = 0; i < 100; i++)
        start(&cbs[i], fd, "line\n");
    exit(0);
}

static void the_end_of_the_process_loses_nothing(void)
{
    char expected[501] = "";
    fd = open_log(O_APPEND);
    for (int i = 0; i < 100; i++)
        strcat(expected, "line\n");
    IS(in_child(submit_and_exit), 0);
    close(fd);
    log_is(expected);
}

static struct aiocb last;

static void last_words(void)
{
    start(&last, fd, "last words");
    completes(&last, 10);
}

static void append_at_exit(void)
{
    struct aiocb cb;
    atexit(last_words); /* runs after the drain: registered before it */
    start(&cb, fd, "first ");
    exit(0);
}

static void handlers_of_the_end_may_append(void)
{
    fd = open_log(O_APPEND);
    IS(in_child(append_at_exit), 0);
    close(fd);
    log_is("first last words");
}

int main(void)
{
    RUN(a_child_has_requests_of_its_own);
    RUN(a_child_keeps_no_file_open);
    RUN(forks_beside_appends);
    RUN(the_end_of_the_process_loses_nothing);
    RUN(handlers_of_the_end_may_append);
    return 0;
}
