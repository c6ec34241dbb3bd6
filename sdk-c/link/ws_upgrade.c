/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/ws_upgrade.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/sha1.h"
#include "base/str.h"

enum { SHOWN_MAX = 60 }; /* bytes of the server's words in a message */

void ws_upgrade_key(char key[WS_KEY_SIZE], char accept[WS_ACCEPT_SIZE])
{
    uint8_t nonce[16], digest[SHA1_SIZE];
    char text[WS_KEY_SIZE + 36];
    random_take(nonce, sizeof nonce);
    sodium_bin2base64(key, WS_KEY_SIZE, nonce, sizeof nonce, sodium_base64_VARIANT_ORIGINAL);
    int len = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1(digest, text, (size_t)len);
    sodium_bin2base64(accept, WS_ACCEPT_SIZE, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
}

size_t ws_upgrade_request(char out[WS_REQUEST_SIZE], const url *to, const char *key)
{
    char port[8] = "";
    if (to->port != (to->scheme == URL_WSS ? 443 : 80)) {
        (void)snprintf(port, sizeof port, ":%u", (unsigned)to->port);
    }
    int host_len = (int)(to->host_is_ipv6 ? strcspn(to->host, "%") : strlen(to->host)); /* an interface is ours alone */
    int len = snprintf(out, WS_REQUEST_SIZE,
                       "GET %s HTTP/1.1\r\nHost: %s%.*s%s%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: " WS_SUBPROTOCOL "\r\n\r\n",
                       to->path, to->host_is_ipv6 ? "[" : "", host_len, to->host, to->host_is_ipv6 ? "]" : "", port, key);
    return (size_t)len;
}

__attribute__((format(printf, 2, 3))) static loom_status refuse(char why[WS_UPGRADE_WHY_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, WS_UPGRADE_WHY_SIZE, format, args);
    va_end(args);
    return LOOM_EPROTO;
}

/* The server's words, fit to be printed. */
static const char *shown(char out[SHOWN_MAX + 1], loom_str text)
{
    size_t len = text.len < SHOWN_MAX ? text.len : SHOWN_MAX;
    for (size_t i = 0; i < len; i++) {
        out[i] = text.data[i] >= ' ' && text.data[i] < 0x7f ? text.data[i] : '?';
    }
    out[len] = '\0';
    return out;
}

static bool list_has(loom_str list, const char *word)
{
    loom_str item;
    while (str_next_item(&list, ',', &item)) {
        if (str_is_any_case(str_trim(item), word)) {
            return true;
        }
    }
    return false;
}

/* The line that begins at *at, without its CRLF. There is one: head ends with an empty line. */
static loom_str next_line(loom_str head, size_t *at)
{
    const char *begin = head.data + *at;
    const char *end = memmem(begin, head.len - *at, "\r\n", 2);
    *at = (size_t)(end - head.data) + 2;
    return (loom_str){begin, (size_t)(end - begin)};
}

typedef struct answer {
    loom_str upgrade, connection, accept, protocol, extensions, location; /* data NULL: not there */
} answer;

/* Bare CR or LF, lines folded or without a colon, and a header given twice are what smuggling is made of. */
static loom_status take_header(answer *a, loom_str line, char why[WS_UPGRADE_WHY_SIZE])
{
    const struct {
        const char *name;
        loom_str *value;
    } wanted[] = {{"Upgrade", &a->upgrade},
                  {"Connection", &a->connection},
                  {"Sec-WebSocket-Accept", &a->accept},
                  {"Sec-WebSocket-Protocol", &a->protocol},
                  {"Sec-WebSocket-Extensions", &a->extensions},
                  {"Location", &a->location}};
    const char *colon = memchr(line.data, ':', line.len);
    if (colon == NULL || colon == line.data || str_is_space(line.data[0]) || str_is_space(colon[-1]) ||
        memchr(line.data, '\n', line.len) != NULL || memchr(line.data, '\r', line.len) != NULL ||
        memchr(line.data, '\0', line.len) != NULL) {
        return refuse(why, "the server's answer to the WebSocket upgrade is not HTTP");
    }
    loom_str name = {line.data, (size_t)(colon - line.data)};
    loom_str value = str_trim((loom_str){colon + 1, line.len - name.len - 1});
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (!str_is_any_case(name, wanted[i].name)) {
            continue;
        }
        if (wanted[i].value->data != NULL) {
            return refuse(why, "the server's answer to the WebSocket upgrade has two %s", wanted[i].name);
        }
        *wanted[i].value = value;
    }
    return LOOM_OK;
}

