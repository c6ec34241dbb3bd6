/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/otlp_sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/kept_traces.h"
#include "tools/bench/otlp_count.h"

enum { CONNECTIONS_MAX = 64, HEAD_MAX = 8192, READ_SIZE = 64 * 1024, BODY_MAX = 64 * 1024 * 1024 };

/* An empty protobuf message is an ExportTraceServiceResponse without complaints. */
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";

typedef struct connection {
    char head[HEAD_MAX + 1]; /* of the request that is coming in */
    size_t head_len;
    size_t body_left;
    uint8_t *body; /* body_size bytes of room, kept from one request to the next */
    size_t body_len, body_size;
} connection;

static const char *header_value(const char *head, const char *name)
{
    const char *found = strcasestr(head, name);
    return found != NULL ? found + strlen(name) : NULL;
}

static bool say(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* A whole head is there: how much body it announces. */
static bool begin_body(int fd, connection *c)
{
    const char *length = header_value(c->head, "\r\nContent-Length:");
    c->body_left = length != NULL ? strtoul(length, NULL, 10) : 0;
    c->head_len = c->body_len = 0;
    if (c->body_left > c->body_size) {
        uint8_t *body = c->body_left <= BODY_MAX ? realloc(c->body, c->body_left) : NULL;
        if (body == NULL) {
            return false;
        }
        c->body = body;
        c->body_size = c->body_left;
    }
    const bool waits = header_value(c->head, "\r\nExpect: 100-continue") != NULL;
    return (!waits || say(fd, proceed)) && (c->body_left > 0 || say(fd, answer));
}

typedef struct sink {
    shared *shared;
    kept_traces *kept; /* NULL: nobody asks which are whole */
} sink;

static void add_span(void *kept, const uint8_t id[LOOM_TRACE_ID_SIZE])
{
    kept_traces_add(kept, id);
}

static void take_request(const sink *s, const uint8_t *data, size_t size)
{
    atomic_fetch_add(&s->shared->spans, otlp_span_visit(data, size, s->kept != NULL ? add_span : NULL, s->kept));
    if (s->kept != NULL) {
        atomic_store(&s->shared->whole, s->kept->whole);
    }
}

/* False: the connection is to be closed. */
static bool take(const sink *s, int fd, connection *c, const char *data, size_t size)
{
    while (size > 0) {
        if (c->body_left > 0) {
            const size_t n = size < c->body_left ? size : c->body_left;
            memcpy(c->body + c->body_len, data, n);
            c->body_len += n;
            data += n;
            size -= n;
            c->body_left -= n;
            if (c->body_left == 0) {
                take_request(s, c->body, c->body_len);
                if (!say(fd, answer)) {
                    return false;
                }
            }
            continue;
        }
        if (c->head_len == HEAD_MAX) {
            return false;
        }
        c->head[c->head_len++] = *data++;
        c->head[c->head_len] = '\0';
        size--;
        if (c->head_len >= 4 && memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0 && !begin_body(fd, c)) {
            return false;
        }
    }
    return true;
}

static void serve(const sink *s, int listener)
{
    static connection connections[CONNECTIONS_MAX]; /* this process ends with this function */
    static char data[READ_SIZE];
    struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
    for (size_t i = 1; i <= CONNECTIONS_MAX; i++) {
        fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    }
    while (poll(fds, CONNECTIONS_MAX + 1, -1) >= 0 || errno == EINTR) {
        for (size_t i = 1; i <= CONNECTIONS_MAX; i++) {
            if (fds[i].fd < 0 && (fds[0].revents & POLLIN) != 0) {
                fds[i].fd = accept(listener, NULL, NULL);
                fds[i].revents = 0;
                fds[0].revents = 0;
                connections[i - 1].head_len = connections[i - 1].body_left = 0;
            } else if (fds[i].fd >= 0 && fds[i].revents != 0) {
                const ssize_t n = read(fds[i].fd, data, sizeof data);
                if (n <= 0 || !take(s, fds[i].fd, &connections[i - 1], data, (size_t)n)) {
                    close(fds[i].fd);
                    fds[i].fd = -1;
                }
            }
        }
    }
}

bool otlp_sink_start(bench_site *site, char url[SITE_URL_SIZE])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, CONNECTIONS_MAX) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        bench_complain("cannot listen for spans: %s", strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    snprintf(url, SITE_URL_SIZE, "http://127.0.0.1:%d", ntohs(at.sin_port));
    const pid_t pid = processes_fork(&site->processes, "otlp-sink");
    if (pid == 0) {
        static kept_traces kept; /* this process ends here */
        const bench_setup *setup = site->setup;
        kept.whole_spans = bench_setup_spans(setup);
        serve(&(sink){site->shared, bench_setup_fails(setup) > 0 ? &kept : NULL}, fd);
        _exit(0);
    }
    close(fd);
    return pid > 0;
}
