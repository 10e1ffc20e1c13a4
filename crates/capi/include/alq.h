/*
 * alq: an asynchronous append queue.
 *
 * Any thread appends records to a preallocated ring, without a lock or a system call. One thread of
 * the library writes them to a file in large pieces. The first part of this header has the calls,
 * names and values of FreeBSD's <sys/alq.h>, so that code written for that kernel compiles. The
 * other parts follow aio_fsync(3) and add what a program needs besides. docs/c-api.md is the
 * manual.
 *
 * These rules hold for every call, unless its comment says otherwise:
 *
 *  - Any thread may call it. A call that closes or frees a handle must be the last one with this
 *    handle: the caller ensures that no other call with it is in progress. (alq_shutdown needs no
 *    such care.)
 *  - A handle is a queue, an entry, a request, a lane or options, as returned by a call of this
 *    library. A handle that is NULL, closed or freed gives EINVAL, and the call does nothing else.
 *    With a pointer that never was a handle, the behaviour is undefined.
 *  - A call returns 0 for success, or an error number of <errno.h>. Calls that follow aio_fsync(3)
 *    return -1 and set errno. A call that returns a pointer returns NULL and sets errno. A call
 *    that returns nothing sets errno if it fails, and does not change it otherwise.
 *  - A struct timespec is a time from now on. The comment says what NULL means. A negative time, or
 *    a tv_nsec that is not 0 to 999999999, gives EINVAL. Setting the system's clock has no effect.
 *  - A fault of this library (a panic) ends the process with a message on standard error and
 *    abort(3). The library never continues in an unknown state and never unwinds into the caller. A
 *    C++ exception that leaves a callback has the same effect.
 *  - In a child of fork(2), queues of the parent append with write(2), on the calling thread; flush
 *    and close return at once; alq_reopen makes the queues asynchronous again. Before a fork, the
 *    library writes what is posted, for at most 10 ms. At the end of the process (a return from
 *    main, exit(3)) it writes out every queue.
 *  - Only alq_suspend is a cancellation point (pthread_cancel(3)). A cancellation that is pending
 *    stays pending during every other call. Asynchronous cancellation
 *    (PTHREAD_CANCEL_ASYNCHRONOUS) inside a call is undefined.
 */
#ifndef ALQ_H
#define ALQ_H 1

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define ALQ_VERSION "0.1.0"

struct sigevent; /* <signal.h> and <time.h> may hide these */
struct timespec;

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------- alq(9) ---- */

struct alq;   /* a queue */
struct ucred; /* ignored: a process has its own credentials */

/* An entry: a reserved piece of the ring, which the caller fills in place. */
struct ale {
    intptr_t ae_bytesused; /* bytes to post: 0 to len, initially len (for more see alq_post) */
    char *ae_data;         /* where to write: len bytes, which hold remains of earlier records */
    int ae_pad;            /* unused */
};

#define ALQ_NOWAIT 0x0001     /* do not sleep; wins over ALQ_WAITOK */
#define ALQ_WAITOK 0x0002     /* sleep until there is room; the default if neither is given */
#define ALQ_NOACTIVATE 0x0004 /* leave the record in the ring: see alq_activate */
#define ALQ_ORDERED 0x0010    /* waiting appends get room in the order of their calls */

#define ALQ_DEFAULT_CMODE 0600

/*
 * Opens a queue of records of any length that appends to a file. Creates the file if it does not
 * exist, and starts a thread.
 *
 *   alqp   receives the handle, or NULL on failure
 *   file   the path; a symbolic link gives ELOOP (alq_options_follow_links allows it)
 *   cred   ignored
 *   cmode  the permissions of a file that is created, 0 to 07777, less the umask
 *   size   the bytes that may be outstanding, 1 to INT_MAX; rounded up to a power of two, at least
 *          4096
 *   flags  0 or ALQ_ORDERED
 *
 * Returns 0; an error of open(2); EINVAL for an argument out of its range; EBUSY after
 * alq_shutdown; ENOMEM, EAGAIN or EMFILE if the system refuses memory, a thread or a descriptor.
 * Blocks as open(2) does.
 */
int alq_open_flags(struct alq **alqp, const char *file, struct ucred *cred, int cmode, int size,
                   int flags);

/*
 * Opens a queue like alq_open_flags without flags. A count above 0 opens a queue of fixed records:
 * at most count entries of size bytes may be outstanding, and alq_write and alq_get replace
 * alq_writen and alq_getn. With a count of 0, size is the size of the queue. A count below 0 or
 * above 2^26, or a size * count above 2 GiB, gives EINVAL.
 */
int alq_open(struct alq **alqp, const char *file, struct ucred *cred, int cmode, int size,
             int count);

