/*
 * Asynchronous appends to a descriptor: the calls of Open vSwitch's lib/async-append.h, on top of an alq queue (alq.h).
 *
 * One thread at a time uses an appender. An appender that is NULL, or was destroyed, is EINVAL in errno, and nothing
 * happens. What alq.h says of fork(2), of the end of the process and of faults holds here too.
 */
#ifndef ASYNC_APPEND_H
#define ASYNC_APPEND_H 1

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct async_append;

/*
 * Turns asynchronous appends on, for the whole process and for good; until then every appender writes on the calling thread
 * and no thread is started, so that a daemon can fork first. Appenders that exist switch at their next write, in order.
 * Any thread, any number of times; never blocks.
 */
void async_append_enable(void);

/*
 * An appender on fd, which must stay open until the appender is destroyed, and should have been opened with O_APPEND (it
 * is otherwise appended to at its own offset). Where a queue cannot be had, the appender writes on the calling thread.
 *
 * Returns NULL, and sets errno to EBADF, only for an fd below 0. One that is not open for writing is an error of the
 * first write.
 */
struct async_append *async_append_create(int fd);

/*
 * Writes out what is left, frees the appender, and leaves fd open. Gives up, and says so on standard error, when fd has
 * taken nothing for 5 seconds. NULL is allowed.
 */
void async_append_destroy(struct async_append *ap);

/*
 * Appends size bytes, in order; any number of them, 0 does nothing. Blocks while the queue is full, and without a queue until
 * they are written. Raises neither SIGPIPE nor SIGXFSZ.
 */
void async_append_write(struct async_append *ap, const void *data, size_t size);

/* Waits until everything that was appended is written: it survives the process, not the power. */
void async_append_flush(struct async_append *ap);

/*
 * Ours, since the others return nothing: the error that came first since the last time that this was called, as a number
 * of <errno.h>, or 0. An error of an asynchronous write is seen by a later call: flush, then ask. EINVAL if there is
 * no such appender. Never blocks.
 */
int async_append_error(struct async_append *ap);

#ifdef __cplusplus
}
#endif

#endif /* async-append.h */
