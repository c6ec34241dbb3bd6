/* SPDX-License-Identifier: Apache-2.0 */
/* Where the processes of one user meet without any configuration. */
#ifndef LOOM_BASE_RUNTIME_DIR_H
#define LOOM_BASE_RUNTIME_DIR_H

#include <loom/status.h>

#define PATHS_DIR_SIZE 96 /* bytes with NUL, so that a socket below it fits a Unix address */

/* $XDG_RUNTIME_DIR/loom, or /tmp/loom-UID when that variable is missing, relative, too long, or no
 * part of a URL (blanks, control characters, commas, no UTF-8). No trailing slash. */
void paths_runtime_dir(char out[PATHS_DIR_SIZE]);
/* "ipc://<runtime dir>/<name>", the default URL of a local endpoint. LOOM_ETOOBIG: size is too small. */
LOOM_MUST_CHECK loom_status paths_runtime_url(char *out, size_t size, const char *name);
/* LOOM_EDENIED: not a directory, or another user owns it or may enter it. LOOM_EIO: it cannot be examined. why gets a sentence. */
LOOM_MUST_CHECK loom_status paths_check_private(const char *dir, char *why, size_t why_size);
/* Makes the directory an ipc socket will stand in (mode 0700) if it is missing; only the last level is made.
 * A directory of the runtime default has to belong to this user alone: others could plant sockets there.
 * LOOM_EDENIED: it belongs to somebody else or is open to others. LOOM_EIO: it cannot be made. why gets a sentence. */
LOOM_MUST_CHECK loom_status paths_prepare_socket_dir(const char *socket_path, char *why, size_t why_size);
/* The first loom.toml that exists: ./loom.toml, $XDG_CONFIG_HOME/loom/loom.toml (or ~/.config), /etc/loom/loom.toml.
 * *out is allocated, NULL when there is none. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status paths_find_config(char **out);

#endif
