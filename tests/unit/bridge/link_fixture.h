/* SPDX-License-Identifier: Apache-2.0 */
/* A link server on a loop of its own, over a fake bus, and peers that are bare sockets. Everything of Loom runs on the test's
 * thread, while it waits: until() turns the loop. */
#ifndef LOOM_TESTS_LINK_FIXTURE_H
#define LOOM_TESTS_LINK_FIXTURE_H

#include "base/url.h"
#include "bridge/link/server.h"
#include "tests/support/wait_until.h"
#include "tests/unit/bridge/fake_bus.h"

enum { LINK_DEADLINE_MS = 20000 };

typedef struct link_fixture {
    uv_loop_t loop;
    loop_clock clock;
    fake_bus bus;
    bridge *bridge;
    link_server *server;
    char dir[32];            /* for sockets */
    char url[URL_MAX];       /* where it listens */
    bool closed;
    uv_prepare_t last;       /* runs when the server has looked for the last time before the loop sleeps */
    void (*before_sleep)(struct link_fixture *f);
} link_fixture;

#define until(f, condition) wait_until((uv_run(&(f)->loop, UV_RUN_NOWAIT), (condition)), LINK_DEADLINE_MS)

/* Opens without listening. options, link: may be NULL; bus is set here. */
loom_status link_fixture_open(link_fixture *f, const bridge_options *options, const link_server_options *link);
/* Listens at this URL, or at a socket of its own with NULL. */
loom_status link_fixture_listen(link_fixture *f, const char *where);
/* Both, which have to succeed. */
void link_fixture_start(link_fixture *f, const bridge_options *options, const link_server_options *link);
/* Closes the server if it is not yet, and checks that no session and nothing of the loop is left. */
void link_fixture_close(link_fixture *f);
/* Only the server: its done has run when this returns. */
void link_fixture_close_server(link_fixture *f);
/* The path of the ipc socket it listens at. */
const char *link_fixture_path(const link_fixture *f);

/* A peer: a socket that never blocks. */
typedef struct link_peer {
    link_fixture *f;
    int fd;
    uint8_t *heard;
    size_t heard_len, heard_cap;
    bool over;               /* the other side closed */
} link_peer;

void link_peer_open(link_peer *p, link_fixture *f);
void link_peer_close(link_peer *p);
/* Sends all of it in pieces of at most piece bytes, turning the loop between them. */
void link_peer_send(link_peer *p, loom_bytes bytes, size_t piece);
/* Takes what has come, without waiting; true. */
bool link_peer_hear(link_peer *p);
/* Frames of a type among what was heard; of deliver frames: the envelopes in them. Fails the test on malformed ones. */
size_t link_peer_count(const link_peer *p, frame_type type);
/* Says hello and waits for the welcome. */
void link_peer_enter(link_peer *p, link_fixture *f, const char *agent);

/* The bytes of a hello, and of count publish frames of one envelope with so much payload. The caller frees. */
loom_bytes link_hello(const char *agent);
loom_bytes link_publishes(const char *agent, size_t payload, size_t count);

#endif
