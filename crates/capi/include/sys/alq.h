/* <sys/alq.h>, under which name consumers of FreeBSD's alq(9) include it. Everything is in <alq.h>. */
#ifndef ALQ_SYS_ALQ_H
#define ALQ_SYS_ALQ_H 1

#include "../alq.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The thread of alq(9), which tracers compare the current thread with, so as to leave it out. Here each queue has a
 * thread, and none of them traces: this is NULL, and no thread of the caller's.
 */
struct thread;
extern struct thread *ald_thread;

#ifdef __cplusplus
}
#endif

#endif /* sys/alq.h */
