/*
 * The ways in which FreeBSD's kernel uses alq(9), call for call: ath(4), net80211, nandsim(4),
 * ktr(4) and siftr(4). They include <sys/alq.h>.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <sys/alq.h>

#include "test.h"



/* Stand-ins for parts of the kernel. */
static struct {
    struct ucred *td_ucred;
} kernel_thread, *curthread = &kernel_thread;

/* ath(4): an interrupt reserves a header and a payload, or counts a drop if there is no room. */
struct ath_header {
    uint64_t threadid;
    uint16_t op, len;
};

static struct {
    struct alq *sc_alq_alq;
    unsigned int sc_alq_numlost;
    unsigned int sc_alq_qsize;
    char sc_alq_filename[128];
} ath;

static void ath_post(uint16_t op, uint16_t len, const char *buf)
{
    struct ath_header *header;
    struct ale *ale = alq_getn(ath.sc_alq_alq, (int)(len + sizeof(struct ath_header)), ALQ_NOWAIT);
    if (ale == NULL) {
        ath.sc_alq_numlost++;
        return;
    }
    header = (struct ath_header *)(void *)ale->ae_data;
    memset(header, 0, sizeof *header);
    header->op = op;
    header->len = len;
    memcpy(ale->ae_data + sizeof *header, buf, len);
    alq_post(ath.sc_alq_alq, ale);
}

static void ath_driver(void)
{
    struct stat about;
    int i;
    ath.sc_alq_qsize = 1 << 16;
    snprintf(ath.sc_alq_filename, sizeof ath.sc_alq_filename, "%s", path("ath.log"));
    IS(alq_open(&ath.sc_alq_alq, ath.sc_alq_filename, curthread->td_ucred, ALQ_DEFAULT_CMODE, (int)ath.sc_alq_qsize, 0), 0);
    for (i = 0; i < 1000; i++)
        ath_post(1, 24, "a descriptor of 24 bytes");
    alq_flush(ath.sc_alq_alq);
    alq_close(ath.sc_alq_alq);
    CHECK(stat(ath.sc_alq_filename, &about) == 0);
    IS(about.st_size, (1000 - (int)ath.sc_alq_numlost) * 40);
}

/* net80211: the same, with a message that is formatted from pieces. */
static void net80211(void)
{
    struct alq *alq;
    int i;
    IS(alq_open(&alq, path("wlan.log"), curthread->td_ucred, ALQ_DEFAULT_CMODE, 1 << 20, 0), 0);
    for (i = 0; i < 100; i++) {
        struct ale *ale = alq_getn(alq, 8, ALQ_NOWAIT);
        CHECK(ale != NULL);
        memcpy(ale->ae_data, "80211\n", 6);
        ale->ae_bytesused = 6;
        alq_post(alq, ale);
    }
    alq_close(alq);
    IS(open(path("wlan.log"), O_RDONLY) >= 0, 1);
}

/* nandsim(4): text that is formatted in a separate buffer and copied. */
static void nandsim(void)
{
    struct alq *alq;
    char line[64];
    IS(alq_open(&alq, path("nandsim.log"), curthread->td_ucred, ALQ_DEFAULT_CMODE, 8192, 0), 0);
    snprintf(line, sizeof line, "%s", "nandsim: page 7 programmed\n");
    IS(alq_writen(alq, line, (int)strlen(line), ALQ_NOWAIT), 0);
    alq_close(alq);
    file_is("nandsim.log", "nandsim: page 7 programmed\n");
}

/* ktr(4): entries of one size; events of the writing thread itself are left out. */
struct ktr_entry {
    uint64_t timestamp;
    struct thread *thread;
};

static void ktr(void)
{
    struct thread *current = (struct thread *)(void *)curthread;
    int flags = ALQ_NOWAIT, lost = 0, i;
    struct alq *ktr_alq;
    struct stat about;
    IS(alq_open(&ktr_alq, path("ktr.out"), curthread->td_ucred, ALQ_DEFAULT_CMODE, (int)sizeof(struct ktr_entry), 1024), 0);
    for (i = 0; i < 500; i++) {
        struct ktr_entry *entry;
        struct ale *ale;
        if (current == ald_thread)
            continue;
        if ((ale = alq_get(ktr_alq, flags)) == NULL) {
            lost++;
            continue;
        }
        entry = (struct ktr_entry *)(void *)ale->ae_data;
        entry->timestamp = (uint64_t)i;
        entry->thread = current;
        alq_post(ktr_alq, ale);
    }
    alq_close(ktr_alq);
    CHECK(stat(path("ktr.out"), &about) == 0);
    IS(about.st_size, (500 - lost) * (int)sizeof(struct ktr_entry));
    CHECK(ald_thread == NULL);
}

/*
 * siftr(4): reserves the greatest length of a text, and posts the length that snprintf(3) returns,
 * also if the text was cut.
 */
enum { MAX_LOG_MSG_LEN = 32 };

static void siftr(void)
{
    const char *const addresses[] = {"192.0.2.1", "2001:db8:0:0:0:0:0:1,2001:db8::2"};
    struct alq *siftr_alq;
    struct alq_stats stats;
    int i;
    IS(alq_open(&siftr_alq, path("siftr.log"), curthread->td_ucred, 0644, 200000, 0), 0);
    for (i = 0; i < 2; i++) {
        struct ale *log_buf = alq_getn(siftr_alq, MAX_LOG_MSG_LEN, ALQ_WAITOK);
        if (log_buf == NULL)
            continue;
        log_buf->ae_bytesused = snprintf(log_buf->ae_data, MAX_LOG_MSG_LEN, "i,%s,%d\n", addresses[i], 443);
        alq_post(siftr_alq, log_buf);
    }
    IS(alq_get_stats(siftr_alq, &stats, sizeof stats), 0);
    IS(stats.clamped_records, 1);
    alq_flush(siftr_alq);
    alq_close(siftr_alq);
    file_is("siftr.log", "i,192.0.2.1,443\ni,2001:db8:0:0:0:0:0:1,2001:db8");
}

int main(void)
{
    path("");
    ath_driver();
    net80211();
    nandsim();
    ktr();
    siftr();
    return test_end("consumers");
}
