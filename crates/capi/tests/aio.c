/* Requests: the calls that follow aio_fsync(3), their errors and their notifications. */
#include "test.h"

static struct alq *opened(const char *name)
{
    struct alq *alq = NULL;
    IS(alq_open_path(&alq, path(name), NULL), 0);
    return alq;
}

static void fsync_and_return(void)
{
    struct alq *alq = opened("fsync.log");
    struct alq_req *data, *full, *list[3];
    IS(alq_writen(alq, "durable\n", 8, ALQ_WAITOK), 0);
    IS(alq_fsync(alq, O_DSYNC, &data), 0);
    IS(alq_fsync64(alq, O_SYNC, &full), 0);
    list[0] = NULL;
    list[1] = data;
    list[2] = NULL;
    IS(alq_suspend(list, 3, NULL), 0);
    IS(alq_error(data), 0);
    IS(alq_error(data), 0);
    file_is("fsync.log", "durable\n");
    IS(alq_return(data), 0);
    IS(alq_suspend64(&full, 1, NULL), 0);
    IS(alq_return(full), 0);
    /* Each result is returned once. */
    FAILS(IS(alq_return(data), -1), EINVAL);
    FAILS(IS(alq_error(data), -1), EINVAL);
    FAILS(IS(alq_suspend(&data, 1, NULL), -1), EINVAL);
    IS(alq_fsync(alq, O_SYNC, NULL), 0);
    alq_close(alq);
}

static void fsync_fails(void)
{
    struct alq_options *options = alq_options_new();
    struct alq *alq = opened("a.log"), *pipe_queue, *none;
    struct alq_req *req = (struct alq_req *)&alq;
    int ends[2];
    FAILS(IS(alq_fsync(alq, 12345, &req), -1), EINVAL);
    CHECK(req == NULL);
    FAILS(IS(alq_fsync(NULL, O_SYNC, &req), -1), EINVAL);
    CHECK(pipe(ends) == 0);
    IS(alq_open_fd(&pipe_queue, ends[1], NULL), 0);
    FAILS(IS(alq_fsync(pipe_queue, O_DSYNC, &req), -1), EINVAL);
    alq_close(pipe_queue);
    close(ends[0]);
    close(ends[1]);
    IS(alq_options_outstanding_max(options, 0), 0);
    IS(alq_open_path(&none, path("none.log"), options), 0);
    FAILS(IS(alq_fsync(none, O_DSYNC, &req), -1), EAGAIN);
    alq_options_free(options);
    alq_close(none);
    alq_close(alq);
    FAILS(IS(alq_fsync(alq, O_DSYNC, &req), -1), EINVAL);
}

/* A request that cannot be done yet: an open entry is in front of it. */
static void in_progress(void)
{
    struct timespec soon = milliseconds(1), bad = { 0, 1000000000 }, negative = { -1, 0 };
    struct alq *alq = opened("progress.log");
    struct alq_req *req, *none = NULL;
    struct ale *ale = alq_getn(alq, 4, ALQ_WAITOK);
    CHECK(ale != NULL);
    IS(alq_writen(alq, "behind\n", 7, ALQ_WAITOK), 0);
    IS(alq_fsync(alq, O_DSYNC, &req), 0);
    IS(alq_error(req), EINPROGRESS);
    FAILS(IS(alq_return(req), -1), EINPROGRESS);
    FAILS(IS(alq_suspend(&req, 1, &soon), -1), EAGAIN);
    FAILS(IS(alq_suspend(&req, 1, &bad), -1), EINVAL);
    FAILS(IS(alq_suspend(&req, 1, &negative), -1), EINVAL);
    FAILS(IS(alq_suspend(&req, 0, &soon), -1), EINVAL);
    FAILS(IS(alq_suspend(&req, -1, &soon), -1), EINVAL);
    FAILS(IS(alq_suspend(&none, 1, &soon), -1), EINVAL);
    FAILS(IS(alq_suspend(NULL, 1, &soon), -1), EINVAL);
    memcpy(ale->ae_data, "now\n", 4);
    alq_post(alq, ale);
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_return(req), 0);
    alq_close(alq);
    file_is("progress.log", "now\nbehind\n");
}

static void released(void)
{
    struct alq *alq = opened("released.log");
    struct alq_req *req;
    struct ale *ale = alq_getn(alq, 1, ALQ_WAITOK);
    IS(alq_writen(alq, "x", 1, ALQ_WAITOK), 0);
    IS(alq_fsync(alq, O_DSYNC, &req), 0);
    alq_release(req);
    alq_release(req);
    alq_release(NULL);
    FAILS(IS(alq_error(req), -1), EINVAL);
    ale->ae_bytesused = 0;
    alq_post(alq, ale);
    alq_close(alq);
}

