/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_STEP 0.005 /* seconds */

enum { BACKLOG = 64, WAIT_STEPS = 2000 };

static bool address(struct sockaddr_un *out, const bench_site *site, const char *name)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    return (size_t)snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", site->dir, name) < sizeof out->sun_path;
}

int stream_listen(const bench_site *site, const char *name)
{
    struct sockaddr_un at;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !address(&at, site, name) || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0) {
        bench_complain("cannot listen on %s/%s: %s", site->dir, name, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

int stream_connect(const bench_site *site, const char *name)
{
    struct sockaddr_un at;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !address(&at, site, name) || connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        bench_complain("cannot connect to %s/%s: %s", site->dir, name, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static int try_port(unsigned port)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        const int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    return fd;
}

int stream_connect_port(unsigned port)
{
    const int fd = try_port(port);
    if (fd < 0) {
        bench_complain("cannot connect to 127.0.0.1:%u: %s", port, strerror(errno));
    }
    return fd;
}

unsigned stream_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool ok =
        fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0;
    if (!ok) {
        bench_complain("there is no free port: %s", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok ? ntohs(at.sin_port) : 0;
}

bool stream_wait_port(bench_site *site, unsigned port)
{
    for (int step = 0; step < WAIT_STEPS; step++) {
        const int fd = try_port(port);
        if (fd >= 0) {
            close(fd);
            return true;
        }
        if (!site_sleep(site, WAIT_STEP)) {
            return false;
        }
    }
    bench_complain("nobody listens on 127.0.0.1:%u after %.0f s", port, WAIT_STEPS * WAIT_STEP);
    return false;
}

bool stream_put(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool stream_read(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t n = read(fd, data, size);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return false;
        }
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}
