/* Options, descriptors, reopens, counters, error callbacks and lanes. */
#include "test.h"

static void options_are_used(void)
{
    struct timespec short_time = milliseconds(50);
    struct alq_options *options = alq_options_new();
    struct stat about;
    struct alq *alq;
    IS(alq_options_capacity(options, 1 << 16), 0);
    IS(alq_options_ordered(options, 1), 0);
    IS(alq_options_mode(options, 0640), 0);
    IS(alq_options_follow_links(options, 1), 0);
    IS(alq_options_stall_limit(options, NULL), 0);
    IS(alq_options_stall_limit(options, &short_time), 0);
    IS(alq_options_max_delay(options, &short_time), 0);
    IS(alq_options_idle(options, ALQ_IDLE_NAP), 0);
    IS(alq_options_loss_lines(options, &short_time), 0);
    IS(alq_options_outstanding_max(options, 10), 0);
    IS(alq_options_sync_every(options, 1, 1 << 20), 0);
    IS(alq_options_lane_span(options, 1 << 12), 0);
    CHECK(symlink("target.log", path("link.log")) == 0);
    IS(alq_open_path(&alq, path("link.log"), options), 0);
    alq_options_free(options); /* the queue has its own */
    IS(alq_capacity(alq), 1 << 16);
    CHECK(stat(path("target.log"), &about) == 0);
    IS(about.st_mode & 07777, 0640);
    {
        struct ale *ale = alq_getn(alq, 1 << 16, ALQ_NOWAIT);
        IS(alq_writen(alq, "refused\n", 8, ALQ_NOWAIT), EWOULDBLOCK);
        ale->ae_bytesused = 0;
        alq_post(alq, ale);
    }
    alq_close(alq);
    file_is("target.log", "alq: 1 record, 8 bytes dropped: queue full\n");
}