/*
 * Appends a copy of len bytes as one record: whole or not at all, never mixed with another record.
 * len is 1 to alq_capacity. flags is ALQ_NOWAIT or ALQ_WAITOK, with or without ALQ_NOACTIVATE
 * (ALQ_ORDERED has no effect here).
 *
 * Returns 0; EWOULDBLOCK if the queue is full and ALQ_NOWAIT is given, or if alq_shutdown has
 * closed the queue; EMSGSIZE if len is more than the queue can ever hold; EINVAL for a len below 1,
 * an unknown flag, a data of NULL, or a queue of fixed records; EDEADLK from ALQ_WAITOK if an open
 * entry has blocked the queue for the stall limit (the entry may be the caller's own); or the error
 * of a write that has failed, until alq_reopen.
 *
 * With ALQ_NOWAIT it never blocks, and a signal handler may call it at any time. With
 * ALQ_WAITOK it sleeps until there is room.
 */
int alq_writen(struct alq *alq, const void *data, int len, int flags);

/* Appends one record of a queue of fixed records. Returns EINVAL for any other queue. */
int alq_write(struct alq *alq, const void *data, int flags);

/*
 * Reserves len contiguous bytes. The caller writes them to ae_data and posts the entry. Any threads
 * may hold any number of open entries, and another thread may post an entry. Records that come
 * after an open entry in the queue are written once that entry is posted.
 *
 * On failure returns NULL and sets errno to what alq_writen returns. For sleeping and signal
 * handlers see alq_writen, with one exception: in a child of fork(2), and once the process is
 * ending, this call allocates memory, so a signal handler may not call it there.
 */
struct ale *alq_getn(struct alq *alq, int len, int flags);

/* Reserves one record of a queue of fixed records. errno is EINVAL for any other queue. */
struct ale *alq_get(struct alq *alq, int flags);

/*
 * Stores the position of an open entry: where it begins in the stream of the queue, with what the
 * framing of the file puts before the record. It is known before the post, so a record can carry
 * its own position. In a file of checked frames (alq_options_framing) it is the position in the
 * frame.
 *
 * Returns 0; EINVAL if an argument is NULL or the queue was closed; ENODATA for an entry that
 * bypasses the ring: in a child of fork(2), and once the process is ending. No other thread may
 * post the entry during the call. The process aborts as alq_post does if the entry belongs to
 * another queue or was posted before. Never blocks; a signal handler may call it.
 */
int alq_entry_position(struct alq *alq, const struct ale *ale, uint64_t *position);

/*
 * Posts the first ae_bytesused bytes of an entry; 0 posts nothing and gives the entry back. After
 * the call the caller may use neither the entry nor the memory at its ae_data. flags is 0 or
 * ALQ_NOACTIVATE; other bits are ignored.
 *
 * Never blocks and never fails; a signal handler may call it. If the queue or the entry is NULL, or
 * the queue was closed, it sets errno to EINVAL and does nothing else. If ae_bytesused is more than
 * was reserved, as when snprintf(3) had to cut its text, the call posts all reserved bytes, except
 * a zero byte at their end, and counts the entry (clamped_records).
 *
 * The process aborts with a message if ae_bytesused is below 0, if the entry belongs to another
 * queue, or if the entry was posted before: memory that is not the caller's may have been written
 * by then. A second post of an entry is detected at once, unless another caller has reserved its
 * place in the ring, which takes as many appends as the ring has slots. In that case the post of
 * the other caller aborts.
 */
void alq_post_flags(struct alq *alq, struct ale *ale, int flags);
void alq_post(struct alq *alq, struct ale *ale);

/*
 * Waits until everything that was posted before the call is written. It may not be on the disk
 * then: see alq_fsync. On failure errno is what alq_flush_timeout returns. Blocks.
 */
void alq_flush(struct alq *alq);

/*
 * Writes what is posted and frees the queue. It gives up when nothing has moved for the stall
 * limit. It then reports what is not written: to the error callback, which this thread calls before
 * the call returns, or else on standard error. errno has the cause. Blocks.
 *
 * If entries are open, it waits for the stall limit and then writes the records after them. Their
 * holders may still fill and post them (errno is EINVAL): the memory of such a queue is kept.
 */
void alq_close(struct alq *alq);

/* --------------------------------------------------------------------------------- options ---- */

/* The options of a queue. One thread at a time may use them; a queue keeps copies only. */
struct alq_options;

/* Returns options with the defaults. Free them with alq_options_free. */
struct alq_options *alq_options_new(void);
void alq_options_free(struct alq_options *options); /* NULL is allowed */

/*
 * Each of these calls sets one option. It returns 0, or EINVAL for options or a time that are not
 * valid. Other values are checked by alq_open_path and alq_open_fd, which then return EINVAL.
 */

