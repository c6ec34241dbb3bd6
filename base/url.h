/* SPDX-License-Identifier: Apache-2.0 */
/* The URLs a link, the bus or the metrics server is reached by. */
#ifndef LOOM_BASE_URL_H
#define LOOM_BASE_URL_H

#include <loom/status.h>

/* Bits, so that a caller can say which ones make sense where it stands. */
typedef enum url_scheme {
    URL_IPC = 1 << 0,   /* ipc://PATH, an absolute path */
    URL_TCP = 1 << 1,   /* tcp://HOST:PORT */
    URL_TLS = 1 << 2,   /* tls+tcp://HOST:PORT */
    URL_WS = 1 << 3,    /* ws://HOST[:PORT][/PATH], port 80 */
    URL_WSS = 1 << 4,   /* wss://HOST[:PORT][/PATH], port 443 */
    URL_HTTP = 1 << 5,  /* http://HOST[:PORT][/PATH], port 80 */
    URL_HTTPS = 1 << 6, /* https://HOST[:PORT][/PATH], port 443 */
    URL_DIAL = 1 << 7,  /* not a scheme, and only in allowed: to be connected to, so neither '*' nor port 0 */
    URL_BUS = URL_IPC | URL_TCP,                                /* the bus's own sockets */
    URL_LINKS = URL_IPC | URL_TCP | URL_TLS | URL_WS | URL_WSS, /* an agent link */
    URL_WEB = URL_HTTP | URL_HTTPS
} url_scheme;

#define URL_MAX 1024          /* bytes of a whole URL with NUL */
#define URL_HOST_SIZE 256     /* RFC 1035 2.3.4: 253 characters, and NUL */
#define URL_IPC_PATH_MAX 107  /* bytes: sun_path of Linux less its NUL */
#define URL_ERROR_SIZE 256    /* room for any sentence of url_parse() */

typedef struct url {
    url_scheme scheme;          /* exactly one of the first seven */
    char host[URL_HOST_SIZE];   /* without brackets; "" for ipc; "*" means every address */
    bool host_is_ipv6;          /* to be written in brackets */
    uint16_t port;              /* 0: ephemeral, or ipc */
    char path[URL_MAX];         /* ipc: of the socket; ws, http: from '/' on; otherwise "" */
} url;

/* Parses NUL-terminated text whose scheme is one of allowed (URL_* bits).
 * LOOM_EINVAL: why[] then holds a sentence fragment without the URL itself, such as "the port is missing". */
LOOM_MUST_CHECK loom_status url_parse(url *out, const char *text, unsigned allowed, char why[URL_ERROR_SIZE]);
/* The URL as text, for a bound port that differs from the asked one. LOOM_ETOOBIG: size is too small. */
LOOM_MUST_CHECK loom_status url_format(char *out, size_t size, const url *u);
/* "ipc", "tls+tcp" … Static storage. */
const char *url_scheme_name(url_scheme scheme);
/* Whether only this machine can reach it: ipc, 127.0.0.0/8, ::1, localhost. Never asks a name server. */
bool url_is_loopback(const url *u);

#define URL_SHOWN_SIZE 160u
/* Any URL, or host:port, valid or not, as a log may show it: without the password or token before '@' and without the query,
 * printable, cut. */
void url_show(char out[URL_SHOWN_SIZE], const char *text);

#endif
