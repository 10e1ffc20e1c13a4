/*
 * The library distinguishes open files on any kernel: with F_DUPFD_QUERY, with kcmp(2), or with
 * fstat(2). This program imitates kernels that lack some of these: it replaces the calls that the
 * library makes.
 */
#include "test.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>

enum { F_DUPFD_QUERY_ = 1024 + 3 };

static int queries, compares; /* how many of each the kernel answered */
static int no_query, no_compare;

int fcntl(int fd, int command, ...)
{
    static int (*real)(int, int, ...);
    va_list list;
    long argument;
    va_start(list, command);
    argument = va_arg(list, long);
    va_end(list);
    if (command == F_DUPFD_QUERY_) {
        if (no_query) {
            errno = EINVAL;
            return -1;
        }
        queries++;
    }
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "fcntl");
    return real(fd, command, argument);
}

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    va_list list;
    long argument[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_kcmp) {
        if (no_compare) {
            errno = EPERM;
            return -1;
        }
        compares++;
    }
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

/* A reused number, and a duplicate. */
static void files_are_told_apart(void)
{
    struct aiocb first, second, third;
    char got[8];
    int fds[2], other, log;
    full_pipe(fds);
    start_blocked(&first, fds[1], "first");
    other = dup(fds[1]);
    start(&second, other, "2nd");
    IS(aio_cancel(other, &second), AIO_CANCELED); /* it waits for the first */
    log = open_log(O_APPEND);
    CHECK(dup2(log, fds[1]) == fds[1]);
    close(log);
    start(&third, fds[1], "third");
    completes(&third, 5);
    IS(aio_error(&first), EINPROGRESS);
    empty_pipe(fds[0]);
    completes(&first, 5);
    IS(read(fds[0], got, sizeof got), 5);
    close(fds[0]);
    close(fds[1]);
    close(other);
    log_is("third");
}

/* A kernel with F_DUPFD_QUERY returns 1 for the same open file. */
static int has_query(void)
{
    int fd = open("/dev/null", O_WRONLY), same = fcntl(fd, F_DUPFD_QUERY_, fd) == 1;
    close(fd);
    queries = 0;
    return same;
}

static void with_the_query(void)
{
    files_are_told_apart();
    CHECK(queries > 0 || !has_query());
}

static void with_kcmp(void)
{
    no_query = 1;
    files_are_told_apart();
    IS(queries, 0);
}

static void with_neither(void)
{
    no_query = no_compare = 1;
    files_are_told_apart();
    IS(queries + compares, 0);
}

static void every_way(void)
{
    IS(in_child(with_the_query), 0);
    IS(in_child(with_kcmp), 0);
    IS(in_child(with_neither), 0);
}

int main(void)
{
    RUN(every_way);
    return 0;
}
