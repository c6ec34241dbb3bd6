/* SPDX-License-Identifier: Apache-2.0 */
/* The carriers tls+tcp, ws and wss: streams of the HTTP server. The bytes of a WebSocket's binary messages are one stream;
 * where a message begins means nothing. */
#include "base/url.h"
#include "bridge/link/link.h"
#include "host/net/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBPROTOCOL "loom.v1"

typedef struct http_link {
    link_t link;
    http_stream *stream; /* NULL: the connection is gone */
} http_link;

/* One address: what the server borrows of it. */
typedef struct address {
    struct address *next;
    http_route route;
    char path[URL_MAX];
} address;

struct link_http {
    http_server *server;
    address *addresses;
};

/* ---- a connection ---- */

static void on_received(void *user, const uint8_t *data, size_t len)
{
    http_link *h = user;
    link_push(&h->link, data, len);
}

static void on_sent(void *user)
{
    http_link *h = user;
    link_sent(&h->link, true);
}

static void on_closed(void *user)
{
    http_link *h = user;
    h->link.unsent = link_flight_left(&h->link) + http_stream_untaken(h->stream);
    h->stream = NULL;
    link_broken(&h->link);
    link_gone(&h->link);
    free(h);
}

static const http_stream_events events = {on_received, on_sent, on_closed};

static void http_link_send(link_t *l, const uint8_t *data, size_t len)
{
    http_stream_send(((http_link *)l)->stream, data, len);
}

static void http_link_pause(link_t *l, bool on)
{
    http_link *h = (http_link *)l;
    if (h->stream != NULL) {
        http_stream_pause(h->stream, on);
    }
}

static void http_link_close(link_t *l)
{
    http_link *h = (http_link *)l;
    if (h->stream != NULL) {
        http_stream_close(h->stream, l->server->stopping ? HTTP_CLOSE_GOING_AWAY : HTTP_CLOSE_NORMAL);
    }
}

static void on_opened(void *user, http_stream *stream, const char *peer)
{
    link_server *server = user;
    http_link *h = calloc(1, sizeof *h);
    loom_status st = h != NULL ? link_init(&h->link, server, &link_http_carrier, peer) : LOOM_ENOMEM;
    if (st == LOOM_OK) {
        h->stream = stream;
        http_stream_attach(stream, &events, h);
        return;
    }
    free(h);
    link_log_refusal(server, peer, st);
    frame_writer w;
    frame_writer_init(&w);
    link_put_refusal(&w, st);
    http_stream_refuse(stream, (loom_bytes){w.data, w.len});
    frame_writer_fini(&w);
}

static const http_endpoint endpoint = {
    .subprotocol = SUBPROTOCOL,
    .message_max = FRAME_HEADER_SIZE + FRAME_MAX, /* a browser sends what it is given as one frame */
    .opened = on_opened,
};

/* ---- listening ---- */

static loom_status open_server(link_server *server)
{
    struct link_http *http = calloc(1, sizeof *http);
    http_server_options options = server->options.http;
    options.descriptor_limit = server->descriptor_limit;
    if (http == NULL || http_server_open(&http->server, server->loop, &options) != LOOM_OK) {
        free(http);
        return LOOM_ENOMEM;
    }
    server->http = http;
    return LOOM_OK;
}

static loom_status http_carrier_listen(link_server *server, const url *asked, char *bound, size_t bound_size,
                                       char why[LINK_ERROR_SIZE])
{
    url u = *asked;
    address *a = calloc(1, sizeof *a);
    if (a == NULL || (server->http == NULL && open_server(server) != LOOM_OK)) {
        snprintf(why, LINK_ERROR_SIZE, "out of memory");
        free(a);
        return LOOM_ENOMEM;
    }
    memcpy(a->path, u.path, sizeof a->path);
    a->route = (http_route){.path = a->path, .websocket = &endpoint};
    const http_listen_options options = {
        .routes = &a->route,
        .route_count = u.scheme == URL_TLS ? 0 : 1,
        .raw = u.scheme == URL_TLS ? &endpoint : NULL,
        .tls_cert_key_file = server->options.tls_cert_key_file,
        .origins = server->options.ws_origins,
        .origin_count = server->options.ws_origin_count,
        .user = server,
    };
    loom_status st = http_server_listen(server->http->server, &u, &options, why);
    if (st == LOOM_EBUSY) {
        snprintf(why, LINK_ERROR_SIZE, "%s", LISTENING_TWICE);
    }
    if (st != LOOM_OK) {
        free(a);
        return st;
    }
    a->next = server->http->addresses;
    server->http->addresses = a;
    return url_format(bound, bound_size, &u);
}

static void stop(link_server *server)
{
    if (server->http != NULL) {
        http_server_stop_listening(server->http->server);
    }
}

loom_status link_server_check_certificate(const link_server *server, const char *file, char why[LINK_ERROR_SIZE])
{
    return server->http != NULL ? http_server_check_certificate(server->http->server, file, why) : LOOM_OK;
}

loom_status link_server_use_certificate(link_server *server, const char *file, char why[LINK_ERROR_SIZE])
{
    server->options.tls_cert_key_file = file;
    return server->http != NULL ? http_server_use_certificate(server->http->server, file, why) : LOOM_OK;
}

http_server_counts link_http_counts(const link_server *server)
{
    return server->http != NULL ? http_server_get_counts(server->http->server) : (http_server_counts){0};
}

static void on_server_closed(void *user)
{
    link_server *server = user;
    for (address *a = server->http->addresses, *next; a != NULL; a = next) {
        next = a->next;
        free(a);
    }
    free(server->http);
    server->http = NULL;
    link_server_left(server);
}

static void fini(link_server *server)
{
    if (server->http != NULL) {
        http_server_close(server->http->server, on_server_closed, server);
    }
}

const link_carrier link_http_carrier = {
    .schemes = URL_WS | URL_WSS | URL_TLS,
    .listen = http_carrier_listen,
    .stop = stop,
    .fini = fini,
    .send = http_link_send,
    .pause = http_link_pause,
    .close = http_link_close,
};
