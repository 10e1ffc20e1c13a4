/*
 * Recorders: what a dump writes, who asks for it, and what the next process does with the records
 * of a killed one.
 */
#include "test.h"

static struct alq *open_recorder(const char *log, struct alq_options *options)
{
    struct alq *alq;
    IS(alq_options_recorder(options, 1), 0);
    IS(alq_options_capacity(options, 4096), 0);
    IS(alq_open_path(&alq, log, options), 0);
    alq_options_free(options);
    return alq;
}

static void a_dump_has_the_newest_records(void)
{
    struct { struct alq_dumped dump; uint64_t newer; } large;
    struct alq *alq = open_recorder(path("newest.log"), alq_options_new());
    struct alq_stats stats;
    struct alq_dumped dump;
    char line[32], expected[8192];
    int i, len, at;
    for (i = 0; i < 1000; i++) {
        len = snprintf(line, sizeof line, "record %d\n", i);
        IS(alq_writen(alq, line, len, ALQ_WAITOK), 0); /* never waits */
    }
    file_is("newest.log", "");
    memset(&large, 0xff, sizeof large);
    IS(alq_dump(alq, "a\ntest", &large.dump, sizeof large), 0);
    dump = large.dump;
    IS(large.newer, 0);
    CHECK(dump.records > 10 && dump.bytes > 100);
    IS(dump.records + dump.overwritten_records, 1000);
    IS(dump.held, 0);
    at = snprintf(expected, sizeof expected, "--- %llu records (%llu bytes) follow; "
                  "%llu older ones were overwritten; reason: a test ---\n",
                  (unsigned long long)dump.records, (unsigned long long)dump.bytes,
                  (unsigned long long)dump.overwritten_records);
    for (i = (int)dump.overwritten_records; i < 1000; i++)
        at += snprintf(expected + at, sizeof expected - (size_t)at, "record %d\n", i);
    file_is("newest.log", expected);

    IS(alq_get_stats(alq, &stats, sizeof stats), 0);
    IS(stats.written_records, dump.records);
    IS(stats.overwritten_records, dump.overwritten_records);
    IS(stats.posted_bytes, stats.written_bytes + stats.overwritten_bytes);
    IS(stats.overwritten_bytes, dump.overwritten_bytes);
    CHECK(stats.overwritten_bytes > 0);

    IS(alq_dump(alq, "again", &dump, sizeof dump), 0); /* a dump empties the ring */
    IS(dump.records + dump.overwritten_records, 0);
    IS(alq_dump(alq, "again", &dump, 0), EINVAL);
    IS(alq_dump(alq, NULL, NULL, 0), EINVAL);
    IS(alq_dump(NULL, "none", NULL, 0), EINVAL);
    FAILS(IS(alq_fsync(alq, O_DSYNC, NULL), -1), EINVAL);
    alq_close(alq);
    IS(alq_dump(alq, "closed", NULL, 0), EINVAL);
    IS(alq_request_dump(alq, 0), EINVAL);
}

static struct alq *in_handler;

static void handler(int signo)
{
    alq_writen(in_handler, "handler\n", 8, ALQ_NOWAIT);
    alq_request_dump(in_handler, signo);
}

static void a_signal_is_the_reason(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    in_handler = open_recorder(path("signal.log"), alq_options_new());
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    IS(raise(SIGUSR1), 0);
    alq_flush(in_handler);
    IS(alq_request_dump(in_handler, 0), 0);
    alq_flush(in_handler);
    IS(alq_dump_all("all"), 0);
    IS(alq_dump_all(NULL), EINVAL);
    alq_close(in_handler);
    file_is("signal.log",
            "--- 1 record (8 bytes) follows; 0 older ones were overwritten; reason: SIGUSR1 ---\n"
            "handler\n"
            "--- 0 records (0 bytes) follow; 0 older ones were overwritten; reason: requested ---\n"
            "--- 0 records (0 bytes) follow; 0 older ones were overwritten; reason: all ---\n");
}

static size_t format(const struct alq_dumped *dump, const char *reason, char *line,
                     size_t size, void *arg)
{
    int len;
    IS(size, 4096);
    if (*reason == '\0')
        return 0;
    len = snprintf(line, size, "%s%llu,%llu,%s\n", (const char *)arg,
                   (unsigned long long)dump->records, (unsigned long long)dump->bytes, reason);
    return len < 0 ? 0 : (size_t)len;
}

