/* Shared by all test programs: checks with messages, a temporary folder, child processes. */
#ifndef TEST_H
#define TEST_H 1

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <valgrind/valgrind.h> /* does nothing outside of valgrind */

#include "alq.h"
#include "async-append.h"
#include "check.h"

/* Checks that a call without a status sets this errno. */
#define FAILS(call, number) \
    do { \
        errno = 0; \
        call; \
        IS(errno, number); \
    } while (0)

/* Checks that a call returns NULL and sets this errno. */
#define NO(call, number) FAILS(CHECK((call) == NULL), number)

static char test_dir[64];

static inline void test_remove_dir(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", test_dir);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", test_dir);
}

/* Returns the path of a file in a folder that test_end removes. */
static inline const char *path(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *to = paths[next++ % 8];
    if (test_dir[0] == '\0') {
        strcpy(test_dir, "/tmp/alq-test-XXXXXX");
        CHECK(mkdtemp(test_dir) != NULL);
    }
    snprintf(to, sizeof paths[0], "%s/%s", test_dir, name);
    return to;
}

static inline int test_end(const char *name)
{
    test_remove_dir();
    printf("%s: passed\n", name);
    return 0;
}

/* Waits for a byte count of the log, with a limit of 300 s. */
static inline void log_grows_to(const char *name, off_t size)
{
    struct stat status;
    int tries;
    for (tries = 0; tries < 300000; tries++) {
        CHECK(stat(path(name), &status) == 0);
        if (status.st_size >= size)
            break;
        usleep(1000);
    }
    CHECK(status.st_size == size);
}

/* Checks that a file contains exactly this text. */
static inline void file_is(const char *name, const char *expected)
{
    static char text[1 << 16];
    FILE *file = fopen(path(name), "r");
    size_t len;
    CHECK(file != NULL);
    len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    fclose(file);
    if (strcmp(text, expected) != 0) {
        fprintf(stderr, "%s is \"%s\", not \"%s\"\n", name, text, expected);
        _exit(1);
    }
}

/*
 * Runs a function in a child and returns its exit status, or the negative number of its signal. The
 * standard error of the child goes to the file "said".
 */
static inline int in_child(void (*body)(void))
{
    int status, said;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* Memory that only threads of the parent point to is leaked here; errors still count. */
        VALGRIND_CLO_CHANGE("--leak-check=no");
        said = open(path("said"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        CHECK(said >= 0 && dup2(said, STDERR_FILENO) >= 0);
        close(said);
        body();
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Checks whether the last child printed this on standard error. */
static inline int said(const char *what)
{
    static char text[1 << 14];
    FILE *file = fopen(path("said"), "r");
    size_t len;
    CHECK(file != NULL);
    len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    fclose(file);
    if (strstr(text, what) != NULL)
        return 1;
    fprintf(stderr, "it said: %s\n", text);
    return 0;
}

#endif
