/* SPDX-License-Identifier: Apache-2.0 */
/* libwslay, which takes WebSocket frames apart, loaded when the first ws or wss link opens. Any thread. */
#ifndef LOOM_SDK_LINK_WS_LIBRARY_H
#define LOOM_SDK_LINK_WS_LIBRARY_H

#include <wslay/wslay.h>

#define WS_LIBRARY_MAP(X) X(wslay_frame_context_init) X(wslay_frame_context_free) X(wslay_frame_recv)

typedef struct ws_library {
#define X(name) __typeof__(&(name)) name;
    WS_LIBRARY_MAP(X)
#undef X
} ws_library;

/* NULL: there is none; ws_library_problem() says so. */
const ws_library *ws_library_get(void);
const char *ws_library_problem(void); /* after a NULL; static storage */

#endif
