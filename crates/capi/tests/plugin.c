/* A plug-in that contains the static library. It closes its queues, so it may be unloaded. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* O_DSYNC, with -std=c11 */
#endif
#include <fcntl.h>

#include "alq.h"

int plugin_run(const char *file);

int plugin_run(const char *file)
{
    struct alq_req *req;
    struct alq *alq;
    if (alq_open(&alq, file, 0, ALQ_DEFAULT_CMODE, 4096, 0) != 0)
        return 1;
    if (alq_writen(alq, "a record\n", 9, ALQ_WAITOK) != 0)
        return 2;
    if (alq_fsync(alq, O_DSYNC, &req) != 0 || alq_suspend(&req, 1, 0) != 0 || alq_return(req) != 0)
        return 3;
    alq_close(alq);
    return 0;
}
