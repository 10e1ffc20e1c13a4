/*
 * Many threads append in every way, with flushes and syncs in between. Each record is in the file
 * once, whole, and in the order of its thread.
 */
#include "test.h"

enum { THREADS = 6, LEN = 26 };

static struct alq *queue;
static int rounds;
static int refused[THREADS];

static void text_of(char *text, int thread, int number)
{
    char line[64];
    snprintf(line, sizeof line, "thread %02d record %08d\n", thread, number);
    memcpy(text, line, LEN);
}

static void put(struct alq_lane *lane, int thread, int number)
{
    char text[LEN];
    struct ale *ale;
    text_of(text, thread, number);
    switch (thread % 3) {
    case 0:
        while (alq_writen(queue, text, LEN, number % 2 ? ALQ_WAITOK : ALQ_NOWAIT) != 0)
            refused[thread]++;
        break;
    case 1:
        while ((ale = alq_getn(queue, LEN + number % 40, number % 2 ? ALQ_WAITOK : ALQ_NOWAIT)) == NULL)
            refused[thread]++;
        memcpy(ale->ae_data, text, LEN);
        ale->ae_bytesused = LEN;
        alq_post_flags(queue, ale, number % 5 ? 0 : ALQ_NOACTIVATE);
        break;
    default:
        while (alq_lane_writen(lane, text, LEN, number % 2 ? ALQ_WAITOK : ALQ_NOWAIT) != 0)
            refused[thread]++;
    }
}

static void *producer(void *arg)
{
    int thread = (int)(intptr_t)arg, number;
    struct alq_lane *lane = alq_lane_open(queue);
    CHECK(lane != NULL);
    for (number = 0; number < rounds; number++) {
        put(lane, thread, number);
        if (number % 1000 == 999)
            IS(alq_flush_timeout(queue, NULL), 0);
        if (number % 2000 == 1999) {
            struct alq_req *req;
            IS(alq_fsync(queue, O_DSYNC, &req), 0);
            IS(alq_suspend(&req, 1, NULL), 0);
            IS(alq_return(req), 0);
        }
    }
    alq_lane_close(lane);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    int next[THREADS] = { 0 }, thread, number, all = 0;
    char line[64], expected[LEN + 1];
    struct alq_stats stats;
    uint64_t waited = 0;
    FILE *file;
    const char *wanted = getenv("ALQ_STRESS_RECORDS");
    rounds = wanted != NULL ? atoi(wanted) : 20000;
    IS(alq_open_flags(&queue, path("stress.log"), NULL, ALQ_DEFAULT_CMODE, 8192, 0), 0);
    for (thread = 0; thread < THREADS; thread++)
        CHECK(pthread_create(&threads[thread], NULL, producer, (void *)(intptr_t)thread) == 0);
    for (thread = 0; thread < THREADS; thread++) {
        CHECK(pthread_join(threads[thread], NULL) == 0);
        waited += (uint64_t)refused[thread];
    }
    alq_flush(queue);
    IS(alq_get_stats(queue, &stats, sizeof stats), 0);
    IS(stats.posted_bytes, (uint64_t)THREADS * rounds * LEN);
    IS(stats.written_bytes, stats.posted_bytes);
    IS(stats.refused_records, waited);
    alq_close(queue);
    file = fopen(path("stress.log"), "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        CHECK(sscanf(line, "thread %d record %d", &thread, &number) == 2);
        CHECK(thread >= 0 && thread < THREADS);
        IS(number, next[thread]);
        next[thread]++;
        text_of(expected, thread, number);
        expected[LEN] = '\0';
        CHECK(strcmp(line, expected) == 0);
        all++;
    }
    fclose(file);
    IS(all, THREADS * rounds);
    return test_end("stress");
}
