/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: whatever a bridge sends. The first byte says how the bytes are cut into reads, and whether a welcome has
 * come before them. */
#include <loom/action.h>

#include <stdlib.h>
#include <string.h>

#include "sdk-c/agent/session_receive.h"
#include "sdk-c/agent/waiting.h"

typedef struct fuzz_carrier {
    carrier base;
    const uint8_t *data;
    size_t left, step;
} fuzz_carrier;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static loom_status take_all(carrier *c, const struct iovec *iov, size_t count, size_t *sent)
{
    (void)c;
    *sent = 0;
    for (size_t i = 0; i < count; i++) {
        *sent += iov[i].iov_len;
    }
    return LOOM_OK;
}

static loom_status give(carrier *c, void *into, size_t room, size_t *got)
{
    fuzz_carrier *f = (fuzz_carrier *)c;
    size_t len = f->left < f->step ? f->left : f->step;
    len = len < room ? len : room;
    *got = len;
    if (len == 0) {
        return LOOM_ECLOSED;
    }
    memcpy(into, f->data, len);
    f->data += len;
    f->left -= len;
    return LOOM_OK;
}

static void nothing(carrier *c)
{
    (void)c;
}

static void watch_nothing(carrier *c, bool on)
{
    (void)c;
    (void)on;
}

static const carrier_ops fuzz_ops = {.send = take_all,
                                     .watch_room = watch_nothing,
                                     .receive = give,
                                     .finish = nothing,
                                     .close = nothing};

static bool never(void *user)
{
    (void)user;
    return false;
}

/* As a handler that waits, and has no time for it. */
static void go_on_inside(loom_agent *agent)
{
    (void)!agent_wait_for(agent, never, NULL, 0);
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)user;
    go_on_inside(agent);
    (void)!loom_agent_emit(agent, topic, loom_envelope_payload(event), NULL);
    return LOOM_OK;
}

static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    (void)user;
    (void)!loom_action_progress(action, loom_action_payload(action));
    go_on_inside(agent);
    return loom_action_streams(action) ? loom_action_chunk(action, loom_action_payload(action), 0) : LOOM_OK;
}

static void on_result(loom_agent *agent, loom_result *result, void *user)
{
    (void)user;
    (void)strlen(loom_result_text(result));
    loom_result_free(result);
    go_on_inside(agent);
}

static void on_chunk(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    (void)number;
    (void)payload;
    (void)user;
    go_on_inside(agent);
}

/* What calls, results and reports may be about: the capability "a", and two calls with the id "c". */
static void take_part(loom_agent *agent)
{
    loom_capability capability = {.name = "a", .on_action = on_action};
    loom_invoke_options options = {.call_id = {(const uint8_t *)"c", 1}, .on_chunk = on_chunk, .on_progress = on_chunk};
    (void)!loom_agent_provide(agent, &capability);
    for (int i = 0; i < 2; i++) {
        (void)!loom_agent_invoke_async(agent, "b", (loom_bytes){0}, &options, on_result, NULL, NULL);
    }
}

static void on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)agent;
    (void)state;
    (void)why;
    (void)user;
    (void)strlen(text);
}

static void on_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    on_state(agent, LOOM_AGENT_CONNECTED, why, text, user);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const topics[] = {"a", NULL};
    loom_agent *agent;
    loom_agent_options options = {.id = "fuzz",
                                  .url = "ipc:///nonexistent",
                                  .topics = topics,
                                  .on_event = on_event,
                                  .on_state = on_state,
                                  .on_error = on_error,
                                  .poll_mode = true};
    const frame_welcome welcome = {.protocol = LINK_PROTOCOL, .credit_bytes = 4096};
    frame_writer w;
    if (size == 0) {
        return 0;
    }
    frame_writer_init(&w);
    (void)!frame_put_welcome(&w, &welcome);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        frame_writer_fini(&w);
        return 0;
    }
    take_part(agent);
    fuzz_carrier link = {{&fuzz_ops, ""}, data + 1, size - 1, (data[0] >> 1) + 1u};
    fuzz_carrier greeting = {{&fuzz_ops, ""}, w.data, w.len, w.len};
    if (loop_enter(&agent->loop)) {
        agent->loop.link = (data[0] & 1) != 0 ? &greeting.base : &link.base;
        agent->loop.writable = true;
        agent->session.phase = SESSION_HELLO;
        for (size_t i = 0; agent->loop.link != NULL && i < 2 * size + 8; i++) {
            if (greeting.left == 0 && agent->loop.link == &greeting.base) {
                agent->loop.link = &link.base;
            }
            session_event(&agent->session);
        }
        loop_leave(&agent->loop);
    }
    agent->loop.link = NULL;
    agent->loop.writable = false;
    loom_agent_close_within(agent, 0);
    frame_writer_fini(&w);
    return 0;
}
