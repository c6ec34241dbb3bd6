/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/probe.h"

#include "base/str.h"
#include "base/url.h"
#include "trace/export/exporter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 20 };

static bool refuses(const struct sockaddr *address, socklen_t len)
{
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno == EAFNOSUPPORT;
    }
    int error = connect(fd, address, len) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        socklen_t size = sizeof error;
        if (poll(&(struct pollfd){fd, POLLOUT, 0}, 1, WAIT_MS) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
            error = 0; /* nobody knows */
        }
    }
    close(fd);
    return error == ECONNREFUSED || error == EADDRNOTAVAIL;
}

static bool refuses_v4(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    return refuses((const struct sockaddr *)&address, sizeof address);
}

static bool refuses_v6(uint16_t port)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return refuses((const struct sockaddr *)&address, sizeof address);
}

bool probe_is_refused(const char *endpoint)
{
    char why[URL_ERROR_SIZE];
    url parsed;
    if (!endpoint_is_loopback(endpoint) || url_parse(&parsed, endpoint, URL_HTTP, why) != LOOM_OK || parsed.port == 0) {
        return false;
    }
    if (strchr(parsed.host, ':') != NULL) {
        return refuses_v6(parsed.port);
    }
    const bool name = strcmp(parsed.host, "localhost") == 0;
    return refuses_v4(parsed.host, parsed.port) && (!name || refuses_v6(parsed.port));
}
