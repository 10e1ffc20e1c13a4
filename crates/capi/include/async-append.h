/*
 * Asynchronous appends to a descriptor: the calls of Open vSwitch's lib/async-append.h, on top of an alq queue (alq.h).
 *
 * One thread at a time uses an appender. An appender that is NULL, or was destroyed, is EINVAL in errno, and nothing
 * happens. A call that returns nothing sets errno if it fails, and keeps it if not. What alq.h says of fork(2), of the end
 * of the process, of cancellation and of faults holds here too.
 *
 * A log that cannot be written does not stop the program: when the disk is full (ENOSPC, EDQUOT) or a write has failed
 * (EIO), and the queue of 1 MiB is full, a write drops its data, says so on standard error (once in 10 s at most), counts
 * it, and returns at once. Flush and destroy give up at once then. What is in the queue is written when the file accepts
 * data again, and new writes are taken. alq_options_refuse_when_stalled chooses to wait.
 */
#ifndef ASYNC_APPEND_H
#define ASYNC_APPEND_H 1

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct async_append;
struct alq_options; /* alq.h */
struct alq_stats;

/*
 * An asynchronous appender on fd, which must stay open until the appender is destroyed, and should have been opened with
 * O_APPEND (it is otherwise appended to at its own offset). Starts a thread: a daemon creates its appenders once it is in
 * the background, or calls async_append_enable there. Where a queue cannot be had, the appender writes on the calling
 * thread. A record is on its way to the file within 1 ms.
 *
 * Returns NULL, and sets errno to EBADF, only for an fd below 0. One that is not open for writing is an error of the
 * first write.
 */
struct async_append *async_append_create(int fd);

/* The same, but it writes on the calling thread, and no thread is started, until async_append_enable is called. */
struct async_append *async_append_create_sync(int fd);

/*
 * The same as async_append_create, with the options of alq.h for its queue: alq_options_max_delay bounds the time in
 * which a record is on its way, alq_options_on_error takes the place of standard error. Those that are not set have the
 * defaults of alq_options_new: 10 ms, and a full disk is waited for. NULL is async_append_create. EINVAL for options that
 * are not open, or of fixed records.
 */
struct async_append *async_append_create_options(int fd, const struct alq_options *options);

/*
 * Does nothing for an appender of async_append_create. Those of async_append_create_sync, also those that are created
 * later, switch at their next write, in order. In a child of fork(2), where appenders of the parent write on the calling
 * thread, all of them become asynchronous again at their next write. Any thread, any number of times; never blocks.
 */
void async_append_enable(void);

/*
 * Writes out what is left, frees the appender, and leaves fd open. Gives up, says so on standard error, and sets errno,
 * when fd has no room, or has taken nothing for 5 seconds. NULL is allowed.
 */
void async_append_destroy(struct async_append *ap);

/*
 * Appends size bytes, in order; any number of them, 0 does nothing. Blocks while the queue is full and its reader slow,
 * and without a queue until they are written. Raises neither SIGPIPE nor SIGXFSZ.
 */
void async_append_write(struct async_append *ap, const void *data, size_t size);

/*
 * Waits until everything that was appended is written: it survives the process, not the power. Enough before a signal
 * that kills, and before _exit(2).
 */
void async_append_flush(struct async_append *ap);

/*
 * Ours, since the others return nothing: the error that came first since the last time that this was called, as a number
 * of <errno.h>, or 0. An error of an asynchronous write is seen by a later call: flush, then ask. EINVAL if there is
 * no such appender. Never blocks.
 */
int async_append_error(struct async_append *ap);

/*
 * Ours: stores what its queue has done, as alq_get_stats; zeros while there is none. size is sizeof(struct alq_stats).
 * refused_for_stall and refused_for_failure count the writes that were dropped. Returns 0 or EINVAL. Never blocks.
 */
int async_append_get_stats(struct async_append *ap, struct alq_stats *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* async-append.h */
