/* SPDX-License-Identifier: Apache-2.0 */
/* How a server comes to its listening socket. A socket file left behind by a process that was killed is replaced; one that
 * somebody answers on is not. Two servers that start at once take turns, by a lock on the folder: otherwise the second
 * could remove what the first has just made. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "host/net/sp/internal.h"

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
    return error == EADDRINUSE ? "the address is in use: is a broker or bridge running there already?" : strerror(error);
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

static bool remove_stale(const sp_url *u)
{
    struct stat st;
    if (lstat(u->path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = open_socket(AF_UNIX);
    if (fd < 0) {
        return false;
    }
    /* an SP server is not disturbed by somebody who leaves before the greeting */
    bool stale = connect(fd, (const struct sockaddr *)&u->address.addr, u->address.len) != 0 && errno == ECONNREFUSED;
    close(fd);
    return stale && unlink(u->path) == 0;
}

static int bind_to(int fd, const sp_address *a)
{
    return bind(fd, (const struct sockaddr *)&a->addr, a->len) == 0 ? 0 : errno;
}

/* Whatever the umask: who may write to the socket speaks to the bus. Nobody can connect before listen(). */
static int give_mode(sp_listening *out, const sp_url *u, uint32_t mode)
{
    struct stat st;
    if (chmod(u->path, (mode_t)mode) != 0 || lstat(u->path, &st) != 0) {
        int error = errno;
        unlink(u->path);
        return error;
    }
    out->dev = st.st_dev;
    out->ino = st.st_ino;
    memcpy(out->path, u->path, sizeof out->path);
    return 0;
}

static int bind_unix(sp_listening *out, const sp_url *u, uint32_t mode)
{
    if ((out->fd = open_socket(AF_UNIX)) < 0) {
        return errno;
    }
    int lock = u->path[0] != '\0' ? lock_folder(u->path) : -1;
    int error = bind_to(out->fd, &u->address);
    if (error == EADDRINUSE && u->path[0] != '\0' && remove_stale(u)) {
        error = bind_to(out->fd, &u->address);
    }
    if (error == 0 && u->path[0] != '\0') {
        error = give_mode(out, u, mode);
    }
    if (error == 0 && listen(out->fd, BACKLOG) != 0) {
        error = errno;
    }
    if (lock >= 0) {
        close(lock);
    }
    return error;
}

void sp_bind_unlink(const sp_listening *l)
{
    struct stat st;
    if (l->path[0] != '\0' && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino) {
        (void)unlink(l->path);
    }
}

/* ---- tcp ---- */

static int bind_tcp(sp_listening *out, const sp_address *a)
{
    const int on = 1, off = 0;
    if ((out->fd = open_socket(a->addr.ss_family)) < 0) {
        return errno;
    }
    (void)setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->addr.ss_family == AF_INET6) {
        (void)setsockopt(out->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    int error = bind_to(out->fd, a);
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
static int bind_any(sp_listening *out, uint16_t port)
{
    sp_address a = {.len = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a.addr;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    six->sin6_addr = in6addr_any;
    int error = bind_tcp(out, &a);
    if (error == EAFNOSUPPORT || error == EADDRNOTAVAIL) {
        a = (sp_address){.len = sizeof(struct sockaddr_in)};
        struct sockaddr_in *four = (struct sockaddr_in *)&a.addr;
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        error = bind_tcp(out, &a);
    }
    return error;
}

/* Asks the name service, and waits for it: servers begin to listen before there is anybody to delay. */
static int bind_name(sp_listening *out, const url *u, char why[URL_ERROR_SIZE])
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
        sp_address a = {.len = at->ai_addrlen};
        memcpy(&a.addr, at->ai_addr, at->ai_addrlen);
        error = bind_tcp(out, &a);
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

loom_status sp_bind(sp_listening *out, const sp_url *u, const char *text, uint32_t ipc_mode, char bound[SP_URL_SIZE],
                    char why[URL_ERROR_SIZE])
{
    *out = (sp_listening){.fd = -1};
    why[0] = '\0';
    int error = u->ipc     ? bind_unix(out, u, ipc_mode)
                : u->any   ? bind_any(out, u->tcp.port)
                : u->named ? bind_name(out, &u->tcp, why)
                           : bind_tcp(out, &u->address);
    if (error != 0) {
        if (why[0] == '\0') {
            snprintf(why, URL_ERROR_SIZE, "%s", text_of(error));
        }
        sp_bind_unlink(out);
        if (out->fd >= 0) {
            close(out->fd);
        }
        return status_of(error);
    }
    if (u->ipc) {
        snprintf(bound, SP_URL_SIZE, "%s", text);
        return LOOM_OK;
    }
    url real = u->tcp;
    real_port(out->fd, &real);
    if (url_format(bound, SP_URL_SIZE, &real) == LOOM_OK) {
        return LOOM_OK;
    }
    close(out->fd);
    snprintf(why, URL_ERROR_SIZE, "the URL is too long");
    return LOOM_EINVAL;
}
