/* SPDX-License-Identifier: Apache-2.0 */
/* The one error type of Loom. */
#ifndef LOOM_STATUS_H
#define LOOM_STATUS_H

#include <loom/api.h>

LOOM_BEGIN_DECLS

/* X(name, value, text). Values are ABI and travel on the wire: append, never renumber. */
#define LOOM_STATUS_MAP(X)                                                  \
    X(OK, 0, "success")                                                     \
    X(ENOMEM, 1, "out of memory")                                           \
    X(EINVAL, 2, "invalid argument")                                        \
    X(EMALFORMED, 3, "bytes are not valid")                                 \
    X(ETOOBIG, 4, "over a size limit")                                      \
    X(ENOTFOUND, 5, "not found")                                            \
    X(EEXIST, 6, "exists already")                                          \
    X(EFULL, 7, "queue is full")                                            \
    X(ETIMEDOUT, 8, "deadline passed")                                      \
    X(ECLOSED, 9, "closed")                                                 \
    X(ENOTCONN, 10, "not connected")                                        \
    X(EDENIED, 11, "not permitted")                                         \
    X(EVERSION, 12, "protocol version is not supported")                    \
    X(EIO, 13, "input or output failed")                                    \
    X(EBUSY, 14, "in use")                                                  \
    X(EPROTO, 15, "peer broke the protocol")                                \
    X(EREPLACED, 16, "replaced by a newer session of the same agent")       \
    X(EEXPIRED, 17, "no heartbeat in time")                                 \
    X(EREMOTE, 18, "the other side answered with an error")                 \
    X(ENORESPONDERS, 19, "nobody provides or answers this")                 \
    X(ECANCELED, 20, "cancelled")

typedef enum loom_status {
#define X(name, value, text) LOOM_##name = (value),
    LOOM_STATUS_MAP(X)
#undef X
} loom_status;

/* A sentence fragment in English, such as "out of memory". Never NULL; static storage. */
LOOM_API const char *loom_status_text(loom_status status);
/* The name without its prefix, such as "ENOMEM"; "?" for a value not in the map. Static storage. */
LOOM_API const char *loom_status_name(loom_status status);
/* Why the last call of this thread that returned LOOM_EINVAL was refused, for people: "topic \"a..b\": a segment is empty".
 * Calls that returned LOOM_ETOOBIG, and loom_agent_open() whatever it failed with, leave their reason here, too. Other calls
 * leave it as it is, so ask right after the failure. Never NULL; valid until this thread's next failure. */
LOOM_API const char *loom_last_error(void);

LOOM_END_DECLS
#endif
