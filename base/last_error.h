/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind loom_last_error(): one sentence for each thread. */
#ifndef LOOM_BASE_LAST_ERROR_H
#define LOOM_BASE_LAST_ERROR_H

#include <loom/status.h>

/* Keeps a sentence for loom_last_error(). Texts of others are made printable; what is too long is cut. */
void last_error_keep(const char *format, ...) __attribute__((cold, format(printf, 1, 2)));
/* The same, and is the status: also to who reads the caller alone, as analysers do. */
#define last_error(status, ...) (last_error_keep(__VA_ARGS__), (loom_status)(status))
/* "NAME is NULL". */
static inline loom_status last_error_null(const char *name)
{
    return last_error(LOOM_EINVAL, "%s is NULL", name);
}
void last_error_clear(void);

#endif
