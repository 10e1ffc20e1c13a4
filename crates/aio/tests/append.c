/* aio_write on a descriptor in append mode, and on one that cannot seek. */
#include "test.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/uio.h>

static sem_t begun, go_on;
static int held;

/* Replaces the library's pwritev: a write to a file that can seek waits while the test holds it. */
ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset)
{
    static ssize_t (*real)(int, const struct iovec *, int, off_t);
    if (__atomic_exchange_n(&held, 0, __ATOMIC_SEQ_CST)) {
        sem_post(&begun);
        while (sem_wait(&go_on) != 0)
            ;
    }
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pwritev");
    return real(fd, vectors, count, offset);
}

static void appends_in_the_order_of_the_calls(void)
{
    enum { COUNT = 1000 };
    static struct aiocb cbs[COUNT];
    static char lines[COUNT][8], expected[COUNT * 8];
    int fd = open_log(O_APPEND);
    for (int i = 0; i < COUNT; i++) {
        snprintf(lines[i], sizeof lines[i], "%d\n", i);
        strcat(expected, lines[i]);
        start(&cbs[i], fd, lines[i]);
    }
    for (int i = COUNT - 1; i >= 0; i--)
        completes(&cbs[i], (ssize_t)strlen(lines[i]));
    close(fd);
    log_is(expected);
}

static void the_offset_is_ignored(void)
{
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    start(&cb, fd, "first ");
    completes(&cb, 6);
    fill(&cb, fd, "second", 6);
    cb.aio_offset = -5;
    IS(aio_write(&cb), 0);
    completes(&cb, 6);
    fill(&cb, fd, "!", 1);
    cb.aio_offset = 3;
    IS(aio_write64((struct aiocb64 *)&cb), 0);
    completes(&cb, 1);
    close(fd);
    log_is("first second!");
}

static void other_writes_are_at_their_offset(void)
{
    struct aiocb cb;
    int fd = open_log(0);
    start(&cb, fd, "0123456789");
    completes(&cb, 10);
    fill(&cb, fd, "ab", 2);
    cb.aio_offset = 4;
    IS(aio_write(&cb), 0);
    completes(&cb, 2);
    FAILS(aio_return(&cb), EINVAL);
    close(fd);
    log_is("0123ab6789");
}

/*
 * After the program has left append mode, outstanding and later requests are written at their
 * offsets.
 */
static void append_mode_can_be_left(void)
{
    struct aiocb cb, waiting[3];
    int fd = open_log(O_APPEND);
    start(&cb, fd, "0123456789");
    completes(&cb, 10);
    CHECK(fcntl(fd, F_SETFL, 0) == 0);
    fill(&cb, fd, "ab", 2);
    cb.aio_offset = 1;
    IS(aio_write(&cb), 0);
    completes(&cb, 2);
    CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0);
    __atomic_store_n(&held, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 3; i++) {
        fill(&waiting[i], fd, "cde" + i, 1);
        waiting[i].aio_offset = 4 + 2 * i;
        IS(aio_write(&waiting[i]), 0);
        if (i == 0)
            while (sem_wait(&begun) != 0)
                ;
    }
    CHECK(fcntl(fd, F_SETFL, 0) == 0);
    sem_post(&go_on);
    for (int i = 0; i < 3; i++)
        completes(&waiting[i], 1);
    close(fd);
    log_is("0ab3c5d7e9");
}

static void a_large_request_is_whole(void)
{
    size_t len = 40 << 20;
    char *bytes = malloc(len);
    struct aiocb cb, next;
    struct stat stat;
    int fd = open_log(O_APPEND);
    CHECK(bytes != NULL);
    memset(bytes, 'x', len);
    fill(&cb, fd, bytes, len);
    IS(aio_write(&cb), 0);
    start(&next, fd, "end");
    completes(&next, 3);
    completes(&cb, (ssize_t)len);
    CHECK(fstat(fd, &stat) == 0);
    IS(stat.st_size, len + 3);
    free(bytes);
    close(fd);
    unlink(log_path);
}

