/*
 * Asynchronous appends to a descriptor: the calls of Open vSwitch's lib/async-append.h, on an alq
 * queue (alq.h).
 *
 * One thread at a time may use an appender. An appender that is NULL or was destroyed sets errno to
 * EINVAL, and the call does nothing else. A call that returns nothing sets errno if it fails, and
 * does not change it otherwise. The rules of alq.h for fork(2), the end of the process,
 * cancellation and faults of the library hold here too.
 *
 * A log that cannot be written does not block the program. If the disk is full (ENOSPC, EDQUOT) or
 * a write has failed (EIO), the queue of 1 MiB fills up. From then on a write drops its data,
 * counts it and returns at once; a line on standard error reports this, at most once in 10 s. Flush
 * and destroy then give up at once. When the file accepts data again, the library writes what the
 * queue holds, and takes new writes. alq_options_refuse_when_stalled can choose waiting instead.
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
 * Creates an asynchronous appender on fd. fd must stay open until the appender is destroyed. Open
 * it with O_APPEND (otherwise data is written at the offset of fd). Starts a thread, so a daemon
 * creates its appenders once it is in the background, or calls async_append_enable there. If the
 * queue cannot be opened, the appender writes on the calling thread. The library begins to write a
 * record within 1 ms.
 *
 * Returns NULL, with EBADF in errno, only for an fd below 0. If fd is not open for writing, the
 * first write gives the error.
 */
struct async_append *async_append_create(int fd);

/*
 * Creates an appender that writes on the calling thread, without a thread of the library, until
 * async_append_enable is called.
 */
struct async_append *async_append_create_sync(int fd);

/*
 * Creates an asynchronous appender whose queue has the given options of alq.h.
 * alq_options_max_delay bounds the time until the library begins to write a record;
 * alq_options_on_error replaces standard error. Options that are not set have the defaults of
 * alq_options_new: 10 ms, and writes wait while the disk is full. With options of NULL it is
 * async_append_create. Returns NULL, with EINVAL in errno, for options that are not open or that
 * ask for fixed records.
 */
struct async_append *async_append_create_options(int fd, const struct alq_options *options);

/*
 * Lets appenders of async_append_create_sync become asynchronous: each one switches at its next
 * write, and keeps the order of the data. This also holds for appenders that are created later. It
 * has no effect on appenders of async_append_create. In a child of fork(2), where appenders of the
 * parent write on the calling thread, all of them become asynchronous again at their next write.
 * Any thread may call it, any number of times. Never blocks.
 */
void async_append_enable(void);

/*
 * Writes what the queue holds, frees the appender, and leaves fd open. It gives up when fd has no
 * room, or has taken nothing for 5 s. It then reports on standard error what is lost, and sets
 * errno. NULL is allowed.
 */
void async_append_destroy(struct async_append *ap);

/*
 * Appends size bytes, in the order of the calls; a size of 0 does nothing. Any size is allowed.
 * Blocks while the queue is full and its reader is slow; without a queue, blocks until the bytes
 * are written. Raises neither SIGPIPE nor SIGXFSZ.
 */
void async_append_write(struct async_append *ap, const void *data, size_t size);

/*
 * Waits until everything that was appended is written. Written data survives the end of the
 * process, but not a power loss. This call suffices before a signal that kills the process, and
 * before _exit(2).
 */
void async_append_flush(struct async_append *ap);

/*
 * Returns the first error since the last call of this function, as a number of <errno.h>, or 0. It
 * is an addition of this library, since the calls above return nothing. A later call returns the
 * error of an asynchronous write, so flush first. Returns EINVAL if there is no such appender.
 * Never blocks.
 */
int async_append_error(struct async_append *ap);

/*
 * Stores the counters of the appender's queue, like alq_get_stats; zeros while it has no queue. An
 * addition of this library. size is sizeof(struct alq_stats). refused_for_stall and
 * refused_for_failure count the writes that were dropped. Returns 0 or EINVAL. Never blocks.
 */
int async_append_get_stats(struct async_append *ap, struct alq_stats *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* async-append.h */
