/* Misuse gives an error, or ends the process with a message; it never damages the log. */
#include "test.h"

static struct alq *opened(const char *name)
{
    struct alq *alq = NULL;
    IS(alq_open_flags(&alq, path(name), NULL, ALQ_DEFAULT_CMODE, 4096, 0), 0);
    return alq;
}

static void posted_twice(void)
{
    struct alq *alq = opened("twice.log");
    struct ale *ale = alq_getn(alq, 8, ALQ_NOWAIT);
    alq_post(alq, ale);
    alq_post(alq, ale);
}

static void asked_after_the_post(void)
{
    struct alq *alq = opened("asked.log");
    struct ale *ale = alq_getn(alq, 8, ALQ_NOWAIT);
    uint64_t position;
    alq_post(alq, ale);
    alq_entry_position(alq, ale, &position);
}

/* A second post, after the place has a new holder: the new holder's own post aborts. */
static void posted_twice_late(void)
{
    struct alq *alq = opened("late.log");
    struct ale *ale = alq_getn(alq, 8, ALQ_NOWAIT), *other;
    alq_post(alq, ale);
    do { /* use every descriptor once */
        alq_flush(alq);
        other = alq_getn(alq, 8, ALQ_WAITOK);
        if (other != ale) {
            other->ae_bytesused = 0;
            alq_post(alq, other);
        }
    } while (other != ale);
    alq_post(alq, ale);
    alq_post(alq, other);
}

static void *post_it(void *arg)
{
    void **both = (void **)arg;
    alq_post((struct alq *)both[0], (struct ale *)both[1]);
    return NULL;
}

