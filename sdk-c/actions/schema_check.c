/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/actions/schema_check.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/last_error.h"
#include "base/shared_library.h"
#include "base/str.h"

#define SONAME "libloom-schema.so.0"

enum { PATH_SIZE = 512 };

typedef struct schema_library {
    bool (*check)(loom_str text, char *problem);
    loom_schema *(*compile)(loom_str text, char *problem);
    void (*free)(loom_schema *schema);
    bool (*validate)(const loom_schema *schema, loom_bytes payload, char *problem);
} schema_library;

/* What the dynamic linker has loaded belongs to the process, and so does this. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static schema_library table;
static const schema_library *loaded;
static char problem_of_loading[SHARED_LIBRARY_PROBLEM_SIZE];

/* The folder of the program or library that this is linked into, with the '/'. A tree that was installed aside is not where
 * the dynamic linker looks. */
static size_t own_folder(char out[PATH_SIZE])
{
    Dl_info info;
    out[0] = '\0';
    const size_t len = dladdr(&once, &info) != 0 && info.dli_fname != NULL ? strlen(info.dli_fname) : PATH_SIZE;
    if (len >= PATH_SIZE) {
        return 0;
    }
    memcpy(out, info.dli_fname, len + 1);
    char *slash = strrchr(out, '/');
    if (slash == NULL) {
        return 0;
    }
    slash[1] = '\0';
    return (size_t)(slash + 1 - out);
}

static void load(void)
{
    static const struct library_function functions[] = {{"loom_schema_check", offsetof(schema_library, check)},
                                                        {"loom_schema_compile", offsetof(schema_library, compile)},
                                                        {"loom_schema_free", offsetof(schema_library, free)},
                                                        {"loom_schema_validate", offsetof(schema_library, validate)}};
    char folder[PATH_SIZE], beside[PATH_SIZE + sizeof SONAME], below[PATH_SIZE + sizeof "../lib/" SONAME];
    const bool known = own_folder(folder) > 0;
    snprintf(beside, sizeof beside, "%s" SONAME, folder);
    snprintf(below, sizeof below, "%s../lib/" SONAME, folder);
    const shared_library library = {.needed = "validating needs libloom-schema (comes with libloom)",
                                    .oldest = "libloom-schema 0.1",
                                    .files = {SONAME, known ? beside : NULL, known ? below : NULL},
                                    .functions = functions,
                                    .function_count = sizeof functions / sizeof *functions};
    if (shared_library_load(&table, &library, problem_of_loading) == LOOM_OK) {
        loaded = &table;
    }
}

static const schema_library *get(void)
{
    pthread_once(&once, load);
    return loaded;
}

/* out NULL: only checked. */
static loom_status read_schema(loom_schema **out, const loom_capability *given, const char *what, const char *text)
{
    char problem[LOOM_SCHEMA_PROBLEM_SIZE] = "";
    const schema_library *library = str_of(text).len > 0 ? get() : NULL;
    if (library == NULL) {
        return LOOM_OK;
    }
    bool good = out == NULL ? library->check(str_of(text), problem)
                            : (*out = library->compile(str_of(text), problem)) != NULL;
    return good ? LOOM_OK
                : last_error(LOOM_EINVAL, "capability \"%.100s\": its %s is not JSON Schema%s: %s", given->name, what,
                             out != NULL ? " to validate by" : "", problem);
}

loom_status capability_schemas_init(capability_schemas *out, const loom_capability *given)
{
    *out = (capability_schemas){0};
    const bool validate = given->validate;
    if (validate && str_of(given->input_schema).len == 0 && str_of(given->output_schema).len == 0) {
        return last_error(LOOM_EINVAL, "capability \"%.100s\": there is no schema to validate by", given->name);
    }
    if (validate && get() == NULL) {
        return last_error(LOOM_EINVAL, "capability \"%.100s\": %s", given->name, problem_of_loading);
    }
    loom_status st = read_schema(validate ? &out->input : NULL, given, "input_schema", given->input_schema);
    if (st == LOOM_OK) {
        st = read_schema(validate ? &out->output : NULL, given, "output_schema", given->output_schema);
    }
    if (st != LOOM_OK) {
        capability_schemas_fini(out);
    }
    return st;
}

void capability_schemas_fini(capability_schemas *schemas)
{
    if (schemas->input != NULL) {
        loaded->free(schemas->input);
    }
    if (schemas->output != NULL) {
        loaded->free(schemas->output);
    }
    *schemas = (capability_schemas){0};
}

bool schema_allows(const loom_schema *schema, loom_bytes payload, char problem[LOOM_SCHEMA_PROBLEM_SIZE])
{
    return schema == NULL || loaded->validate(schema, payload, problem);
}
