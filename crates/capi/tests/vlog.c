/*
 * Uses the calls of async-append.h as Open vSwitch's vlog does: a lock around every line, a file
 * that is reopened while threads log, a descriptor that is closed after its appender, a fork into
 * the background, a signal that kills the process, and a full disk. It uses no other call of this
 * library.
 */
#include "test.h"

#include <stdarg.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static char log_file[128];
static int log_fd = -1;
static struct async_append *log_writer;

static void vlog(const char *format, ...)
{
    char line[256];
    va_list args;
    int len;
    va_start(args, format);
    len = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    line[len++] = '\n';
    pthread_mutex_lock(&log_mutex);
    if (log_fd >= 0)
        async_append_write(log_writer, line, (size_t)len);
    pthread_mutex_unlock(&log_mutex);
}

static void vlog_flush(void)
{
    pthread_mutex_lock(&log_mutex);
    async_append_flush(log_writer);
    pthread_mutex_unlock(&log_mutex);
}

/*
 * Opens the log, also anew after a rename. Destroys the old appender before it closes the
 * descriptor.
 */
static void vlog_reopen(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(fd >= 0);
    pthread_mutex_lock(&log_mutex);
    if (log_fd >= 0) {
        async_append_destroy(log_writer);
        close(log_fd);
    }
    log_fd = fd;
    log_writer = async_append_create(fd);
    if (file != log_file)
        snprintf(log_file, sizeof log_file, "%s", file);
    pthread_mutex_unlock(&log_mutex);
}

static void vlog_close(void)
{
    pthread_mutex_lock(&log_mutex);
    async_append_destroy(log_writer);
    close(log_fd);
    log_fd = -1;
    log_writer = NULL;
    pthread_mutex_unlock(&log_mutex);
}

static int lines_of(const char *name, const char *of_whom)
{
    char line[256];
    int count = 0;
    FILE *file = fopen(path(name), "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        count += strncmp(line, of_whom, strlen(of_whom)) == 0;
    fclose(file);
    return count;
}

enum { THREADS = 4, LINES = 500 };

static void *logs(void *arg)
{
    int i;
    for (i = 0; i < LINES; i++)
        vlog("%s|%05d|INFO|a connection", (const char *)arg, i);
    return NULL;
}

/*
 * As with logrotate, the file is renamed and reopened while threads log. No line is lost, doubled
 * or cut.
 */
static void reopened_under_threads(void)
{
    static char names[THREADS][8];
    pthread_t threads[THREADS];
    int i, round;
    vlog_reopen(path("switchd.log"));
    for (i = 0; i < THREADS; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        CHECK(pthread_create(&threads[i], NULL, logs, names[i]) == 0);
    }
    for (round = 0; round < 20; round++) {
        char to[32];
        snprintf(to, sizeof to, "switchd.log.%d", round);
        CHECK(rename(log_file, path(to)) == 0);
        vlog_reopen(log_file);
    }
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    vlog_close();
    for (i = 0; i < THREADS; i++) {
        int count = lines_of("switchd.log", names[i]);
        for (round = 0; round < 20; round++) {
            char from[32];
            snprintf(from, sizeof from, "switchd.log.%d", round);
            count += lines_of(from, names[i]);
        }
        IS(count, LINES);
    }
}

/* The last line is flushed before the signal kills the process. */
static void killed(void)
{
    vlog_reopen(path("killed.log"));
    vlog("main|WARN|terminating with signal 15 (Terminated)");
    vlog_flush();
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
}

/*
 * Without a flush, a line is on its way within 1 ms: once it is in the file, SIGKILL loses nothing.
 */
static void killed_later(void)
{
    char seen[8] = "";
    int fd;
    vlog_reopen(path("later.log"));
    vlog("later");
    fd = open(log_file, O_RDONLY);
    while (pread(fd, seen, 6, 0) != 6)
        ; /* only the thread of the appender writes it */
    kill(getpid(), SIGKILL);
}

/*
 * As in daemonize_start, the parent logs, forks, waits until its child is ready, and calls _exit.
 */
static void daemonized(void)
{
    int ready[2];
    char byte;
    pid_t child;
    vlog_reopen(path("daemon.log"));
    vlog("parent|starting");
    CHECK(pipe(ready) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child != 0) {
        CHECK(read(ready[0], &byte, 1) == 1);
        _exit(0);
    }
    vlog("child|in the background"); /* an appender of the parent: writes at once */
    async_append_enable();
    vlog("child|asynchronous again");
    vlog_reopen(log_file);
    vlog("child|reopened");
    vlog_close();
    CHECK(write(ready[1], "r", 1) == 1);
    _exit(0);
}

/* On a full disk the daemon goes on logging, reopens, and ends: none of these calls waits. */
static void on_a_full_disk(void)
{
    int i;
    vlog_reopen("/dev/full");
    for (i = 0; i < 20000; i++)
        vlog("main|%05d|%0100d", i, i);
    vlog_flush();
    vlog_reopen(path("freed.log"));
    vlog("main|a disk with room");
    vlog_close();
    file_is("freed.log", "main|a disk with room\n");
    vlog_reopen("/dev/full");
    for (i = 0; i < 20000; i++)
        vlog("main|%05d|%0100d", i, i);
    exit(0); /* with the appender open */
}

int main(void)
{
    path("");
    reopened_under_threads();
    IS(in_child(killed), -SIGTERM);
    file_is("killed.log", "main|WARN|terminating with signal 15 (Terminated)\n");
    IS(in_child(killed_later), -SIGKILL);
    file_is("later.log", "later\n");
    IS(in_child(daemonized), 0);
    file_is("daemon.log", "parent|starting\nchild|in the background\nchild|asynchronous again\nchild|reopened\n");
    IS(in_child(on_a_full_disk), 0);
    CHECK(said("async_append_write"));
    CHECK(said("not written and lost"));
    return test_end("vlog");
}