/*
 * The bytes that may be outstanding: 1 to 2^31, rounded up to a power of two, at least 4096.
 * 1 MiB by default.
 */
int alq_options_capacity(struct alq_options *options, size_t bytes);

/*
 * Fixed records in place of a capacity: count entries of entry_len bytes. With a count of 0,
 * entry_len sets the capacity.
 */
int alq_options_fixed(struct alq_options *options, size_t entry_len, size_t count);

/* Whether waiting appends get room in the order of their calls (ALQ_ORDERED). Off by default. */
int alq_options_ordered(struct alq_options *options, int ordered);
/* The permissions of a file that is created, 0 to 07777, less the umask. 0600 by default. */
int alq_options_mode(struct alq_options *options, mode_t mode);
/* Whether a path may be a symbolic link. Off by default. */
int alq_options_follow_links(struct alq_options *options, int follow);
/*
 * How long flush, close and waits continue while nothing moves: at least 1 ms, 5 s by default.
 * NULL sets no limit.
 */
int alq_options_stall_limit(struct alq_options *options, const struct timespec *limit);

/*
 * Whether calls return at once, without waiting, while the file has no room (ENOSPC, EDQUOT). Off
 * by default: ALQ_WAITOK waits until there is room. If it is on, an append to a full queue returns
 * ENOSPC at once and is counted (refused_for_stall); flush, close, shutdown and exit(3) let the
 * library try the file once more and then give up at once. A write that has not returned for the
 * stall limit counts as one without room, with EAGAIN. It is off for alq_open and
 * alq_open_flags (alq(9) lost such records silently). It is on for an async_append.
 */
int alq_options_refuse_when_stalled(struct alq_options *options, int refuse);

/*
 * The time within which the library begins to write a record that was posted without
 * ALQ_NOACTIVATE, under any load. 10 ms by default. NULL gives EINVAL.
 */
int alq_options_max_delay(struct alq_options *options, const struct timespec *delay);

/*
 * What the thread that writes does while no records come. In any case flush, close, and an append
 * that finds no room wake it.
 */
#define ALQ_IDLE_PARK 0 /* it sleeps; the first append after a pause wakes it, with futex(2): the default */
#define ALQ_IDLE_NAP 1  /* it looks again after a quarter of alq_options_max_delay, 400 times a second */
#define ALQ_IDLE_SPIN 2 /* it looks all the time, and takes a whole core */

/* Sets what the thread does. Another number gives EINVAL. */
int alq_options_idle(struct alq_options *options, int idle);
/*
 * How the file separates the records; docs/frames.md has the bytes. What a framing adds takes room
 * in the ring, in front of a record or after it; ae_data and the lengths of all calls are those of
 * the record alone. If the log ends with a torn record, ALQ_LINES ends that line, and the others
 * cut it off. Opening fails with EINVAL if the log cannot be continued with this framing.
 */
#define ALQ_RAW 0     /* nothing is added: the default */
#define ALQ_LINES 1   /* a record that does not end with a newline gets one */
#define ALQ_RECORDS 2 /* each record has `len` bytes; other lengths give EINVAL */
#define ALQ_LENGTHS 3 /* 32 bits of length, little-endian, before each record */
#define ALQ_CHECKED 4 /* a header, and a frame with a checksum and a position around each record */

/* Sets the framing. `len` is for ALQ_RECORDS only. Another number gives EINVAL. */
int alq_options_framing(struct alq_options *options, int framing, size_t len);
/*
 * Whether the frames of a new log with ALQ_CHECKED have time stamps. Off by default. A log that
 * exists keeps what it has.
 */
int alq_options_stamps(struct alq_options *options, int stamps);
/*
 * Whether a line that the log ends inside of is ended with a newline when the log is opened. On by
 * default with ALQ_LINES, otherwise off.
 */
int alq_options_end_torn_line(struct alq_options *options, int end);
/*
 * Whether a torn record that is cut off the log is kept: its bytes are appended to the file at the
 * path of the log with ".torn" after it, which is created with the permissions 0600. Off by
 * default. If they cannot be kept there, opening fails and the log stays as it is: EPERM for a file
 * of another user or with a second name, or ELOOP for a symbolic link.
 */
int alq_options_keep_torn(struct alq_options *options, int keep);
/*
 * Adds a keyed chain to a log with ALQ_CHECKED, which shows a holder of the key (`alq check --chain`)
 * whether a frame was changed, removed, inserted or moved. Off by default. `key` has `len` bytes,
 * which must be 32: take them from a random source, not from a text. They are copied, and the caller
 * may erase its own.
 *
 * EINVAL for a key of NULL or of another length. Opening fails with EINVAL without ALQ_CHECKED, if
 * the log has frames and no chain, or if its chain has another key; it also fails without a key for
 * a log with a chain. With a chain, an append in a child of fork(2) returns ESRCH (docs/frames.md).
 */
