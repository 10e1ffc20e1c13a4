/*
 * alq: an asynchronous append queue.
 *
 * Any thread appends records to a preallocated ring, without a lock or a system call; one thread of the library writes
 * them to a file in large pieces. The first part has the calls, names and values of FreeBSD's <sys/alq.h>, so that what
 * was written for the kernel compiles. The rest is in the manner of aio_fsync(3), and what a program needs besides.
 * The manual is docs/c-api.md.
 *
 * What holds for every call, unless its comment says otherwise:
 *
 *  - Any thread may call it. One that closes or frees something must be the last to use it: the caller sees to it that no
 *    other call with the same handle is under way then. (alq_shutdown needs no such care.)
 *  - A handle is a queue, an entry, a request, a lane or options, as a call of this library has returned it. One that is
 *    NULL, or was closed or freed, is EINVAL, and nothing happens. A pointer that never was a handle is undefined.
 *  - Errors are numbers of <errno.h>, returned; 0 is success. Those in the manner of aio_fsync(3) return -1 and set errno.
 *    A call that returns a pointer says NULL, and sets errno. One that returns nothing sets errno if it fails, and leaves
 *    it alone if it does not.
 *  - A struct timespec is a time from now on; NULL is what the comment says; negative, or with a tv_nsec that is not 0 to
 *    999999999, it is EINVAL. Clocks that are set do not matter.
 *  - A fault of this library (a panic) ends the process with a message on standard error and abort(3): it never goes on in
 *    an unknown state, and never unwinds into the caller. A C++ exception that leaves a callback does the same.
 *  - In a child of fork(2), queues of the parent append with write(2), on the calling thread; flush and close return at
 *    once; alq_reopen makes them asynchronous again. Before a fork, what is posted is written, for 10 ms at most. At the
 *    end of the process (a return from main, exit(3)) every queue is written out.
 *  - alq_suspend is a cancellation point (pthread_cancel(3)), and no other call is: a cancellation that is pending stays
 *    pending over it. Asynchronous cancellation (PTHREAD_CANCEL_ASYNCHRONOUS) inside of a call is undefined.
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

/* ------------------------------------------------------------------------------------------------ alq(9) ---- */

struct alq;   /* a queue */
struct ucred; /* never looked at: a process has its own credentials */

/* An entry: a piece of the queue itself, to be filled in place. */
struct ale {
    intptr_t ae_bytesused; /* how many bytes are posted, 0 to len; len at first; see alq_post for more than len */
    char *ae_data;         /* where to write: len bytes, with what an earlier record has left there */
    int ae_pad;            /* unused */
};

#define ALQ_NOWAIT 0x0001     /* do not sleep; wins over ALQ_WAITOK */
#define ALQ_WAITOK 0x0002     /* sleep until there is room; so does an append with neither of the two */
#define ALQ_NOACTIVATE 0x0004 /* do not schedule the writing */
#define ALQ_ORDERED 0x0010    /* those who wait get room in the order in which they came */

#define ALQ_DEFAULT_CMODE 0600

/*
 * Opens a queue of records of any length on a file, to append to it; creates the file if need be, and starts a thread.
 *
 *   alqp   where the handle is stored; NULL is stored if it fails
 *   file   its path; a symbolic link is ELOOP (alq_options_follow_links allows it)
 *   cred   ignored
 *   cmode  the permissions of a file that is created, 0 to 07777, less the umask
 *   size   how many bytes may be outstanding, 1 to INT_MAX; rounded up to a power of two, 4096 at least
 *   flags  0 or ALQ_ORDERED
 *
 * Returns 0; what open(2) says; EINVAL for an argument out of its range; EBUSY after alq_shutdown; ENOMEM, EAGAIN,
 * EMFILE if there is no memory, thread or descriptor to be had. Blocks as open(2) does.
 */
int alq_open_flags(struct alq **alqp, const char *file, struct ucred *cred, int cmode, int size, int flags);