/* Two threads post the same entry: one of the posts aborts. */
static void posted_by_two(void)
{
    struct alq *alq = opened("two.log");
    pthread_t threads[2];
    void *both[2];
    both[0] = alq;
    both[1] = alq_getn(alq, 8, ALQ_NOWAIT);
    CHECK(pthread_create(&threads[0], NULL, post_it, both) == 0);
    CHECK(pthread_create(&threads[1], NULL, post_it, both) == 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

/* An ae_bytesused that is too large: the result of an snprintf(3) that cut its text, and others. */
static void used_beyond_its_end(void)
{
    struct alq *alq = opened("beyond.log");
    struct ale *ale = alq_getn(alq, 8, ALQ_NOWAIT);
    struct alq_stats stats;
    static volatile size_t room = 8; /* hides from the compiler that the text is cut */
    ale->ae_bytesused = snprintf(ale->ae_data, room, "%s", "a text of more");
    alq_post(alq, ale);
    ale = alq_getn(alq, 8, ALQ_NOWAIT);
    memcpy(ale->ae_data, "8 bytes\n", 8);
    ale->ae_bytesused = INTPTR_MAX;
    alq_post(alq, ale);
    IS(alq_get_stats(alq, &stats, sizeof stats), 0);
    IS(stats.clamped_records, 2);
    IS(stats.posted_bytes, 15);
    alq_close(alq);
    file_is("beyond.log", "a text 8 bytes\n");
}

static void used_below_zero(void)
{
    struct alq *alq = opened("below.log");
    struct ale *ale = alq_getn(alq, 8, ALQ_NOWAIT);
    ale->ae_bytesused = -1;
    alq_post_flags(alq, ale, ALQ_NOACTIVATE);
}

static void used_without_measure(void)
{
    struct alq *alq = opened("measure.log");
    struct ale *ale = alq_getn(alq, 8, ALQ_NOWAIT);
    ale->ae_bytesused = INTPTR_MIN;
    alq_post(alq, ale);
}

static void posted_to_another_queue(void)
{
    struct alq *one = opened("one.log"), *other = opened("other.log");
    alq_post(other, alq_getn(one, 8, ALQ_NOWAIT));
}

static void an_entry_of_the_caller(void)
{
    struct alq *alq = opened("own.log");
    struct ale ale;
    memset(&ale, 0, sizeof ale);
    alq_post(alq, &ale);
}

static void a_copy_of_an_entry(void)
{
    struct alq *alq = opened("copy.log");
    struct ale copy = *alq_getn(alq, 8, ALQ_NOWAIT);
    alq_post(alq, &copy);
}

static void aborts(void (*body)(void), const char *message)
{
    IS(in_child(body), -SIGABRT);
    CHECK(said(message));
}

static void null_and_closed(struct alq *alq)
{
    struct timespec zero = milliseconds(0);
    struct alq_undrained left;
    struct alq_stats stats;
    struct alq_req *req;
    struct ale ale;
    IS(alq_writen(alq, "x", 1, ALQ_WAITOK), EINVAL);
    IS(alq_write(alq, "x", ALQ_WAITOK), EINVAL);
    NO(alq_getn(alq, 1, ALQ_WAITOK), EINVAL);
    NO(alq_get(alq, ALQ_WAITOK), EINVAL);
    FAILS(alq_post(alq, &ale), EINVAL);
    FAILS(alq_post_flags(alq, &ale, 0), EINVAL);
    FAILS(alq_flush(alq), EINVAL);
    FAILS(alq_close(alq), EINVAL);
    FAILS(IS(alq_capacity(alq), 0), EINVAL);
    FAILS(alq_activate(alq), EINVAL);
    IS(alq_flush_timeout(alq, &zero), EINVAL);
    IS(alq_close_timeout(alq, &zero, &left), EINVAL);
    req = (struct alq_req *)1;
    IS(alq_reopen(alq, 1, &req), EINVAL);
    CHECK(req == NULL);
    req = (struct alq_req *)1;
    IS(alq_reopen_path(alq, path("x"), &req), EINVAL);
    CHECK(req == NULL);
    IS(alq_get_stats(alq, &stats, sizeof stats), EINVAL);
    FAILS(IS(alq_fsync(alq, O_SYNC, &req), -1), EINVAL);
    NO(alq_lane_open(alq), EINVAL);
}

/* A closed handle is recognised, also after many other handles. */
static void closed_long_ago(void)
{
    struct alq *first = opened("first.log"), *other;
    int i;
    alq_close(first);
    for (i = 0; i < 200; i++) {
        other = opened("other.log");
        CHECK(other != first);
        IS(alq_writen(first, "x", 1, ALQ_WAITOK), EINVAL);
        alq_close(other);
    }
    null_and_closed(first);
    file_is("first.log", "");
}

int main(void)
{
    struct alq *alq = opened("m.log");
    struct ale *ale;
    FAILS(alq_post(alq, NULL), EINVAL);
    alq_close(alq);
    null_and_closed(alq);
    null_and_closed(NULL);
    closed_long_ago();

    aborts(posted_twice, "alq: alq_post: the entry is not open: it was posted already\n");
    aborts(asked_after_the_post,
           "alq: alq_entry_position: the entry is not open: it was posted already\n");
    aborts(posted_twice_late, "alq: alq_post: the entry is not open: it was posted already\n");
    aborts(posted_by_two, "alq: alq_post: the entry is not open: it was posted already\n");
    used_beyond_its_end();
    aborts(used_below_zero, "alq: alq_post: ae_bytesused is negative\n");
    aborts(used_without_measure, "alq: alq_post: ae_bytesused is negative\n");
    aborts(posted_to_another_queue, "alq: alq_post: the entry does not belong to this queue\n");
    aborts(an_entry_of_the_caller, "alq: alq_post: the entry does not belong to this queue\n");
    aborts(a_copy_of_an_entry, "alq: alq_post: the entry does not belong to this queue\n");

    /* A correct caller's record is whole. */
    alq = opened("still.log");
    ale = alq_getn(alq, 6, ALQ_NOWAIT);
    memcpy(ale->ae_data, "whole\n", 6);
    alq_post(alq, ale);
    alq_close(alq);
    file_is("still.log", "whole\n");
    return test_end("misuse");
}
