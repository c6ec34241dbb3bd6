/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/tracee.h"

#include <stdlib.h>
#include <string.h>

enum { EVENT_SIZE_FIRST = 1024 };

tracee *tracee_find(const tracee_table *t, pid_t tid)
{
    return number_table_get(&t->by_tid, (uint64_t)tid);
}

static void tracee_free(tracee *e)
{
    memory_view_close(&e->view);
    free(e->event);
    free(e);
}

tracee *tracee_add(tracee_table *t, pid_t tid, pid_t pid)
{
    tracee *e = calloc(1, sizeof *e);
    event *record = malloc(EVENT_SIZE_FIRST);
    if (e == NULL || record == NULL || number_table_add(&t->by_tid, (uint64_t)tid, e) != LOOM_OK) {
        free(record);
        free(e);
        return NULL;
    }
    *e = (tracee){.tid = tid, .pid = pid, .view.tid = tid, .event = record, .capacity = EVENT_SIZE_FIRST};
    return e;
}

void tracee_remove(tracee_table *t, pid_t tid)
{
    tracee *e = number_table_remove(&t->by_tid, (uint64_t)tid);
    if (e != NULL) {
        tracee_free(e);
    }
}

void tracee_rename(tracee_table *t, pid_t from, pid_t to)
{
    tracee *e = from != to ? number_table_remove(&t->by_tid, (uint64_t)from) : NULL;
    if (e != NULL) {
        tracee_remove(t, to);
        memory_view_close(&e->view);
        e->tid = e->pid = e->view.tid = to;
        if (number_table_add(&t->by_tid, (uint64_t)to, e) != LOOM_OK) {
            tracee_free(e);
        }
    }
}

void tracee_clear(tracee_table *t)
{
    size_t position = 0;
    void *value;
    while (number_table_next(&t->by_tid, &position, &value)) {
        tracee_free(value);
    }
    number_table_fini(&t->by_tid);
    *t = (tracee_table){0};
}

event *tracee_begin(tracee *e, event_type type)
{
    *e->event = (event){.size = sizeof(event), .type = (uint8_t)type, .pid = e->pid, .tid = e->tid};
    return e->event;
}

uint8_t *tracee_part(tracee *e, part_kind kind, unsigned arg, size_t len)
{
    const size_t needed = e->event->size + sizeof(event_part) + len + 8;
    if (needed > EVENT_SIZE_MAX || len == 0) {
        return NULL;
    }
    if (needed > e->capacity) {
        const size_t capacity = needed > EVENT_SIZE_MAX / 2 ? EVENT_SIZE_MAX : needed * 2;
        event *more = realloc(e->event, capacity);
        if (more == NULL) {
            return NULL;
        }
        e->event = more;
        e->capacity = (uint32_t)capacity;
    }
    event_part *part = (event_part *)(void *)((uint8_t *)e->event + e->event->size);
    *part = (event_part){.kind = (uint8_t)kind, .arg = (uint8_t)arg};
    return (uint8_t *)(part + 1);
}

void tracee_end_part(tracee *e, size_t len)
{
    event_part *part = (event_part *)(void *)((uint8_t *)e->event + e->event->size);
    if (len > 0) {
        part->len = (uint16_t)len;
        e->event->size += (uint32_t)(sizeof *part + ((len + 3u) & ~(size_t)3u));
        e->event->parts++;
    }
}

void tracee_put(tracee *e, part_kind kind, unsigned arg, const void *data, size_t len)
{
    uint8_t *to = tracee_part(e, kind, arg, len);
    if (to != NULL) {
        memcpy(to, data, len);
        tracee_end_part(e, len);
    }
}
