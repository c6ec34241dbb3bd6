/* SPDX-License-Identifier: Apache-2.0 */
/* The control operation "flow": who publishes to which topic, who gets it, who calls what of whom; the busiest first. */
#include <loom/topic.h>

#include "base/str.h"
#include "broker/endpoints/control_internal.h"
#include "trace/messaging/call_span.h"

typedef struct edge_kind {
    const char *name;
    const char *(*reason)(unsigned i);
} edge_kind;

static const char *drop_name(unsigned i)
{
    return eventbus_drop_name((eventbus_drop)i);
}

static const char *outcome_name(unsigned i)
{
    return call_outcome_name(i);
}

static const edge_kind of_events[] = {[FLOW_OUT] = {"publish", drop_name}, [FLOW_IN] = {"deliver", drop_name}};
static const edge_kind of_calls[] = {[FLOW_OUT] = {"invoke", outcome_name}, [FLOW_IN] = {"provide", outcome_name}};

typedef struct edge {
    flow_view view;
    const edge_kind *kind;
} edge;

typedef struct edges_view {
    const control_request *q;
    const edge_kind *kinds; /* of the table that is looked at */
    control_top top;
} edges_view;

static bool wanted(const control_request *q, const edge_kind *kind, const flow_view *view)
{
    return (q->kind.len == 0 || str_is(q->kind, kind->name)) && (q->agent.len == 0 || str_equal(q->agent, view->agent)) &&
           (q->name.len == 0 || str_equal(q->name, view->name)) &&
           (q->filter.len == 0 || (view->name.len > 0 && loom_filter_matches(q->filter, view->name)));
}

static void add_edge(void *user, const flow_view *view)
{
    edges_view *v = user;
    const edge_kind *kind = &v->kinds[view->direction];
    if (wanted(v->q, kind, view)) {
        control_top_add(&v->top, view->counts->total + flow_lost(view->counts), &(edge){*view, kind});
    }
}

static void pack_reasons(msgpack_packer *pk, const edge *e)
{
    const uint64_t *lost = e->view.counts->lost;
    size_t count = 0;
    for (unsigned i = 0; i < FLOW_REASONS_MAX; i++) {
        count += lost[i] > 0;
    }
    control_pack_key(pk, "reasons");
    msgpack_pack_map(pk, count);
    for (unsigned i = 0; i < FLOW_REASONS_MAX; i++) {
        if (lost[i] > 0) {
            control_pack_uint(pk, e->kind->reason(i), lost[i]);
        }
    }
}

static void pack_edge(void *user, msgpack_packer *pk, const void *item)
{
    static const char *const others[] = {[FLOW_PLAIN] = "", [FLOW_OTHER_NAMES] = "name", [FLOW_OTHER_AGENTS] = "agent"};
    static const loom_str other = {"other", 5};
    const edge *e = item;
    (void)user;
    msgpack_pack_map(pk, 7);
    control_pack_text(pk, "kind", str_of(e->kind->name));
    control_pack_text(pk, "agent", e->view.other == FLOW_OTHER_AGENTS ? other : e->view.agent);
    control_pack_text(pk, "name", e->view.other != FLOW_PLAIN ? other : e->view.name);
    control_pack_uint(pk, "total", e->view.counts->total);
    control_pack_uint(pk, "lost", flow_lost(e->view.counts));
    pack_reasons(pk, e);
    control_pack_text(pk, "other", str_of(others[e->view.other]));
}

static bool kind_known(loom_str kind)
{
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        if (str_is(kind, of_events[i].name) || str_is(kind, of_calls[i].name)) {
            return true;
        }
    }
    return kind.len == 0;
}

control_outcome control_flow(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    control_list list;
    edges_view v = {.q = q};
    (void)to;
    if (!kind_known(q->kind)) {
        return control_refuse(answer, LOOM_EINVAL, "kind is not publish, deliver, invoke or provide");
    }
    if (q->filter.len > 0 && !loom_filter_valid(q->filter)) {
        return control_refuse(answer, LOOM_EINVAL, "filter is not valid");
    }
    control_list_init(&list, q);
    control_top_init(&v.top, list.limit, sizeof(edge));
    v.kinds = of_events;
    flow_table_visit(eventbus_flow(s->cores.events), add_edge, &v);
    v.kinds = of_calls;
    flow_table_visit(actionbroker_flow(s->cores.actions), add_edge, &v);
    control_top_pack(&v.top, &list, pack_edge, NULL);
    control_top_fini(&v.top);
    return control_list_answer(&list, answer, "edges");
}