static void make(const char *name, const char *text)
{
    FILE *file = fopen(path(name), "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void records_are_framed(void)
{
    struct alq_options *options = alq_options_new();
    struct alq *alq;
    struct ale *ale;
    make("lines.log", "torn");
    IS(alq_options_framing(options, ALQ_LINES, 0), 0);
    IS(alq_open_path(&alq, path("lines.log"), options), 0);
    IS(alq_writen(alq, "one", 3, ALQ_WAITOK), 0);
    ale = alq_getn(alq, 10, ALQ_WAITOK);
    CHECK(ale != NULL);
    memcpy(ale->ae_data, "two", 3);
    ale->ae_bytesused = 3;
    alq_post(alq, ale);
    alq_close(alq);
    file_is("lines.log", "torn\none\ntwo\n");

    IS(alq_options_end_torn_line(options, 0), 0);
    make("lines.log", "torn");
    IS(alq_open_path(&alq, path("lines.log"), options), 0);
    IS(alq_writen(alq, "one", 3, ALQ_WAITOK), 0);
    alq_close(alq);
    file_is("lines.log", "tornone\n");

    IS(alq_options_framing(options, ALQ_RECORDS, 4), 0);
    IS(alq_options_keep_torn(options, 1), 0);
    IS(alq_options_keep_torn(NULL, 1), EINVAL);
    make("fixed.log", "abcdab");
    IS(alq_open_path(&alq, path("fixed.log"), options), 0);
    IS(alq_writen(alq, "one", 3, ALQ_WAITOK), EINVAL);
    IS(alq_writen(alq, "four", 4, ALQ_WAITOK), 0);
    alq_close(alq);
    file_is("fixed.log", "abcdfour");
    file_is("fixed.log.torn", "ab");

    IS(alq_options_framing(options, ALQ_CHECKED, 0), 0);
    IS(alq_options_stamps(options, 1), 0);
    IS(alq_open_path(&alq, path("fixed.log"), options), EINVAL); /* it has no header */
    IS(alq_open_path(&alq, path("frames.log"), options), 0);
    IS(alq_writen(alq, "one", 3, ALQ_WAITOK), 0);
    alq_close(alq);
    {
        struct stat about;
        CHECK(stat(path("frames.log"), &about) == 0);
        IS(about.st_size, 64 + 24 + 3);
    }

    IS(alq_options_framing(options, 77, 4), EINVAL);
    IS(alq_options_framing(options, -1, 4), EINVAL);
    IS(alq_options_framing(NULL, ALQ_RAW, 4), EINVAL);
    alq_options_free(options);
}

static void keep_message(void *arg, int error, const char *message)
{
    if (error == EINVAL)
        snprintf((char *)arg, 256, "%s", message);
}

static struct alq *chained_queue; /* for the child */

static void child_with_a_chain(void)
{
    IS(alq_writen(chained_queue, "child", 5, ALQ_WAITOK), ESRCH);
}

static void a_chain_has_a_key(void)
{
    /* The first 8 bytes of BLAKE3 with the key 1, 2, .., 32 over "alq chain key id" (docs/frames.md),
     * as the program of its authors prints them. */
    static const unsigned char key_id[8] = { 0xa6, 0x67, 0x22, 0x01, 0xb1, 0x0c, 0x4b, 0x2e };
    struct alq_options *options = alq_options_new();
    unsigned char key[33], bytes[120];
    char message[256] = "";
    struct alq *alq;
    FILE *file;
    int i;
    for (i = 0; i < 33; i++)
        key[i] = (unsigned char)(i + 1);
    IS(alq_options_on_error(options, keep_message, message), 0);
    IS(alq_options_chain(options, key, 31), EINVAL);
    IS(alq_options_chain(options, key, 33), EINVAL);
    IS(alq_options_chain(options, NULL, 32), EINVAL);
    IS(alq_options_chain(NULL, key, 32), EINVAL);
    IS(alq_options_framing(options, ALQ_CHECKED, 0), 0);
    IS(alq_open_path(&alq, path("plain.log"), options), 0); /* no key was taken */
    IS(alq_writen(alq, "one", 3, ALQ_WAITOK), 0);
    alq_close(alq);

    IS(alq_options_chain(options, key, 32), 0);
    memset(key, 0, sizeof key); /* the options have a copy */
    IS(alq_open_path(&alq, path("plain.log"), options), EINVAL); /* frames without a chain */
    CHECK(strstr(message, "chain") != NULL);
    for (i = 0; i < 2; i++) {
        IS(alq_open_path(&alq, path("chain.log"), options), 0);
        IS(alq_writen(alq, "one", 3, ALQ_WAITOK), 0);
        chained_queue = alq;
        IS(in_child(child_with_a_chain), 0);
        alq_close(alq);
    }
    file = fopen(path("chain.log"), "r");
    CHECK(file != NULL);
    IS(fread(bytes, 1, sizeof bytes, file), 120);
    fclose(file);
    CHECK(memcmp(bytes + 64 + 16 + 32, key_id, 8) == 0); /* header, front of the frame, offset */

    IS(alq_options_framing(options, ALQ_LINES, 0), 0);
    IS(alq_open_path(&alq, path("lines-chain.log"), options), EINVAL);
    IS(alq_options_framing(options, ALQ_CHECKED, 0), 0);
    IS(alq_options_chain(options, key, 32), 0);
    IS(alq_open_path(&alq, path("chain.log"), options), EINVAL);
    CHECK(strstr(message, "another key") != NULL);
    alq_options_free(options);
}

/* Each record of a file of checked frames carries its own position, which is that of its frame. */
static void entries_know_their_positions_before_the_post(void)
{
    struct alq_options *options = alq_options_new();
    unsigned char bytes[4096];
    uint64_t positions[3], inside, none;
    size_t at = 64, len;
    struct ale *ales[3], *raw;
    struct alq *alq;
    FILE *file;
    int i;
    IS(alq_options_framing(options, ALQ_CHECKED, 0), 0);
    for (i = 0; i < 2; i++) { /* the second opening goes on after the positions of the first */
        int k;
        IS(alq_open_path(&alq, path("positions.log"), options), 0);
        for (k = 0; k < 3; k++) {
            ales[k] = alq_getn(alq, 8 + k, ALQ_WAITOK);
            CHECK(ales[k] != NULL);
            IS(alq_entry_position(alq, ales[k], &positions[k]), 0);
            memcpy(ales[k]->ae_data, &positions[k], 8);
            memset(ales[k]->ae_data + 8, '-', (size_t)k);
        }
        IS(positions[1], positions[0] + 16 + 8);
        IS(positions[2], positions[1] + 16 + 9);
        IS(alq_entry_position(NULL, ales[0], &none), EINVAL);
        IS(alq_entry_position(alq, NULL, &none), EINVAL);
        IS(alq_entry_position(alq, ales[0], NULL), EINVAL);
        for (k = 3; k > 0; k--)
            alq_post(alq, ales[k - 1]);
        alq_close(alq);
    }
    file = fopen(path("positions.log"), "r");
    CHECK(file != NULL);
    len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (i = 0; at < len; i++) {
        uint64_t position, length;
        length = bytes[at] | (uint64_t)bytes[at + 1] << 8;
        memcpy(&position, bytes + at + 8, 8);
        memcpy(&inside, bytes + at + 16, 8);
        IS(position, inside);
        at += 16 + length;
    }
    IS(i, 6);
    IS(at, len);

    IS(alq_options_framing(options, ALQ_RAW, 0), 0);
    IS(alq_open_path(&alq, path("raw.log"), options), 0);
    IS(alq_writen(alq, "before", 6, ALQ_WAITOK), 0);
    raw = alq_getn(alq, 1, ALQ_WAITOK);
    IS(alq_entry_position(alq, raw, &inside), 0);
    IS(inside, 6);
    alq_post(alq, raw);
    alq_close(alq);
    alq_options_free(options);
}

static size_t as_json(const struct alq_refused *refused, char *line, size_t size, void *arg)
{
    return (size_t)snprintf(line, size, "{\"%s\":%d,\"full\":%d,\"too_large\":%d}\n", (char *)arg,
                            (int)refused->records, (int)refused->full, (int)refused->too_large);
}

static void losses_are_counted_by_cause_and_reported_as_asked(void)
{
    struct timespec rarely = { 3600, 0 };
    struct alq_options *options = alq_options_new();
    char lost[] = "lost", large[4097] = { 0 };
    struct alq_stats stats;
    struct ale *ale;
    struct alq *alq;
    IS(alq_options_capacity(options, 4096), 0);
    IS(alq_options_loss_lines_with(options, NULL, as_json, lost), EINVAL);
    IS(alq_options_loss_lines_with(options, &rarely, as_json, lost), 0);
    IS(alq_open_path(&alq, path("losses.json"), options), 0);
    alq_options_free(options);
    ale = alq_getn(alq, 4096, ALQ_NOWAIT);
    IS(alq_writen(alq, "refused\n", 8, ALQ_NOWAIT), EWOULDBLOCK);
    log_grows_to("losses.json", 34); /* one line; the next comes at the end */
    IS(alq_writen(alq, large, 4097, ALQ_NOWAIT), EMSGSIZE);
    ale->ae_bytesused = 0;
    alq_post(alq, ale);
    alq_flush(alq);
    IS(alq_get_stats(alq, &stats, sizeof(stats)), 0);
    IS(stats.refused_records, 2);
    IS(stats.refused_bytes, 8 + 4097);
    IS(stats.refused_full, 1);
    IS(stats.refused_timed_out, 0);
    IS(stats.refused_too_large, 1);
    alq_close(alq);
    file_is("losses.json", "{\"lost\":1,\"full\":1,\"too_large\":0}\n"
                           "{\"lost\":1,\"full\":0,\"too_large\":1}\n");
}

static void options_fail(void)
{
    struct timespec negative = { -1, 0 }, zero = { 0, 0 };
    struct alq_options *options = alq_options_new();
    struct alq *alq;
    IS(alq_options_max_delay(options, NULL), EINVAL);
    IS(alq_options_max_delay(options, &negative), EINVAL);
    IS(alq_options_idle(options, -1), EINVAL);
    IS(alq_options_idle(options, 3), EINVAL);
    IS(alq_options_loss_lines(options, NULL), EINVAL);
    IS(alq_options_stall_limit(options, &negative), EINVAL);
    IS(alq_options_fixed(options, (size_t)-1, 1), EINVAL);
    IS(alq_options_sync_every(options, 0, 0), EINVAL);
    IS(alq_options_capacity(options, 0), 0);
    IS(alq_open_path(&alq, path("o.log"), options), EINVAL);
    CHECK(alq == NULL);
    IS(alq_options_fixed(options, 8, 4), 0);
    IS(alq_open_path(&alq, path("o.log"), options), 0);
    IS(alq_write(alq, "8 bytes\n", ALQ_WAITOK), 0);
    alq_close(alq);
    file_is("o.log", "8 bytes\n");
    IS(alq_options_fixed(options, 4096, 0), 0);
    IS(alq_options_stall_limit(options, &zero), 0);
    IS(alq_open_path(&alq, path("o.log"), options), EINVAL);
    IS(alq_open_path(&alq, NULL, NULL), EINVAL);
    IS(alq_open_path(NULL, path("o.log"), NULL), EINVAL);
    alq_options_free(options);
    IS(alq_options_capacity(options, 4096), EINVAL);
    IS(alq_options_fixed(options, 8, 4), EINVAL);
    IS(alq_options_ordered(options, 1), EINVAL);
    IS(alq_options_mode(options, 0600), EINVAL);
    IS(alq_options_follow_links(options, 1), EINVAL);
    IS(alq_options_stall_limit(options, NULL), EINVAL);
    IS(alq_options_max_delay(options, &zero), EINVAL);
    IS(alq_options_idle(options, ALQ_IDLE_SPIN), EINVAL);
    IS(alq_options_loss_lines(options, &zero), EINVAL);
    IS(alq_options_outstanding_max(options, 1), EINVAL);
    IS(alq_options_sync_every(options, 1, 1), EINVAL);
    IS(alq_options_lane_span(options, 1), EINVAL);
    IS(alq_options_thread_lanes(options, 1), EINVAL);
    IS(alq_options_on_error(options, NULL, NULL), EINVAL);
    IS(alq_open_path(&alq, path("o.log"), options), EINVAL);
    IS(alq_open_fd(&alq, 1, options), EINVAL);
    alq_options_free(options);
    alq_options_free(NULL);
}

static void thread_lanes(void)
{
    struct alq_options *options = alq_options_new();
    struct alq_stats stats;
    struct alq *alq;
    struct ale *ale;
    IS(alq_options_thread_lanes(options, 1), 0);
    IS(alq_open_path(&alq, path("thread_lanes.log"), options), 0);
    alq_options_free(options);
    IS(alq_writen(alq, "1\n", 2, ALQ_WAITOK), 0);
    ale = alq_getn(alq, 2, ALQ_WAITOK);
    IS(alq_writen(alq, "3\n", 2, ALQ_NOWAIT), 0);
    memcpy(ale->ae_data, "2\n", 2);
    alq_post(alq, ale);
    IS(alq_get_stats(alq, &stats, sizeof stats), 0);
    IS(stats.lanes, 1);
    alq_close(alq);
    file_is("thread_lanes.log", "1\n2\n3\n");
}

static void descriptors(void)
{
    int fd = open(path("fd.log"), O_WRONLY | O_CREAT | O_APPEND, 0600), read_only = open("/dev/null", O_RDONLY);
    struct alq *alq;
    IS(alq_open_fd(&alq, fd, NULL), 0);
    close(fd); /* the queue has its own */
    IS(alq_writen(alq, "through a descriptor\n", 21, ALQ_WAITOK), 0);
    alq_close(alq);
    file_is("fd.log", "through a descriptor\n");
    IS(alq_open_fd(&alq, read_only, NULL), EBADF);
    IS(alq_open_fd(&alq, -1, NULL), EBADF);
    IS(alq_open_fd(&alq, 12345, NULL), EBADF);
    close(read_only);
}

static void reopened(void)
{
    struct alq *alq;
    struct alq_req *req;
    int fd;
    IS(alq_open_path(&alq, path("r.log"), NULL), 0);
    IS(alq_writen(alq, "one\n", 4, ALQ_WAITOK), 0);
    CHECK(rename(path("r.log"), path("r.log.1")) == 0);
    IS(alq_reopen_path(alq, path("r.log"), &req), 0);
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_return(req), 0);
    IS(alq_writen(alq, "two\n", 4, ALQ_WAITOK), 0);
    fd = open(path("r.log.2"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    IS(alq_reopen(alq, fd, NULL), 0);
    close(fd);
    alq_flush(alq);
    fd = open("/dev/null", O_RDONLY);
    IS(alq_reopen(alq, fd, &req), EBADF);
    CHECK(req == NULL);
    close(fd);
    IS(alq_reopen(alq, -1, &req), EBADF);
    IS(alq_reopen_path(alq, path("no/such"), &req), ENOENT);
    IS(alq_reopen_path(alq, NULL, &req), EINVAL);
    alq_close(alq);
    IS(alq_reopen(alq, 1, &req), EINVAL);
    IS(alq_reopen_path(alq, path("r.log"), &req), EINVAL);
    file_is("r.log.1", "one\n");
}

static void discarded(int by_path)
{
    const char *name = by_path ? "next-path.log" : "next.log";
    struct alq *alq;
    struct alq_req *req;
    struct alq_stats stats;
    int fd, pipes[2];
    CHECK(pipe(pipes) == 0);
    IS(alq_open_fd(&alq, pipes[1], NULL), 0);
    close(pipes[0]);
    close(pipes[1]);
    IS(alq_writen(alq, "aborted\n", 8, ALQ_WAITOK), 0);
    FAILS(alq_flush(alq), EPIPE);
    if (by_path) {
        IS(alq_reopen_discarding_path(alq, path("no/such"), &req), ENOENT);
        IS(alq_reopen_discarding_path(alq, NULL, &req), EINVAL);
        IS(alq_reopen_discarding_path(alq, path(name), &req), 0);
    } else {
        fd = open(path(name), O_WRONLY | O_CREAT | O_APPEND, 0600);
        IS(alq_reopen_discarding(alq, -1, &req), EBADF);
        IS(alq_reopen_discarding(alq, fd, &req), 0);
        close(fd);
    }
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_return(req), 0);
    FAILS(alq_flush(alq), EPIPE);
    IS(alq_writen(alq, "after\n", 6, ALQ_WAITOK), 0);
    IS(alq_flush_timeout(alq, NULL), 0);
    IS(alq_get_stats(alq, &stats, sizeof stats), 0);
    CHECK(stats.discarded_bytes == 8 && stats.discarded_records == 1);
    CHECK(stats.lost_bytes == 8 && stats.written_bytes == 6);
    alq_close(alq);
    IS(alq_reopen_discarding(alq, 1, &req), EINVAL);
    IS(alq_reopen_discarding_path(alq, path(name), &req), EINVAL);
    file_is(name, "after\n");
}

static void synced_by_policy(void)
{
    struct alq_options *options = alq_options_new();
    struct alq_stats stats;
    struct alq *alq;
    int ends[2];
    IS(alq_options_sync_every(options, 0, 8), 0);
    IS(alq_open_path(&alq, path("policy.log"), options), 0);
    IS(alq_writen(alq, "12345678", 8, ALQ_WAITOK), 0);
    IS(alq_flush_timeout(alq, NULL), 0);
    do {
        IS(alq_get_stats(alq, &stats, sizeof stats), 0);
        sched_yield();
    } while (stats.syncs == 0); /* the test has a time limit */
    IS(stats.synced_bytes, 8);
    IS(stats.sync_failures, 0);
    CHECK(stats.longest_sync_ns > 0);
    alq_close(alq);
    CHECK(pipe(ends) == 0);
    IS(alq_open_fd(&alq, ends[1], options), EINVAL);
    close(ends[0]);
    close(ends[1]);
    alq_options_free(options);
}

static void counts(void)
{
    struct { struct alq_stats stats; uint64_t newer[2]; } large;
    struct alq_stats stats;
    struct alq *alq;
    IS(alq_open_path(&alq, path("counts.log"), NULL), 0);
    IS(alq_writen(alq, "12345\n", 6, ALQ_WAITOK), 0);
    IS(alq_flush_timeout(alq, NULL), 0);
    memset(&large, 0xff, sizeof large);
    IS(alq_get_stats(alq, &large.stats, sizeof large), 0);
    IS(large.stats.posted_bytes, 6);
    IS(large.stats.posted_records, 1);
    IS(large.stats.written_bytes, 6);
    IS(large.stats.capacity_bytes, 1 << 20);
    IS(large.stats.last_errno, 0);
    IS(large.stats.syncs, 0);
    IS(large.newer[0], 0);
    IS(large.newer[1], 0);
    memset(&stats, 0xff, sizeof stats);
    IS(alq_get_stats(alq, &stats, sizeof stats.capacity_bytes), 0);
    IS(stats.capacity_bytes, 1 << 20);
    IS(stats.fill_bytes, UINT64_MAX); /* beyond the given size: not written */
    IS(alq_get_stats(alq, NULL, sizeof stats), EINVAL);
    IS(alq_get_stats(alq, &stats, 0), EINVAL);
    IS(alq_get_stats(NULL, &stats, sizeof stats), EINVAL);
    alq_close(alq);
    IS(alq_get_stats(alq, &stats, sizeof stats), EINVAL);
}

struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int error, calls;
    char message[200];
};

static void tell(void *arg, int error, const char *message)
{
    struct told *told = (struct told *)arg;
    pthread_mutex_lock(&told->lock);
    told->error = error;
    told->calls++;
    snprintf(told->message, sizeof told->message, "%s", message);
    pthread_cond_signal(&told->changed);
    pthread_mutex_unlock(&told->lock);
}

/*
 * A failed write is reported to the callback, to later appends, to flush and to close; a reopen
 * ends the failure.
 */
static void errors_are_told(void)
{
    struct told told;
    struct alq_options *options = alq_options_new();
    struct alq_undrained left;
    struct alq_stats stats;
    struct alq_req *req;
    struct alq *alq;
    int ends[2];
    memset(&told, 0, sizeof told);
    pthread_mutex_init(&told.lock, NULL);
    pthread_cond_init(&told.changed, NULL);
    IS(alq_options_on_error(options, tell, &told), 0);
    CHECK(pipe(ends) == 0);
    IS(alq_open_fd(&alq, ends[1], options), 0);
    alq_options_free(options);
    close(ends[0]);
    close(ends[1]);
    IS(alq_writen(alq, "kept\n", 5, ALQ_WAITOK), 0);
    pthread_mutex_lock(&told.lock);
    while (told.calls == 0)
        pthread_cond_wait(&told.changed, &told.lock);
    pthread_mutex_unlock(&told.lock);
    IS(told.error, EPIPE);
    CHECK(strstr(told.message, "cannot be written") != NULL);
    IS(alq_writen(alq, "refused\n", 8, ALQ_WAITOK), EPIPE);
    NO(alq_getn(alq, 8, ALQ_NOWAIT), EPIPE);
    IS(alq_flush_timeout(alq, NULL), EPIPE);
    FAILS(alq_flush(alq), EPIPE);
    IS(alq_get_stats(alq, &stats, sizeof stats), 0);
    IS(stats.last_errno, EPIPE);
    IS(alq_reopen_path(alq, path("rescued.log"), &req), 0);
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_return(req), 0);
    IS(alq_flush_timeout(alq, NULL), 0);
    file_is("rescued.log", "kept\n");

    CHECK(pipe(ends) == 0);
    IS(alq_reopen(alq, ends[1], &req), 0);
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_return(req), 0);
    close(ends[0]);
    close(ends[1]);
    IS(alq_writen(alq, "lost\n", 5, ALQ_WAITOK), 0);
    IS(alq_flush_timeout(alq, NULL), EPIPE);
    IS(alq_close_timeout(alq, NULL, &left), EPIPE);
    IS(left.bytes, 5);
    IS(left.records, 1);
    IS(left.abandoned, 0);
    IS(left.cause, EPIPE);
    pthread_mutex_destroy(&told.lock); /* the callback is not called any more */
    pthread_cond_destroy(&told.changed);
}