/*
 * The same without flags; with a count above 0 a queue of fixed records: at most count entries of size bytes may be
 * outstanding, and alq_write and alq_get take the place of alq_writen and alq_getn. With a count of 0 size is that of the
 * queue. A count below 0, one above 2^26, or size * count above 2 GiB is EINVAL.
 */
int alq_open(struct alq **alqp, const char *file, struct ucred *cred, int cmode, int size, int count);

/*
 * Appends a copy of len bytes as one record: whole or not at all, never mixed with another. len is 1 to alq_capacity.
 * flags is ALQ_NOWAIT or ALQ_WAITOK, with ALQ_NOACTIVATE or without it (ALQ_ORDERED means nothing here).
 *
 * Returns 0; EWOULDBLOCK if the queue is full and ALQ_NOWAIT is given, or if it takes no more records because of
 * alq_shutdown; EMSGSIZE for more bytes than the queue can ever hold; EINVAL for a len below 1, a bit without a name, a
 * data of NULL, or a queue of fixed records; EDEADLK from ALQ_WAITOK if an open entry, which may be the caller's own, has
 * held everything up for the stall limit; and the error of a write that has failed, until alq_reopen.
 *
 * ALQ_NOWAIT never blocks, and may be used in a signal handler, whatever its thread was doing. ALQ_WAITOK sleeps as long
 * as there is no room.
 */
int alq_writen(struct alq *alq, const void *data, int len, int flags);

/* The same for a queue of fixed records: data has the length of one. EINVAL on any other queue. */
int alq_write(struct alq *alq, const void *data, int flags);

/*
 * Reserves len contiguous bytes, to be written to ae_data and posted. Any number of entries may be open at once, by any
 * threads; an entry may be posted by another thread. What is posted behind an open entry is written after that is posted.
 *
 * Returns NULL, and sets errno as alq_writen returns it, if there is none. Sleeping, and signal handlers: as alq_writen; but
 * in a child of fork, and once the process ends, it allocates, so there no handler may call it.
 */
struct ale *alq_getn(struct alq *alq, int len, int flags);

/* The same for a queue of fixed records. errno is EINVAL on any other queue. */
struct ale *alq_get(struct alq *alq, int flags);

/*
 * Posts the first ae_bytesused bytes of an entry; 0 posts nothing and gives the entry back. The entry, and the memory
 * at its ae_data, are not the caller's any more. flags is 0 or ALQ_NOACTIVATE; other bits mean nothing.
 *
 * Never blocks, never fails, may be used in a signal handler. A queue or an entry that is NULL, or a queue that was closed,
 * sets errno to EINVAL and does nothing else. An ae_bytesused beyond the end, as snprintf(3) returns it that had to cut,
 * posts what was reserved, less a zero byte at its end, and is counted (clamped_records). The process aborts, with a
 * message, if ae_bytesused is below 0, if the entry is none of this queue, or if it was posted already: memory that is
 * not the caller's has been written to by then, or may have been. (An entry that is posted twice is found out at once, unless its place was
 * reserved anew meanwhile, which takes as many appends as the ring has descriptors; then its new holder's post aborts.)
 */
void alq_post_flags(struct alq *alq, struct ale *ale, int flags);
void alq_post(struct alq *alq, struct ale *ale);

/*
 * Waits until everything that was posted before the call is written; it is not on disk then (alq_fsync). If it fails,
 * errno is what alq_flush_timeout returns. Blocks.
 */
void alq_flush(struct alq *alq);

/*
 * Writes what is posted and frees the queue. What cannot be written, because nothing has moved for the stall limit, is told
 * to the error callback, called by this thread before the call returns, or else on standard error; errno has the cause. Blocks.
 *
 * If entries are open, it waits for the stall limit, then writes what is behind them. They may still be filled and
 * posted (EINVAL): the memory of such a queue is kept.
 */
void alq_close(struct alq *alq);

/* ----------------------------------------------------------------------------------------------- options ---- */

/* What a queue is opened with. One thread at a time uses it; queues keep nothing of it but copies. */
struct alq_options;

