/* SPDX-License-Identifier: Apache-2.0 */
/* The agents' connections: listens on URLs, and moves bytes between connections and the sessions of a bridge.
 * ipc and tcp are libuv's streams; tls+tcp, ws and wss are streams of the HTTP server, on the same loop. The sessions
 * cannot tell the difference.
 *
 * Threads: the loop's, for everything here. */
#ifndef LOOM_BRIDGE_LINK_SERVER_H
#define LOOM_BRIDGE_LINK_SERVER_H

#include <uv.h>

#include "bridge/session/bridge.h"
#include "host/http/http_server.h"

typedef struct link_server link_server;

typedef struct link_server_options {
    const char *tls_cert_key_file; /* PEM with certificate and key, for tls+tcp and wss; NULL: none */
    const char *const *ws_origins; /* pages that may open a WebSocket; "*": all. Those of our own host always may */
    size_t ws_origin_count;
    http_server_options http;      /* deadlines and limits of tls+tcp, ws and wss, and their log */
    uint32_t heartbeat_ms;         /* the bridge's, which is ticked a few times in it; 0: so long that it does not matter */
    uint32_t linger_ms;            /* how long the last bytes of a session that ended may take to leave; 0: 5000 */
} link_server_options;

/* clock is the bridge's, which the server sets when the loop wakes for it. clock and b must outlive it. options may be NULL. */
LOOM_MUST_CHECK loom_status link_server_open(link_server **out, uv_loop_t *loop, loop_clock *clock, bridge *b,
                                             const link_server_options *options);
enum { LINK_ERROR_SIZE = 512 };
/* Begins to listen. bound receives the URL with the real port (size URL_MAX). On an error why holds a sentence that names
 * the URL. LOOM_EBUSY: in use.  LOOM_EINVAL.  LOOM_EIO. */
LOOM_MUST_CHECK loom_status link_server_listen(link_server *server, const char *url, char *bound, size_t bound_size,
                                               char why[LINK_ERROR_SIZE]);
/* The certificate of tls+tcp and wss, as http_server_check_certificate() and http_server_use_certificate(). */
LOOM_MUST_CHECK loom_status link_server_check_certificate(const link_server *server, const char *file, char why[LINK_ERROR_SIZE]);
LOOM_MUST_CHECK loom_status link_server_use_certificate(link_server *server, const char *file, char why[LINK_ERROR_SIZE]);
/* No new connections. */
void link_server_stop_listening(link_server *server);
/* Writes what the sessions have to say now, without waiting for the end of the round. */
void link_server_flush(link_server *server);
/* Connections that still have something to send, or wait to be closed. */
size_t link_server_busy(const link_server *server);
/* Bytes for agents that the kernel has not taken. */
uint64_t link_server_unsent(const link_server *server);
typedef struct link_server_stats {
    uint64_t connections_refused;   /* closed at once: too many agents, no memory, no descriptor */
    uint64_t connections_displaced; /* on TLS and WebSocket, made room for newer ones before their handshake was over */
    uint64_t connections_late;      /* on these, closed because a deadline had passed */
    uint64_t requests_invalid;      /* TLS handshakes, HTTP requests and WebSocket frames that were refused */
    uint64_t frames_refused;        /* sessions ended because there was no room for what they had sent of a frame */
    uint64_t kept_bytes;            /* of memory for half frames and bytes that wait for their turn; now */
} link_server_stats;
link_server_stats link_server_get_stats(const link_server *server);
/* Closes everything; then runs done from the loop, after which the server is gone. */
void link_server_close(link_server *server, void (*done)(void *user), void *user);

#endif
