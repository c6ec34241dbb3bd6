/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/collect/trace_fixture.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#define SENSOR "agent-sensor"
#define PROCESSOR "agent-processor"
#define OUTPUT "agent-output"

const fixture_span fixture_ladder[FIXTURE_LADDER_COUNT] = {
    {.id = 1, .parent = 0, .name = "sensor.emit_data", .kind = LOOM_SPAN_INTERNAL, .service = SENSOR, .start_us = 0, .end_us = 1000},
    {.id = 2, .parent = 1, .name = "agent.emit", .kind = LOOM_SPAN_PRODUCER, .service = SENSOR, .start_us = 100, .end_us = 200},
    {.id = 3, .parent = 2, .name = "bridge.publish", .kind = LOOM_SPAN_CONSUMER, .service = "loom-bridge", .start_us = 200, .end_us = 300},
    {.id = 4, .parent = 3, .name = "eventbus.publish", .kind = LOOM_SPAN_INTERNAL, .service = "loom-broker", .start_us = 300, .end_us = 400},
    {.id = 5, .parent = 4, .name = "bridge.forward", .kind = LOOM_SPAN_PRODUCER, .service = "loom-bridge", .start_us = 400, .end_us = 500},
    {.id = 6, .parent = 5, .name = "agent.on_event", .kind = LOOM_SPAN_CONSUMER, .service = PROCESSOR, .start_us = 500, .end_us = 1000, .link = 2},
    {.id = 7, .parent = 6, .name = "agent.emit", .kind = LOOM_SPAN_PRODUCER, .service = PROCESSOR, .start_us = 600, .end_us = 700},
    {.id = 8, .parent = 7, .name = "bridge.publish", .kind = LOOM_SPAN_CONSUMER, .service = "loom-bridge", .start_us = 700, .end_us = 800},
    {.id = 9, .parent = 8, .name = "eventbus.publish", .kind = LOOM_SPAN_INTERNAL, .service = "loom-broker", .start_us = 800, .end_us = 900},
    {.id = 10, .parent = 9, .name = "bridge.forward", .kind = LOOM_SPAN_PRODUCER, .service = "loom-bridge", .start_us = 900, .end_us = 950},
    {.id = 11, .parent = 10, .name = "agent.on_event", .kind = LOOM_SPAN_CONSUMER, .service = OUTPUT, .start_us = 950, .end_us = 1000, .link = 7},
};

static void put_id(pb_buf *out, uint32_t field, uint8_t number)
{
    const uint8_t id[LOOM_SPAN_ID_SIZE] = {[LOOM_SPAN_ID_SIZE - 1] = number};
    pb_bytes_field(out, field, id, sizeof id);
}

static void put_trace_id(pb_buf *out, uint32_t field, uint8_t trace)
{
    uint8_t id[LOOM_TRACE_ID_SIZE];
    memset(id, trace, sizeof id);
    pb_bytes_field(out, field, id, sizeof id);
}

static void put_attr(pb_buf *out, uint32_t field, const char *key, const char *value)
{
    size_t pair = pb_open(out, field);
    pb_string_field(out, 1, str_of(key));
    size_t any = pb_open(out, 2);
    pb_string_field(out, 1, str_of(value));
    pb_close(out, any);
    pb_close(out, pair);
}

static void put_link(pb_buf *out, uint8_t trace, uint8_t link)
{
    if (link != 0) {
        size_t link_mark = pb_open(out, 13);
        put_trace_id(out, 1, trace);
        put_id(out, 2, link);
        pb_close(out, link_mark);
    }
}

static void put_details(pb_buf *out, uint8_t trace, const fixture_span *s)
{
    if (s->key != NULL) {
        put_attr(out, 9, s->key, s->value);
    }
    if (s->other_key != NULL) {
        put_attr(out, 9, s->other_key, s->other_value);
    }
    if (s->event != NULL) {
        size_t event = pb_open(out, 11);
        pb_fixed64_field(out, 1, FIXTURE_START_NS + s->start_us * UINT64_C(1000));
        pb_string_field(out, 2, str_of(s->event));
        put_attr(out, 3, "reason", "queue_full");
        pb_close(out, event);
    }
    put_link(out, trace, s->link);
    for (size_t i = 0; i < sizeof s->links; i++) {
        put_link(out, trace, s->links[i]);
    }
    if (s->status != 0) {
        size_t status = pb_open(out, 15);
        pb_string_field(out, 2, str_of(s->message));
        pb_varint_field(out, 3, (uint64_t)s->status);
        pb_close(out, status);
    }
}

static void put_span(pb_buf *out, uint8_t trace, const fixture_span *s)
{
    put_trace_id(out, 1, trace);
    put_id(out, 2, s->id);
    if (s->parent != 0) {
        put_id(out, 4, s->parent);
    }
    pb_string_field(out, 5, str_of(s->name));
    pb_varint_field(out, 6, (uint64_t)s->kind);
    pb_fixed64_field(out, 7, FIXTURE_START_NS + s->start_us * UINT64_C(1000));
    pb_fixed64_field(out, 8, FIXTURE_START_NS + s->end_us * UINT64_C(1000));
    put_details(out, trace, s);
}

void fixture_request(pb_buf *out, uint8_t trace, const fixture_span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t resource_spans = pb_open(out, 1);
        size_t resource = pb_open(out, 1);
        put_attr(out, 1, "service.name", spans[i].service);
        pb_close(out, resource);
        size_t scope_spans = pb_open(out, 2);
        size_t span = pb_open(out, 2);
        put_span(out, trace, &spans[i]);
        pb_close(out, span);
        pb_close(out, scope_spans);
        pb_close(out, resource_spans);
    }
}

void fixture_list(span_list *list, uint8_t trace, const fixture_span *spans, size_t count)
{
    pb_buf request;
    pb_init(&request, NULL, 0, SIZE_MAX / 4);
    fixture_request(&request, trace, spans, count);
    assert_false(request.failed);
    span_list_init(list);
    assert_status(LOOM_OK, span_list_add(list, (loom_bytes){request.data, request.len}));
    pb_fini(&request);
    span_list_sort(list);
}

span_range fixture_range(const span_list *list)
{
    return (span_range){list->items, list->count};
}

void fixture_folder_make(char folder[64])
{
    snprintf(folder, 64, "/tmp/loom-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

void fixture_folder_remove(const char *folder)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
