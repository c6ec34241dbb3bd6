/* SPDX-License-Identifier: Apache-2.0 */
/* zlib, loaded when a receiver is to get gzip: libloom does not depend on it otherwise. Never unloaded. Any thread. */
#ifndef LOOM_TRACE_EXPORT_ZLIB_LIBRARY_H
#define LOOM_TRACE_EXPORT_ZLIB_LIBRARY_H

#include <zlib.h>

#define ZLIB_LIBRARY_MAP(X) X(deflateInit2_) X(deflateBound) X(deflate) X(deflateReset) X(deflateEnd)

typedef struct zlib_library {
#define X(name) __typeof__(&name) name;
    ZLIB_LIBRARY_MAP(X)
#undef X
} zlib_library;

/* NULL: there is none; zlib_library_problem() says so. */
const zlib_library *zlib_library_get(void);
const char *zlib_library_problem(void); /* after a NULL; static storage */

#endif
