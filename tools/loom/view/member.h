/* SPDX-License-Identifier: Apache-2.0 */
/* The view as an agent of the bus: it subscribes for whoever tails a filter, publishes and calls for whoever fills in a form.
 *
 * The agent is in poll mode, on the loop like everything else, so nothing here has a lock. It connects by itself, and again;
 * the bus knows it by an id of its own, so that what it costs can be told from the rest. */
#ifndef LOOM_TOOLS_VIEW_MEMBER_H
#define LOOM_TOOLS_VIEW_MEMBER_H

#include <loom/action.h>

#include "base/list.h"
#include "tools/loom/view/internal.h"
#include "tools/loom/view/own_spans.h"

enum { MEMBER_TEXT_SIZE = 256, MEMBER_TAILS_MAX = 16, MEMBER_CALLS_MAX = 32 };

typedef struct view_member {
    view *view;
    loom_agent *agent; /* NULL: problem says why, or it is closed */
    own_spans spans;
    uv_poll_t poll;
    uv_timer_t tick;
    bool watched; /* the two are open */
    linked_list tails;
    unsigned tail_count, call_count;
    char id[LOOM_AGENT_ID_MAX + 1];
    char problem[MEMBER_TEXT_SIZE]; /* what the bus refused last, or why there is no connection; "": nothing */
} view_member;

/* where NULL: LOOM_URL, or this machine's broker. db: where its spans go; NULL: where the environment says. LOOM_ENOMEM, LOOM_EIO;
 * a URL that makes no sense is a problem that the page tells. */
LOOM_MUST_CHECK loom_status view_member_open(view_member **out, view *v, const char *where, store *db);
/* Answers what is still under way. The loop has to run once more before fini. NULL is allowed, as there. */
void view_member_close(view_member *m);
void view_member_fini(view_member *m);

bool view_member_is_connected(const view_member *m);
/* The agent when it is connected; otherwise answers the request and returns NULL. */
loom_agent *view_member_agent(view_member *m, http_request *r);
/* What follows the route, decoded, which has to be a name of the kind that check knows. False: answered. */
bool view_member_name(view *v, http_request *r, char out[LOOM_TOPIC_MAX + 1], const char *what,
                      loom_status (*check)(loom_str name, const char **reason));

/* ---- tail.c ---- */

void view_tail(void *user, http_request *r);
void view_tails_tick(view_member *m);
void view_tails_tell_state(view_member *m);

/* ---- send.c ---- */

void view_publish(void *user, http_request *r);
void view_invoke(void *user, http_request *r);
void view_member_state(void *user, http_request *r);

#endif
