/* SPDX-License-Identifier: Apache-2.0 */
/* A client that is a bare socket, so that it can say anything, at any speed. The server runs on the test's own thread, while
 * it waits: turn_until() turns the loop. */
#ifndef LOOM_TESTS_HTTP_PEER_H
#define LOOM_TESTS_HTTP_PEER_H

#include "host/http/http_server.h"
#include "tests/support/wait_until.h"

enum { HTTP_PEER_DEADLINE_MS = 20000 };

#define turn_until(loop, condition) wait_until((uv_run((loop), UV_RUN_NOWAIT), (condition)), HTTP_PEER_DEADLINE_MS)

/* A server on a loop of its own. */
typedef struct http_home {
    uv_loop_t loop;
    http_server *server;
    uint16_t port;     /* of the last listener */
    bool closed;
} http_home;

void http_home_open(http_home *h, const http_server_options *options);
/* scheme: as in "http"; at 127.0.0.1 and any port. */
void http_home_listen(http_home *h, const char *scheme, const http_listen_options *options);
/* Closes the server, and checks that nothing of the loop is left. */
void http_home_close(http_home *h);

typedef struct http_peer {
    uv_loop_t *loop;
    int fd;
    char *heard;       /* all that came, with a NUL behind it */
    size_t len, cap;
    size_t taken;      /* of it, by http_peer_frame() */
    bool over;         /* the other side closed, or reset the connection */
} http_peer;

void http_peer_open(http_peer *p, uv_loop_t *loop, uint16_t port);
void http_peer_close(http_peer *p);
/* Sends all of it, in pieces of at most piece bytes, turning the loop between them; stops when the other side has closed. */
void http_peer_send_pieces(http_peer *p, const void *data, size_t len, size_t piece);
void http_peer_send(http_peer *p, const void *data, size_t len);
void http_peer_say(http_peer *p, const char *text);
/* Takes what has come, without waiting; true. */
bool http_peer_hear(http_peer *p);
/* Waits until the other side has closed. */
void http_peer_wait_end(http_peer *p);
/* Waits until text has come. */
void http_peer_wait_for(http_peer *p, const char *text);
/* Opens, says, waits for the end; the caller frees what was answered. */
char *http_peer_ask(uv_loop_t *loop, uint16_t port, const char *text);

/* ---- WebSocket ---- */

/* The opening handshake; more: header fields with their CRLF. Waits for the answer. */
void http_peer_upgrade(http_peer *p, const char *path, const char *more);
/* Sends a masked frame; first: FIN and opcode, as in 0x82. */
void http_peer_send_frame(http_peer *p, uint8_t first, const void *data, size_t len);
/* Waits for the next frame; its payload stays until more is heard. */
uint8_t http_peer_frame(http_peer *p, loom_bytes *payload);
/* Waits for a close frame, past others; its code. */
uint16_t http_peer_close_code(http_peer *p);

#endif
