/*
 * Measures an append through <aio.h>. ci/bench-aio.sh runs it with libc's implementation and with
 * this library.
 *
 *     append FILE BATCH RECORDS
 *
 * appends RECORDS records of 100 bytes to FILE, BATCH requests at a time, and waits for each batch.
 * It prints nanoseconds a record, nanoseconds of CPU a record in all threads, the number of threads
 * at the end, and how often threads went to sleep for each thousand records.
 */
#define _GNU_SOURCE 1
#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_MAX = 1024 };

static double seconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks != NULL && readdir(tasks) != NULL)
        count++;
    if (tasks != NULL)
        closedir(tasks);
    return count - 2; /* "." and ".." */
}

int main(int argc, char **argv)
{
    static struct aiocb cbs[BATCH_MAX];
    static char record[100];
    struct rusage usage;
    double start, cpu;
    int fd, batch;
    long records, done = 0;
    if (argc != 4 || (batch = atoi(argv[2])) < 1 || batch > BATCH_MAX || (records = atol(argv[3])) < batch) {
        fprintf(stderr, "usage: append FILE BATCH RECORDS (1 to %d in a batch)\n", BATCH_MAX);
        return 2;
    }
    fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    memset(record, 'r', sizeof record);
    start = seconds(CLOCK_MONOTONIC);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (; done + batch <= records; done += batch) {
        for (int i = 0; i < batch; i++) {
            memset(&cbs[i], 0, sizeof cbs[i]);
            cbs[i].aio_fildes = fd;
            cbs[i].aio_buf = record;
            cbs[i].aio_nbytes = sizeof record;
            cbs[i].aio_sigevent.sigev_notify = SIGEV_NONE;
            if (aio_write(&cbs[i]) != 0) {
                perror("aio_write");
                return 1;
            }
        }
        for (int i = 0; i < batch; i++) {
            const struct aiocb *list = &cbs[i];
            while (aio_error(&cbs[i]) == EINPROGRESS)
                aio_suspend(&list, 1, NULL);
            if (aio_return(&cbs[i]) != sizeof record) {
                fprintf(stderr, "append: %s\n", strerror(aio_error(&cbs[i])));
                return 1;
            }
        }
    }
    start = seconds(CLOCK_MONOTONIC) - start;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    getrusage(RUSAGE_SELF, &usage);
    printf("%.0f %.0f %d %.1f\n", start * 1e9 / (double)done, cpu * 1e9 / (double)done, threads(),
           (double)usage.ru_nvcsw * 1000 / (double)done);
    return 0;
}
