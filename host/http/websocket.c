/* SPDX-License-Identifier: Apache-2.0 */
/* The opening handshake of a WebSocket (RFC 6455, section 4.2). */
#include "host/http/internal.h"

#include "base/sha1.h"
#include "base/str.h"

#include <sodium.h>
#include <strings.h>

enum { KEY_SIZE = 16, KEY_TEXT = 24, ACCEPT_SIZE = 29 };

static bool is_key(const loom_str *key)
{
    uint8_t bytes[KEY_SIZE + 2];
    size_t len = 0;
    const char *end = NULL;
    return key != NULL && key->len == KEY_TEXT &&
           sodium_base642bin(bytes, sizeof bytes, key->data, key->len, NULL, &len, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           len == KEY_SIZE && end == key->data + key->len;
}

static void accept_of(loom_str key, char out[ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t joined[KEY_TEXT + sizeof guid], digest[SHA1_SIZE];
    memcpy(joined, key.data, KEY_TEXT);
    memcpy(joined + KEY_TEXT, guid, sizeof guid - 1);
    sha1(digest, joined, KEY_TEXT + sizeof guid - 1);
    sodium_bin2base64(out, ACCEPT_SIZE, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
}

/* host[:port] without a port that goes without saying. */
static loom_str without_port(loom_str authority, const char *port)
{
    size_t len = strlen(port);
    if (authority.len > len && memcmp(authority.data + authority.len - len, port, len) == 0) {
        authority.len -= len;
    }
    return authority;
}

/* A page may speak to the server it came from. Its scheme may differ: TLS may end in front of us. */
static bool is_same_origin(loom_str origin, const loom_str *host)
{
    bool secure = origin.len > 8 && strncasecmp(origin.data, "https://", 8) == 0;
    size_t scheme = secure ? 8 : 7;
    if (host == NULL || origin.len <= scheme || (!secure && strncasecmp(origin.data, "http://", 7) != 0)) {
        return false;
    }
    const char *port = secure ? ":443" : ":80";
    loom_str from = str_tail(origin, scheme);
    return str_equal_any_case(without_port(from, port), without_port(*host, port));
}

bool http_request_is_same_origin(const http_request *r)
{
    const loom_str *origin = http_head_field(&r->head, "Origin");
    return origin == NULL || is_same_origin(*origin, http_head_field(&r->head, "Host"));
}

static bool may_open(const http_connection *c, const http_head *h)
{
    const http_listen_options *o = &c->listener->options;
    const loom_str *origin = http_head_field(h, "Origin");
    if (origin == NULL || is_same_origin(*origin, http_head_field(h, "Host"))) {
        return true;
    }
    for (size_t i = 0; i < o->origin_count; i++) {
        if (strcmp(o->origins[i], "*") == 0 || str_is_any_case(*origin, o->origins[i])) {
            return true;
        }
    }
    return false;
}

/* The status to refuse with; 0: it may be opened. */
static uint16_t check(const http_connection *c, const http_head *h, const http_endpoint *endpoint, const char **why)
{
    const loom_str *version = http_head_field(h, "Sec-WebSocket-Version");
    if (h->minor == 0 || !http_head_lists(h, "Upgrade", "websocket", false) ||
        !http_head_lists(h, "Connection", "upgrade", false)) {
        *why = "this is the address of a WebSocket";
        return 426;
    }
    if (version == NULL || !str_is_any_case(*version, "13")) {
        *why = "version 13 of WebSocket is spoken here";
        return 426;
    }
    if (!is_key(http_head_field(h, "Sec-WebSocket-Key")) || h->chunked || h->length > 0) {
        *why = "the handshake of the WebSocket is malformed";
        return 400;
    }
    if (!may_open(c, h)) {
        *why = "pages of this origin may not open a WebSocket here";
        return 403;
    }
    if (endpoint->subprotocol != NULL && http_head_field(h, "Sec-WebSocket-Protocol") != NULL &&
        !http_head_lists(h, "Sec-WebSocket-Protocol", endpoint->subprotocol, true)) {
        *why = "none of the subprotocols is spoken here";
        return 400;
    }
    return 0;
}

void http_websocket_upgrade(http_connection *c, const http_endpoint *endpoint)
{
    http_request *r = c->request;
    const char *why = "";
    uint16_t status = check(c, &r->head, endpoint, &why);
    if (status != 0) {
        http_exchange_refuse(c, status, why);
        return;
    }
    char accept[ACCEPT_SIZE], head[256];
    bool chosen = endpoint->subprotocol != NULL && http_head_field(&r->head, "Sec-WebSocket-Protocol") != NULL;
    accept_of(*http_head_field(&r->head, "Sec-WebSocket-Key"), accept);
    int len = snprintf(head, sizeof head,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n%s%.64s%s\r\n",
                       accept, chosen ? "Sec-WebSocket-Protocol: " : "", chosen ? endpoint->subprotocol : "",
                       chosen ? "\r\n" : "");
    http_exchange_leave(c);
    if (http_connection_say(c, head, (size_t)len)) {
        http_stream_open(c, endpoint, true);
        http_connection_pump(c);
    }
}
