/*
 * The log of a daemon, as in Open vSwitch's vlog: synchronous until the daemon is in the
 * background, and asynchronous from then on. It uses the calls of async-append.h, and
 * async_append_error, an addition of this library, to learn of errors.
 *
 *     daemon_log FILE
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* O_APPEND, with -std=c11 */
#endif
#include <async-append.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int log_fd = -1;
static struct async_append *log_writer;

static void log_line(const char *format, ...)
{
    char line[256];
    va_list args;
    int len;
    va_start(args, format);
    len = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (len < 0)
        return;
    if (len > (int)sizeof line - 2)
        len = (int)sizeof line - 2;
    line[len] = '\n';
    async_append_write(log_writer, line, (size_t)len + 1);
}

static int daemon_main(void)
{
    int i, error;
    async_append_enable();
    for (i = 0; i < 1000; i++)
        log_line("%03d|daemon|INFO|a connection", i);
    async_append_flush(log_writer);
    error = async_append_error(log_writer);
    if (error != 0)
        fprintf(stderr, "daemon_log: %s\n", strerror(error));
    log_line("daemon|INFO|bye");
    async_append_destroy(log_writer);
    close(log_fd);
    return error != 0;
}

int main(int argc, char **argv)
{
    int status = 1;
    pid_t child;
    if (argc != 2) {
        fprintf(stderr, "usage: daemon_log FILE\n");
        return 2;
    }
    log_fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0640);
    if (log_fd < 0) {
        fprintf(stderr, "daemon_log: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    log_writer = async_append_create_sync(log_fd);
    log_line("main|INFO|starting");
    child = fork(); /* as a daemon does; no appender is asynchronous yet */
    if (child == 0)
        return daemon_main();
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    printf("the daemon ended with status %d\n", WEXITSTATUS(status));
    return status != 0;
}
