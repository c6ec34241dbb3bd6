/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind loom_last_error(): one sentence for each thread. */
#ifndef LOOM_BASE_LAST_ERROR_H
#define LOOM_BASE_LAST_ERROR_H

#include <loom/status.h>

/* Keeps a sentence for loom_last_error(), and returns status. Texts of others are made printable; what is too long is cut. */
loom_status last_error(loom_status status, const char *format, ...) __attribute__((cold, format(printf, 2, 3)));
/* "NAME is NULL". LOOM_EINVAL. */
loom_status last_error_null(const char *name) __attribute__((cold));
void last_error_clear(void);

#endif
