/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net/listen.h"

#include "host/net/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 511, LOCK_TRIES = 50, LOCK_STEP_NS = 10 * 1000 * 1000 };

static loom_status status_of(int error)
{
    switch (error) {
    case EADDRINUSE: return LOOM_EBUSY;
    case EACCES:
    case EPERM: return LOOM_EDENIED;
    case ENOMEM:
    case ENOBUFS: return LOOM_ENOMEM;
    default: return LOOM_EIO;
    }
}

static const char *text_of(int error)
{
    return error == EADDRINUSE ? "the address is in use" : strerror(error);
}

static int open_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* ---- unix sockets ---- */

/* Half a second at most: somebody else may hold such a lock for a purpose of his own. -1: no lock. */
static int lock_folder(const char *path)
{
    char folder[URL_IPC_PATH_MAX + 1];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        return -1;
    }
    slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = LOCK_STEP_NS}, NULL);
    }
    return fd;
}

static int bind_to(int fd, const void *addr, socklen_t len)
{
    return bind(fd, addr, len) == 0 ? 0 : errno;
}

static bool remove_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = open_socket(AF_UNIX);
    if (fd < 0) {
        return false;
    }
    /* whoever listens there is not disturbed by somebody who leaves without a word */
    bool stale = connect(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 && errno == ECONNREFUSED;
    close(fd);
    return stale && unlink(addr->sun_path) == 0;
}

/* Nobody can connect before listen(). */
static int give_mode(listening *out, const char *path, uint32_t mode)
{
    struct stat st;
    if (chmod(path, (mode_t)mode) != 0 || lstat(path, &st) != 0) {
        int error = errno;
        unlink(path);
        return error;
    }
    out->device = st.st_dev;
    out->inode = st.st_ino;
    snprintf(out->path, sizeof out->path, "%s", path);
    return 0;
}

static int bind_path(listening *out, const char *path, uint32_t mode)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%.*s", URL_IPC_PATH_MAX, path);
    if ((out->fd = inherited_take((const struct sockaddr *)&addr, sizeof addr, false)) >= 0) {
        return 0; /* its file is the service manager's, and stays */
    }
    if ((out->fd = open_socket(AF_UNIX)) < 0) {
        return errno;
    }
    int lock = lock_folder(path);
    int error = bind_to(out->fd, &addr, sizeof addr);
    if (error == EADDRINUSE && remove_stale(&addr)) {
        error = bind_to(out->fd, &addr, sizeof addr);
    }
    if (error == 0) {
        error = give_mode(out, addr.sun_path, mode);
    }
    if (error == 0 && listen(out->fd, BACKLOG) != 0) {
        error = errno;
    }
    if (lock >= 0) {
        close(lock);
    }
    return error;
}

void listening_unlink(const listening *l)
{
    struct stat st;
    if (l->path[0] != '\0' && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode) {
        (void)unlink(l->path);
    }
}

/* ---- tcp ---- */

static int bind_tcp(listening *out, const struct sockaddr *addr, socklen_t len)
{
    const int on = 1, off = 0;
    if ((out->fd = inherited_take(addr, len, true)) >= 0) {
        return 0;
    }
    if ((out->fd = open_socket(addr->sa_family)) < 0) {
        return errno;
    }
    (void)setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (addr->sa_family == AF_INET6) {
        (void)setsockopt(out->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    int error = bind_to(out->fd, addr, len);
    if (error == 0 && listen(out->fd, BACKLOG) != 0) {
        error = errno;
    }
    if (error != 0) {
        close(out->fd);
        out->fd = -1;
    }
    return error;
}

/* Every address: of both families where there is IPv6, otherwise of IPv4. */
static int bind_any(listening *out, uint16_t port)
{
    const struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
    const struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_ANY)}};
    int error = bind_tcp(out, (const struct sockaddr *)&six, sizeof six);
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL ? bind_tcp(out, (const struct sockaddr *)&four, sizeof four) : error;
}

static int bind_host(listening *out, const url *u, char why[URL_ERROR_SIZE])
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)u->port);
    int rc = getaddrinfo(u->host, port, &hints, &found);
    if (rc != 0) {
        snprintf(why, URL_ERROR_SIZE, "%s", gai_strerror(rc));
        return rc == EAI_MEMORY ? ENOMEM : EADDRNOTAVAIL;
    }
    int error = EADDRNOTAVAIL;
    for (const struct addrinfo *at = found; at != NULL && error != 0; at = at->ai_next) {
        error = bind_tcp(out, at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(found);
    return error;
}

static void real_port(int fd, url *u)
{
    union {
        struct sockaddr_in6 v6;
        struct sockaddr_in v4;
        struct sockaddr any;
    } addr = {0};
    socklen_t len = sizeof addr;
    if (getsockname(fd, &addr.any, &len) == 0) {
        u->port = ntohs(addr.any.sa_family == AF_INET6 ? addr.v6.sin6_port : addr.v4.sin_port);
    }
}

/* ---- both ---- */

static loom_status finish(listening *out, int error, char why[URL_ERROR_SIZE])
{
    if (error == 0) {
        return LOOM_OK;
    }
    if (why[0] == '\0') {
        snprintf(why, URL_ERROR_SIZE, "%s", text_of(error));
    }
    listening_unlink(out);
    if (out->fd >= 0) {
        close(out->fd);
    }
    *out = (listening){.fd = -1};
    return status_of(error);
}

bool listening_parse(url *out, const char *text)
{
    char whole[URL_HOST_SIZE + 24], why[URL_ERROR_SIZE];
    const char *colon = strrchr(text, ':');
    return colon != NULL && colon != text && colon[1] != '\0' && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
           strpbrk(text, "/?#@") == NULL && strlen(text) < URL_HOST_SIZE + 16 && snprintf(whole, sizeof whole, "http://%s", text) > 0 &&
           url_parse(out, whole, URL_HTTP, why) == LOOM_OK;
}

loom_status listening_open(listening *out, url *u, uint32_t mode, char why[URL_ERROR_SIZE])
{
    *out = (listening){.fd = -1};
    why[0] = '\0';
    if (u->scheme == URL_IPC) {
        return finish(out, bind_path(out, u->path, mode), why);
    }
    loom_status st = finish(out, strcmp(u->host, "*") == 0 ? bind_any(out, u->port) : bind_host(out, u, why), why);
    if (st == LOOM_OK) {
        real_port(out->fd, u);
    }
    return st;
}

loom_status listening_open_abstract(listening *out, const char *name, char why[URL_ERROR_SIZE])
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strnlen(name, sizeof addr.sun_path - 1);
    memcpy(addr.sun_path + 1, name, len);
    *out = (listening){.fd = open_socket(AF_UNIX)};
    why[0] = '\0';
    int error = out->fd < 0 ? errno : bind_to(out->fd, &addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len));
    if (error == 0 && listen(out->fd, BACKLOG) != 0) {
        error = errno;
    }
    return finish(out, error, why);
}
