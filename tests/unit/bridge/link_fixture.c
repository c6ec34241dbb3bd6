/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/bridge/link_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void on_last(uv_prepare_t *last)
{
    link_fixture *f = last->data;
    if (f->before_sleep != NULL) {
        f->before_sleep(f);
    }
}

/* Those that start later run earlier. */
static void start_last(link_fixture *f)
{
    uv_prepare_init(&f->loop, &f->last);
    f->last.data = f;
    uv_prepare_start(&f->last, on_last);
    uv_unref((uv_handle_t *)&f->last);
}

loom_status link_fixture_open(link_fixture *f, const bridge_options *options, const link_server_options *link)
{
    memset(f, 0, sizeof *f);
    fake_bus_init(&f->bus);
    bridge_options with = options != NULL ? *options : (bridge_options){0};
    with.id = "test";
    with.software = "test/1";
    with.bus = &f->bus.base;
    assert_int_equal(0, uv_loop_init(&f->loop));
    snprintf(f->dir, sizeof f->dir, "/tmp/loom-link-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    start_last(f);
    loom_status st = bridge_create(&f->bridge, &f->clock, &with);
    if (st == LOOM_OK) {
        st = link_server_open(&f->server, &f->loop, &f->clock, f->bridge, link);
    }
    return st;
}

loom_status link_fixture_listen(link_fixture *f, const char *where)
{
    char own[64], why[LINK_ERROR_SIZE];
    snprintf(own, sizeof own, "ipc://%s/link.sock", f->dir);
    return link_server_listen(f->server, where != NULL ? where : own, f->url, sizeof f->url, why);
}

void link_fixture_start(link_fixture *f, const bridge_options *options, const link_server_options *link)
{
    assert_status(LOOM_OK, link_fixture_open(f, options, link));
    assert_status(LOOM_OK, link_fixture_listen(f, NULL));
}

static void on_closed(void *user)
{
    ((link_fixture *)user)->closed = true;
}

void link_fixture_close_server(link_fixture *f)
{
    if (f->server != NULL) {
        link_server_close(f->server, on_closed, f);
        f->server = NULL;
        until(f, f->closed);
    }
}

void link_fixture_close(link_fixture *f)
{
    link_fixture_close_server(f);
    if (f->bridge != NULL) {
        assert_int_equal(0, bridge_get_stats(f->bridge).sessions);
        bridge_destroy(f->bridge);
    }
    assert_int_equal(f->bus.attached, f->bus.detached);
    uv_close((uv_handle_t *)&f->last, NULL);
    assert_int_equal(0, uv_run(&f->loop, UV_RUN_DEFAULT));
    assert_int_equal(0, uv_loop_close(&f->loop));
    assert_int_equal(0, rmdir(f->dir)); /* the socket is gone */
}

const char *link_fixture_path(const link_fixture *f)
{
    assert_memory_equal("ipc://", f->url, 6);
    return f->url + 6;
}

/* ---- peers ---- */

void link_peer_open(link_peer *p, link_fixture *f)
{
    *p = (link_peer){.f = f, .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    assert_true(p->fd >= 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", link_fixture_path(f));
    until(f, connect(p->fd, (struct sockaddr *)&to, sizeof to) == 0); /* EAGAIN while the backlog is full */
}

void link_peer_close(link_peer *p)
{
    close(p->fd);
    free(p->heard);
}

void link_peer_send(link_peer *p, loom_bytes bytes, size_t piece)
{
    while (bytes.len > 0) {
        ssize_t sent = send(p->fd, bytes.data, bytes.len < piece ? bytes.len : piece, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(EAGAIN, errno);
            sent = 0;
        }
        bytes.data += sent;
        bytes.len -= (size_t)sent;
        uv_run(&p->f->loop, UV_RUN_NOWAIT);
    }
}

bool link_peer_hear(link_peer *p)
{
    for (;;) {
        if (p->heard_cap - p->heard_len < 256 * 1024) {
            p->heard_cap = p->heard_cap * 2 + 256 * 1024;
            p->heard = realloc(p->heard, p->heard_cap);
            assert_non_null(p->heard);
        }
        ssize_t got = recv(p->fd, p->heard + p->heard_len, p->heard_cap - p->heard_len, 0);
        if (got <= 0) {
            p->over = p->over || got == 0 || errno == ECONNRESET;
            return true;
        }
        p->heard_len += (size_t)got;
    }
}

size_t link_peer_count(const link_peer *p, frame_type type)
{
    size_t count = 0;
    loom_bytes left = {p->heard, p->heard_len}, body;
    for (size_t need; left.len > 0 && frame_split(left, &body, &need) == FRAME_WHOLE;) {
        frame read;
        char reason[FRAME_REASON_SIZE];
        assert_status(LOOM_OK, frame_decode(&read, body, reason));
        if (read.type == type) {
            count += type == FRAME_DELIVER ? read.u.batch.count : 1;
        }
        left.data += need;
        left.len -= need;
    }
    return count;
}

void link_peer_enter(link_peer *p, link_fixture *f, const char *agent)
{
    loom_bytes hello = link_hello(agent);
    link_peer_open(p, f);
    link_peer_send(p, hello, SIZE_MAX);
    free((void *)(uintptr_t)hello.data);
    until(f, link_peer_hear(p) && link_peer_count(p, FRAME_WELCOME) == 1);
}

/* ---- bytes ---- */

loom_bytes link_hello(const char *agent)
{
    frame_writer w;
    frame_writer_init(&w);
    const frame_hello hello = {.protocol = LINK_PROTOCOL, .agent = str_of(agent), .software = STR("test/1")};
    assert_status(LOOM_OK, frame_put_hello(&w, &hello));
    return (loom_bytes){w.data, w.len};
}

loom_bytes link_publishes(const char *agent, size_t payload, size_t count)
{
    frame_writer w;
    frame_writer_init(&w);
    loom_envelope *env = fake_message("a.b", agent, payload);
    loom_bytes wire = loom_envelope_wire(env);
    for (size_t i = 0; i < count; i++) {
        uint8_t *room = frame_publish_begin(&w, wire.len);
        assert_non_null(room);
        memcpy(room, wire.data, wire.len);
        frame_batch_commit(&w, wire.len);
        frame_writer_seal(&w);
    }
    loom_envelope_unref(env);
    return (loom_bytes){w.data, w.len};
}