int alq_options_chain(struct alq_options *options, const void *key, size_t len);

/*
 * Writes a line into the log where records were refused, at most once in this time. Off by default.
 * NULL gives EINVAL.
 */
int alq_options_loss_lines(struct alq_options *options, const struct timespec *every);

/*
 * What was refused since the last such line: the sum, and the records of each cause. The causes are
 * those of alq_stats; failed is its refused_for_failure, and discarded its discarded_records. New
 * members are added at the end.
 */
struct alq_refused {
    uint64_t records;
    uint64_t bytes;
    uint64_t full;
    uint64_t timed_out;
    uint64_t headroom;
    uint64_t held;
    uint64_t too_large;
    uint64_t failed;
    uint64_t closed;
    uint64_t forked;
    uint64_t discarded;
};

/*
 * The same, in the format of the log: format stores the line, with its line end, at line, in at
 * most size bytes (4096), and returns its length. A longer length writes size bytes; 0 writes no
 * line. The writing thread of the queue calls it, so it must be short, and must not call the
 * library. arg must stay valid until the queue is closed. A format of NULL writes plain text.
 */
int alq_options_loss_lines_with(struct alq_options *options, const struct timespec *every,
                                size_t (*format)(const struct alq_refused *refused, char *line,
                                                 size_t size, void *arg),
                                void *arg);

/*
 * Keeps the ring in a file, so that posted records outlive a kill -9, an abort and the OOM killer.
 * Put the file in /run, or in another folder on tmpfs that only the user can write (not directly in
 * /dev/shm or /tmp, where any user can make a file of this name first). The file is created if it
 * does not exist, and it stays. The next queue that is opened with the same ring file and log first
 * writes what was not written.
 *
 * Opening the queue can then also fail with EBUSY, if another queue has the ring file open, or with
 * EINVAL, if the file is not a ring file, belongs to or can be used by another user, is damaged,
 * was made for other sizes, or holds records for another log. The message for the error callback
 * says which. A closed queue still has the ring file open while one of its lanes is open, and until
 * the process ends if one of its entries was open. A file of NULL gives EINVAL.
 */
int alq_options_ring_file(struct alq_options *options, const char *file);

/* Whether a queue takes over a ring file that holds records for another log. Off by default. */
int alq_options_other_log(struct alq_options *options, int other);
/* Whether a queue uses a ring in memory if the system refuses its ring file. Off by default. */
int alq_options_ring_optional(struct alq_options *options, int optional);
/* Whether a ring file may be on a disk without a warning. Off by default: the error callback then
 * gets one warning when the queue opens, because an append waits while such a disk does. */
int alq_options_ring_on_disk(struct alq_options *options, int on_disk);

/*
 * Makes the queue a recorder. Off by default. A recorder keeps its newest records in the ring and
 * writes nothing until a dump is asked for (alq_dump, alq_dump_all, alq_request_dump). An append
 * that finds no room overwrites the oldest whole records and never waits, even with ALQ_WAITOK. It
 * returns EDEADLK if the oldest record is an open entry, and EWOULDBLOCK if a dump is copying the
 * room that it needs.
 *
 * Opening the queue gives EINVAL for a capacity above 1 GiB, and with alq_options_loss_lines,
 * alq_options_sync_every or ALQ_CHECKED. alq_fsync and alq_written give EINVAL on a recorder.
 * Records that are in no dump are discarded with the queue. In a child of fork(2), an append gives
 * ESRCH until a reopen. docs/recorder.md describes recorders.
 */
int alq_options_recorder(struct alq_options *options, int on);

/*
 * What a recorder does with the records that a killed process has left in its ring file:
 * ALQ_KILL_DUMP by default. Another number gives EINVAL. Other queues ignore it.
 */
#define ALQ_KILL_DUMP 0    /* writes them to the log first: "the process was killed" */
#define ALQ_KILL_KEEP 1    /* keeps them, so that the next dump begins with them */
#define ALQ_KILL_DISCARD 2 /* discards them */
int alq_options_after_kill(struct alq_options *options, int what);

/* What a dump has written. New members are added at the end. */
struct alq_dumped {
    uint64_t records;               /* the records that it has written */
    uint64_t bytes;                 /* their bytes, with what the framing adds */
    uint64_t overwritten_records;   /* the records that were overwritten since the last dump */
    uint64_t overwritten_bytes;     /* their bytes */
    uint64_t held;                  /* entries that were open, and were stepped over */
};

