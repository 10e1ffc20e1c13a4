/* The calls of alq(9): the effect of each, and each of its errors. */
#include "test.h"

static struct alq *opened(const char *name, int size, int flags)
{
    struct alq *alq = NULL;
    IS(alq_open_flags(&alq, path(name), NULL, ALQ_DEFAULT_CMODE, size, flags), 0);
    CHECK(alq != NULL);
    return alq;
}

static struct alq *opened_fixed(const char *name, int size, int count)
{
    struct alq *alq = NULL;
    IS(alq_open(&alq, path(name), NULL, ALQ_DEFAULT_CMODE, size, count), 0);
    return alq;
}

static void opening(void)
{
    struct stat about;
    struct alq *alq = opened("new.log", 5000, 0);
    IS(alq_capacity(alq), 8192);
    CHECK(stat(path("new.log"), &about) == 0);
    IS(about.st_mode & 07777, ALQ_DEFAULT_CMODE);
    IS(alq_writen(alq, "appended\n", 9, ALQ_WAITOK), 0);
    alq_close(alq);
    alq = opened("new.log", 5000, ALQ_ORDERED);
    IS(alq_writen(alq, "after it.\n", 10, ALQ_WAITOK | ALQ_ORDERED), 0);
    alq_close(alq);
    file_is("new.log", "appended\nafter it.\n");
}

static void opening_fails(void)
{
    struct alq *alq = (struct alq *)path("x");
    IS(alq_open_flags(&alq, path("no/such"), NULL, 0600, 4096, 0), ENOENT);
    CHECK(alq == NULL);
    IS(alq_open_flags(&alq, test_dir, NULL, 0600, 4096, 0), EISDIR);
    CHECK(symlink("new.log", path("link")) == 0);
    IS(alq_open_flags(&alq, path("link"), NULL, 0600, 4096, 0), ELOOP);
    IS(alq_open_flags(&alq, path("a"), NULL, 0600, 0, 0), EINVAL);
    IS(alq_open_flags(&alq, path("a"), NULL, 0600, -1, 0), EINVAL);
    IS(alq_open_flags(&alq, path("a"), NULL, 010000, 4096, 0), EINVAL);
    IS(alq_open_flags(&alq, path("a"), NULL, -1, 4096, 0), EINVAL);
    IS(alq_open_flags(&alq, path("a"), NULL, 0600, 4096, ALQ_NOWAIT), EINVAL);
    IS(alq_open_flags(&alq, NULL, NULL, 0600, 4096, 0), EINVAL);
    IS(alq_open_flags(NULL, path("a"), NULL, 0600, 4096, 0), EINVAL);
    IS(alq_open(&alq, path("a"), NULL, 0600, 16, -1), EINVAL);
    IS(alq_open(&alq, path("a"), NULL, 0600, 0, 1), EINVAL);
    IS(alq_open(&alq, path("a"), NULL, 0600, -16, 1), EINVAL);
    IS(alq_open(&alq, path("a"), NULL, 0600, 1 << 20, 1 << 20), EINVAL);
    IS(alq_open(&alq, path("a"), NULL, 0600, 1, (1 << 26) + 1), EINVAL);
    CHECK(alq == NULL);
}

static void writing(void)
{
    char record[] = "copied\n";
    struct alq *alq = opened("writing.log", 4096, 0);
    errno = 77;
    IS(alq_writen(alq, record, 7, ALQ_NOWAIT), 0);
    memset(record, 'x', sizeof record);
    IS(alq_writen(alq, "neither flag\n", 13, 0), 0);
    IS(alq_writen(alq, "both\n", 5, ALQ_NOWAIT | ALQ_WAITOK), 0);
    IS(alq_writen(alq, "quiet\n", 6, ALQ_WAITOK | ALQ_NOACTIVATE), 0);
    alq_flush(alq);
    IS(errno, 77);
    file_is("writing.log", "copied\nneither flag\nboth\nquiet\n");
    alq_close(alq);
}

static void quiet_records_stay(void)
{
    struct alq *alq = opened("quiet.log", 4096, 0);
    struct ale *ale;
    int round;
    for (round = 0; round < 3; round++) {
        IS(alq_writen(alq, "loud\n", 5, ALQ_NOWAIT), 0);
        log_grows_to("quiet.log", 5 + 16 * round); /* so the writing thread naps */
        IS(alq_writen(alq, "quiet\n", 6, ALQ_NOWAIT | ALQ_NOACTIVATE), 0);
        ale = alq_getn(alq, 5, ALQ_NOWAIT);
        CHECK(ale != NULL);
        memcpy(ale->ae_data, "post\n", 5);
        alq_post_flags(alq, ale, ALQ_NOACTIVATE);
    }
    usleep(50000); /* longer than the thread naps */
    log_grows_to("quiet.log", 5 + 16 * 2);
    alq_activate(alq);
    log_grows_to("quiet.log", 16 * 3);
    alq_close(alq);
}

