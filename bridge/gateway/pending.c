/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait: for the bus, for an outcome, for a reply. */
#include <stdlib.h>
#include <string.h>

#include "bridge/gateway/internal.h"

static void on_left(void *user)
{
    pending *p = user;
    p->gone = true;
    gateway_soon(p->x.gateway, &p->job);
}

void *pending_create(exchange *x, size_t size, linked_list *list, uint32_t within_ms)
{
    gateway *g = x->gateway;
    pending *p = g->stats.waiting < GATEWAY_WAITING_MAX ? calloc(1, size) : NULL;
    if (p == NULL) {
        exchange_fail(x, 429, "busy", "too many requests wait for their answer");
        return NULL;
    }
    p->x = *x;
    x->request = NULL;
    p->of = list;
    list_append(list, &p->list);
    g->stats.waiting++;
    p->deadline_ms = uv_now(g->loop) + within_ms;
    gateway_tick_by(g, p->deadline_ms);
    http_request_on_left(p->x.request, on_left, p);
    return p;
}

void pending_key(pending *p, bytes_table *table, loom_bytes key)
{
    p->table = table;
    bytes_table_add(table, &p->by_key, key);
}

void pending_unkey(pending *p)
{
    if (p->table != NULL) {
        bytes_table_remove(p->table, &p->by_key);
        p->table = NULL;
    }
}

pending *pending_find(const bytes_table *table, loom_bytes key)
{
    bytes_node *node = bytes_table_find(table, key);
    return node != NULL ? (pending *)(void *)((char *)node - offsetof(pending, by_key)) : NULL;
}

static void copy(char *out, size_t size, loom_str text)
{
    const size_t len = text.len < size ? text.len : size - 1;
    if (len > 0) {
        memcpy(out, text.data, len);
    }
    out[len] = '\0';
}

void pending_done(pending *p, uint16_t status, loom_str code, loom_str text, loom_bytes payload)
{
    if (p->status != 0) {
        return;
    }
    pending_unkey(p);
    p->status = status;
    copy(p->code, sizeof p->code, code);
    copy(p->text, sizeof p->text, text);
    if (payload.len > 0) {
        if ((p->payload = malloc(payload.len)) == NULL) {
            p->status = 503;
            copy(p->code, sizeof p->code, str_of("out_of_memory"));
            copy(p->text, sizeof p->text, str_of("the gateway has no memory for the answer"));
        } else {
            memcpy(p->payload, payload.data, payload.len);
            p->payload_len = payload.len;
        }
    }
    gateway_soon(p->x.gateway, &p->job);
}

void pending_free(pending *p)
{
    gateway *g = p->x.gateway;
    pending_unkey(p);
    gateway_not_soon(g, &p->job);
    list_remove(p->of, &p->list);
    g->stats.waiting--;
    free(p->payload);
    free(p);
}

void pending_tick(linked_list *list, uint64_t now_ms)
{
    for (list_node *node = list->first, *next; node != NULL; node = next) {
        pending *p = list_item(node, pending, list);
        next = node->next;
        if (p->deadline_ms <= now_ms && p->status == 0) {
            p->late(p);
        } else if (p->status == 0) {
            gateway_tick_by(p->x.gateway, p->deadline_ms);
        }
        if (p->idle != NULL) {
            p->idle(p, now_ms);
        }
    }
}

void pending_end(linked_list *list)
{
    for (list_node *node = list->first; node != NULL; node = node->next) {
        pending_done(list_item(node, pending, list), 503, str_of("shutting_down"), str_of("the gateway is shutting down"),
                     (loom_bytes){0});
    }
}

void pending_lose(linked_list *list, const bytes_table *table)
{
    for (list_node *node = list->first; node != NULL; node = node->next) {
        pending *p = list_item(node, pending, list);
        if (p->table == table) {
            pending_done(p, 503, str_of("disconnected"), str_of("the broker ended the gateway's session"), (loom_bytes){0});
        }
    }
}

void pending_abandon(linked_list *list)
{
    for (list_node *node; (node = list->first) != NULL;) {
        pending *p = list_item(node, pending, list);
        p->gone = true;
        gateway_not_soon(p->x.gateway, &p->job);
        p->job.run(&p->job); /* frees it */
    }
}
