/* SPDX-License-Identifier: Apache-2.0 */
#include "host/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file that is there already would keep its mode, so it goes first. */
static bool write_new(const char *path, mode_t mode, const char *text)
{
    (void)unlink(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (out == NULL) {
        const int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = why;
        return false;
    }
    const bool written = fputs(text, out) >= 0;
    return fclose(out) == 0 && written;
}

bool whole_file_write(const char *path, mode_t mode, const char *text)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.%ld", path, (long)getpid()) < 0) {
        errno = ENOMEM;
        return false;
    }
    const bool done = write_new(temporary, mode, text) && rename(temporary, path) == 0;
    if (!done) {
        const int why = errno;
        (void)unlink(temporary);
        errno = why;
    }
    free(temporary);
    return done;
}