/*
 * Sets the line that each dump begins with: format stores it, with its line end, at line, in at
 * most size bytes (4096), and returns its length. A longer length writes size bytes; 0 writes no
 * line. The writing thread of the queue calls it, so it must be short, and must not call the
 * library. dump and reason are valid during the call. arg must stay valid until the queue is
 * closed. A format of NULL sets the default line. A queue of fixed records has no such line.
 */
int alq_options_dump_line_with(struct alq_options *options,
                               size_t (*format)(const struct alq_dumped *dump, const char *reason,
                                                char *line, size_t size, void *arg),
                               void *arg);

/*
 * Syncs the log (fdatasync) although no caller asks for it: when bytes have been written and not
 * synced for this number of milliseconds, and when this number of bytes is written and not synced,
 * whichever comes first. 0 leaves out one of the two; 0 for both gives EINVAL. Off by default. A
 * close syncs what is left. A failed sync is given to the error callback. Opening a queue with it
 * on a descriptor that cannot be synced gives EINVAL, and so does a reopen.
 */
int alq_options_sync_every(struct alq_options *options, uint64_t ms, uint64_t bytes);

/* The number of requests that may be outstanding, 65536 by default. */
int alq_options_outstanding_max(struct alq_options *options, size_t requests);
/* The most bytes that a lane claims at once: 1 to 2^31, 16 KiB by default. */
int alq_options_lane_span(struct alq_options *options, size_t bytes);
/*
 * Gives each thread a lane behind alq_writen: its records keep their order, and those of different
 * threads have none. Off by default. A thread gets its lane with its first ALQ_WAITOK; until then,
 * it appends as without the option. ALQ_NOWAIT stays async-signal-safe, except for the first append
 * of a thread in a library that dlopen(3) has loaded.
 */
int alq_options_thread_lanes(struct alq_options *options, int on);

/*
 * Sets the callback for errors that no call returns: a write or a sync that has failed, a stall,
 * and what alq_close could not write. It also gets the reason if opening fails. error is an
 * errno number, or 0 if a stall is over that the callback was called for. message is one line of
 * text, valid during the call. NULL removes the callback.
 *
 * A thread of the library calls it, which runs all callbacks of the process one after another, or
 * alq_close, alq_open_path and alq_open_fd call it themselves. Two threads never call it at once
 * for one queue. It may append, wait, reopen and close. Once alq_close or alq_close_timeout has
 * returned, or opening has failed, it is not called again, so arg may be freed then; if several
 * queues share it, after the last one.
 */
int alq_options_on_error(struct alq_options *options,
                         void (*callback)(void *arg, int error, const char *message), void *arg);

/* Opens a queue on a file; options of NULL are the defaults. Otherwise like alq_open_flags. */
int alq_open_path(struct alq **alqp, const char *file, const struct alq_options *options);

/*
 * Opens a queue on a descriptor. The descriptor is duplicated: the caller may close its own at any
 * time. It may be a pipe, a socket or a terminal. Returns EBADF if it is not open for writing.
 * Otherwise like alq_open_path.
 */
int alq_open_fd(struct alq **alqp, int fd, const struct alq_options *options);

/* ---------------------------------------------------------------------- the queue, at work ---- */

/*
 * Returns the bytes that may be outstanding; 0, with EINVAL in errno, if the queue is not open.
 * Never blocks.
 */
size_t alq_capacity(const struct alq *alq);

/*
 * Makes the writing thread write what was posted with ALQ_NOACTIVATE, which stays in the ring until
 * then. The next post without that flag, a flush, a sync, a completion, a reopen, a close, and an
 * append that finds the queue full do so too. Never blocks.
 */
void alq_activate(struct alq *alq);

/*
 * Waits until everything that was posted before the call is written, at most for timeout; NULL sets
 * no time limit.
 *
 * Returns 0; ETIMEDOUT; after the stall limit without progress EDEADLK, if an open entry blocks the
 * queue (it may be the caller's own), or the error of the file (ENOSPC: the disk is full; EAGAIN:
 * the reader does not read); the error of a write that has failed; ESHUTDOWN if the queue was shut
 * down and could not be written out; EINVAL. The records stay in the queue. Blocks.
 */
int alq_flush_timeout(struct alq *alq, const struct timespec *timeout);

/* What could not be written. */
struct alq_undrained {
    uint64_t bytes;     /* of records that were posted and are not written */
    uint64_t records;   /* the number of those records */
    uint64_t abandoned; /* entries that were still open; they are stepped over */
    int cause;          /* the reason, a number of <errno.h>; 0 if everything is written */
    int in_ring_file;   /* 1 if the records stay in a ring file; 0 if some are lost */
};

/*
 * Closes a queue like alq_close, within timeout; NULL sets no time limit. Returns 0, or the reason
 * why something is not written, and stores what that is in left, which may be NULL. Frees the queue
 * in both cases. If it returns EINVAL because of the time or the handle, it has done nothing.
 * Blocks; if entries are open, about 100 ms longer than timeout.
 */
