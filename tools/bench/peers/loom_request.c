/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as events: the answer is an event to where the request's reply_to says. */
#include <string.h>

#include "tools/bench/peers/loom.h"

#define REPLY_TOPIC "bench.answer"
#define ANSWER_NS   UINT64_C(10000000000)

enum { POLL_MS = 1000 };

static loom_status on_request(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    const loom_client *c = user;
    char room[LOOM_REPLY_TO_SIZE], reply_to[LOOM_TOPIC_MAX + 1];
    const loom_str to = loom_envelope_reply_to(event, room);
    if (to.len > LOOM_TOPIC_MAX) {
        return LOOM_EINVAL;
    }
    memcpy(reply_to, to.data, to.len);
    reply_to[to.len] = '\0';
    return loom_client_emit(c, reply_to, loom_envelope_payload(event), NULL) ? LOOM_OK : LOOM_EIO;
}

void *loom_responder_open(const bench_site *site)
{
    if (site->setup->api == API_EVENT) {
        return loom_client_open(site, "responder", 0, BENCH_REQUEST_TOPIC, &(loom_agent_options){.on_event = on_request});
    }
    loom_client *c = loom_client_open(site, "responder", 0, NULL, &(loom_agent_options){0});
    if (c != NULL && !loom_action_provide(c)) {
        loom_client_close(c);
        return NULL;
    }
    return c;
}

static loom_status on_answer(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    loom_client *c = user;
    const loom_bytes payload = loom_envelope_payload(event);
    if (c->answer != NULL && payload.len == c->answer_size) {
        memcpy(c->answer, payload.data, payload.len);
        c->answer = NULL;
    }
    return LOOM_OK;
}

/* In poll mode the thread that waits for the answer is the one that reads it. */
void *loom_requester_open(const bench_site *site)
{
    const char *inbox = site->setup->api == API_EVENT ? REPLY_TOPIC : NULL;
    return loom_client_open(site, "requester", 0, inbox, &(loom_agent_options){.on_event = on_answer, .poll_mode = true});
}

bool loom_request(void *requester, const uint8_t *data, size_t size, uint8_t *answer)
{
    loom_client *c = requester;
    if (c->api == API_ACTION) {
        return loom_action_request(c, data, size, answer);
    }
    const uint64_t deadline = bench_now_ns() + ANSWER_NS;
    c->answer = answer;
    c->answer_size = size;
    if (!loom_client_emit(c, BENCH_REQUEST_TOPIC, (loom_bytes){data, size}, &(loom_emit_options){.reply_to = REPLY_TOPIC})) {
        return false;
    }
    while (c->answer != NULL) {
        const loom_status st = loom_agent_poll(c->agent, POLL_MS);
        if ((st != LOOM_OK && st != LOOM_ETIMEDOUT) || bench_now_ns() > deadline) {
            bench_complain("no answer: %s", loom_status_text(st));
            return false;
        }
    }
    return true;
}
