/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/new/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEMPLATE_MAX = 1024 * 1024 };

static bool complain(char why[FILES_WHY_SIZE], const char *path)
{
    snprintf(why, FILES_WHY_SIZE, "%s: %s", path, strerror(errno));
    return false;
}

/* On the heap, with a NUL at its end. NULL: errno tells. */
static char *read_template(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? malloc(TEMPLATE_MAX + 1) : NULL;
    if (text != NULL) {
        const size_t len = fread(text, 1, TEMPLATE_MAX, file);
        text[len] = '\0';
        if (ferror(file) || !feof(file)) {
            errno = ferror(file) ? EIO : EFBIG;
            free(text);
            text = NULL;
        }
    }
    if (file != NULL) {
        const int error = errno;
        (void)fclose(file);
        errno = error;
    }
    return text;
}

static const replacement *starts_with_mark(const char *text, const replacement *with)
{
    for (; with->mark != NULL; with++) {
        if (strncmp(text, with->mark, strlen(with->mark)) == 0) {
            return with;
        }
    }
    return NULL;
}

static void put_replaced(FILE *out, const char *text, const replacement *with)
{
    while (*text != '\0') {
        const replacement *mark = *text == '@' ? starts_with_mark(text, with) : NULL;
        if (mark != NULL) {
            (void)fputs(mark->text, out);
            text += strlen(mark->mark);
        } else {
            (void)fputc(*text++, out);
        }
    }
}

static bool write_new(const char *path, const char *text, const replacement *with)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (out == NULL) {
        return false;
    }
    put_replaced(out, text, with);
    const bool whole = ferror(out) == 0;
    return fclose(out) == 0 && whole;
}

bool files_copy(const char *from, const char *to, const char *name, const replacement *with, char why[FILES_WHY_SIZE])
{
    char *source = NULL, *target = NULL, *text = NULL;
    bool ok = false;
    if (asprintf(&source, "%s/%s", from, name) < 0 || asprintf(&target, "%s/%s", to, name) < 0) {
        snprintf(why, FILES_WHY_SIZE, "out of memory");
    } else if ((text = read_template(source)) == NULL) {
        ok = complain(why, source);
    } else {
        ok = write_new(target, text, with) || complain(why, target);
    }
    free(text);
    free(source);
    free(target);
    return ok;
}
