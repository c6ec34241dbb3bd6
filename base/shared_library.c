/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shared_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

loom_status shared_library_load(void *table, const shared_library *library, char problem[SHARED_LIBRARY_PROBLEM_SIZE])
{
    void *handle = NULL;
    for (size_t i = 0; i < sizeof library->files / sizeof *library->files && library->files[i] != NULL && handle == NULL; i++) {
        handle = dlopen(library->files[i], RTLD_NOW | RTLD_LOCAL);
    }
    if (handle == NULL) {
        const char *why = dlerror();
        (void)snprintf(problem, SHARED_LIBRARY_PROBLEM_SIZE, "%s: %s", library->needed, why != NULL ? why : "not found");
        return LOOM_ENOTFOUND;
    }
    for (size_t i = 0; i < library->function_count; i++) {
        void *address = dlsym(handle, library->functions[i].name);
        if (address == NULL) {
            (void)snprintf(problem, SHARED_LIBRARY_PROBLEM_SIZE, "%s has no %s: %s or later is needed", library->files[0],
                           library->functions[i].name, library->oldest);
            return LOOM_EVERSION;
        }
        memcpy((char *)table + library->functions[i].at, &address, sizeof address);
    }
    return LOOM_OK;
}
