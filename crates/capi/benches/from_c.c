/* The bursts of from_c.rs in C: compiled separately, and linked with the shared library. */
#include <alq.h>

#include <string.h>

static struct alq *queue;
static struct alq_lane *lane;

int c_open(const char *file, int capacity)
{
    int error = alq_open(&queue, file, NULL, ALQ_DEFAULT_CMODE, capacity, 0);
    if (error == 0)
        lane = alq_lane_open(queue);
    return error;
}

int c_writen(const void *record, int len, int records)
{
    int i, refused = 0;
    for (i = 0; i < records; i++)
        while (alq_writen(queue, record, len, ALQ_NOWAIT) != 0)
            refused++;
    return refused;
}

int c_getn(const void *record, int len, int records)
{
    int i, refused = 0;
    for (i = 0; i < records; i++) {
        struct ale *ale;
        while ((ale = alq_getn(queue, len, ALQ_NOWAIT)) == NULL)
            refused++;
        memcpy(ale->ae_data, record, (size_t)len);
        alq_post(queue, ale);
    }
    return refused;
}

int c_lane(const void *record, int len, int records)
{
    int i, refused = 0;
    for (i = 0; i < records; i++)
        while (alq_lane_writen(lane, record, len, ALQ_NOWAIT) != 0)
            refused++;
    return refused;
}