/* Waits until the callback was called this often. */
static void wait_for_call(struct told *told, int calls)
{
    pthread_mutex_lock(&told->lock);
    while (told->calls < calls)
        pthread_cond_wait(&told->changed, &told->lock);
    pthread_mutex_unlock(&told->lock);
}

/* A stall is reported with its errno, and its end with 0. */
static void a_stall_and_its_end_are_told(void)
{
    struct told told;
    struct alq_options *options = alq_options_new();
    const struct timespec soon = {0, 50 * 1000 * 1000};
    struct alq *alq;
    static char some[4096];
    ssize_t filled = 0, one;
    int ends[2];
    memset(&told, 0, sizeof told);
    pthread_mutex_init(&told.lock, NULL);
    pthread_cond_init(&told.changed, NULL);
    IS(alq_options_on_error(options, tell, &told), 0);
    IS(alq_options_stall_limit(options, &soon), 0);
    CHECK(pipe(ends) == 0);
    CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    while ((one = write(ends[1], some, sizeof some)) > 0)
        filled += one;
    IS(alq_open_fd(&alq, ends[1], options), 0);
    alq_options_free(options);
    IS(alq_writen(alq, "kept\n", 5, ALQ_WAITOK), 0);
    wait_for_call(&told, 1);
    IS(told.error, EAGAIN);
    CHECK(strstr(told.message, "its reader does not read") != NULL);
    for (; filled > 0; filled -= one)
        CHECK((one = read(ends[0], some, sizeof some)) > 0);
    wait_for_call(&told, 2);
    IS(told.error, 0);
    CHECK(strstr(told.message, "accepts data again") != NULL);
    IS(alq_close_timeout(alq, NULL, NULL), 0);
    close(ends[0]);
    close(ends[1]);
    pthread_mutex_destroy(&told.lock);
    pthread_cond_destroy(&told.changed);
}