/* A request outlives its queue, and keeps its result. */
static void after_the_close(void)
{
    struct alq *alq = opened("closed.log");
    struct alq_req *req;
    IS(alq_writen(alq, "x", 1, ALQ_WAITOK), 0);
    IS(alq_fsync(alq, O_DSYNC, &req), 0);
    alq_close(alq);
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_error(req), 0);
    IS(alq_return(req), 0);
}

static volatile sig_atomic_t signal_value, signal_code;

static void on_signal(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    signal_value = info->si_value.sival_int;
    signal_code = info->si_code;
}

static void notified_by_a_signal(void)
{
    struct alq *alq = opened("signal.log");
    struct sigaction action;
    struct sigevent event;
    struct alq_req *req;
    struct ale *ale = alq_getn(alq, 1, ALQ_WAITOK);
    sigset_t blocked, old;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, &old) == 0);
    IS(alq_fsync(alq, O_DSYNC, &req), 0);
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    event.sigev_value.sival_int = 4711;
    IS(alq_notify(req, &event), 0);
    ale->ae_bytesused = 0;
    alq_post(alq, ale);
    while (signal_value == 0)
        sigsuspend(&old);
    IS(signal_value, 4711);
    IS(signal_code, SI_ASYNCIO);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    IS(alq_error(req), 0);
    IS(alq_return(req), 0);
    alq_close(alq);
}

/* The data that the value of a callback points to. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct alq *alq;
    struct alq_req *req;
    int done;
};

static void on_done(union sigval value)
{
    struct seen *seen = (struct seen *)value.sival_ptr;
    IS(alq_error(seen->req), 0);
    IS(alq_return(seen->req), 0);
    IS(alq_writen(seen->alq, "from the callback\n", 18, ALQ_WAITOK), 0);
    alq_flush(seen->alq);
    pthread_mutex_lock(&seen->lock);
    seen->done = 1;
    pthread_cond_signal(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
}

static void notified_by_a_call(void)
{
    struct seen seen;
    struct sigevent event;
    memset(&seen, 0, sizeof seen);
    pthread_mutex_init(&seen.lock, NULL);
    pthread_cond_init(&seen.changed, NULL);
    seen.alq = opened("call.log");
    IS(alq_writen(seen.alq, "before it\n", 10, ALQ_WAITOK), 0);
    IS(alq_fsync(seen.alq, O_DSYNC, &seen.req), 0);
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = on_done;
    event.sigev_value.sival_ptr = &seen;
    IS(alq_notify(seen.req, &event), 0);
    pthread_mutex_lock(&seen.lock);
    while (!seen.done)
        pthread_cond_wait(&seen.changed, &seen.lock);
    pthread_mutex_unlock(&seen.lock);
    alq_close(seen.alq);
    file_is("call.log", "before it\nfrom the callback\n");
    pthread_mutex_destroy(&seen.lock);
    pthread_cond_destroy(&seen.changed);
}

static void notify_fails(void)
{
    struct alq *alq = opened("notify.log");
    struct sigevent event;
    struct alq_req *req;
    IS(alq_fsync(alq, O_SYNC, &req), 0);
    memset(&event, 0, sizeof event);
    IS(alq_notify(req, &event), 0); /* all zeros: SIGEV_SIGNAL, signal 0; queues nothing */
    event.sigev_notify = SIGEV_NONE;
    IS(alq_notify(req, &event), 0);
    event.sigev_notify = SIGEV_THREAD;
    FAILS(IS(alq_notify(req, &event), -1), EINVAL); /* no function */
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 1234;
    FAILS(IS(alq_notify(req, &event), -1), EINVAL);
    event.sigev_notify = 99;
    FAILS(IS(alq_notify(req, &event), -1), EINVAL);
    FAILS(IS(alq_notify(req, NULL), -1), EINVAL);
    FAILS(IS(alq_notify(NULL, &event), -1), EINVAL);
    alq_release(req);
    FAILS(IS(alq_notify(req, &event), -1), EINVAL);
    alq_close(alq);
}