static loom_status check(const answer *a, const char *accept, char why[WS_UPGRADE_WHY_SIZE])
{
    char text[SHOWN_MAX + 1];
    if (!str_is_any_case(a->upgrade, "websocket") || !list_has(a->connection, "upgrade")) {
        return refuse(why, "the server switched to \"%s\", not to a WebSocket", shown(text, a->upgrade));
    }
    if (!str_is(a->accept, accept)) {
        return refuse(why, "the server's Sec-WebSocket-Accept is wrong: it has not read the request");
    }
    if (a->protocol.data != NULL && !str_is(a->protocol, WS_SUBPROTOCOL)) {
        return refuse(why, "the server speaks \"%s\", not " WS_SUBPROTOCOL, shown(text, a->protocol));
    }
    if (a->extensions.data != NULL) {
        return refuse(why, "the server uses a WebSocket extension that was not offered: %s", shown(text, a->extensions));
    }
    return LOOM_OK;
}

/* "HTTP/1.1 101 …": the status, or 0. */
static unsigned status_of(loom_str line)
{
    if (line.len < 12 || memcmp(line.data, "HTTP/1.", 7) != 0 || line.data[8] != ' ' || (line.len > 12 && line.data[12] != ' ')) {
        return 0;
    }
    unsigned status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (line.data[i] < '0' || line.data[i] > '9') {
            return 0;
        }
        status = status * 10 + (unsigned)(line.data[i] - '0');
    }
    return status == 101 && line.data[7] != '1' ? 0 : status;
}

loom_status ws_upgrade_answer(loom_str head, const char *accept, size_t *end, char why[WS_UPGRADE_WHY_SIZE])
{
    static const char begin[] = "HTTP/1.";
    size_t known = head.len < strlen(begin) ? head.len : strlen(begin);
    if (memcmp(head.data, begin, known) != 0) {
        return refuse(why, "not a WebSocket server: what answers does not speak HTTP");
    }
    size_t searched = head.len < WS_ANSWER_MAX ? head.len : WS_ANSWER_MAX;
    const char *blank = memmem(head.data, searched, "\r\n\r\n", 4);
    if (blank == NULL) {
        return head.len < WS_ANSWER_MAX ? LOOM_EBUSY
                                        : refuse(why, "the server's answer to the WebSocket upgrade has over %d bytes of headers",
                                                 WS_ANSWER_MAX);
    }
    *end = (size_t)(blank - head.data) + 4;
    size_t at = 0;
    loom_str lines = {head.data, *end};
    loom_str first = next_line(lines, &at);
    unsigned status = status_of(first);
    if (status == 0) {
        return refuse(why, "the server's answer to the WebSocket upgrade is not HTTP/1.1");
    }
    answer a = {0};
    while (at + 2 < *end) {
        loom_status st = take_header(&a, next_line(lines, &at), why);
        if (st != LOOM_OK) {
            return st;
        }
    }
    if (status != 101) {
        char text[SHOWN_MAX + 1], place[SHOWN_MAX + 1];
        bool moved = status / 100 == 3 && a.location.data != NULL;
        return refuse(why, "the server answered %s%s%s, not a WebSocket upgrade",
                      shown(text, str_tail(first, 9)), moved ? ", see " : "",
                      moved ? shown(place, a.location) : "");
    }
    return check(&a, accept, why);
}
