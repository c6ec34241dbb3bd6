/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of an agent's link, driven by a test: a unix socket that speaks frames. Each wait has a deadline, after
 * which the test fails. */
#ifndef LOOM_TESTS_FAKE_BRIDGE_H
#define LOOM_TESTS_FAKE_BRIDGE_H

#include <loom/agent.h>

#include "envelope/frame/frame.h"
#include "envelope/view.h"
#include "tests/support/check.h"
#include "tests/support/wait_until.h"

#define FAKE_DEADLINE_MS 10000

typedef struct fake_bridge {
    char folder[64], path[96], url[112];
    int listener, peer;      /* -1: none */
    frame_writer out;
    uint8_t *in;             /* begin to end is not yet read */
    size_t begin, end, capacity;
    uint64_t credit_bytes;   /* of the welcome; default 1 MiB */
    uint64_t heartbeat_ms;   /* default 60000 */
    const char *cuts;        /* the text of acks of subscriptions that stand; NULL: none */
    uint64_t max_payload;
    uint64_t span_credit;    /* default 0: no spans are taken */
    uint64_t recorder;       /* of the welcome; default 0: it is told of no traces to be kept */
    loom_status answer;      /* to subscriptions */
    bool asks;               /* it takes ask frames */
} fake_bridge;

void fake_bridge_open(fake_bridge *b);
void fake_bridge_close(fake_bridge *b);

void fake_bridge_accept(fake_bridge *b);
/* Ends the connection. */
void fake_bridge_drop(fake_bridge *b);
/* Stops, and begins again, to take connections. */
void fake_bridge_stop_listening(fake_bridge *b);
void fake_bridge_listen(fake_bridge *b);

/* The next frame; its slices are valid until the next call. fake_bridge_expect() fails when it is of another type, but
 * passes over pings and credit: an agent asks what has been read, and grants more, whenever it is time. */
frame fake_bridge_next(fake_bridge *b);
/* False: the agent has ended the connection. */
bool fake_bridge_try_next(fake_bridge *b, frame *f);
frame fake_bridge_expect(fake_bridge *b, frame_type type);
/* The agent has ended the connection, after any frames but those of type unwanted. */
void fake_bridge_expect_end(fake_bridge *b, frame_type unwanted);
/* Whether the agent sends anything within ms. */
bool fake_bridge_hears_something(fake_bridge *b, int ms);

/* Sends what is in out. */
void fake_bridge_flush(fake_bridge *b);
void fake_bridge_send_raw(fake_bridge *b, const void *data, size_t len);
/* accept, hello, welcome, and answers to that many subscriptions. Returns the number of the last of them. */
uint64_t fake_bridge_session(fake_bridge *b, unsigned subscriptions);
uint64_t fake_bridge_answer_subscribe(fake_bridge *b);
void fake_bridge_deliver(fake_bridge *b, uint64_t subscription, const loom_envelope_fields *fields);
void fake_bridge_deliver_text(fake_bridge *b, uint64_t subscription, const char *topic, const char *payload);
void fake_bridge_error(fake_bridge *b, loom_status status, const char *text);

/* Answers one provide frame, of which the name is returned; valid until the next frame. */
loom_str fake_bridge_answer_provide(fake_bridge *b, loom_status status);

/* A call that the agent has made; the envelope is valid until the next frame. */
typedef struct heard_call {
    frame_call frame;
    uint8_t id_bytes[FRAME_CALL_ID_MAX];
    loom_bytes id; /* in id_bytes */
    envelope_view view;
} heard_call;
/* In out, whose id points into it. */
void fake_bridge_expect_call(fake_bridge *b, heard_call *out, const char *capability);
void fake_bridge_result(fake_bridge *b, loom_bytes id, frame_call_outcome outcome, const char *code, const char *payload);
void fake_bridge_report(fake_bridge *b, loom_bytes id, frame_report_kind kind, uint64_t number, const char *payload);
/* The agent is to work. f: without an envelope. */
void fake_bridge_call(fake_bridge *b, const frame_call *f, const loom_envelope_fields *fields);
/* id is text; a deadline of 10 s. */
void fake_bridge_call_text(fake_bridge *b, const char *id, const char *capability, const char *payload);
/* The answer to a call of this id, whose payload must be text. */
void fake_bridge_expect_result(fake_bridge *b, const char *id, frame_call_outcome outcome, const char *code,
                               const char *payload);

/* The payloads of the publish frames to come, joined by commas, until there are count of them. */
void fake_bridge_collect(fake_bridge *b, char *text, size_t size, unsigned count);

#endif
