/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/curl_library.h"

#include <pthread.h>
#include <stddef.h>

#include "base/shared_library.h"

/* What the dynamic linker has loaded belongs to the process, and so does this. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static curl_library table;
static const curl_library *loaded;
static char problem[SHARED_LIBRARY_PROBLEM_SIZE];

static void load(void)
{
    static const struct library_function functions[] = {
#define X(name) {"curl_" #name, offsetof(curl_library, name)},
        CURL_LIBRARY_MAP(X)
#undef X
    };
    static const shared_library library = {
        .needed = "OTLP needs libcurl (Debian: libcurl4)",
        .oldest = "libcurl 7.68",
        .files = {"libcurl.so.4", "libcurl-gnutls.so.4"}, /* the same interface */
        .functions = functions,
        .function_count = sizeof functions / sizeof *functions,
    };
    if (shared_library_load(&table, &library, problem) == LOOM_OK) {
        loaded = &table;
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