/* Options with the defaults, to be freed with alq_options_free. */
struct alq_options *alq_options_new(void);
void alq_options_free(struct alq_options *options); /* NULL is allowed */

/*
 * Each sets one option, and returns 0, or EINVAL for options or a time that are not valid. What a value must be is
 * otherwise checked by alq_open_path and alq_open_fd, which say EINVAL.
 */

/* How many bytes may be outstanding: 1 to 2^31, rounded up to a power of two, 4096 at least. 1 MiB by default. */
int alq_options_capacity(struct alq_options *options, size_t bytes);

/* Fixed records, in place of a capacity: count entries of entry_len bytes. With a count of 0 it sets the capacity. */
int alq_options_fixed(struct alq_options *options, size_t entry_len, size_t count);

/* Whether those who wait get room in the order in which they came (ALQ_ORDERED). Off by default. */
int alq_options_ordered(struct alq_options *options, int ordered);
/* The permissions of a file that is created, 0 to 07777, less the umask. 0600 by default. */
int alq_options_mode(struct alq_options *options, mode_t mode);
/* Whether a path may be a symbolic link. Off by default. */
int alq_options_follow_links(struct alq_options *options, int follow);
/* How long flush, close and wait go on while nothing moves: a millisecond or more, 5 s by default; NULL is for ever. */
int alq_options_stall_limit(struct alq_options *options, const struct timespec *limit);

/*
 * Whether no call waits for a file that has no room (ENOSPC, EDQUOT). Off by default: ALQ_WAITOK waits as long as that
 * lasts. On, an append to a full queue returns ENOSPC at once and is counted (refused_for_stall); flush, close, shutdown
 * and exit(3) have the file tried once more, then give up at once. alq_open and alq_open_flags have it off; alq(9) lost
 * such records without a word. An async_append has it on.
 */
int alq_options_refuse_when_stalled(struct alq_options *options, int refuse);

/* Within which time an activating post is on its way, whatever the load. 10 ms by default. NULL is EINVAL. */
int alq_options_max_delay(struct alq_options *options, const struct timespec *delay);
/* Has the log itself say where records were refused, at most once in this time. Off by default. NULL is EINVAL. */
int alq_options_loss_lines(struct alq_options *options, const struct timespec *every);

/*
 * Keeps the ring in a file, best on tmpfs (/dev/shm, /run): what was posted outlives a kill -9, an abort, the OOM killer. The
 * next queue that is opened with the same ring file and log writes, before anything new, what had not been written. The file
 * is made if it is not there, and stays. What opening then says besides: EBUSY if a queue has it open (also one that was
 * closed, while a lane of it is open, and for good if an entry was); EINVAL if it is no ring file, not this user's alone,
 * damaged, made for other sizes, or for another log; the message for the error callback says which. NULL is EINVAL.
 */
int alq_options_ring_file(struct alq_options *options, const char *file);

/* Whether a ring file that holds records for another log is taken over all the same. Off by default. */
int alq_options_other_log(struct alq_options *options, int other);
/* Whether a queue has a ring in memory where the system does not let it have its ring file. Off by default. */
int alq_options_ring_optional(struct alq_options *options, int optional);

/* How many requests may be outstanding, 65536 by default. */
int alq_options_outstanding_max(struct alq_options *options, size_t requests);
/* How many bytes a lane claims at once, at most: 1 to 2^31, 16 KiB by default. */
int alq_options_lane_span(struct alq_options *options, size_t bytes);

/*
 * Whom to tell of errors that nobody asks for: a write or a sync that failed, a stall, what alq_close could not write; and
 * what stood in the way of opening. error is a number of <errno.h>; message is one line of text, valid during the call. NULL
 * takes the callback away.
 *
 * It is called by a thread of the library, which calls all callbacks of the process one after the other, or by alq_close,
 * alq_open_path and alq_open_fd themselves; never by two threads at once for one queue. It may append, wait, reopen and
 * close. Once alq_close or alq_close_timeout has returned, or opening has failed, it is not called again, so arg may go then;
 * if several queues have it, after the last.
 */