/* alq_close itself reports what it cannot write: to the callback, or on standard error. */
static void close_with_a_callback(void)
{
    static struct told told;
    struct alq_options *options = alq_options_new();
    struct alq *alq;
    int ends[2], calls;
    pthread_mutex_init(&told.lock, NULL);
    pthread_cond_init(&told.changed, NULL);
    IS(alq_options_on_error(options, tell, &told), 0);
    CHECK(pipe(ends) == 0);
    IS(alq_open_fd(&alq, ends[1], options), 0);
    alq_options_free(options);
    close(ends[0]);
    close(ends[1]);
    IS(alq_writen(alq, "lost\n", 5, ALQ_WAITOK), 0);
    IS(alq_flush_timeout(alq, NULL), EPIPE);
    calls = told.calls;
    alq_close(alq);
    CHECK(told.calls > calls);
    IS(told.error, EPIPE);
}

static void close_without_a_callback(void)
{
    struct alq *alq;
    int ends[2];
    CHECK(pipe(ends) == 0);
    IS(alq_open_fd(&alq, ends[1], NULL), 0);
    close(ends[0]);
    IS(alq_writen(alq, "lost\n", 5, ALQ_WAITOK), 0);
    alq_close(alq);
}

static struct alq *closed_by_its_callback;

static void close_it(void *arg, int error, const char *message)
{
    struct told *told = (struct told *)arg;
    alq_close(closed_by_its_callback);
    tell(told, error, message);
}

