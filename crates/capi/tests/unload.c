/*
 * dlclose(3) while a flusher runs: the library stays loaded, and posted records are written. This
 * program is not linked with the library; argument 1 is its path.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "alq.h"

typedef int open_call(struct alq **, const char *, struct ucred *, int, int, int);
typedef int write_call(struct alq *, const void *, int, int);

int main(int argc, char **argv)
{
    void *library, *symbol;
    struct alq *alq;
    open_call *open_it;
    write_call *write_it;
    if (argc != 3) {
        fprintf(stderr, "usage: unload LIBRARY FILE\n");
        return 2;
    }
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    /* C does not convert data pointers to function pointers, but dlsym(3) needs it. */
    symbol = dlsym(library, "alq_open");
    memcpy(&open_it, &symbol, sizeof symbol);
    symbol = dlsym(library, "alq_writen");
    memcpy(&write_it, &symbol, sizeof symbol);
    if (open_it(&alq, argv[2], NULL, ALQ_DEFAULT_CMODE, 4096, 0) != 0)
        return 1;
    if (write_it(alq, "before\n", 7, ALQ_WAITOK) != 0)
        return 1;
    if (dlclose(library) != 0)
        return 1;
    return write_it(alq, "after\n", 6, ALQ_WAITOK);
}