int alq_close_timeout(struct alq *alq, const struct timespec *timeout, struct alq_undrained *left);

/*
 * A request: a point in the queue's stream that is going to be written, or durable. Each request
 * must be returned (alq_return) or released (alq_release).
 */
struct alq_req;

/*
 * Continues in another file: a descriptor, which is duplicated, or the file at a path, opened with
 * the options of the queue. For a log that was renamed, or after the old file has failed. The cut
 * is between two records, and no record is lost.
 *
 * Returns 0 at once (alq_reopen_path blocks as open(2) does). If req is not NULL, stores a request
 * there, which is done when the new file has taken over; give it to alq_return or alq_release. On
 * an error the old file stays in use and NULL is stored: an error of open(2); EBADF if fd is not
 * open for writing; EAGAIN for too many requests; ESHUTDOWN; EINVAL.
 *
 * In a child of fork(2), this call gives the child a queue that is separate from the parent's:
 * asynchronous, with a ring in memory and a thread, on the new file. The parent's queue does not
 * change.
 */
int alq_reopen(struct alq *alq, int fd, struct alq_req **req);
int alq_reopen_path(struct alq *alq, const char *file, struct alq_req **req);

/*
 * The same as alq_reopen. If a write has failed before the call, the records that the old file has
 * not taken are discarded: they are in no file once the request is done, and requests and flushes
 * for their positions go on to fail. For a write-ahead log whose writers have aborted what failed.
 * Until an entry that was open before is posted or dropped, the request is not done. The old file
 * may end with the first part of a record: shorten it first if fd is the same file. Member
 * discarded_records of alq_stats counts what was discarded.
 */
int alq_reopen_discarding(struct alq *alq, int fd, struct alq_req **req);
/* The same on a path, which is opened as alq_reopen_path does. */
int alq_reopen_discarding_path(struct alq *alq, const char *file, struct alq_req **req);

/*
 * Counters of a queue. posted_bytes is always the sum of written_bytes, overwritten_bytes,
 * lost_bytes and what is still outstanding. New members are added at the end.
 */
struct alq_stats {
    uint64_t capacity_bytes;        /* what may be outstanding */
    uint64_t fill_bytes;            /* in use now: records, padding, open entries */
    uint64_t high_water_bytes;      /* the largest fill that was seen */
    uint64_t posted_bytes;          /* of the posted records */
    uint64_t posted_records;        /* posted records with at least one byte */
    uint64_t written_bytes;         /* taken by the file */
    uint64_t written_records;       /* taken by the file to their last byte */
    uint64_t lost_bytes;            /* posted, never written, and not in a ring file */
    uint64_t lost_records;          /* the records of the lost bytes */
    uint64_t late_bytes;            /* of the lost: posted after a close stepped over their entry */
    uint64_t late_records;          /* the records of the late bytes */
    uint64_t padding_bytes;         /* reserved, not used, and not given back */
    uint64_t refused_bytes;         /* of appends that did not get in, for any cause */
    uint64_t refused_records;       /* the number of those appends; below by cause */
    uint64_t refused_for_lanes;     /* of those: refused while lanes held room */
    uint64_t waits_writen_turn;     /* appends that waited for earlier waiters ("alqwnord") */
    uint64_t waits_writen_room;     /* appends that waited for room ("alqwnres") */
    uint64_t waits_getn_turn;       /* reservations that waited for earlier waiters ("alqgnord") */
    uint64_t waits_getn_room;       /* reservations that waited for room ("alqgnres") */
    uint64_t longest_wait_ns;       /* the longest wait of one call, in nanoseconds */
    uint64_t held;                  /* entries that are open now */
    uint64_t oldest_held_bytes;     /* the length of the oldest open entry */
    uint64_t abandoned;             /* entries that a close has stepped over */
    uint64_t foreign;               /* entries of a parent process, posted in vain */
    uint64_t lanes;                 /* lanes that are open now */
    uint64_t drains;                /* writes to the file */
    uint64_t wakeups;               /* wake-ups of the writing thread */
    uint64_t repeated_bytes;        /* written again to a second file by a reopen */
    uint64_t loss_line_bytes;       /* of lines that report losses */
    uint64_t stalled_ns;            /* how long the file has been stalled, in ns; 0 if it is not */
    int32_t stalled_errno;          /* the reason of the stall: ENOSPC, EDQUOT, EAGAIN */
    int32_t last_errno;             /* why the queue has failed; 0 if it has not */
    int32_t lost_errno;             /* why a close left bytes unwritten; 0 otherwise */
    int32_t reserved;               /* 0 */
    uint64_t refused_for_stall;     /* of the refused: while the file accepted no data */
    uint64_t refused_for_failure;   /* by cause: after a failed write */
    uint64_t clamped_records;       /* entries posted with an ae_bytesused beyond their end */
    uint64_t syncs;                 /* syncs that have succeeded */
    uint64_t sync_failures;         /* syncs that have failed */
    uint64_t longest_sync_ns;       /* the longest sync, in nanoseconds */
    uint64_t synced_bytes;          /* that have become durable, with padding */
    uint64_t refused_full;          /* by cause: no room, and the call did not wait */
    uint64_t refused_timed_out;     /* by cause: no room for as long as the call would wait */
    uint64_t refused_headroom;      /* by cause: a policy of levels, which C does not have */
    uint64_t refused_held;          /* by cause: an open entry blocked the file */
    uint64_t refused_too_large;     /* by cause: longer than the queue */
    uint64_t refused_closed;        /* by cause: the queue was closed */
    uint64_t refused_forked;        /* by cause: a child of fork(2) could not write */
    uint64_t discarded_bytes;       /* of the lost: discarded by alq_reopen_discarding */
    uint64_t discarded_records;     /* the records of the discarded bytes */
    uint64_t too_long_bytes;        /* of the lost: longer than a message of the socket or pipe */
    uint64_t too_long_records;      /* the records of the too long bytes */
    uint64_t overwritten_bytes;     /* of records that a recorder has overwritten */
    uint64_t overwritten_records;   /* the records of the overwritten bytes */
};

