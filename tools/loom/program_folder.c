/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/program_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *program_folder(void)
{
    char *program = realpath("/proc/self/exe", NULL);
    char *slash = program != NULL ? strrchr(program, '/') : NULL;
    if (slash != NULL) {
        slash[slash == program ? 1 : 0] = '\0';
    }
    return program;
}

static char *beside_folder(void)
{
    char *folder = program_folder(), *share = NULL;
    char *slash = folder != NULL ? strrchr(folder, '/') : NULL;
    if (slash != NULL && asprintf(&share, "%.*s/share/loom", (int)(slash - folder), folder) < 0) {
        share = NULL;
    }
    free(folder);
    return share;
}

char *program_share(void)
{
    const char *given = getenv("LOOM_LIBRARIES_DIR");
    char *share = given != NULL && given[0] != '\0' ? strdup(given) : beside_folder();
    if (share != NULL && access(share, R_OK | X_OK) != 0) {
        free(share);
        share = NULL;
    }
    return share;
}