int alq_options_on_error(struct alq_options *options, void (*callback)(void *arg, int error, const char *message),
                         void *arg);

/* Opens a queue on a file; options may be NULL for the defaults. Otherwise as alq_open_flags. */
int alq_open_path(struct alq **alqp, const char *file, const struct alq_options *options);

/*
 * Opens a queue on a descriptor, which is duplicated: the caller may close its own at any time. It may be a pipe, a
 * socket or a terminal. EBADF if it is not open for writing. Otherwise as alq_open_path.
 */
int alq_open_fd(struct alq **alqp, int fd, const struct alq_options *options);

/* ------------------------------------------------------------------------------------ the queue, at work ---- */

/* How many bytes may be outstanding; 0, and errno is EINVAL, for a queue that is not open. Never blocks. */
size_t alq_capacity(const struct alq *alq);

/* Schedules the writing of what was posted with ALQ_NOACTIVATE. Never blocks. */
void alq_activate(struct alq *alq);

/*
 * Waits until everything that was posted before the call is written, for as long as timeout at most; NULL sets no time.
 *
 * Returns 0; ETIMEDOUT; when nothing has moved for the stall limit EDEADLK if an open entry is in the way, which may be
 * the caller's own, or what the file says (ENOSPC: the disk is full, EAGAIN: nobody reads); the error of a write that has
 * failed; ESHUTDOWN if the queue was shut down and could not be written out; EINVAL. The data is kept. Blocks.
 */
int alq_flush_timeout(struct alq *alq, const struct timespec *timeout);

/* What could not be written. */
struct alq_undrained {
    uint64_t bytes;     /* of records that were posted and are not written */
    uint64_t records;   /* those records */
    uint64_t abandoned; /* entries that were still open, and are stepped over */
    int cause;          /* what stood in the way, a number of <errno.h>; 0 if everything is written */
    int in_ring_file;   /* 1 if they stay in a ring file, for the next queue; 0 if some are lost */
};

/*
 * Closes a queue, as alq_close, within a time; NULL sets none. Returns 0, or the cause why something is not written, and
 * stores in left, which may be NULL, what that is. The queue is freed in either case, unless the error is EINVAL for the
 * time or the queue: then left is as it was. Blocks, some 100 ms longer than timeout if entries are open.
 */
int alq_close_timeout(struct alq *alq, const struct timespec *timeout, struct alq_undrained *left);

/* A request: a point in the stream of a queue that will be written, or on disk. Each is to be returned or released. */
struct alq_req;

/*
 * Goes on in another file: a descriptor, which is duplicated, or the file at a path, opened as the queue's own was. For a
 * log that was renamed, or when the old file has failed. The cut is between two records, and nothing is lost.
 *
 * Returns 0 at once (alq_reopen_path blocks as open(2) does). If req is not NULL, a request is stored there, which is done when the new file has taken over; it
 * must be given to alq_return or alq_release. On an error the old file stays in use, and NULL is stored: what open(2) says;
 * EBADF if fd is not open for writing; EAGAIN for too many requests; ESHUTDOWN; EINVAL.
 *
 * In a child of fork(2) a queue of the parent becomes one of the child's own: asynchronous, with a ring in memory and a
 * thread, on the new file. The parent's queue stays as it is.
 */
int alq_reopen(struct alq *alq, int fd, struct alq_req **req);
int alq_reopen_path(struct alq *alq, const char *file, struct alq_req **req);

/*
 * What a queue has done. posted_bytes is always written_bytes, lost_bytes and what is still outstanding. New members
 * come behind the last one.
 */
