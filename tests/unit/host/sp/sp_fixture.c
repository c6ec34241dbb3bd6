/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/host/sp/sp_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void sp_fixture_open(sp_fixture *f)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(0, uv_loop_init(&f->loop));
    snprintf(f->dir, sizeof f->dir, "/tmp/loom-sp-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->url, sizeof f->url, "ipc://%s/sp.sock", f->dir);
}

void sp_fixture_close(sp_fixture *f)
{
    until(f, !uv_loop_alive(&f->loop));
    assert_int_equal(0, uv_loop_close(&f->loop));
    assert_int_equal(0, rmdir(f->dir)); /* the sockets are gone */
}

/* ---- ears ---- */

static void on_opened(void *user, sp_peer *peer)
{
    sp_ear *ear = user;
    ear->opened++;
    ear->peer = peer;
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *to)
{
    sp_ear *ear = user;
    ear->messages++;
    ear->bytes += len;
    ear->last_len = len;
    memcpy(ear->last, data, len < sizeof ear->last ? len : sizeof ear->last);
    if (to != NULL) {
        ear->to = *to;
    }
    if (len > 0) {
        data[len - 1] ^= 0; /* may be written */
    }
    if (ear->echo) {
        assert_status(LOOM_OK, sp_peer_send(peer, &(loom_bytes){data, len}, 1));
    }
    if (ear->hook != NULL) {
        ear->hook(ear, peer);
    }
}

static void on_drained(void *user, sp_peer *peer)
{
    (void)peer;
    ((sp_ear *)user)->drained++;
}

static void on_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    sp_ear *ear = user;
    ear->closed++;
    ear->status = status;
    snprintf(ear->why, sizeof ear->why, "%s", why);
    if (ear->peer == peer) {
        ear->peer = NULL;
    }
}

static void on_log(void *user, log_level level, const char *format, va_list args)
{
    sp_ear *ear = user;
    ear->logs++;
    vsnprintf(ear->log, sizeof ear->log, format, args);
    if (getenv("LOOM_TEST_LOG") != NULL) {
        print_message("%d %s\n", (int)level, ear->log);
    }
}

sp_options ear_options(sp_ear *ear, sp_protocol protocol)
{
    static const sp_handlers handlers = {on_opened, on_message, on_drained, on_closed};
    return (sp_options){.protocol = protocol, .handlers = &handlers, .user = ear, .log = on_log};
}

/* ---- servers and peers ---- */

sp_server *serve_with(sp_fixture *f, const sp_options *o, const char *url)
{
    sp_server *s;
    assert_status(LOOM_OK, sp_listen(&s, &f->loop, url != NULL ? url : f->url, o));
    return s;
}

sp_server *serve(sp_fixture *f, sp_ear *ear, sp_protocol protocol, const char *url)
{
    sp_options o = ear_options(ear, protocol);
    return serve_with(f, &o, url);
}

static void on_server_closed(void *user)
{
    ((sp_fixture *)user)->servers_closed++;
}

void serve_no_more(sp_fixture *f, sp_server *s)
{
    unsigned before = f->servers_closed;
    sp_server_close(s, on_server_closed, f);
    until(f, f->servers_closed > before);
}

sp_peer *dial(sp_fixture *f, sp_ear *ear, sp_protocol protocol, const char *url)
{
    sp_options o = ear_options(ear, protocol);
    sp_peer *p;
    unsigned before = ear->opened;
    assert_status(LOOM_OK, sp_dial(&p, &f->loop, url != NULL ? url : f->url, &o, 0));
    until(f, ear->opened > before);
    assert_ptr_equal(p, ear->peer);
    return p;
}

void send_text(sp_peer *p, const char *text)
{
    const loom_bytes parts[2] = {{(const uint8_t *)text, 1}, {(const uint8_t *)text + 1, strlen(text) - 1}};
    assert_status(LOOM_OK, sp_peer_send(p, parts, 2));
}

void send_zeros(sp_peer *p, size_t len)
{
    uint8_t *zeros = calloc(1, len + 1);
    assert_non_null(zeros);
    assert_status(LOOM_OK, sp_peer_send(p, &(loom_bytes){zeros, len}, 1));
    free(zeros);
}

bool has_ipv6(void)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&six, sizeof six) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return has;
}

/* ---- bare sockets ---- */

int raw_open(sp_fixture *f, const char *url)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    bool ipc = strncmp(url, "ipc://", 6) == 0;
    int fd = socket(ipc ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (ipc) {
        snprintf(un.sun_path, sizeof un.sun_path, "%s", url + 6);
        until(f, connect(fd, (struct sockaddr *)&un, sizeof un) == 0); /* EAGAIN while the queue is full */
    } else {
        in.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
        until(f, connect(fd, (struct sockaddr *)&in, sizeof in) == 0 || errno == EISCONN);
    }
    return fd;
}

void raw_send(sp_fixture *f, int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(EAGAIN, errno);
            sent = 0;
        }
        at += sent;
        len -= (size_t)sent;
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
}

void raw_read(sp_fixture *f, int fd, void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = -1;
        until(f, (got = recv(fd, at, len, 0)) >= 0);
        assert_true(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

bool raw_over(int fd)
{
    char some[4096];
    ssize_t got;
    while ((got = recv(fd, some, sizeof some, 0)) > 0) {
    }
    return got == 0 || errno == ECONNRESET;
}

void raw_greet(sp_fixture *f, int fd, sp_protocol own)
{
    uint8_t mine[SP_GREETING_SIZE], other[SP_GREETING_SIZE], expected[SP_GREETING_SIZE];
    sp_greeting(mine, own);
    sp_greeting(expected, (sp_protocol)sp_counterpart(own));
    raw_send(f, fd, mine, sizeof mine);
    raw_read(f, fd, other, sizeof other);
    assert_memory_equal(expected, other, sizeof other);
}

void raw_message(sp_fixture *f, int fd, const void *body, size_t len)
{
    uint8_t head[SP_HEADER_MAX];
    raw_send(f, fd, head, sp_header(head, true, len));
    raw_send(f, fd, body, len);
}
