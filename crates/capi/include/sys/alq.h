/* <sys/alq.h>: the name by which users of FreeBSD's alq(9) include this header. See <alq.h>. */
#ifndef ALQ_SYS_ALQ_H
#define ALQ_SYS_ALQ_H 1

#include "../alq.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The thread of alq(9). Tracers compare it with the current thread in order to leave that thread
 * out of the trace. In this library each queue has a thread, and none of these threads traces. So
 * ald_thread is NULL, which equals no thread of the caller.
 */
struct thread;
extern struct thread *ald_thread;

#ifdef __cplusplus
}
#endif

#endif /* sys/alq.h */
