/*
 * Ring files: the next process writes the records that a killed process has posted. And the errors
 * of opening a ring file.
 */
#include "test.h"

static struct told {
    int calls, error;
    char message[300];
} told;

static void tell(void *arg, int error, const char *message)
{
    struct told *to = (struct told *)arg;
    to->calls++;
    to->error = error;
    snprintf(to->message, sizeof to->message, "%s", message);
}

static int open_with(struct alq **alq, const char *log, const char *ring, int other)
{
    struct alq_options *options = alq_options_new();
    int error;
    memset(&told, 0, sizeof told);
    IS(alq_options_capacity(options, 4096), 0);
    IS(alq_options_ring_file(options, ring), 0);
    IS(alq_options_other_log(options, other), 0);
    IS(alq_options_ring_on_disk(options, 1), 0);
    IS(alq_options_on_error(options, tell, &told), 0);
    error = alq_open_path(alq, log, options);
    alq_options_free(options);
    return error;
}

/* An open entry in front: the records after it are not written when the process is killed. */
static void killed(void)
{
    struct alq *alq;
    IS(open_with(&alq, path("app.log"), path("app.ring"), 0), 0);
    IS(alq_writen(alq, "first\n", 6, ALQ_WAITOK), 0);
    alq_flush(alq);
    CHECK(alq_getn(alq, 100, ALQ_WAITOK) != NULL);
    IS(alq_writen(alq, "posted, not written\n", 20, ALQ_WAITOK), 0);
    raise(SIGKILL);
}

static void recovered(void)
{
    struct alq_recovery found;
    struct alq *alq;
    IS(in_child(killed), -SIGKILL);
    file_is("app.log", "first\n");
    IS(open_with(&alq, path("app.log"), path("app.ring"), 0), 0);
    memset(&found, 0xff, sizeof found);
    IS(alq_get_recovery(alq, &found, sizeof found), 0);
    IS(found.bytes, 20);
    IS(found.spans, 1);
    IS(found.skipped, 1);
    IS(found.already_written, 0);
    IS(found.damaged, 0);
    IS(alq_get_recovery(alq, NULL, sizeof found), EINVAL);
    IS(alq_get_recovery(alq, &found, 0), EINVAL);
    IS(alq_get_recovery(NULL, &found, sizeof found), EINVAL);
    IS(alq_writen(alq, "new\n", 4, ALQ_WAITOK), 0);
    alq_close(alq);
    IS(alq_get_recovery(alq, &found, sizeof found), EINVAL);
    file_is("app.log", "first\nposted, not written\nnew\n");
}

static void refused(void)
{
    struct alq_recovery found;
    struct alq *alq, *second;
    FILE *file;
    IS(open_with(&alq, path("app.log"), path("app.ring"), 0), 0);
    IS(open_with(&second, path("app.log"), path("app.ring"), 0), EBUSY);
    CHECK(second == NULL);
    IS(told.calls, 1);
    IS(told.error, EBUSY);
    CHECK(strstr(told.message, "has it open") != NULL);
    alq_close(alq);

    file = fopen(path("no.ring"), "w");
    CHECK(file != NULL && fputs("no ring file", file) >= 0 && fclose(file) == 0);
    IS(open_with(&alq, path("app.log"), path("no.ring"), 0), EINVAL);
    CHECK(strstr(told.message, "not a ring file") != NULL);

    IS(in_child(killed), -SIGKILL);
    IS(open_with(&alq, path("other.log"), path("app.ring"), 0), EINVAL);
    CHECK(strstr(told.message, "for another log") != NULL);
    IS(open_with(&alq, path("other.log"), path("app.ring"), 1), 0);
    alq_close(alq);
    file_is("other.log", "posted, not written\n");

    IS(open_with(&alq, path("app.log"), "/no/such/directory/app.ring", 0), ENOENT);
    {
        struct alq_options *options = alq_options_new();
        IS(alq_options_ring_file(options, NULL), EINVAL);
        IS(alq_options_ring_file(options, "/no/such/directory/app.ring"), 0);
        IS(alq_options_ring_optional(options, 1), 0);
        IS(alq_open_path(&alq, path("memory.log"), options), 0);
        alq_options_free(options);
        IS(alq_options_ring_file(options, "x"), EINVAL);
        IS(alq_options_other_log(options, 1), EINVAL);
        IS(alq_options_ring_optional(options, 1), EINVAL);
    }
    IS(alq_get_recovery(alq, &found, sizeof found), ENOENT);
    alq_close(alq);
}

/* What a close cannot write stays in the ring file for the next queue, and the result says so. */
static void left_behind(void)
{
    struct timespec soon = milliseconds(20);
    struct alq_options *options = alq_options_new();
    struct alq_undrained left;
    struct alq *alq;
    int ends[2];
    char full[4096] = { 0 };
    CHECK(pipe(ends) == 0);
    CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(ends[1], full, sizeof full) > 0)
        continue;
    IS(alq_options_ring_file(options, path("left.ring")), 0);
    IS(alq_options_stall_limit(options, &soon), 0);
    IS(alq_open_fd(&alq, ends[1], options), 0);
    IS(alq_writen(alq, "nobody reads\n", 13, ALQ_WAITOK), 0);
    IS(alq_close_timeout(alq, NULL, &left), EAGAIN);
    IS(left.bytes, 13);
    IS(left.in_ring_file, 1);
    alq_options_free(options);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    path(""); /* before the first child */
    recovered();
    refused();
    IS(in_child(left_behind), 0);
    return test_end("ring_file");
}
