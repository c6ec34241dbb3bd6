/* SPDX-License-Identifier: Apache-2.0 */
/* Where an agent's link leads: the URL, taken apart. */
#ifndef LOOM_SDK_LINK_URL_H
#define LOOM_SDK_LINK_URL_H

#include <loom/status.h>

enum {
    LINK_URL_MAX = 1024,      /* bytes of the whole text with NUL */
    LINK_HOST_SIZE = 256,     /* RFC 1035, 2.3.4, and NUL */
    LINK_PORT_SIZE = 6,       /* "65535" */
    LINK_PATH_SIZE = 108,     /* sun_path of Linux */
    LINK_WHY_SIZE = 192
};

typedef enum link_scheme { LINK_IPC, LINK_TCP, LINK_TLS, LINK_WS, LINK_WSS } link_scheme;

typedef struct link_url {
    link_scheme scheme;
    char text[LINK_URL_MAX];
    char path[LINK_PATH_SIZE]; /* ipc: of the socket */
    char host[LINK_HOST_SIZE]; /* without brackets */
    char port[LINK_PORT_SIZE]; /* decimal */
} link_url;

/* ipc:///PATH, tcp://HOST:PORT, tls+tcp://HOST:PORT, ws://HOST[:PORT][/PATH], wss://….
 * LOOM_EINVAL: why is then a sentence fragment, such as "the port is missing". */
LOOM_MUST_CHECK loom_status link_url_parse(link_url *out, const char *text, char why[LINK_WHY_SIZE]);

/* The local broker's: LOOM_URL, else ipc://$XDG_RUNTIME_DIR/loom/loom.sock, else ipc:///tmp/loom-UID/loom.sock. */
void link_url_default(char out[LINK_URL_MAX]);

#endif