/*
 * Stores a snapshot in stats. size is sizeof(struct alq_stats). Returns 0 or EINVAL. Takes a few
 * microseconds and blocks no thread.
 */
int alq_get_stats(const struct alq *alq, struct alq_stats *stats, size_t size);

/*
 * What the queue found in its ring file when it was opened, and what became of it. New members are
 * added at the end.
 */
struct alq_recovery {
    uint64_t bytes;                 /* posted and, according to the ring file, not written */
    uint64_t spans;                 /* the spans of those bytes: a record, or several of a lane */
    uint64_t skipped;               /* entries that were never posted */
    uint64_t already_written;       /* of bytes: those that the log already held */
    uint64_t possibly_repeated;     /* of bytes: written now, but possibly in a log before */
    uint64_t damaged;               /* invalid slots, whose spans are not written */
    uint64_t dumped;                /* of bytes: a recorder has dumped them */
    uint64_t discarded;             /* of bytes: a recorder has discarded them */
};

/*
 * Stores these counts in *recovery. size is sizeof(struct alq_recovery). Returns 0; ENOENT for a
 * queue without a ring file; EINVAL. Never blocks.
 */
int alq_get_recovery(const struct alq *alq, struct alq_recovery *recovery, size_t size);

/* ------------------------------------------------------------------------------- recorders ---- */

/*
 * Writes the records of a recorder (alq_options_recorder) to its log, after a line that counts them
 * and gives reason, and waits until they are written. Control characters in the reason become
 * spaces. A dump empties the ring. If dump is not NULL, stores there what was written; size is
 * sizeof(struct alq_dumped).
 *
 * Returns 0; EINVAL for a queue that is no recorder, or a reason of NULL; ENOMEM if there is no
 * memory for a copy of the records; ESRCH in a child of fork(2) until a reopen; or what
 * alq_flush_timeout returns. Calls at the same time may be served by one dump. Blocks for the stall
 * limit at most while nothing moves.
 */
int alq_dump(struct alq *alq, const char *reason, struct alq_dumped *dump, size_t size);

/*
 * Dumps every recorder of the process, one after the other, and returns the first error. Otherwise
 * like alq_dump.
 */
int alq_dump_all(const char *reason);

/*
 * Asks for a dump and returns at once; the writing thread makes it. signo is the signal that came,
 * of which the dump gives the name as its reason, or 0: the reason is "requested" then. Returns 0,
 * or EINVAL for a queue that is no recorder. In a child of fork(2) it does nothing. Never blocks; a
 * signal handler may call it.
 */
int alq_request_dump(struct alq *alq, int signo);

/* --------------------------------------------------- a consistent state, as with POSIX aio ---- */

/*
 * Makes durable what was posted before the call: O_DSYNC as fdatasync(2) does, O_SYNC as fsync(2)
 * does. Stores a request in *req and returns 0 at once, like aio_fsync(3). The request is done when
 * all of it is written and the sync has returned. One sync serves all requests that wait. req may
 * be NULL if no caller needs the result.
 *
 * On failure returns -1, stores NULL and sets errno: EAGAIN for too many requests, or if no thread
 * can be started; EINVAL for another op, a pipe, a socket or a terminal, or a queue that is not
 * open; ESHUTDOWN after alq_shutdown; ESRCH in a child of fork(2).
 */