static void a_callback_that_closes(void)
{
    static struct told told;
    struct alq_options *options = alq_options_new();
    int ends[2];
    pthread_mutex_init(&told.lock, NULL);
    pthread_cond_init(&told.changed, NULL);
    IS(alq_options_on_error(options, close_it, &told), 0);
    CHECK(pipe(ends) == 0);
    IS(alq_open_fd(&closed_by_its_callback, ends[1], options), 0);
    alq_options_free(options);
    close(ends[0]);
    IS(alq_writen(closed_by_its_callback, "lost\n", 5, ALQ_WAITOK), 0);
    pthread_mutex_lock(&told.lock);
    while (told.calls == 0)
        pthread_cond_wait(&told.changed, &told.lock);
    IS(told.error, EPIPE);
    pthread_mutex_unlock(&told.lock);
    FAILS(alq_close(closed_by_its_callback), EINVAL);
}

static void timeouts(void)
{
    struct timespec none = milliseconds(0), bad = { 0, -1 };
    struct alq_undrained left;
    struct alq *alq;
    struct ale *ale;
    IS(alq_open_path(&alq, path("timeouts.log"), NULL), 0);
    ale = alq_getn(alq, 1, ALQ_WAITOK);
    IS(alq_writen(alq, "x\n", 2, ALQ_WAITOK | ALQ_NOACTIVATE), 0);
    alq_activate(alq);
    IS(alq_flush_timeout(alq, &none), ETIMEDOUT);
    IS(alq_flush_timeout(alq, &bad), EINVAL);
    IS(alq_flush_all(&none), ETIMEDOUT);
    IS(alq_flush_all(&bad), EINVAL);
    IS(alq_shutdown(&bad, NULL), EINVAL);
    IS(alq_close_timeout(alq, &bad, &left), EINVAL);
    ale->ae_bytesused = 0;
    alq_post(alq, ale);
    IS(alq_flush_all(NULL), 0);
    file_is("timeouts.log", "x\n");
    IS(alq_close_timeout(alq, NULL, &left), 0);
    IS(left.bytes + left.records + left.abandoned, 0);
    IS(left.cause, 0);
    IS(alq_close_timeout(alq, NULL, &left), EINVAL);
    IS(alq_flush_timeout(alq, NULL), EINVAL);
}

