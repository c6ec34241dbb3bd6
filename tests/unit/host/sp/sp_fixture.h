/* SPDX-License-Identifier: Apache-2.0 */
/* SP sockets on a loop of the test's own: ears that remember what their handlers were told, and bare sockets as peers.
 * Everything of Loom runs on the test's thread, while it waits: until() turns the loop. */
#ifndef LOOM_TESTS_UNIT_HOST_SP_SP_FIXTURE_H
#define LOOM_TESTS_UNIT_HOST_SP_SP_FIXTURE_H

#include "host/net/sp/stream.h"
#include "tests/support/wait_until.h"

enum { SP_DEADLINE_MS = 20000 };

typedef struct sp_fixture {
    uv_loop_t loop;
    char dir[32];       /* for sockets */
    char url[SP_URL_SIZE]; /* ipc, in that folder */
    unsigned servers_closed;
} sp_fixture;

#define until(f, condition) wait_until((uv_run(&(f)->loop, UV_RUN_NOWAIT), (condition)), SP_DEADLINE_MS)

typedef struct sp_ear sp_ear;

/* What the handlers of one server or peer were told. */
struct sp_ear {
    unsigned opened, closed, drained, logs;
    size_t messages, bytes;
    sp_peer *peer;      /* the last that was opened */
    sp_reply_to to;     /* of the last request */
    loom_status status; /* of the last that was closed */
    char why[SP_WHY_SIZE];
    char log[512];      /* the last line */
    uint8_t last[256];  /* the start of the last message */
    size_t last_len;
    bool echo;          /* a message is sent back */
    void (*hook)(sp_ear *ear, sp_peer *peer);
    void *hook_user;
};

void sp_fixture_open(sp_fixture *f);
/* Checks that nothing of the loop and no file is left. */
void sp_fixture_close(sp_fixture *f);

/* With these handlers. */
sp_options ear_options(sp_ear *ear, sp_protocol protocol);
sp_server *serve(sp_fixture *f, sp_ear *ear, sp_protocol protocol, const char *url); /* NULL: the fixture's */
sp_server *serve_with(sp_fixture *f, const sp_options *o, const char *url);
void serve_no_more(sp_fixture *f, sp_server *s);
/* Dials and waits until it is opened. */
sp_peer *dial(sp_fixture *f, sp_ear *ear, sp_protocol protocol, const char *url);
void send_text(sp_peer *p, const char *text);
void send_zeros(sp_peer *p, size_t len);
#define assert_heard(text, ear) assert_str((text), ((loom_str){(const char *)(ear)->last, (ear)->last_len}))

/* Whether this machine has the loopback of IPv6; not every container does. */
bool has_ipv6(void);

/* ---- bare sockets ---- */

/* Connected, never blocking. */
int raw_open(sp_fixture *f, const char *url);
void raw_send(sp_fixture *f, int fd, const void *data, size_t len);
/* Waits for so many bytes. */
void raw_read(sp_fixture *f, int fd, void *out, size_t len);
/* Whether the other side has closed; reads and drops what comes before. */
bool raw_over(int fd);
/* Greets, and takes the other greeting. */
void raw_greet(sp_fixture *f, int fd, sp_protocol own);
/* An ipc message. */
void raw_message(sp_fixture *f, int fd, const void *body, size_t len);

#endif