/* alq_written: done when the record is written, also on files that cannot be synced. */
static void written(void)
{
    struct alq *alq = opened("written.log"), *to_null;
    struct alq_req *req = NULL;
    int fd = open("/dev/null", O_WRONLY);
    IS(alq_writen(alq, "a line\n", 7, ALQ_WAITOK | ALQ_NOACTIVATE), 0);
    IS(alq_written(alq, &req), 0);
    IS(alq_suspend(&req, 1, NULL), 0);
    file_is("written.log", "a line\n");
    IS(alq_return(req), 0);
    IS(alq_written(alq, NULL), 0);
    IS(alq_written(alq, &req), 0); /* nothing was posted since */
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_return(req), 0);
    alq_close(alq);
    req = (struct alq_req *)1;
    FAILS(IS(alq_written(alq, &req), -1), EINVAL);
    CHECK(req == NULL);
    IS(alq_open_fd(&to_null, fd, NULL), 0);
    IS(alq_writen(to_null, "x", 1, ALQ_WAITOK), 0);
    IS(alq_written(to_null, &req), 0);
    IS(alq_suspend(&req, 1, NULL), 0);
    IS(alq_return(req), 0);
    alq_close(to_null);
    close(fd);
}

static void *suspended(void *arg)
{
    struct alq_req *req = (struct alq_req *)arg;
    alq_suspend(&req, 1, NULL);
    return arg;
}

static void *appends_cancelled(void *arg)
{
    struct alq *alq = (struct alq *)arg, *other;
    struct async_append *ap;
    int fd;
    pthread_cancel(pthread_self()); /* pending from here on */
    IS(alq_writen(alq, "a line\n", 7, ALQ_WAITOK), 0);
    alq_flush(alq);
    IS(alq_open_path(&other, path("cancel-too.log"), NULL), 0);
    IS(alq_writen(other, "another\n", 8, ALQ_WAITOK), 0);
    IS(alq_reopen_path(other, path("cancel-too.log"), NULL), 0);
    alq_close(other);
    IS(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
    fd = open(path("cancel-sync.log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    IS(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
    ap = async_append_create_sync(fd);
    async_append_write(ap, "synchronous\n", 12);
    async_append_destroy(ap);
    pthread_testcancel();
    return arg;
}

/* Only alq_suspend is a cancellation point. */
static void cancellation(void)
{
    struct alq *alq = opened("cancel.log");
    struct ale *ale = alq_getn(alq, 8, ALQ_NOWAIT);
    struct alq_req *req;
    pthread_t thread;
    void *result;
    IS(alq_writen(alq, "behind\n", 7, ALQ_WAITOK), 0);
    IS(alq_written(alq, &req), 0);
    CHECK(pthread_create(&thread, NULL, suspended, req) == 0);
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
    IS(alq_error(req), EINPROGRESS);
    alq_release(req);
    ale->ae_bytesused = 0;
    alq_post(alq, ale);
    CHECK(pthread_create(&thread, NULL, appends_cancelled, alq) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
    alq_close(alq);
    file_is("cancel.log", "behind\na line\n");
    file_is("cancel-too.log", "another\n");
    file_is("cancel-sync.log", "synchronous\n");
}

static pthread_t waiter;

static void *interrupter(void *arg)
{
    (void)arg;
    while (signal_value == 0) { /* until a signal has interrupted the call */
        pthread_kill(waiter, SIGUSR2);
        sched_yield();
    }
    return NULL;
}

static void count_signal(int signo)
{
    (void)signo;
}

/* A signal handler ends the wait, also with SA_RESTART. */
static void interrupted(void)
{
    struct alq *alq = opened("interrupted.log");
    struct sigaction action;
    struct alq_req *req;
    struct ale *ale = alq_getn(alq, 1, ALQ_WAITOK);
    pthread_t thread;
    IS(alq_writen(alq, "x", 1, ALQ_WAITOK), 0);
    IS(alq_fsync(alq, O_DSYNC, &req), 0);
    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal;
    action.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
    waiter = pthread_self();
    signal_value = 0;
    CHECK(pthread_create(&thread, NULL, interrupter, NULL) == 0);
    FAILS(IS(alq_suspend(&req, 1, NULL), -1), EINTR);
    signal_value = 1;
    CHECK(pthread_join(thread, NULL) == 0);
    ale->ae_bytesused = 0;
    alq_post(alq, ale);
    while (alq_suspend(&req, 1, NULL) != 0)
        IS(errno, EINTR);
    IS(alq_return(req), 0);
    alq_close(alq);
}

int main(void)
{
    fsync_and_return();
    fsync_fails();
    in_progress();
    released();
    after_the_close();
    notified_by_a_signal();
    notified_by_a_call();
    notify_fails();
    written();
    cancellation();
    interrupted();
    return test_end("aio");
}