static void nothing_can_be_appended(void)
{
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    start(&cb, fd, "");
    completes(&cb, 0);
    close(fd);
    log_is("");
}

/*
 * A descriptor number is closed and reused while a request waits: the bytes go to the first file.
 */
static void a_reused_number_is_another_file(void)
{
    struct aiocb first, second;
    char got[5];
    int fds[2], fd, log;
    full_pipe(fds);
    start(&first, fds[1], "first");
    log = open_log(O_APPEND);
    fd = fds[1];
    CHECK(dup2(log, fd) == fd);
    close(log);
    start(&second, fd, "second");
    completes(&second, 6);
    IS(aio_error(&first), EINPROGRESS);
    empty_pipe(fds[0]);
    completes(&first, 5);
    IS(read(fds[0], got, 5), 5);
    CHECK(memcmp(got, "first", 5) == 0);
    close(fds[0]);
    close(fd);
    log_is("second");
}

/* A duplicate is the same open file: requests keep their order over both numbers. */
static void duplicates_share_an_order(void)
{
    struct aiocb cbs[2];
    char got[5];
    int fds[2], other;
    full_pipe(fds);
    other = dup(fds[1]);
    start_blocked(&cbs[0], fds[1], "one");
    start(&cbs[1], other, "22");
    IS(aio_cancel(other, NULL), AIO_CANCELED);
    IS(aio_error(&cbs[1]), ECANCELED);
    IS(aio_error(&cbs[0]), EINPROGRESS);
    start(&cbs[1], other, "22");
    empty_pipe(fds[0]);
    completes(&cbs[1], 2);
    IS(aio_error(&cbs[0]), 0);
    completes(&cbs[0], 3);
    IS(read(fds[0], got, 5), 5);
    CHECK(memcmp(got, "one22", 5) == 0);
    close(fds[0]);
    close(fds[1]);
    close(other);
}

/* Once a program sees its last request complete, its own close(2) is the last one of the file. */
static void the_reader_sees_the_end(void)
{
    for (int round = 0; round < 200; round++) {
        struct aiocb cb;
        char got[8];
        int fds[2];
        CHECK(pipe2(fds, O_NONBLOCK) == 0);
        start(&cb, fds[1], "last");
        completes(&cb, 4);
        close(fds[1]);
        IS(read(fds[0], got, sizeof got), 4);
        IS(read(fds[0], got, sizeof got), 0);
        close(fds[0]);
    }
}

