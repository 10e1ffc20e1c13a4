/*
 * Loads a plug-in, runs it, and unloads it at once, many times. Argument 1 is its path, 2 a file.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    int round;
    if (argc != 3) {
        fprintf(stderr, "usage: unload_plugin PLUGIN FILE\n");
        return 2;
    }
    for (round = 0; round < 100; round++) {
        int (*run)(const char *);
        void *symbol, *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (plugin == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        symbol = dlsym(plugin, "plugin_run");
        memcpy(&run, &symbol, sizeof symbol);
        if (run(argv[2]) != 0 || dlclose(plugin) != 0)
            return 1;
    }
    return 0;
}
