/* The calls of async-append.h. */
#include "test.h"

static int opened(const char *name)
{
    int fd = open(path(name), O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(fd >= 0);
    return fd;
}

static int threads(void)
{
    char line[256];
    int count = 0;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status) != NULL)
        sscanf(line, "Threads: %d", &count);
    fclose(status);
    return count;
}

static void in_order_over_the_switch(void)
{
    int fd = opened("switch.log"), before = threads();
    struct async_append *ap = async_append_create_sync(fd);
    CHECK(ap != NULL);
    async_append_write(ap, "synchronous\n", 12);
    file_is("switch.log", "synchronous\n");
    IS(threads(), before);
    async_append_enable();
    async_append_enable();
    async_append_write(ap, "asynchronous\n", 13);
    IS(threads(), before + 1);
    async_append_write(ap, "", 0);
    async_append_write(ap, NULL, 0);
    async_append_flush(ap);
    file_is("switch.log", "synchronous\nasynchronous\n");
    async_append_write(ap, "at the end\n", 11);
    IS(async_append_error(ap), 0);
    async_append_destroy(ap);
    file_is("switch.log", "synchronous\nasynchronous\nat the end\n");
    IS(write(fd, "still open\n", 11), 11);
    close(fd);
}

static void larger_than_the_queue(void)
{
    enum { SIZE = (5 << 20) + 1 };
    int fd = opened("large.log");
    struct async_append *ap = async_append_create(fd);
    char *data = (char *)malloc(SIZE), *back = (char *)malloc(SIZE);
    size_t i, len = 0;
    ssize_t n;
    for (i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 >> 3);
    async_append_write(ap, data, SIZE);
    async_append_flush(ap);
    IS(async_append_error(ap), 0);
    async_append_destroy(ap);
    close(fd);
    fd = open(path("large.log"), O_RDONLY);
    while ((n = read(fd, back + len, SIZE - len)) > 0)
        len += (size_t)n;
    IS(len, SIZE);
    CHECK(memcmp(data, back, SIZE) == 0);
    close(fd);
    free(data);
    free(back);
}

static void errors(void)
{
    int fd = open("/dev/null", O_RDONLY), ends[2];
    struct async_append *ap = async_append_create(fd);
    CHECK(ap != NULL);
    FAILS(async_append_write(ap, "x", 1), EBADF);
    IS(async_append_error(ap), EBADF);
    IS(async_append_error(ap), 0);
    FAILS(async_append_flush(ap), 0); /* a successful call does not change errno */
    async_append_write(ap, NULL, 1);
    IS(async_append_error(ap), EINVAL);
    async_append_write(ap, "x", (size_t)-1);
    IS(async_append_error(ap), EINVAL);
    async_append_destroy(ap);
    close(fd);

    CHECK(pipe(ends) == 0);
    ap = async_append_create(ends[1]);
    close(ends[0]);
    async_append_write(ap, "nobody reads\n", 13); /* and no SIGPIPE */
    FAILS(async_append_flush(ap), EPIPE);
    IS(async_append_error(ap), EPIPE);
    async_append_destroy(ap);
    close(ends[1]);

    NO(async_append_create(-1), EBADF);
    FAILS(async_append_write(NULL, "x", 1), EINVAL);
    FAILS(async_append_flush(NULL), EINVAL);
    FAILS(IS(async_append_error(NULL), EINVAL), EINVAL);
    async_append_destroy(NULL);
}

/* An appender is asynchronous at once, also without async_append_enable. */
static void asynchronous_at_once(void)
{
    int fd = opened("at-once.log"), before = threads();
    struct async_append *ap = async_append_create(fd);
    struct alq_stats stats;
    IS(threads(), before + 1);
    FAILS(async_append_write(ap, "a line\n", 7), 0);
    FAILS(async_append_flush(ap), 0);
    IS(async_append_get_stats(ap, &stats, sizeof stats), 0);
    IS(stats.written_records, 1);
    FAILS(async_append_destroy(ap), 0);
    close(fd);
    file_is("at-once.log", "a line\n");
}

static int errors_told;

static void told(void *arg, int error, const char *message)
{
    (void)message;
    IS(error, ENOSPC);
    *(int *)arg += 1;
}

/* On a disk that stays full, no call waits. */
static void full_disk(void)
{
    static char line[1000];
    int i, fd = open("/dev/full", O_WRONLY | O_APPEND);
    struct alq_options *options = alq_options_new();
    struct async_append *ap = async_append_create(fd);
    struct alq_stats stats;
    memset(line, 'x', sizeof line);
    for (i = 0; i < 3000; i++) /* three times the capacity of the queue */
        async_append_write(ap, line, sizeof line);
    IS(async_append_error(ap), ENOSPC);
    FAILS(async_append_flush(ap), ENOSPC);
    IS(async_append_get_stats(ap, &stats, sizeof stats), 0);
    CHECK(stats.refused_for_stall >= 1900);
    IS(stats.refused_for_stall + stats.posted_records, 3000);
    IS(stats.written_records, 0);
    FAILS(async_append_destroy(ap), ENOSPC);

    IS(alq_options_capacity(options, 4096), 0);
    IS(alq_options_refuse_when_stalled(options, 1), 0);
    IS(alq_options_on_error(options, told, &errors_told), 0);
    ap = async_append_create_options(fd, options);
    for (i = 0; i < 10; i++)
        async_append_write(ap, line, sizeof line);
    FAILS(async_append_destroy(ap), ENOSPC);
    CHECK(errors_told >= 1);
    IS(alq_options_fixed(options, 16, 16), 0);
    NO(async_append_create_options(fd, options), EINVAL);
    alq_options_free(options);
    NO(async_append_create_options(fd, options), EINVAL);
    IS(async_append_get_stats(NULL, &stats, sizeof stats), EINVAL);
    close(fd);
}

static void used_after_destroy(void)
{
    int fd = opened("gone.log");
    struct async_append *ap = async_append_create(fd);
    async_append_destroy(ap);
    FAILS(async_append_write(ap, "x", 1), EINVAL);
    FAILS(async_append_flush(ap), EINVAL);
    IS(async_append_error(ap), EINVAL);
    FAILS(async_append_destroy(ap), EINVAL);
    close(fd);
    file_is("gone.log", "");
}

int main(void)
{
    asynchronous_at_once();
    in_order_over_the_switch();
    larger_than_the_queue();
    errors();
    full_disk();
    used_after_destroy();
    return test_end("async_append");
}
