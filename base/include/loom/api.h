/* SPDX-License-Identifier: Apache-2.0 */
/* What every public header shares: linkage, the must-check mark, the byte slice. */
#ifndef LOOM_API_H
#define LOOM_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define LOOM_BEGIN_DECLS extern "C" {
#define LOOM_END_DECLS }
#else
#define LOOM_BEGIN_DECLS
#define LOOM_END_DECLS
#endif

#define LOOM_API __attribute__((visibility("default")))
#define LOOM_MUST_CHECK __attribute__((warn_unused_result))

/* Initialises any struct of Loom's, in every C and C++: `loom_agent_options options = LOOM_INIT;` asks for all defaults. */
#ifdef __cplusplus
#define LOOM_INIT {}
#else
#define LOOM_INIT {0}
#endif

/* Bytes somebody else owns: borrowed, never freed, not NUL-terminated. */
typedef struct loom_bytes {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;          /* bytes */
} loom_bytes;

/* Text somebody else owns: UTF-8, borrowed, not NUL-terminated. */
typedef struct loom_str {
    const char *data; /* may be NULL when len is 0 */
    size_t len;       /* bytes, without any NUL */
} loom_str;

#endif
