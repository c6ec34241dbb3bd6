/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that others wait for. */
#ifndef LOOM_HOST_WHOLE_FILE_H
#define LOOM_HOST_WHOLE_FILE_H

#include <loom/api.h>

#include <sys/types.h>

/* Replaces the file at path; whoever reads it sees all of the text, or what was there before. mode: of the new file, less the
 * umask. False: errno tells why, and nothing is left behind. Any thread. */
bool whole_file_write(const char *path, mode_t mode, const char *text);

#endif
