/*
 * A driver that traces its descriptors, as FreeBSD's ath(4) does (if_ath_alq). An interrupt, which
 * may never sleep, appends binary records of one length and counts the records that do not fit. All
 * alq calls are calls of the FreeBSD kernel.
 *
 *     driver_log FILE
 */
#include <alq.h>

#include <stdio.h>
#include <string.h>

enum { ENTRIES = 64, INTERRUPTS = 10000 };

struct trace_entry {
    uint64_t number;
    uint16_t op;
    uint16_t len;
    uint32_t payload[5];
};

struct driver {
    struct alq *alq;
    int is_active;
    unsigned lost;
    uint64_t number;
};

static int trace_start(struct driver *driver, const char *file)
{
    int error = alq_open(&driver->alq, file, NULL, ALQ_DEFAULT_CMODE, sizeof(struct trace_entry), ENTRIES);
    driver->is_active = error == 0;
    return error;
}

static void trace_stop(struct driver *driver)
{
    driver->is_active = 0;
    alq_flush(driver->alq);
    alq_close(driver->alq);
    driver->alq = NULL;
}

static void trace_post(struct driver *driver, uint16_t op, const uint32_t *payload, uint16_t len)
{
    struct trace_entry *entry;
    struct ale *ale;
    if (!driver->is_active)
        return;
    ale = alq_get(driver->alq, ALQ_NOWAIT);
    if (ale == NULL) {
        driver->lost++;
        return;
    }
    entry = (struct trace_entry *)(void *)ale->ae_data;
    memset(entry, 0, sizeof *entry); /* the memory holds an earlier record */
    entry->number = driver->number++;
    entry->op = op;
    entry->len = len;
    memcpy(entry->payload, payload, len < sizeof entry->payload ? len : sizeof entry->payload);
    alq_post(driver->alq, ale);
}

int main(int argc, char **argv)
{
    struct driver driver;
    uint32_t payload[5] = { 1, 2, 3, 4, 5 };
    uint64_t read_back = 0;
    struct trace_entry entry;
    FILE *file;
    unsigned i;
    int error;
    if (argc != 2) {
        fprintf(stderr, "usage: driver_log FILE\n");
        return 2;
    }
    remove(argv[1]);
    memset(&driver, 0, sizeof driver);
    error = trace_start(&driver, argv[1]);
    if (error != 0) {
        fprintf(stderr, "driver_log: %s: %s\n", argv[1], strerror(error));
        return 1;
    }
    for (i = 0; i < INTERRUPTS; i++) {
        payload[0] = i;
        trace_post(&driver, (uint16_t)(i % 7), payload, sizeof payload);
    }
    trace_stop(&driver);

    file = fopen(argv[1], "rb");
    if (file == NULL)
        return 1;
    while (fread(&entry, sizeof entry, 1, file) == 1)
        if (entry.number != read_back++)
            return 1;
    fclose(file);
    printf("%u interrupts, %u lost, %llu in the file\n", i, driver.lost, (unsigned long long)read_back);
    return read_back + driver.lost == i ? 0 : 1;
}
