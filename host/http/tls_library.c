/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/tls_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* What the dynamic linker has loaded belongs to the process, and so does this. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static tls_library library;
static const tls_library *loaded;
static char problem[160];

static bool resolve(void *handle)
{
    static const struct {
        const char *name;
        size_t at;
    } functions[] = {
#define X(name) {#name, offsetof(tls_library, name)},
        TLS_LIBRARY_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *address = dlsym(handle, functions[i].name); /* looks into libcrypto, too, which libssl depends on */
        if (address == NULL) {
            (void)snprintf(problem, sizeof problem, "libssl has no %s: OpenSSL 3 is needed", functions[i].name);
            return false;
        }
        memcpy((char *)&library + functions[i].at, &address, sizeof address);
    }
    return true;
}

static void load(void)
{
    void *handle = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        (void)snprintf(problem, sizeof problem, "TLS needs OpenSSL (Debian: libssl3): %s", why != NULL ? why : "not found");
    } else if (resolve(handle)) {
        loaded = &library;
    }
}

const tls_library *tls_library_get(void)
{
    pthread_once(&once, load);
    return loaded;
}

const char *tls_library_problem(void)
{
    return problem;
}