static void lanes(void)
{
    struct alq *alq;
    struct alq_lane *lane;
    IS(alq_open_path(&alq, path("lanes.log"), NULL), 0);
    lane = alq_lane_open(alq);
    CHECK(lane != NULL);
    IS(alq_lane_writen(lane, "in a lane\n", 10, ALQ_WAITOK), 0);
    IS(alq_lane_writen(lane, "and again\n", 10, ALQ_NOWAIT), 0);
    alq_lane_seal(lane);
    IS(alq_writen(alq, "after it.\n", 10, ALQ_WAITOK), 0);
    IS(alq_lane_writen(lane, NULL, 1, ALQ_WAITOK), EINVAL);
    IS(alq_lane_writen(lane, "x", 0, ALQ_WAITOK), EINVAL);
    IS(alq_lane_writen(lane, "x", 1, 0x80), EINVAL);
    IS(alq_lane_writen(NULL, "x", 1, ALQ_WAITOK), EINVAL);
    alq_close(alq);
    IS(alq_lane_writen(lane, "x", 1, ALQ_WAITOK), EWOULDBLOCK);
    alq_lane_close(lane);
    IS(alq_lane_writen(lane, "x", 1, ALQ_WAITOK), EINVAL);
    FAILS(alq_lane_seal(lane), EINVAL);
    FAILS(alq_lane_close(lane), EINVAL);
    NO(alq_lane_open(alq), EINVAL);
    file_is("lanes.log", "in a lane\nand again\nafter it.\n");
}

int main(void)
{
    options_are_used();
    records_are_framed();
    a_chain_has_a_key();
    entries_know_their_positions_before_the_post();
    losses_are_counted_by_cause_and_reported_as_asked();
    options_fail();
    thread_lanes();
    descriptors();
    reopened();
    discarded(0);
    discarded(1);
    synced_by_policy();
    counts();
    errors_are_told();
    a_stall_and_its_end_are_told();
    IS(in_child(close_with_a_callback), 0);
    CHECK(said(""));
    IS(in_child(close_without_a_callback), 0);
    CHECK(said("5 bytes in 1 records not written and lost"));
    IS(in_child(a_callback_that_closes), 0);
    timeouts();
    lanes();
    return test_end("rest");
}
