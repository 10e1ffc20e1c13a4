/*
 * A packet logger, as FreeBSD's siftr(4). Hooks on the path of each packet queue what they saw, and
 * a thread formats it into entries of the log. The log begins and ends with a line about itself.
 * All alq calls are calls of the FreeBSD kernel.
 *
 *     packet_log FILE [PACKETS]
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* threads, with -std=c11 */
#endif
#include <alq.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_SIZE = 1 << 16, LINE_MAX_LEN = 128, HOOKS = 2 };

struct packet {
    char direction;
    unsigned number, bytes;
};

static struct alq *packet_alq;
static unsigned packets_per_hook = 20000;
static unsigned skipped[HOOKS];

/* One line for each packet. Reserves the longest possible line; the post gives back the rest. */
static int log_packet(const struct packet *packet, int flags)
{
    struct ale *line = alq_getn(packet_alq, LINE_MAX_LEN, flags);
    if (line == NULL)
        return 1;
    line->ae_bytesused = snprintf(line->ae_data, LINE_MAX_LEN, "%c,%u,192.0.2.1,443,198.51.100.2,%u,%u\n",
                                  packet->direction, packet->number, 1024 + packet->number % 1000, packet->bytes);
    alq_post_flags(packet_alq, line, 0);
    return 0;
}

/*
 * A hook must not sleep for long: one packet in a hundred waits for room; the others are counted as
 * dropped if there is no room.
 */
static void *hook(void *arg)
{
    int number = *(int *)arg;
    struct packet packet;
    packet.direction = number == 0 ? 'i' : 'o';
    for (packet.number = 0; packet.number < packets_per_hook; packet.number++) {
        packet.bytes = 40 + packet.number % 1461;
        skipped[number] += (unsigned)log_packet(&packet, packet.number % 100 ? ALQ_NOWAIT : ALQ_WAITOK);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t hooks[HOOKS];
    int numbers[HOOKS] = { 0, 1 }, i, len, error;
    char text[LINE_MAX_LEN];
    struct alq_stats stats;
    if (argc < 2) {
        fprintf(stderr, "usage: packet_log FILE [PACKETS]\n");
        return 2;
    }
    if (argc > 2)
        packets_per_hook = (unsigned)atoi(argv[2]) / HOOKS;
    error = alq_open(&packet_alq, argv[1], NULL, ALQ_DEFAULT_CMODE, QUEUE_SIZE, 0);
    if (error != 0) {
        fprintf(stderr, "packet_log: %s: %s\n", argv[1], strerror(error));
        return 1;
    }
    len = snprintf(text, sizeof text, "enable_time_secs=0 siftrver=1 sysname=user hz=1000\n");
    alq_writen(packet_alq, text, len, ALQ_WAITOK);
    for (i = 0; i < HOOKS; i++)
        if (pthread_create(&hooks[i], NULL, hook, &numbers[i]) != 0)
            return 1;
    for (i = 0; i < HOOKS; i++)
        pthread_join(hooks[i], NULL);
    len = snprintf(text, sizeof text, "disable_time_secs=1 num_skipped=%u\n", skipped[0] + skipped[1]);
    alq_writen(packet_alq, text, len, ALQ_WAITOK);
    alq_flush(packet_alq);
    alq_get_stats(packet_alq, &stats, sizeof stats);
    printf("%u packets, %u skipped, %llu records written\n", packets_per_hook * HOOKS, skipped[0] + skipped[1],
           (unsigned long long)stats.written_records);
    alq_close(packet_alq);
    return 0;
}