static void writing_fails(void)
{
    static char big[4097];
    struct alq *alq = opened("refused.log", 4096, 0);
    struct ale *ale = alq_getn(alq, 4096, ALQ_NOWAIT);
    CHECK(ale != NULL);
    IS(alq_writen(alq, "x", 1, ALQ_NOWAIT), EWOULDBLOCK);
    IS(alq_writen(alq, "x", 1, ALQ_NOWAIT | ALQ_WAITOK), EWOULDBLOCK);
    NO(alq_getn(alq, 1, ALQ_NOWAIT), EWOULDBLOCK);
    ale->ae_bytesused = 0;
    alq_post(alq, ale);
    IS(alq_writen(alq, big, 4097, ALQ_WAITOK), EMSGSIZE);
    NO(alq_getn(alq, 4097, ALQ_WAITOK), EMSGSIZE);
    IS(alq_writen(alq, "x", 0, ALQ_WAITOK), EINVAL);
    IS(alq_writen(alq, "x", -1, ALQ_WAITOK), EINVAL);
    IS(alq_writen(alq, "x", INT_MIN, ALQ_WAITOK), EINVAL);
    IS(alq_writen(alq, NULL, 1, ALQ_WAITOK), EINVAL);
    IS(alq_writen(alq, "x", 1, ALQ_WAITOK | 0x8), EINVAL);
    IS(alq_writen(alq, "x", 1, INT_MIN), EINVAL);
    IS(alq_write(alq, "x", ALQ_WAITOK), EINVAL);
    NO(alq_getn(alq, 0, ALQ_NOWAIT), EINVAL);
    NO(alq_getn(alq, -1, ALQ_NOWAIT), EINVAL);
    NO(alq_getn(alq, 1, 0x20), EINVAL);
    NO(alq_get(alq, ALQ_NOWAIT), EINVAL);
    alq_close(alq);
    file_is("refused.log", "");
}

static void entries(void)
{
    struct alq *alq = opened("entries.log", 4096, 0);
    struct ale *first = alq_getn(alq, 64, ALQ_NOWAIT), *second = alq_getn(alq, 8, ALQ_WAITOK);
    struct ale *third = alq_getn(alq, 8, 0);
    CHECK(first != NULL && second != NULL && third != NULL);
    IS(first->ae_bytesused, 64);
    IS(second->ae_bytesused, 8);
    memcpy(second->ae_data, "second\n\n", 8);
    alq_post(alq, second);
    third->ae_bytesused = 0; /* give it back */
    alq_post_flags(alq, third, 0);
    first->ae_bytesused = sprintf(first->ae_data, "first %d\n", 1);
    alq_post_flags(alq, first, ALQ_NOACTIVATE);
    alq_flush(alq);
    file_is("entries.log", "first 1\nsecond\n\n");
    alq_close(alq);
}

static void many_entries(void)
{
    struct ale *open[64];
    struct alq *alq = opened("many.log", 4096, 0); /* 64 descriptors */
    int i, round;
    for (round = 0; round < 100; round++) {
        for (i = 0; i < 64; i++) {
            open[i] = alq_getn(alq, 2, ALQ_WAITOK);
            CHECK(open[i] != NULL);
        }
        NO(alq_getn(alq, 2, ALQ_NOWAIT), EWOULDBLOCK);
        for (i = 63; i >= 0; i--) {
            open[i]->ae_bytesused = round % 2 ? 1 : 2;
            memcpy(open[i]->ae_data, "ab", 2);
            alq_post(alq, open[i]);
        }
        alq_flush(alq);
    }
    {
        struct stat about;
        CHECK(stat(path("many.log"), &about) == 0);
        IS(about.st_size, 64 * 50 * 3);
    }
    alq_close(alq);
}

static void fixed(void)
{
    struct alq *alq = opened_fixed("fixed", 8, 2);
    struct ale *first = alq_get(alq, ALQ_NOWAIT), *second = alq_get(alq, ALQ_WAITOK);
    CHECK(first != NULL && second != NULL);
    IS(first->ae_bytesused, 8);
    IS(alq_write(alq, "8 bytes\n", ALQ_NOWAIT), EWOULDBLOCK);
    NO(alq_get(alq, ALQ_NOWAIT), EWOULDBLOCK);
    memcpy(first->ae_data, "entry 1\n", 8);
    memcpy(second->ae_data, "short\n", 6);
    second->ae_bytesused = 6;
    alq_post(alq, second);
    alq_post(alq, first);
    alq_flush(alq);
    IS(alq_write(alq, "written\n", ALQ_WAITOK), 0);
    IS(alq_write(alq, NULL, ALQ_WAITOK), EINVAL);
    IS(alq_write(alq, "written\n", 0x40), EINVAL);
    IS(alq_writen(alq, "written\n", 8, ALQ_WAITOK), EINVAL);
    NO(alq_getn(alq, 8, ALQ_WAITOK), EINVAL);
    alq_close(alq);
    file_is("fixed", "entry 1\nshort\nwritten\n");
    alq = opened_fixed("variable", 4096, 0);
    IS(alq_writen(alq, "any length\n", 11, ALQ_WAITOK), 0);
    IS(alq_write(alq, "any length\n", ALQ_WAITOK), EINVAL);
    alq_close(alq);
}

