/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/view/member.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/http/query.h"
#include "tools/loom/bus_client.h"

enum { TICK_MS = 1000, CLOSE_MS = 300, CREDIT_MESSAGES = 65536, CREDIT_BYTES = 64 << 20 };

/* ---- the agent on the loop ---- */

static void drive(view_member *m)
{
    if (m->agent != NULL) {
        (void)loom_agent_poll(m->agent, 0); /* that it is closed or replaced, on_state says */
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    drive(poll->data);
}

static void on_tick(uv_timer_t *tick)
{
    drive(tick->data);
    view_tails_tick(tick->data);
}

static void on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    view_member *m = user;
    (void)agent;
    (void)why;
    if (state == LOOM_AGENT_CONNECTED) {
        m->problem[0] = '\0';
    } else if (state != LOOM_AGENT_CONNECTING) {
        snprintf(m->problem, sizeof m->problem, "%s", text);
    }
    view_tails_tell_state(m);
}

/* Its spans go nowhere else, so it is always the loop's thread: LOOM_EIO is the exporter's. */
static void on_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    view_member *m = user;
    (void)agent;
    if (why != LOOM_EIO) {
        snprintf(m->problem, sizeof m->problem, "%s", text);
        view_tails_tell_state(m);
    }
}

static loom_status open_agent(view_member *m, const char *where)
{
    bus_client_make_id(m->id, "view");
    const loom_agent_options with = {.id = m->id, .url = where, .user = m, .on_state = on_state, .on_error = on_error, .poll_mode = true,
                                     .receive_messages = CREDIT_MESSAGES, .receive_bytes = CREDIT_BYTES, .telemetry = m->spans.provider};
    const loom_status st = loom_agent_open(&m->agent, &with);
    if (st == LOOM_EINVAL) {
        snprintf(m->problem, sizeof m->problem, "%s", loom_agent_open_error());
    }
    return st == LOOM_EINVAL ? LOOM_OK : st;
}

static loom_status watch(view_member *m)
{
    const int fd = m->agent != NULL ? loom_agent_fd(m->agent) : -1;
    if (fd < 0) {
        return LOOM_OK;
    }
    if (uv_poll_init(&m->view->loop, &m->poll, fd) != 0) {
        return LOOM_EIO;
    }
    uv_timer_init(&m->view->loop, &m->tick);
    m->poll.data = m->tick.data = m;
    m->watched = true;
    return uv_poll_start(&m->poll, UV_READABLE, on_readable) == 0 && uv_timer_start(&m->tick, on_tick, TICK_MS, TICK_MS) == 0 ? LOOM_OK
                                                                                                                              : LOOM_EIO;
}

loom_status view_member_open(view_member **out, view *v, const char *where, store *db)
{
    view_member *m = *out = calloc(1, sizeof *m);
    if (m == NULL) {
        return LOOM_ENOMEM;
    }
    m->view = v;
    loom_status st = own_spans_open(&m->spans, &v->loop, db);
    if (st == LOOM_OK) {
        st = open_agent(m, where);
    }
    return st == LOOM_OK ? watch(m) : st;
}

void view_member_close(view_member *m)
{
    if (m == NULL) {
        return;
    }
    if (m->watched) {
        uv_close((uv_handle_t *)&m->poll, NULL);
        uv_close((uv_handle_t *)&m->tick, NULL);
    }
    loom_agent *agent = m->agent;
    m->agent = NULL; /* tails that end from now on leave it alone */
    (void)loom_agent_close_within(agent, CLOSE_MS);
    own_spans_close(&m->spans);
}

void view_member_fini(view_member *m)
{
    if (m != NULL) {
        own_spans_fini(&m->spans);
        free(m);
    }
}

/* ---- what its requests share ---- */

bool view_member_is_connected(const view_member *m)
{
    return m->agent != NULL && loom_agent_get_state(m->agent) == LOOM_AGENT_CONNECTED;
}

loom_agent *view_member_agent(view_member *m, http_request *r)
{
    char why[VIEW_PROBLEM_SIZE];
    if (view_member_is_connected(m)) {
        return m->agent;
    }
    snprintf(why, sizeof why, "the view is not connected to the bus%s%.200s; start a broker with `loom-broker`, or name it with --url or LOOM_URL",
             m->problem[0] != '\0' ? ": " : "", m->problem);
    view_fail(m->view, r, 503, why);
    return NULL;
}

bool view_member_name(view *v, http_request *r, char out[LOOM_TOPIC_MAX + 1], const char *what,
                      loom_status (*check)(loom_str name, const char **reason))
{
    char text[VIEW_PROBLEM_SIZE];
    const char *why = "is missing";
    const loom_str rest = http_request_rest(r);
    if (rest.len > 0 && http_decode_text(out, LOOM_TOPIC_MAX + 1, rest, false, &why) && check(str_of(out), &why) == LOOM_OK) {
        return true;
    }
    snprintf(text, sizeof text, "the %s: %s", what, why);
    view_fail(v, r, 400, text);
    return false;
}