int alq_fsync(struct alq *alq, int op, struct alq_req **req);
int alq_fsync64(struct alq *alq, int op, struct alq_req **req);

/*
 * Like alq_fsync, but without a sync: the request is done when what was posted before the call is
 * written. Written records survive the end of the process, but not a power loss. A request costs no
 * system call. Pipes, sockets and terminals are allowed.
 */
int alq_written(struct alq *alq, struct alq_req **req);

/*
 * Returns the state of a request, like aio_error(3): EINPROGRESS; 0 if it is done; or the error
 * that it ended with. The state stays until the request is returned or released. Returns -1 with
 * EINVAL in errno if there is no such request. Never blocks.
 */
int alq_error(const struct alq_req *req);

/*
 * Returns the result of a request that is done and frees the request, like aio_return(3): 0, or -1
 * with the request's error in errno. A request that is not done does not change: -1 and
 * EINPROGRESS. A second call for the same request gives EINVAL.
 */
int alq_return(struct alq_req *req);

/* Releases a request, done or not. What it asked for still happens. NULL is allowed. */
void alq_release(struct alq_req *req);

/*
 * Waits until one request of the list is done, with success or with an error; returns at once if
 * one is done already. Like aio_suspend(3): nent is the length of the list, NULL members are
 * ignored, and a timeout of NULL sets no time limit. The requests may belong to several queues.
 *
 * Returns 0; or -1 and sets errno: EAGAIN once timeout has passed; EINTR if a signal handler ran,
 * also with SA_RESTART; EINVAL for a list without a request, a request that was returned or
 * released, or a nent below 1. Blocks. It is a cancellation point, and acts on pthread_cancel(3)
 * within 100 ms.
 */
int alq_suspend(struct alq_req *const list[], int nent, const struct timespec *timeout);
int alq_suspend64(struct alq_req *const list[], int nent, const struct timespec *timeout);

/*
 * Requests a notification for when the request is done; it comes at once if the request is done
 * already. A request may have any number of notifications, and each one is delivered.
 *
 *   SIGEV_NONE    no notification
 *   SIGEV_SIGNAL  sigev_signo is queued for the process, with sigev_value and SI_ASYNCIO. A
 *                 sigev_signo of 0, as in an event of all zeros, queues nothing, as in glibc's aio
 *   SIGEV_THREAD  a thread of the library calls sigev_notify_function with sigev_value. The
 *                 function may use this library, also to return the request. That thread
 *                 runs all callbacks of the process one after another;
 *                 sigev_notify_attributes is ignored
 *
 * Returns 0; or -1 and sets errno: EINVAL for another sigev_notify, an invalid signal number, a
 * missing function, or no such request; EAGAIN if the thread cannot be started. The request may be
 * released before the notification comes.
 */
int alq_notify(struct alq_req *req, const struct sigevent *event);

/* ----------------------------------------------------------------------------------- lanes ---- */

/*
 * A lane: appends at the cost of a copy, for one producer. The records of a lane keep their order.
 * They may come before records of other producers that were posted earlier, unless alq_lane_seal
 * was called in between. One thread at a time may use a lane, and signal handlers may not use it. A
 * lane outlives the close of its queue (appends then give EWOULDBLOCK).
 */
struct alq_lane;

/*
 * Opens a lane; close it with alq_lane_close. Returns NULL, with EINVAL in errno, if the queue is
 * not open.
 */
struct alq_lane *alq_lane_open(struct alq *alq);
/* Appends a record. Arguments, results and blocking are as for alq_writen. */
int alq_lane_writen(struct alq_lane *lane, const void *data, int len, int flags);
/*
 * Puts the records that the lane appends from now on after everything that any thread has posted
 * before this call. Never blocks. Records of a lane are written without it.
 */
void alq_lane_seal(struct alq_lane *lane);
/* Closes a lane. Its posted records are still written. */
void alq_lane_close(struct alq_lane *lane);

/* ------------------------------------------------------------------------------ all queues ---- */

/*
 * Closes all queues of the process to new records for good, then writes out what they hold. Later
 * appends give EWOULDBLOCK or NULL, later opens EBUSY. Other threads may be using the queues. The
 * handles stay valid until they are closed. timeout and left are as in alq_close_timeout, for all
 * queues together. For the end of a program that cannot use exit(3). Blocks.
 */
int alq_shutdown(const struct timespec *timeout, struct alq_undrained *left);

/* Flushes all queues, like alq_flush_timeout, and returns the first error. Blocks. */
int alq_flush_all(const struct timespec *timeout);

#ifdef __cplusplus
}
#endif

#endif /* ALQ_H */
