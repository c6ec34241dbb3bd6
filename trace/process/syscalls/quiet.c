/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/quiet.h"

#include <errno.h>
#include <string.h>

/* linux/errno.h of the kernel: never seen by the program, only by who traces it. */
enum { INTERNAL_FIRST = 512, INTERNAL_LAST = 516 };

static bool always_quiet(int error)
{
    switch (error) {
    case EINTR:
    case EAGAIN:      /* not now; also EWOULDBLOCK */
    case EINPROGRESS: /* it goes on: poll() tells */
    case EALREADY:
    case ENOSYS:      /* libraries ask for the new call first */
        return true;
    default:
        return error >= INTERNAL_FIRST && error <= INTERNAL_LAST;
    }
}

/* Where libraries, their locales and modules are looked for, one folder after the other. */
static bool is_searched(loom_str path)
{
    static const char *const folders[] = {"/lib", "/usr/lib", "/usr/share/", "/usr/local/lib", "/usr/local/share/"}; /* also lib64 */
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        const size_t len = strlen(folders[i]);
        if (path.len > len && memcmp(path.data, folders[i], len) == 0) {
            return true;
        }
    }
    return false;
}

bool syscall_error_matters(const syscall_spec *spec, int error, loom_str path)
{
    if (always_quiet(error)) {
        return false;
    }
    switch (spec->quiet) {
    case QUIET_NONE: return true;
    case QUIET_PROBE:
    case QUIET_EXEC: return error != ENOENT && error != ENOTDIR;
    case QUIET_OPEN: return (error != ENOENT && error != ENOTDIR) || !is_searched(path);
    case QUIET_LINK: return error != ENOENT && error != ENOTDIR && error != EINVAL;
    case QUIET_XATTR: return error != ENODATA && error != EOPNOTSUPP;
    case QUIET_TIMED: return error != ETIMEDOUT;
    case QUIET_CHILD: return error != ECHILD;
    case QUIET_TTY: return error != ENOTTY;
    case QUIET_EXISTS: return error != EEXIST;
    case QUIET_SEEK: return error != ESPIPE;
    case QUIET_PROCESS: return error != ESRCH;
    case QUIET_PEER: return error != ENOTCONN;
    }
    return true;
}

const char *syscall_error_name(int error)
{
    static const char *const internal[] = {"ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD", "ERESTART_RESTARTBLOCK"};
    return error >= INTERNAL_FIRST && error <= INTERNAL_LAST ? internal[error - INTERNAL_FIRST] : strerrorname_np(error);
}
