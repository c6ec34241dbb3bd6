/* SPDX-License-Identifier: Apache-2.0 */
/* Which Loom this is: the macros say what a program was compiled with, the functions what it runs with.
 *
 *     #if LOOM_VERSION_NUMBER >= LOOM_VERSION_AT(0, 2, 0)
 *     …
 *     #endif
 *     printf("compiled with %s, running with %s\n", LOOM_VERSION, loom_version());
 *
 * Versions follow Semantic Versioning. Before 1.0 another minor version may change the API; the shared library's soname then
 * changes, too. */
#ifndef LOOM_VERSION_H
#define LOOM_VERSION_H

#include <loom/api.h>

LOOM_BEGIN_DECLS

/* CMakeLists.txt reads the project's version from these three lines. */
#define LOOM_VERSION_MAJOR 0
#define LOOM_VERSION_MINOR 1
#define LOOM_VERSION_PATCH 0

#define LOOM_VERSION_TEXT_(major, minor, patch) #major "." #minor "." #patch
#define LOOM_VERSION_TEXT_OF_(major, minor, patch) LOOM_VERSION_TEXT_(major, minor, patch)
#define LOOM_VERSION LOOM_VERSION_TEXT_OF_(LOOM_VERSION_MAJOR, LOOM_VERSION_MINOR, LOOM_VERSION_PATCH) /* such as "0.1.0" */

/* Versions as numbers that compare; usable in #if. */
#define LOOM_VERSION_AT(major, minor, patch) (((major) << 16) | ((minor) << 8) | (patch))
#define LOOM_VERSION_NUMBER LOOM_VERSION_AT(LOOM_VERSION_MAJOR, LOOM_VERSION_MINOR, LOOM_VERSION_PATCH)

/* The version of the library that is linked, such as "0.1.0". Static storage. */
LOOM_API const char *loom_version(void);
/* The same as a number, to be compared with LOOM_VERSION_AT(). */
LOOM_API uint32_t loom_version_number(void);

LOOM_END_DECLS
#endif
