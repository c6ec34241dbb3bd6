/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/curl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* What the dynamic linker has loaded belongs to the process, and so does this. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static curl_library library;
static const curl_library *loaded;
static char problem[160];

static bool resolve(void *handle)
{
    static const struct {
        const char *name;
        size_t at;
    } functions[] = {
#define X(name) {"curl_" #name, offsetof(curl_library, name)},
        CURL_LIBRARY_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *address = dlsym(handle, functions[i].name);
        if (address == NULL) {
            (void)snprintf(problem, sizeof problem, "libcurl has no %s: version 7.68 or later is needed", functions[i].name);
            return false;
        }
        memcpy((char *)&library + functions[i].at, &address, sizeof address);
    }
    return true;
}

static void load(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"}; /* the same interface */
    void *handle = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && handle == NULL; i++) {
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    if (handle == NULL) {
        const char *why = dlerror();
        (void)snprintf(problem, sizeof problem, "OTLP needs libcurl (Debian: libcurl4): %s", why != NULL ? why : "not found");
    } else if (resolve(handle)) {
        loaded = &library;
    }
}

const curl_library *curl_library_get(void)
{
    pthread_once(&once, load);
    return loaded;
}

const char *curl_library_problem(void)
{
    return problem;
}