struct alq_stats {
    uint64_t capacity_bytes;    /* what may be outstanding */
    uint64_t fill_bytes;        /* what is in use now: records, padding, open entries */
    uint64_t high_water_bytes;  /* the largest fill that was seen */
    uint64_t posted_bytes;      /* of records posted */
    uint64_t posted_records;    /* those with a byte at least */
    uint64_t written_bytes;     /* that the file has taken */
    uint64_t written_records;   /* that the file has taken to their last byte */
    uint64_t lost_bytes;        /* posted, and never to be written; what stays in a ring file is not lost */
    uint64_t lost_records;      /* the records that they belong to */
    uint64_t late_bytes;        /* of the lost ones: posted after a close had stepped over their entry */
    uint64_t late_records;      /* the records that they belong to */
    uint64_t padding_bytes;     /* reserved, not used, and not given back */
    uint64_t refused_bytes;     /* of appends refused because the queue was full */
    uint64_t refused_records;   /* those appends */
    uint64_t refused_for_lanes; /* those that came while lanes held room */
    uint64_t waits_writen_turn; /* appends that waited for others that came before ("alqwnord") */
    uint64_t waits_writen_room; /* appends that waited for room ("alqwnres") */
    uint64_t waits_getn_turn;   /* reservations that waited for others that came before ("alqgnord") */
    uint64_t waits_getn_room;   /* reservations that waited for room ("alqgnres") */
    uint64_t longest_wait_ns;   /* the longest wait of one call, in nanoseconds */
    uint64_t held;              /* entries that are open now */
    uint64_t oldest_held_bytes; /* the length of the oldest of them */
    uint64_t abandoned;         /* entries that a close has stepped over */
    uint64_t foreign;           /* in a child of fork(2): entries of the parent's that were posted here, in vain */
    uint64_t lanes;             /* lanes that are open */
    uint64_t drains;            /* writes to the file */
    uint64_t wakeups;           /* how often the writing thread woke up */
    uint64_t repeated_bytes;    /* that a reopen has put into a second file */
    uint64_t loss_line_bytes;   /* of lines that tell of losses */
    uint64_t stalled_ns;        /* for how long the file has taken nothing, in nanoseconds; 0 if it takes something */
    int32_t stalled_errno;      /* and why: ENOSPC, EDQUOT, EAGAIN */
    int32_t last_errno;         /* why the queue has failed; 0 if it has not */
    int32_t lost_errno;         /* why a close has left bytes behind; 0 if none has */
    int32_t reserved;           /* 0 */
    uint64_t refused_for_stall; /* of the refused: those that came while the file accepted no data */
    uint64_t refused_for_failure; /* appends refused because a write had failed; in no other count */
    uint64_t clamped_records;   /* entries posted with an ae_bytesused beyond their end */
};

/* Stores a snapshot. size is sizeof(struct alq_stats). Returns 0 or EINVAL. Never blocks anybody; some microseconds. */
int alq_get_stats(const struct alq *alq, struct alq_stats *stats, size_t size);

/* What was found in the ring file when the queue was opened, and what became of it. New members come behind the last one. */
struct alq_recovery {
    uint64_t bytes;             /* posted and, as far as the ring file knew, not written */
    uint64_t spans;             /* that held them: one a record, or a run of records of a lane */
    uint64_t skipped;           /* entries that were never posted */
    uint64_t already_written;   /* of the bytes, those that the log was found to hold */
    uint64_t possibly_repeated; /* of the bytes, those that are written although they may be in a log already */
    uint64_t damaged;           /* descriptors that cannot be right; what they described is not written */
};

/* Stores it. size is sizeof(struct alq_recovery). Returns 0; ENOENT for a queue without a ring file; EINVAL. Never blocks. */
int alq_get_recovery(const struct alq *alq, struct alq_recovery *recovery, size_t size);

/* --------------------------------------------------------------------- a consistent state, as with POSIX aio ---- */

/*
 * Makes durable what was posted before the call: O_DSYNC as fdatasync(2), O_SYNC as fsync(2). Stores a request in *req,
 * and returns 0 at once; the request is done when all of it is written and the sync has returned. One sync serves all who
 * wait. req may be NULL, if nobody is to know. As aio_fsync(3).
 *
 * Returns -1, stores NULL and sets errno: EAGAIN for too many requests, or no thread to be had; EINVAL for another op, a
 * pipe, a socket or a terminal, or a queue that is not open; ESHUTDOWN after alq_shutdown; ESRCH in a child of fork(2).
 */
