/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, sockets that do not block, visited in turn. What the server closes is opened anew. */
#include "tools/bench/http_flood.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

enum { CHUNK = 64 * 1024, AT_ONCE = 8, OPENED_A_TURN = 512, SMALL_BUFFER = 4096, SPARE_FILES = 32 };

#define HEAD(method, path) method " " path " HTTP/1.1\r\nHost: 127.0.0.1\r\n"

/* One of each kind. */
typedef struct kind_spec {
    size_t visitors;
    unsigned pause_ms;     /* between two turns; 0: only when nothing could be done */
    const char *text;      /* said first */
    bool goes_on;          /* with what follows it, for ever */
    bool reads;            /* and comes again when it has been answered and closed */
} kind_spec;

static const kind_spec kinds[FLOOD_COUNT] = {
    [FLOOD_HTTP_IDLE] = {.visitors = 10000, .pause_ms = 200, .text = ""},
    [FLOOD_HTTP_SLOW_HEADS] = {.visitors = 1000, .pause_ms = 200, .text = HEAD("POST", "/v1/events/flood") "X-Slow: ", .goes_on = true},
    [FLOOD_HTTP_BODIES] = {.visitors = 16, .text = HEAD("POST", "/v1/events/flood") "Transfer-Encoding: chunked\r\n\r\n", .goes_on = true, .reads = true},
    [FLOOD_HTTP_REFUSED] = {.visitors = 16, .text = HEAD("POST", "/v1/events/flood") "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", .reads = true},
    [FLOOD_HTTP_UNREAD] = {.visitors = 16, .text = "", .goes_on = true},
};

typedef struct visitor {
    int fd;      /* -1: not connected */
    size_t said; /* of the text */
} visitor;

typedef struct http_flooding {
    const bench_site *site;
    bench_flood kind;
    const kind_spec *spec;
    struct sockaddr_in to;
    visitor *visitors;
    size_t count;
    char *more;      /* what follows the text, again and again */
    size_t more_len;
    char *heard;     /* is not looked at */
} http_flooding;

static bool is_over(const bench_site *site)
{
    return atomic_load_explicit(&site->shared->phase, memory_order_relaxed) == PHASE_END;
}

static void come(const http_flooding *f, visitor *v)
{
    const int small = SMALL_BUFFER;
    v->said = 0;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (v->fd < 0) {
        return;
    }
    if (f->kind == FLOOD_HTTP_UNREAD) {
        (void)setsockopt(v->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    if (connect(v->fd, (const struct sockaddr *)&f->to, sizeof f->to) != 0 && errno != EINPROGRESS) {
        close(v->fd);
        v->fd = -1;
    }
}

static void leave(visitor *v)
{
    close(v->fd);
    v->fd = -1;
}

/* Sends what can be sent now. False: the connection is over. */
static bool say(http_flooding *f, visitor *v, bool *done_something)
{
    const size_t text = strlen(f->spec->text);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        const bool first = v->said < text;
        if (!first && !f->spec->goes_on) {
            return true;
        }
        const char *from = first ? f->spec->text + v->said : f->more;
        const ssize_t sent = send(v->fd, from, first ? text - v->said : f->more_len, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == ENOTCONN || errno == EINTR;
        }
        v->said += first ? (size_t)sent : 0;
        *done_something = true;
        if (!first) {
            atomic_fetch_add_explicit(&f->site->shared->producers[BENCH_PRODUCERS_MAX - 1].sent, 1, memory_order_relaxed);
        }
        if (f->spec->pause_ms > 0) { /* a byte at a time */
            return true;
        }
    }
    return true;
}

/* False: the other side has closed. Who reads nothing only looks whether that is so. */
static bool listen_to(http_flooding *f, const visitor *v)
{
    const ssize_t got = recv(v->fd, f->heard, f->spec->reads ? CHUNK : 1, f->spec->reads ? 0 : MSG_PEEK);
    if (got == 0 && f->spec->reads) {
        atomic_fetch_add_explicit(&f->site->shared->producers[BENCH_PRODUCERS_MAX - 1].sent, 1, memory_order_relaxed);
    }
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == ENOTCONN || errno == EINTR));
}

static bool visit(http_flooding *f)
{
    bool done_something = false;
    unsigned opened = 0;
    for (size_t i = 0; i < f->count; i++) {
        visitor *v = &f->visitors[i];
        if (v->fd < 0) {
            if (opened++ < OPENED_A_TURN) {
                come(f, v);
            }
        } else if (!say(f, v, &done_something) || !listen_to(f, v)) {
            leave(v);
            done_something = true;
        }
    }
    return done_something;
}

/* ---- its life ---- */

static bool make_more(http_flooding *f)
{
    static const char ask[] = "GET /v1/agents HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    const size_t size = f->spec->pause_ms > 0 ? 1 : CHUNK;
    f->more = malloc(size + 1);
    f->heard = malloc(CHUNK);
    if (f->more == NULL || f->heard == NULL) {
        return false;
    }
    memset(f->more, 'x', size);
    f->more_len = size;
    if (f->kind == FLOOD_HTTP_BODIES) {
        const int head = snprintf(f->more, size, "%x\r\n", CHUNK / 2);
        f->more[head] = 'x'; /* in place of the NUL */
        f->more_len = (size_t)head + CHUNK / 2;
        memcpy(f->more + f->more_len, "\r\n", 2);
        f->more_len += 2;
    } else if (f->kind == FLOOD_HTTP_UNREAD) {
        f->more_len = 0;
        for (; f->more_len + sizeof ask <= size; f->more_len += sizeof ask - 1) {
            memcpy(f->more + f->more_len, ask, sizeof ask - 1);
        }
    }
    return true;
}

static bool prepare(http_flooding *f)
{
    struct rlimit files;
    const char *port = strrchr(f->site->url_out, ':');
    if (port == NULL || getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return false;
    }
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    f->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    f->count = f->spec->visitors < files.rlim_max - SPARE_FILES ? f->spec->visitors : files.rlim_max - SPARE_FILES;
    f->visitors = malloc(f->count * sizeof *f->visitors);
    for (size_t i = 0; f->visitors != NULL && i < f->count; i++) {
        f->visitors[i] = (visitor){.fd = -1};
    }
    return f->visitors != NULL && make_more(f);
}

int http_flood(const bench_site *site)
{
    http_flooding f = {.site = site, .kind = site->setup->shape.flood, .spec = &kinds[site->setup->shape.flood]};
    bool ok = prepare(&f);
    if (!ok) {
        bench_complain("the flood of %s cannot begin: %s", bench_flood_names[f.kind], strerror(errno));
    }
    while (ok && !is_over(site)) {
        const unsigned pause_ms = visit(&f) && f.spec->pause_ms == 0 ? 0 : f.spec->pause_ms > 0 ? f.spec->pause_ms : 1;
        if (pause_ms > 0) {
            nanosleep(&(struct timespec){.tv_nsec = (long)pause_ms * 1000000}, NULL);
        }
    }
    for (size_t i = 0; f.visitors != NULL && i < f.count; i++) {
        if (f.visitors[i].fd >= 0) {
            leave(&f.visitors[i]);
        }
    }
    free(f.visitors);
    free(f.more);
    free(f.heard);
    return ok ? 0 : 1;
}