static void the_line_is_what_was_asked_for(void)
{
    static char head[] = "head:";
    static char longest[5000];
    struct alq_options *options = alq_options_new();
    struct alq *alq;
    struct stat status;
    IS(alq_options_dump_line_with(options, format, head), 0);
    alq = open_recorder(path("line.log"), options);
    IS(alq_writen(alq, "one\n", 4, ALQ_NOWAIT), 0);
    IS(alq_dump(alq, "why", NULL, 0), 0);
    IS(alq_writen(alq, "two\n", 4, ALQ_NOWAIT), 0);
    IS(alq_dump(alq, "", NULL, 0), 0);
    file_is("line.log", "head:1,4,why\none\ntwo\n");
    memset(longest, 'x', sizeof longest - 1);
    IS(alq_dump(alq, longest, NULL, 0), 0); /* it is cut */
    CHECK(stat(path("line.log"), &status) == 0);
    IS(status.st_size, 13 + 8 + 4096);
    alq_close(alq);

    options = alq_options_new();
    IS(alq_options_dump_line_with(options, format, head), 0);
    IS(alq_options_dump_line_with(options, NULL, NULL), 0); /* the default again */
    alq = open_recorder(path("default.log"), options);
    IS(alq_dump(alq, "why", NULL, 0), 0);
    alq_close(alq);
    file_is("default.log",
            "--- 0 records (0 bytes) follow; 0 older ones were overwritten; reason: why ---\n");
}

static struct alq *open_with_ring(const char *log, int after_kill)
{
    struct alq_options *options = alq_options_new();
    IS(alq_options_ring_file(options, path("box.ring")), 0);
    IS(alq_options_ring_on_disk(options, 1), 0);
    IS(alq_options_after_kill(options, after_kill), 0);
    return open_recorder(log, options);
}

static void killed(void)
{
    struct alq *alq = open_with_ring(path("box.log"), ALQ_KILL_DISCARD);
    IS(alq_writen(alq, "did it\n", 7, ALQ_NOWAIT), 0);
    raise(SIGKILL);
}

static void the_next_process_dumps_keeps_or_discards(void)
{
    static const char *const expected[] = {
        "--- 1 record (7 bytes) follows; 0 older ones were overwritten; "
        "reason: the process was killed ---\ndid it\n",
        "--- 1 record (7 bytes) follows; 0 older ones were overwritten; reason: now ---\ndid it\n",
        "--- 0 records (0 bytes) follow; 0 older ones were overwritten; reason: now ---\n",
    };
    int what;
    for (what = ALQ_KILL_DUMP; what <= ALQ_KILL_DISCARD; what++) {
        struct alq_recovery found;
        struct alq *alq;
        CHECK(unlink(path("box.log")) == 0 || errno == ENOENT);
        IS(in_child(killed), -SIGKILL);
        file_is("box.log", "");
        alq = open_with_ring(path("box.log"), what);
        IS(alq_get_recovery(alq, &found, sizeof found), 0);
        IS(found.bytes, 7);
        IS(found.dumped, what == ALQ_KILL_DUMP ? 7 : 0);
        IS(found.discarded, what == ALQ_KILL_DISCARD ? 7 : 0);
        if (what != ALQ_KILL_DUMP)
            IS(alq_dump(alq, "now", NULL, 0), 0);
        alq_close(alq);
        file_is("box.log", expected[what]);
    }
}

static void what_is_no_recorder_is_refused(void)
{
    struct alq_options *options = alq_options_new();
    struct timespec second = milliseconds(1000);
    struct alq *alq;
    IS(alq_open_path(&alq, path("plain.log"), options), 0);
    IS(alq_dump(alq, "no recorder", NULL, 0), EINVAL);
    IS(alq_request_dump(alq, SIGUSR1), EINVAL);
    alq_close(alq);
    IS(alq_options_after_kill(options, 3), EINVAL);
    IS(alq_options_after_kill(options, -1), EINVAL);
    IS(alq_options_recorder(options, 1), 0);
    IS(alq_options_loss_lines(options, &second), 0);
    IS(alq_open_path(&alq, path("plain.log"), options), EINVAL);
    alq_options_free(options);
    IS(alq_options_recorder(options, 1), EINVAL);
    IS(alq_options_after_kill(options, 0), EINVAL);
    IS(alq_options_dump_line_with(options, NULL, NULL), EINVAL);
}

static struct alq *of_parent;

static void in_a_child(void)
{
    IS(alq_writen(of_parent, "child\n", 6, ALQ_NOWAIT), ESRCH);
    IS(alq_dump(of_parent, "child", NULL, 0), ESRCH);
    IS(alq_request_dump(of_parent, 0), 0);
    _exit(0);
}

int main(void)
{
    path(""); /* before the first child */
    a_dump_has_the_newest_records();
    a_signal_is_the_reason();
    the_line_is_what_was_asked_for();
    the_next_process_dumps_keeps_or_discards();
    what_is_no_recorder_is_refused();
    of_parent = open_recorder(path("parent.log"), alq_options_new());
    IS(in_child(in_a_child), 0);
    file_is("parent.log", "");
    alq_close(of_parent);
    return test_end("recorder");
}
