/* SPDX-License-Identifier: Apache-2.0 */
/* hello: who the agent is. A newer session of the same agent takes the place of the older one. */
#include <stdio.h>
#include <string.h>

#include "bridge/session/agents.h"
#include "bridge/session/session.h"
#include "base/utf8.h"
#include "envelope/topic.h"

/* How much of a client's own name may stand in a log line without looking like a field of it. */
static size_t plain_prefix(loom_str text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+";
    size_t len = 0;
    while (len < text.len && text.data[len] != '\0' && strchr(plain, text.data[len]) != NULL) {
        len++;
    }
    return len;
}

static loom_status take_place(session *s, bool *taken_over)
{
    session *older;
    loom_status st = agents_enter(s->bridge, s, &older);
    *taken_over = older != NULL;
    if (st == LOOM_OK && older == NULL && s->bridge->stats.agents >= s->bridge->options.max_sessions) {
        return LOOM_EFULL;
    }
    if (older != NULL) {
        s->bridge->stats.replaced++;
        session_end(older, FRAME_ERROR, LOOM_EREPLACED, "a newer session of the same agent took its place");
    }
    return st;
}

static loom_status attach(session *s, const frame_hello *f)
{
    bridge *b = s->bridge;
    bus_agent about = {
        .id = session_agent(s),
        .software = utf8_valid(f->software) ? f->software : (loom_str){0},
        .instance = f->instance.len == LOOM_UUID_SIZE ? f->instance : (loom_bytes){0},
        .heartbeat_ms = b->options.heartbeat_ms,
        .peer = s->peer,
        .quiet = s->quiet,
        .unrecorded = f->recorder == 0,
    };
    return b->options.bus->ops->attach(b->options.bus, &s->port, &about, &session_bus_handlers, s);
}

loom_status on_hello(session *s, const frame_hello *f, char reason[FRAME_REASON_SIZE])
{
    bridge *b = s->bridge;
    if (f->protocol != LINK_PROTOCOL) {
        snprintf(reason, FRAME_REASON_SIZE, "link protocol %llu is not supported, this bridge speaks %d",
                 (unsigned long long)f->protocol, LINK_PROTOCOL);
        return LOOM_EVERSION;
    }
    if (topic_name_check(f->agent, NULL) != LOOM_OK) {
        snprintf(reason, FRAME_REASON_SIZE,
                 "agent id must be one topic segment of 1 to %u bytes: no '.', '*', '>', space or control character",
                 LOOM_AGENT_ID_MAX);
        return LOOM_EINVAL;
    }
    memcpy(s->agent, f->agent.data, f->agent.len);
    s->agent_len = f->agent.len;
    s->credit_messages = f->credit_messages != 0 ? f->credit_messages : UINT64_MAX;
    s->quiet = f->quiet != 0;
    s->moves = f->moves != 0;
    s->credit_bytes = f->credit_bytes != 0 ? f->credit_bytes : UINT64_MAX;

    bool taken_over;
    loom_status st = take_place(s, &taken_over);
    if (st == LOOM_OK) {
        st = attach(s, f);
    }
    if (st != LOOM_OK) {
        snprintf(reason, FRAME_REASON_SIZE, "cannot take the agent on: %s",
                 st == LOOM_ECLOSED ? "the broker is being drained and takes no new agents"
                 : st == LOOM_EFULL ? "there are as many agents as there may be (max_agents)"
                 : st == LOOM_EDENIED ? "its id is that of a gateway"
                 : st == LOOM_EBUSY ? "too much waits for the broker"
                                    : loom_status_text(st));
        return st;
    }
    session_leave_strangers(s);
    s->state = SESSION_OPEN;
    b->stats.agents++;
    s->publish_granted = s->pressed || b->winding_down ? 0 : b->options.publish_window; /* a broker that has just started presses at once */
    const uint64_t span_credit = session_open_spans(s, f);
    s->recorder = (uint8_t)(f->recorder < 2 ? f->recorder : 2);
    frame_welcome welcome = {
        .protocol = LINK_PROTOCOL,
        .recorder = span_sender_may_hand_over(s->spans) ? 2 : 1,
        .session = s->id,
        .bridge = {b->options.id, strlen(b->options.id)},
        .software = {b->options.software, strlen(b->options.software)},
        .credit_bytes = s->publish_granted,
        .max_payload = b->options.payload_max,
        .heartbeat_ms = b->options.heartbeat_ms,
        .span_credit = span_credit,
        .asks = true,
    };
    const size_t mark = session_begin(s);
    session_commit(s, mark, SESSION_OTHER, frame_put_welcome(&s->out, &welcome));
    session_tell_kept(s);
    session_apply_credit(s, true);
    session_log(s, taken_over ? LINES_TAKEOVERS : LINES_SESSIONS, session_level(s), "session opened by %.*s", (int)plain_prefix(f->software),
                f->software.data != NULL ? f->software.data : "");
    return LOOM_OK;
}
