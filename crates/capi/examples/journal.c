/*
 * A journal: a change counts once its record is on disk. Many changes may be outstanding, and one
 * sync serves all of them. The journal follows a rotation and has an error callback.
 *
 *     journal FILE
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* O_DSYNC, with -std=c11 */
#endif
#include <alq.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { IN_FLIGHT = 8 };

static void on_error(void *arg, int error, const char *message)
{
    (void)error;
    fprintf(stderr, "%s: %s\n", (const char *)arg, message);
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "journal: %s: %s\n", what, strerror(error));
    return 1;
}

/* Appends a few changes, each with a request, and waits until all are durable. */
static int commit(struct alq *journal, unsigned first)
{
    struct alq_req *requests[IN_FLIGHT];
    unsigned i, left = IN_FLIGHT;
    for (i = 0; i < IN_FLIGHT; i++) {
        char record[32];
        int len = snprintf(record, sizeof record, "change %u\n", first + i);
        int error = alq_writen(journal, record, len, ALQ_WAITOK);
        if (error != 0)
            return fail("append", error);
        if (alq_fsync(journal, O_DSYNC, &requests[i]) != 0)
            return fail("fsync", errno);
    }
    while (left > 0) {
        if (alq_suspend(requests, IN_FLIGHT, NULL) != 0 && errno != EINTR)
            return fail("suspend", errno);
        for (i = 0; i < IN_FLIGHT; i++) {
            if (requests[i] == NULL || alq_error(requests[i]) == EINPROGRESS)
                continue;
            if (alq_return(requests[i]) != 0)
                return fail("not on disk", errno);
            requests[i] = NULL;
            left--;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct alq_options *options;
    struct alq_undrained left;
    struct alq_req *reopened;
    struct alq *journal;
    char old[4096];
    int error;
    if (argc != 2) {
        fprintf(stderr, "usage: journal FILE\n");
        return 2;
    }
    options = alq_options_new();
    alq_options_capacity(options, 1 << 16);
    alq_options_on_error(options, on_error, argv[1]);
    error = alq_open_path(&journal, argv[1], options);
    alq_options_free(options);
    if (error != 0)
        return fail(argv[1], error);
    if (commit(journal, 0) != 0)
        return 1;

    /* The journal is rotated. */
    snprintf(old, sizeof old, "%s.1", argv[1]);
    if (rename(argv[1], old) != 0)
        return fail(old, errno);
    error = alq_reopen_path(journal, argv[1], &reopened);
    if (error != 0)
        return fail("reopen", error);
    while (alq_suspend(&reopened, 1, NULL) != 0)
        continue;
    if (alq_return(reopened) != 0)
        return fail("reopen", errno);
    if (commit(journal, IN_FLIGHT) != 0)
        return 1;

    error = alq_close_timeout(journal, NULL, &left);
    if (error != 0) {
        fprintf(stderr, "journal: %llu bytes were not written\n", (unsigned long long)left.bytes);
        return fail("close", error);
    }
    printf("%d changes on disk, in two files\n", 2 * IN_FLIGHT);
    return 0;
}
