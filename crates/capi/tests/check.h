/* Checks with messages, for the test programs of this folder and of crates/aio. */
#ifndef CHECK_H
#define CHECK_H 1

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static inline void failed(const char *file, int line, const char *what, long long actual,
                          long long expected)
{
    fprintf(stderr, "%s:%d: not so: %s (%lld, %lld)\n", file, line, what, actual, expected);
    _exit(1);
}

/* Ends the test program if the condition does not hold. */
#define CHECK(condition) \
    do { \
        if (!(condition)) \
            failed(__FILE__, __LINE__, #condition, 0, 0); \
    } while (0)

/* Ends the test program if two numbers differ. */
#define IS(actual, expected) \
    do { \
        long long actual_ = (long long)(actual), expected_ = (long long)(expected); \
        if (actual_ != expected_) \
            failed(__FILE__, __LINE__, #actual " is " #expected, actual_, expected_); \
    } while (0)

static inline struct timespec milliseconds(long ms)
{
    struct timespec time;
    time.tv_sec = ms / 1000;
    time.tv_nsec = ms % 1000 * 1000000;
    return time;
}

#endif