static void a_descriptor_that_does_not_block_is_waited_for(void)
{
    struct aiocb cb;
    int fds[2];
    full_pipe(fds);
    CHECK(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    start(&cb, fds[1], "late");
    IS(aio_error(&cb), EINPROGRESS);
    empty_pipe(fds[0]);
    completes(&cb, 4);
    close(fds[0]);
    close(fds[1]);
}

static void one_message_a_request(int type)
{
    struct aiocb cbs[3];
    char got[8];
    int fds[2];
    CHECK(socketpair(AF_UNIX, type, 0, fds) == 0);
    start(&cbs[0], fds[0], "one");
    start(&cbs[1], fds[0], "four");
    start(&cbs[2], fds[0], "seven77");
    completes(&cbs[2], 7);
    completes(&cbs[1], 4);
    completes(&cbs[0], 3);
    IS(read(fds[1], got, sizeof got), 3);
    IS(read(fds[1], got, sizeof got), 4);
    IS(read(fds[1], got, sizeof got), 7);
    close(fds[0]);
    close(fds[1]);
}

static void messages_keep_their_bounds(void)
{
    one_message_a_request(SOCK_DGRAM);
    one_message_a_request(SOCK_SEQPACKET);
}

static void each_request_has_its_own_error(void)
{
    struct aiocb cbs[3];
    int fds[2], fd = open("/dev/full", O_WRONLY | O_APPEND);
    CHECK(fd >= 0);
    for (int i = 0; i < 3; i++)
        start(&cbs[i], fd, "no room");
    for (int i = 0; i < 3; i++) {
        IS(wait_for(&cbs[i]), ENOSPC);
        FAILS(aio_return(&cbs[i]), ENOSPC);
        FAILS(aio_return(&cbs[i]), EINVAL);
    }
    close(fd);
    /* No signal ends the program: the write was not its own. */
    CHECK(pipe(fds) == 0);
    close(fds[0]);
    start(&cbs[0], fds[1], "nobody reads");
    IS(wait_for(&cbs[0]), EPIPE);
    close(fds[1]);
}

static void to_the_limit(void)
{
    struct rlimit limit = {5, 5};
    struct aiocb cbs[2];
    int fd = open_log(O_APPEND);
    start(&cbs[0], fd, "0");
    completes(&cbs[0], 1);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    start(&cbs[0], fd, "123456");
    start(&cbs[1], fd, "78");
    completes(&cbs[0], 4);
    IS(wait_for(&cbs[1]), EFBIG);
    close(fd);
    log_is("01234");
}

/* Without a thread, the calls do the writes themselves. */
static void to_the_limit_at_once(void)
{
    struct rlimit limit = {4, 4}, no_threads = {0, 0};
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    CHECK(setgid(65534) == 0 && chown(log_path, 65534, 65534) == 0);
    CHECK(setrlimit(RLIMIT_NPROC, &no_threads) == 0);
    CHECK(setuid(65534) == 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    start(&cb, fd, "123456");
    IS(aio_error(&cb), 0);
    completes(&cb, 4);
    start(&cb, fd, "78");
    IS(aio_error(&cb), EFBIG);
    close(fd);
    log_is("1234");
}

static void a_file_at_its_limit_is_no_signal(void)
{
    IS(in_child(to_the_limit), 0);
    if (getuid() == 0)
        IS(in_child(to_the_limit_at_once), 0);
}

static void without_descriptors(void)
{
    struct rlimit limit = {0, 0};
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    unlink(log_path);
    limit.rlim_cur = limit.rlim_max = (rlim_t)fd + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    fill(&cb, fd, "x", 1);
    FAILS(aio_write(&cb), EAGAIN);
    IS(aio_error(&cb), EINVAL);
}

static void without_resources_it_says_so(void)
{
    IS(in_child(without_descriptors), 0);
}

static void without_threads(void)
{
    struct rlimit limit = {0, 0};
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    CHECK(setgid(65534) == 0 && chown(log_path, 65534, 65534) == 0);
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    CHECK(setuid(65534) == 0);
    start(&cb, fd, "all the same");
    IS(aio_error(&cb), 0);
    completes(&cb, 12);
    close(fd);
    log_is("all the same");
}

/* If no thread can be started, the write is done when the call returns. */
static void without_a_thread_it_is_done_at_once(void)
{
    if (getuid() == 0)
        IS(in_child(without_threads), 0);
}

static void bad_arguments(void)
{
    struct aiocb cb;
    int read_only, fd = open_log(O_APPEND);
    fill(&cb, fd, "x", 1);
    cb.aio_reqprio = -1;
    FAILS(aio_write(&cb), EINVAL);
    cb.aio_reqprio = 21;
    FAILS(aio_write(&cb), EINVAL);
    fill(&cb, fd, "x", (size_t)-1);
    FAILS(aio_write(&cb), EINVAL);
    fill(&cb, fd, "x", 1);
    cb.aio_sigevent.sigev_notify = 77;
    FAILS(aio_write(&cb), EINVAL);
    cb.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
    cb.aio_sigevent.sigev_signo = 65;
    FAILS(aio_write(&cb), EINVAL);
    cb.aio_sigevent.sigev_notify = SIGEV_THREAD;
    FAILS(aio_write(&cb), EINVAL);
    /* As in glibc, a bad descriptor fails the request, not the call. */
    fill(&cb, -1, "x", 1);
    IS(aio_write(&cb), 0);
    IS(wait_for(&cb), EBADF);
    read_only = open(log_path, O_RDONLY | O_APPEND);
    start(&cb, read_only, "x");
    IS(wait_for(&cb), EBADF);
    close(read_only);
    close(fd);
    log_is("");
}

static void blocks_that_were_not_submitted(void)
{
    struct aiocb cb, copy, *volatile no_block = NULL;
    int fds[2];
    memset(&cb, 0, sizeof cb);
    IS(aio_error(&cb), EINVAL);
    FAILS(aio_return(&cb), EINVAL);
    memset(&cb, 0xa5, sizeof cb);
    IS(aio_error64((struct aiocb64 *)&cb), EINVAL);
    FAILS(aio_return64((struct aiocb64 *)&cb), EINVAL);
    IS(aio_error(no_block), EINVAL);
    FAILS(aio_return(no_block), EINVAL);
    FAILS(aio_write(no_block), EINVAL);
    full_pipe(fds);
    start(&cb, fds[1], "once");
    FAILS(aio_return(&cb), EINVAL); /* not complete */
    FAILS(aio_write(&cb), EINVAL); /* submitted already */
    copy = cb;
    IS(aio_error(&copy), EINVAL);
    empty_pipe(fds[0]);
    completes(&cb, 4);
    close(fds[0]);
    close(fds[1]);
}

struct producer {
    pthread_t thread;
    int fd;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    for (int i = 0; i < 2000; i++) {
        struct aiocb cb;
        start(&cb, producer->fd, "0123456789abcdef");
        completes(&cb, 16);
    }
    return NULL;
}

static void threads_append_whole_records(void)
{
    struct producer producers[4];
    struct stat stat;
    char record[16];
    int fd = open_log(O_APPEND);
    for (int i = 0; i < 4; i++) {
        producers[i].fd = fd;
        CHECK(pthread_create(&producers[i].thread, NULL, produce, &producers[i]) == 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(producers[i].thread, NULL);
    CHECK(fstat(fd, &stat) == 0);
    IS(stat.st_size, 4 * 2000 * 16);
    for (off_t at = 0; at < stat.st_size; at += 16) {
        IS(pread(fd, record, 16, at), 16);
        CHECK(memcmp(record, "0123456789abcdef", 16) == 0);
    }
    close(fd);
    unlink(log_path);
}

static void a_device_that_never_waits(void)
{
    int fd = open("/dev/null", O_WRONLY | O_APPEND);
    CHECK(fd >= 0);
    for (int i = 0; i < 100; i++) {
        struct aiocb cb;
        start(&cb, fd, "nothing");
        completes(&cb, 7);
    }
    /* If the number leads to another file, the library notices it. */
    close(fd);
    IS(open_log(O_APPEND), fd);
    for (int i = 0; i < 3; i++) {
        struct aiocb cb;
        start(&cb, fd, "abc");
        completes(&cb, 3);
    }
    close(fd);
    log_is("abcabcabc");
}

int main(void)
{
    CHECK(sem_init(&begun, 0, 0) == 0);
    CHECK(sem_init(&go_on, 0, 0) == 0);
    RUN(appends_in_the_order_of_the_calls);
    RUN(the_offset_is_ignored);
    RUN(other_writes_are_at_their_offset);
    RUN(append_mode_can_be_left);
    RUN(a_large_request_is_whole);
    RUN(nothing_can_be_appended);
    RUN(a_reused_number_is_another_file);
    RUN(duplicates_share_an_order);
    RUN(the_reader_sees_the_end);
    RUN(a_descriptor_that_does_not_block_is_waited_for);
    RUN(messages_keep_their_bounds);
    RUN(each_request_has_its_own_error);
    RUN(a_file_at_its_limit_is_no_signal);
    RUN(without_resources_it_says_so);
    RUN(without_a_thread_it_is_done_at_once);
    RUN(bad_arguments);
    RUN(blocks_that_were_not_submitted);
    RUN(threads_append_whole_records);
    RUN(a_device_that_never_waits);
    return 0;
}