/* A thread that waits while it holds an open entry itself gets an error. */
static void held(void)
{
    struct timespec limit = milliseconds(20);
    struct alq_options *options = alq_options_new();
    struct alq *alq;
    struct ale *ale;
    IS(alq_options_stall_limit(options, &limit), 0);
    IS(alq_options_capacity(options, 4096), 0);
    IS(alq_open_path(&alq, path("held.log"), options), 0);
    alq_options_free(options);
    ale = alq_getn(alq, 4096, ALQ_WAITOK);
    CHECK(ale != NULL);
    IS(alq_writen(alq, "x", 1, ALQ_WAITOK), EDEADLK);
    NO(alq_getn(alq, 1, ALQ_WAITOK), EDEADLK);
    ale->ae_bytesused = 1;
    ale->ae_data[0] = 'a';
    alq_post(alq, ale);
    IS(alq_writen(alq, "b", 1, ALQ_WAITOK), 0);
    ale = alq_getn(alq, 1, ALQ_WAITOK);
    IS(alq_writen(alq, "d", 1, ALQ_WAITOK), 0);
    FAILS(alq_flush(alq), EDEADLK);
    ale->ae_data[0] = 'c';
    alq_post(alq, ale);
    alq_close(alq);
    file_is("held.log", "abcd");
}

/* A close steps over an open entry. The entry may still be filled; its post writes nothing. */
static void close_with_an_open_entry(void)
{
    struct timespec limit = milliseconds(20);
    struct alq_options *options = alq_options_new();
    struct alq_undrained left;
    struct alq *alq;
    struct ale *ale;
    IS(alq_options_stall_limit(options, &limit), 0);
    IS(alq_open_path(&alq, path("open.log"), options), 0);
    alq_options_free(options);
    ale = alq_getn(alq, 10, ALQ_WAITOK);
    IS(alq_writen(alq, "after it.\n", 10, ALQ_WAITOK), 0);
    IS(alq_close_timeout(alq, NULL, &left), EDEADLK);
    IS(left.abandoned, 1);
    IS(left.bytes, 0);
    IS(left.cause, EDEADLK);
    file_is("open.log", "after it.\n");
    memset(ale->ae_data, 'x', 10);
    FAILS(alq_post(alq, ale), EINVAL);
    FAILS(alq_post(alq, ale), EINVAL);
    file_is("open.log", "after it.\n");
}

/* After a shutdown, appends fail as the manual page of alq(9) says. Runs in a separate process. */
static void shut_down(void)
{
    struct alq *alq = opened("shut.log", 4096, 0), *fixed = opened_fixed("shut", 4, 4), *late;
    struct alq_lane *lane = alq_lane_open(alq);
    struct alq_undrained left;
    IS(alq_writen(alq, "before\n", 7, ALQ_WAITOK), 0);
    IS(alq_shutdown(NULL, &left), 0);
    IS(left.cause, 0);
    file_is("shut.log", "before\n");
    IS(alq_writen(alq, "after\n", 6, ALQ_WAITOK), EWOULDBLOCK);
    IS(alq_writen(alq, "after\n", 6, ALQ_NOWAIT), EWOULDBLOCK);
    IS(alq_write(fixed, "aft\n", ALQ_WAITOK), EWOULDBLOCK);
    IS(alq_lane_writen(lane, "after\n", 6, ALQ_WAITOK), EWOULDBLOCK);
    NO(alq_getn(alq, 6, ALQ_WAITOK), EWOULDBLOCK);
    NO(alq_getn(alq, 6, ALQ_NOWAIT), EWOULDBLOCK);
    NO(alq_get(fixed, ALQ_WAITOK), EWOULDBLOCK);
    IS(alq_open(&late, path("late"), NULL, 0600, 4096, 0), EBUSY);
    CHECK(late == NULL);
    IS(alq_flush_timeout(alq, NULL), 0);
    IS(alq_shutdown(NULL, NULL), 0);
    alq_lane_close(lane);
    alq_close(fixed);
    alq_close(alq);
    file_is("shut.log", "before\n");
}

int main(void)
{
    path("");
    opening();
    opening_fails();
    writing();
    writing_fails();
    quiet_records_stay();
    entries();
    many_entries();
    fixed();
    held();
    close_with_an_open_entry();
    IS(in_child(shut_down), 0);
    return test_end("alq9");
}
