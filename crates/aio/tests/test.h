/* Shared by the test programs: checks with messages, files, requests, child processes. */
#ifndef TEST_H
#define TEST_H 1

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../capi/tests/check.h"

/* Checks that a call returns -1 and sets this errno. */
#define FAILS(call, number) \
    do { \
        errno = 0; \
        IS(call, -1); \
        IS(errno, number); \
    } while (0)

static char log_path[64];

/* Opens a new, empty file. */
static inline int open_log(int flags)
{
    int fd;
    strcpy(log_path, "/tmp/alq-aio-XXXXXX");
    fd = mkstemp(log_path);
    CHECK(fd >= 0);
    close(fd);
    fd = open(log_path, O_RDWR | flags);
    CHECK(fd >= 0);
    return fd;
}

/* Checks that the file contains exactly this text, then removes it. */
static inline void log_is(const char *expected)
{
    static char text[1 << 16];
    int fd = open(log_path, O_RDONLY);
    ssize_t len;
    CHECK(fd >= 0);
    len = read(fd, text, sizeof text - 1);
    CHECK(len >= 0);
    text[len] = '\0';
    close(fd);
    unlink(log_path);
    if (strcmp(text, expected) != 0) {
        fprintf(stderr, "the file is \"%s\", not \"%s\"\n", text, expected);
        _exit(1);
    }
}

/* A request that writes a text, without notification. */
static inline void fill(struct aiocb *cb, int fd, const void *bytes, size_t len)
{
    memset(cb, 0, sizeof *cb);
    cb->aio_fildes = fd;
    cb->aio_buf = (void *)bytes;
    cb->aio_nbytes = len;
    cb->aio_sigevent.sigev_notify = SIGEV_NONE;
    cb->aio_lio_opcode = LIO_WRITE;
}

static inline void start(struct aiocb *cb, int fd, const char *text)
{
    fill(cb, fd, text, strlen(text));
    IS(aio_write(cb), 0);
}

/*
 * Starts a write to a descriptor that accepts no data. When it returns, the request is being
 * written.
 */
static inline void start_blocked(struct aiocb *cb, int fd, const char *text)
{
    do {
        start(cb, fd, text);
        usleep(1000); /* the thread that writes it may need a moment */
    } while (aio_cancel(fd, cb) == AIO_CANCELED);
    IS(aio_error(cb), EINPROGRESS);
}

/* Waits until a request is complete, and returns its status. */
static inline int wait_for(struct aiocb *cb)
{
    const struct aiocb *list = cb;
    while (aio_error(cb) == EINPROGRESS)
        if (aio_suspend(&list, 1, NULL) != 0)
            IS(errno, EINTR);
    return aio_error(cb);
}

static inline void completes(struct aiocb *cb, ssize_t expected)
{
    IS(wait_for(cb), 0);
    IS(aio_return(cb), expected);
}

/* Makes a full pipe. */
static inline void full_pipe(int fds[2])
{
    static char page[4096];
    int flags;
    CHECK(pipe(fds) == 0);
    flags = fcntl(fds[1], F_GETFL);
    CHECK(fcntl(fds[1], F_SETFL, flags | O_NONBLOCK) == 0);
    while (write(fds[1], page, sizeof page) > 0)
        ;
    while (write(fds[1], page, 1) > 0)
        ;
    IS(errno, EAGAIN);
    CHECK(fcntl(fds[1], F_SETFL, flags) == 0);
}

/* Makes room in a full pipe. */
static inline void empty_pipe(int fd)
{
    static char page[4096];
    for (int pages = 0; pages < 16; pages++)
        IS(read(fd, page, sizeof page), sizeof page);
}

/* Runs a function in a child and returns its exit status, or the negative number of its signal. */
static inline int in_child(void (*body)(void))
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body();
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define RUN(test) \
    do { \
        alarm(300); \
        test(); \
        alarm(0); \
    } while (0)

#endif