int alq_fsync(struct alq *alq, int op, struct alq_req **req);
int alq_fsync64(struct alq *alq, int op, struct alq_req **req);

/*
 * The same without a sync: the request is done when what was posted before the call is written. It survives the process,
 * not the power. Costs no system call for each request. A pipe, a socket and a terminal will do.
 */
int alq_written(struct alq *alq, struct alq_req **req);

/*
 * What has become of a request: EINPROGRESS; 0 when it is done; or the error that it ended with. It stays so until the
 * request is returned or released. As aio_error(3): -1, and errno is EINVAL, if there is no such request. Never blocks.
 */
int alq_error(const struct alq_req *req);

/*
 * The result of a request that is done, and the end of it: 0, or -1 with its error in errno. One that is not done stays
 * as it is: -1 and EINPROGRESS. As aio_return(3): once for each request, then EINVAL.
 */
int alq_return(struct alq_req *req);

/* Gives a request up, done or not. What it asked for is done all the same. NULL is allowed. */
void alq_release(struct alq_req *req);

/*
 * Waits until one request of the list is done, with success or without; at once if one is. NULL members are ignored;
 * members of several queues may be mixed. As aio_suspend(3): nent is the length of the list; NULL is no time limit.
 *
 * Returns 0; or -1 and sets errno: EAGAIN after timeout at least; EINTR if a signal handler ran, also with SA_RESTART; EINVAL
 * for a list without a member, a member that was returned or released, or a nent below 1. Blocks. It is a cancellation
 * point, and acts on pthread_cancel(3) within 100 ms.
 */
int alq_suspend(struct alq_req *const list[], int nent, const struct timespec *timeout);
int alq_suspend64(struct alq_req *const list[], int nent, const struct timespec *timeout);

/*
 * Has a request tell when it is done; at once, if it is. Any number of times, each one tells. SIGEV_NONE: not at all.
 * SIGEV_SIGNAL: sigev_signo is queued for the process, with sigev_value and SI_ASYNCIO; a sigev_signo of 0, as in an
 * event that is all zeros, queues nothing, as with glibc's aio. SIGEV_THREAD: a thread of the
 * library calls sigev_notify_function with sigev_value; that may use this library, also to return the request. It calls
 * all callbacks of the process one after the other; sigev_notify_attributes is ignored.
 *
 * Returns 0; or -1 and sets errno: EINVAL for another sigev_notify, a number that is no signal, no function, or no such
 * request; EAGAIN if the thread cannot be had. The request may be released before it tells.
 */
int alq_notify(struct alq_req *req, const struct sigevent *event);

/* ------------------------------------------------------------------------------------------------- lanes ---- */

/*
 * A lane: appends at the cost of a copy, for one producer. Its records keep their order; they may come before records of
 * others that were posted earlier, unless alq_lane_seal came between. One thread at a time uses a lane, and no signal
 * handler does. A lane outlives the close of its queue (EWOULDBLOCK).
 */
struct alq_lane;

struct alq_lane *alq_lane_open(struct alq *alq); /* NULL, and errno is EINVAL, for a queue that is not open */
int alq_lane_writen(struct alq_lane *lane, const void *data, int len, int flags); /* as alq_writen */
void alq_lane_seal(struct alq_lane *lane); /* what others post from now on comes behind what the lane has */
void alq_lane_close(struct alq_lane *lane);

/* ------------------------------------------------------------------------------------------- all queues ---- */

/*
 * Ends the intake of all queues of the process, for good, then writes out what they have: later appends are EWOULDBLOCK
 * or NULL, later opens EBUSY. Other threads may be using the queues. The handles stay open, to be closed. timeout and left
 * as in alq_close_timeout, over all queues. For the end of a program that cannot use exit(3). Blocks.
 */
int alq_shutdown(const struct timespec *timeout, struct alq_undrained *left);

/* alq_flush_timeout for all queues: the first error, but all are flushed. Blocks. */
int alq_flush_all(const struct timespec *timeout);

#ifdef __cplusplus
}
#endif

#endif /* ALQ_H */
