/* Every kind of sigevent. */
#include "test.h"

#include <semaphore.h>

static volatile sig_atomic_t got_code, got_value, got_status;
static struct aiocb *awaited;

static void handle(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    got_code = info->si_code;
    got_value = info->si_value.sival_int;
    got_status = aio_error(awaited);
}

static void a_signal_with_its_code_and_value(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct aiocb cb;
    sigset_t mask, before;
    int fd = open_log(O_APPEND);
    CHECK(sigaction(SIGRTMIN + 3, &action, NULL) == 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + 3);
    CHECK(pthread_sigmask(SIG_BLOCK, &mask, &before) == 0);
    fill(&cb, fd, "told", 4);
    cb.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
    cb.aio_sigevent.sigev_signo = SIGRTMIN + 3;
    cb.aio_sigevent.sigev_value.sival_int = 42;
    awaited = &cb;
    got_code = 0;
    IS(aio_write(&cb), 0);
    while (got_code == 0)
        sigsuspend(&before);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    IS(got_code, SI_ASYNCIO);
    IS(got_value, 42);
    IS(got_status, 0); /* complete before the notification */
    completes(&cb, 4);
    close(fd);
    log_is("told");
}

static sem_t called;
static size_t called_stack;
static int called_value, called_blocked;

static void call(union sigval value)
{
    pthread_attr_t attributes;
    sigset_t mask;
    called_value = value.sival_int;
    CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
    CHECK(pthread_attr_getstacksize(&attributes, &called_stack) == 0);
    pthread_attr_destroy(&attributes);
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    called_blocked = sigismember(&mask, SIGUSR1);
    sem_post(&called);
}

static void a_thread_with_its_attributes(void)
{
    pthread_attr_t attributes;
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    size_t size = 48 << 20; /* more than any default */
    CHECK(sem_init(&called, 0, 0) == 0);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, size) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    for (int with = 0; with < 2; with++) {
        fill(&cb, fd, "told", 4);
        cb.aio_sigevent.sigev_notify = SIGEV_THREAD;
        cb.aio_sigevent.sigev_notify_function = call;
        cb.aio_sigevent.sigev_notify_attributes = with ? &attributes : NULL;
        cb.aio_sigevent.sigev_value.sival_int = 7 + with;
        IS(aio_write(&cb), 0);
        while (sem_wait(&called) != 0)
            IS(errno, EINTR);
        IS(called_value, 7 + with);
        IS(called_blocked, 0);
        CHECK((called_stack > size / 2) == with);
        IS(aio_error(&cb), 0);
        IS(aio_return(&cb), 4);
    }
    pthread_attr_destroy(&attributes);
    close(fd);
    log_is("toldtold");
}

/* An event of all zeros asks for signal 0, which means no signal. */
static void an_event_of_zeros_is_none(void)
{
    struct aiocb cb;
    int fd = open_log(O_APPEND);
    memset(&cb, 0, sizeof cb);
    cb.aio_fildes = fd;
    cb.aio_buf = "zeros";
    cb.aio_nbytes = 5;
    IS(aio_write(&cb), 0);
    completes(&cb, 5);
    close(fd);
    log_is("zeros");
}

/* A device that never waits is written to at once; the notification still comes. */
static void what_is_done_at_once_tells(void)
{
    int fd = open("/dev/null", O_WRONLY | O_APPEND);
    CHECK(fd >= 0);
    for (int round = 0; round < 3; round++) {
        struct aiocb cb;
        fill(&cb, fd, "gone", 4);
        cb.aio_sigevent.sigev_notify = SIGEV_THREAD;
        cb.aio_sigevent.sigev_notify_function = call;
        cb.aio_sigevent.sigev_value.sival_int = round;
        IS(aio_write(&cb), 0);
        while (sem_wait(&called) != 0)
            IS(errno, EINTR);
        IS(called_value, round);
        IS(aio_return(&cb), 4);
    }
    close(fd);
}

int main(void)
{
    RUN(a_signal_with_its_code_and_value);
    RUN(a_thread_with_its_attributes);
    RUN(an_event_of_zeros_is_none);
    RUN(what_is_done_at_once_tells);
    return 0;
}
