/*
 * A caller that knows nothing of this library: it appends log lines over <aio.h>, with a ring of
 * bytes and a ring of control blocks. It makes one request for each piece, calls aio_suspend when a
 * ring is full, and has a flush that waits for all requests.
 */
#include "test.h"

enum { BYTES = 65536, BLOCKS = 256 };

struct appender {
    int fd;
    struct aiocb blocks[BLOCKS];
    unsigned block_head, block_tail;
    char bytes[BYTES];
    unsigned head, tail;
};

static void reap(struct appender *appender)
{
    int reaped = 0;
    while (appender->block_tail != appender->block_head) {
        struct aiocb *cb = &appender->blocks[appender->block_tail % BLOCKS];
        const struct aiocb *list = cb;
        int error = aio_error(cb);
        if (error == EINPROGRESS) {
            if (reaped > 0)
                return;
            aio_suspend(&list, 1, NULL);
            continue;
        }
        IS(error, 0);
        IS(aio_return(cb), cb->aio_nbytes);
        appender->block_tail++;
        appender->tail += (unsigned)cb->aio_nbytes;
        reaped++;
    }
}

static void append(struct appender *appender, const char *text, size_t len)
{
    while (len > 0) {
        struct aiocb *cb;
        size_t at, piece;
        while (appender->block_head - appender->block_tail == BLOCKS
               || appender->head - appender->tail == BYTES)
            reap(appender);
        at = appender->head % BYTES;
        piece = BYTES - (appender->head - appender->tail);
        if (piece > BYTES - at)
            piece = BYTES - at;
        if (piece > len)
            piece = len;
        memcpy(appender->bytes + at, text, piece);
        cb = &appender->blocks[appender->block_head % BLOCKS];
        fill(cb, appender->fd, appender->bytes + at, piece);
        IS(aio_write(cb), 0);
        appender->head += (unsigned)piece;
        appender->block_head++;
        text += piece;
        len -= piece;
    }
}

static void flush(struct appender *appender)
{
    while (appender->head != appender->tail)
        reap(appender);
}

static void lines_of_all_lengths(void)
{
    static struct appender appender;
    static char line[3000], expected[3000];
    FILE *file;
    appender.fd = open_log(O_APPEND);
    for (int i = 0; i < 20000; i++) {
        int len = i * 37 % 2900 + 8;
        memset(line, 'a' + i % 26, (size_t)len);
        snprintf(line, sizeof line, "%06d", i);
        line[6] = ' ';
        line[len - 1] = '\n';
        append(&appender, line, (size_t)len);
        if (i % 1000 == 999)
            flush(&appender);
    }
    flush(&appender);
    close(appender.fd);
    file = fopen(log_path, "r");
    CHECK(file != NULL);
    for (int i = 0; i < 20000; i++) {
        int len = i * 37 % 2900 + 8;
        CHECK(fgets(line, sizeof line, file) != NULL);
        memset(expected, 'a' + i % 26, (size_t)len);
        snprintf(expected, sizeof expected, "%06d", i);
        expected[6] = ' ';
        expected[len - 1] = '\n';
        expected[len] = '\0';
        CHECK(strcmp(line, expected) == 0);
    }
    CHECK(fgets(line, sizeof line, file) == NULL);
    fclose(file);
    unlink(log_path);
}

int main(void)
{
    RUN(lines_of_all_lengths);
    return 0;
}
