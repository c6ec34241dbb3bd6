/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of vectors.json: what is read from them, what is written for them, and which bytes are refused. */
#include <stdlib.h>

#include "envelope/frame/frame.h"
#include "envelope/frame/keys.h"
#include "tests/conformance/wire/vectors.h"

static loom_bytes bin_of(json_t *value)
{
    return value != NULL ? vector_bytes(json_object_get(value, "bin")) : (loom_bytes){NULL, 0};
}

static void same_bytes(const char *name, loom_bytes expected, loom_bytes actual)
{
    if (expected.len != actual.len || (actual.len > 0 && memcmp(expected.data, actual.data, actual.len) != 0)) {
        fail_msg("%s: other bytes, %zu of them instead of %zu", name, actual.len, expected.len);
    }
}

static void same_bin(const char *name, json_t *value, loom_bytes actual)
{
    loom_bytes expected = bin_of(value);
    same_bytes(name, expected, actual);
    free((void *)(uintptr_t)expected.data);
}

/* As a reader gets them, and in the bytes that Loom's own writer makes of them. */
static void same_texts(const char *name, json_t *value, loom_bytes actual, bool canonical)
{
    loom_header entries[FRAME_METADATA_MAX];
    uint8_t written[LOOM_HEADERS_MAX];
    size_t count, len, i = 0;
    const char *key;
    json_t *text;
    assert_status(LOOM_OK, frame_metadata_read(actual, entries, FRAME_METADATA_MAX, &count));
    assert_int_equal(json_object_size(value), count);
    json_object_foreach(value, key, text) {
        assert_str(key, entries[i].key);
        assert_str(json_string_value(text), entries[i].value);
        i++;
    }
    assert_status(LOOM_OK, frame_metadata_write(written, sizeof written, entries, count, &len));
    if (canonical) {
        same_bytes(name, actual, (loom_bytes){written, len});
    }
}

static void same_key(const char *name, const frame_key *key, json_t *value, const void *from, bool canonical)
{
    const void *field = (const char *)from + key->offset;
    loom_str text = {json_string_value(value), json_string_length(value)};
    switch (key->kind) {
    case KEY_UINT: assert_true(vector_uint(value) == *(const uint64_t *)field); break;
    case KEY_BOOL: assert_int_equal(json_is_true(value), *(const bool *)field); break;
    case KEY_STR: assert_str(text.len > 0 ? text.data : "", *(const loom_str *)field); break;
    case KEY_BIN: same_bin(name, value, *(const loom_bytes *)field); break;
    case KEY_TEXTS: same_texts(name, value, *(const loom_bytes *)field, canonical); break;
    case KEY_TYPES: {
        const frame_subscribe *f = from;
        assert_int_equal(json_array_size(value), f->type_count);
        for (uint32_t i = 0; i < f->type_count; i++) {
            assert_str(json_string_value(json_array_get(value, i)), f->types[i]);
        }
        break;
    }
    }
}

/* Every key of the table as the vector has it, and no key in the vector that the table does not know. */
static void same_map(json_t *vector, const frame *f)
{
    json_t *fields = json_object_get(vector, "fields");
    frame_keys keys = frame_keys_of(f->type);
    size_t known = 0;
    for (size_t i = 0; i < keys.count; i++) {
        json_t *value = json_object_get(fields, keys.keys[i].name);
        same_key(vector_string(vector, "name"), &keys.keys[i], value, &f->u,
                 json_is_true(json_object_get(vector, "canonical")));
        known += value != NULL;
    }
    assert_int_equal(json_object_size(fields), known);
}

static void same_values(json_t *vector, const frame *f)
{
    json_t *v = json_object_get(vector, "values");
    const char *name = vector_string(vector, "name");
    switch (f->type) {
    case FRAME_CREDIT:
        assert_true(vector_uint(json_object_get(v, "messages")) == f->u.credit.messages);
        assert_true(vector_uint(json_object_get(v, "bytes")) == f->u.credit.bytes);
        break;
    case FRAME_MOVE:
    case FRAME_PING:
    case FRAME_PONG: assert_true(vector_uint(json_object_get(v, "number")) == f->u.number); break;
    case FRAME_CALL:
        same_bin(name, json_object_get(v, "call_id"), f->u.call.call_id);
        assert_str(vector_string(v, "capability"), f->u.call.capability);
        assert_str(vector_string(v, "version"), f->u.call.version);
        assert_true(vector_uint(json_object_get(v, "deadline_ms")) == f->u.call.deadline_ms);
        assert_true(vector_uint(json_object_get(v, "idle_ms")) == f->u.call.idle_ms);
        assert_true(vector_uint(json_object_get(v, "flags")) == f->u.call.flags);
        same_bin(name, json_object_get(v, "envelope"), f->u.call.envelope);
        break;
    case FRAME_RESULT:
        same_bin(name, json_object_get(v, "call_id"), f->u.result.call_id);
        assert_int_equal(vector_uint(json_object_get(v, "outcome")), f->u.result.outcome);
        assert_str(vector_string(v, "code"), f->u.result.code);
        assert_str(vector_string(v, "text"), f->u.result.text);
        same_bin(name, json_object_get(v, "payload"), f->u.result.payload);
        break;
    case FRAME_CANCEL:
        same_bin(name, json_object_get(v, "call_id"), f->u.cancel.call_id);
        assert_str(vector_string(v, "reason"), f->u.cancel.reason);
        break;
    case FRAME_REPORT:
        same_bin(name, json_object_get(v, "call_id"), f->u.report.call_id);
        assert_true(vector_uint(json_object_get(v, "kind")) == f->u.report.kind);
        assert_true(vector_uint(json_object_get(v, "number")) == f->u.report.number);
        same_bin(name, json_object_get(v, "payload"), f->u.report.payload);
        break;
    case FRAME_CALL_CREDIT:
        same_bin(name, json_object_get(v, "call_id"), f->u.call_credit.call_id);
        assert_true(vector_uint(json_object_get(v, "chunks")) == f->u.call_credit.chunks);
        assert_true(vector_uint(json_object_get(v, "bytes")) == f->u.call_credit.bytes);
        break;
    case FRAME_RECORDED:
        assert_true(vector_uint(json_object_get(v, "left")) == f->u.spans.left);
        __attribute__((fallthrough));
    case FRAME_SPANS:
        assert_true(vector_uint(json_object_get(v, "spans")) == f->u.spans.spans);
        same_bin(name, json_object_get(v, "request"), f->u.spans.request);
        break;
    case FRAME_ASK:
        assert_true(vector_uint(json_object_get(v, "number")) == f->u.ask.number);
        same_bin(vector_string(vector, "name"), json_object_get(v, "message_id"), f->u.ask.message_id);
        assert_true(vector_uint(json_object_get(v, "how")) == f->u.ask.how);
        break;
    case FRAME_MATCHED:
        assert_true(vector_uint(json_object_get(v, "number")) == f->u.matched.number);
        assert_true(vector_uint(json_object_get(v, "subscriptions")) == f->u.matched.subscriptions);
        break;
    case FRAME_SPAN_CREDIT:
        assert_true(vector_uint(json_object_get(v, "bytes")) == f->u.span_credit.bytes);
        assert_true(vector_uint(json_object_get(v, "spans")) == f->u.span_credit.spans);
        assert_true(vector_uint(json_object_get(v, "refused")) == f->u.span_credit.refused);
        break;
    case FRAME_KEEP_LAST: assert_true(vector_uint(json_object_get(v, "most")) == f->u.keep.last); break;
    case FRAME_HELD:
        same_bin(name, json_object_get(v, "trace_id"), (loom_bytes){f->u.held.trace_id, LOOM_TRACE_ID_SIZE});
        assert_true(vector_uint(json_object_get(v, "spans")) == f->u.held.spans);
        assert_true(vector_uint(json_object_get(v, "cut")) == f->u.held.cut);
        assert_true(vector_uint(json_object_get(v, "off")) == f->u.held.off);
        assert_int_equal(json_array_size(json_object_get(v, "agents")), 2 * f->u.held.party_count);
        for (uint32_t i = 0; i < f->u.held.party_count; i++) {
            assert_str(json_string_value(json_array_get(json_object_get(v, "agents"), 2 * (size_t)i)), f->u.held.parties[i].agent);
            assert_true(vector_uint(json_array_get(json_object_get(v, "agents"), 2 * (size_t)i + 1)) == f->u.held.parties[i].here);
            assert_true(vector_uint(json_array_get(json_object_get(v, "starts"), i)) == f->u.held.parties[i].start_unix_ns);
        }
        break;
    case FRAME_KEEP:
        assert_int_equal(json_is_true(json_object_get(v, "asks")), f->u.keep.asks);
        same_bin(name, json_object_get(v, "trace_id"), (loom_bytes){f->u.keep.trace_id, LOOM_TRACE_ID_SIZE});
        assert_str(vector_string(v, "reason"), f->u.keep.reason);
        break;
    default:
        assert_int_equal(vector_uint(json_object_get(v, "count")), f->u.batch.count);
        same_bin(name, json_object_get(v, "envelopes"), f->u.batch.items);
        break;
    }
}

/* Writes what was read; the subscription of a deliver frame is in its items. */
static loom_status write_again(frame_writer *w, const frame *f, uint64_t subscription)
{
    loom_bytes items = f->u.batch.items;
    switch (f->type) {
    case FRAME_HELLO: return frame_put_hello(w, &f->u.hello);
    case FRAME_WELCOME: return frame_put_welcome(w, &f->u.welcome);
    case FRAME_SUBSCRIBE: return frame_put_subscribe(w, &f->u.subscribe);
    case FRAME_UNSUBSCRIBE: return frame_put_unsubscribe(w, &f->u.unsubscribe);
    case FRAME_PROVIDE: return frame_put_provide(w, &f->u.provide);
    case FRAME_CREDIT: return frame_put_credit(w, f->u.credit.messages, f->u.credit.bytes);
    case FRAME_CALL: return frame_put_call(w, &f->u.call);
    case FRAME_RESULT: return frame_put_result(w, &f->u.result);
    case FRAME_REPORT: return frame_put_report(w, &f->u.report);
    case FRAME_CANCEL: return frame_put_cancel(w, f->u.cancel.call_id, f->u.cancel.reason);
    case FRAME_CALL_CREDIT:
        return frame_put_call_credit(w, f->u.call_credit.call_id, f->u.call_credit.chunks, f->u.call_credit.bytes);
    case FRAME_SPANS: return frame_put_spans(w, &f->u.spans);
    case FRAME_RECORDED: return frame_put_recorded(w, &f->u.spans);
    case FRAME_SPAN_CREDIT: return frame_put_span_credit(w, &f->u.span_credit);
    case FRAME_ASK: return frame_put_ask(w, &f->u.ask);
    case FRAME_MATCHED: return frame_put_matched(w, &f->u.matched);
    case FRAME_HELD: return frame_put_held(w, &f->u.held);
    case FRAME_KEEP_LAST:
    case FRAME_KEEP: return frame_put_keep(w, &f->u.keep);
    case FRAME_MOVE:
    case FRAME_PING:
    case FRAME_PONG: return frame_put_number(w, f->type, f->u.number);
    case FRAME_PUBLISH:
    case FRAME_DELIVER: {
        size_t skip = f->type == FRAME_DELIVER ? 5 : 0; /* the vector's subscription is a uint 32 */
        uint8_t *room = skip != 0 ? frame_deliver_begin(w, subscription, items.len - skip) : frame_publish_begin(w, items.len);
        assert_non_null(room);
        memcpy(room, items.data + skip, items.len - skip);
        frame_batch_commit(w, items.len - skip);
        w->batch_count = skip != 0 ? 2 : f->u.batch.count;
        frame_writer_seal(w);
        return LOOM_OK;
    }
    default: return frame_put_outcome(w, f->type, &f->u.outcome);
    }
}

static void each_frame_reads_as_its_vector_says_and_is_written_the_same(void **state)
{
    (void)state;
    json_t *vectors = vectors_load(), *vector;
    size_t i;
    json_array_foreach(json_object_get(vectors, "frames"), i, vector) {
        const char *name = vector_string(vector, "name");
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes")), body;
        size_t need;
        frame f;
        char reason[FRAME_REASON_SIZE] = "";
        assert_int_equal(FRAME_WHOLE, frame_split(bytes, &body, &need));
        assert_int_equal(bytes.len, need);
        if (frame_decode(&f, body, reason) != LOOM_OK) {
            fail_msg("%s: %s", name, reason);
        }
        assert_int_equal(vector_uint(json_object_get(vector, "type")), f.type);
        assert_string_equal(vector_string(vector, "type_name"), frame_type_name(f.type));
        if (json_object_get(vector, "fields") != NULL) {
            same_map(vector, &f);
        } else {
            same_values(vector, &f);
        }
        if (json_is_true(json_object_get(vector, "canonical"))) {
            frame_writer w;
            frame_writer_init(&w);
            uint64_t subscription = vector_uint(json_object_get(json_object_get(vector, "values"), "subscription"));
            assert_status(LOOM_OK, write_again(&w, &f, subscription));
            same_bytes(name, bytes, (loom_bytes){w.data, w.len});
            frame_writer_fini(&w);
        }
        free((void *)(uintptr_t)bytes.data);
    }
    json_decref(vectors);
}

static void each_malformed_frame_is_refused_with_its_status(void **state)
{
    (void)state;
    json_t *vectors = vectors_load(), *vector;
    size_t i;
    json_array_foreach(json_object_get(vectors, "refused_frames"), i, vector) {
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes")), body;
        size_t need;
        frame f;
        char reason[FRAME_REASON_SIZE] = "";
        const frame_piece piece = frame_split(bytes, &body, &need);
        loom_status st = LOOM_ETOOBIG;
        if (json_is_true(json_object_get(vector, "split"))) {
            assert_int_equal(FRAME_BAD_LENGTH, piece);
        } else {
            assert_int_equal(FRAME_WHOLE, piece);
            st = frame_decode(&f, body, reason);
            assert_int_not_equal(0, strlen(reason));
        }
        if (st != vector_status(vector)) {
            fail_msg("%s: LOOM_%s (%s)", vector_string(vector, "name"), loom_status_name(st), reason);
        }
        free((void *)(uintptr_t)bytes.data);
    }
    json_decref(vectors);
}

/* Batches and calls are read as far as their last value, which is scanned later. */
static void no_prefix_of_a_body_reads_past_its_end(void **state)
{
    (void)state;
    json_t *vectors = vectors_load(), *vector;
    size_t i;
    json_array_foreach(json_object_get(vectors, "frames"), i, vector) {
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes"));
        for (size_t len = 1; len < bytes.len - FRAME_HEADER_SIZE; len++) {
            uint8_t *cut = malloc(len);
            assert_non_null(cut);
            memcpy(cut, bytes.data + FRAME_HEADER_SIZE, len);
            frame f;
            char reason[FRAME_REASON_SIZE];
            if (frame_decode(&f, (loom_bytes){cut, len}, reason) == LOOM_OK) {
                assert_true(f.type == FRAME_PUBLISH || f.type == FRAME_DELIVER || f.type == FRAME_CALL);
            }
            free(cut);
        }
        free((void *)(uintptr_t)bytes.data);
    }
    json_decref(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_frame_reads_as_its_vector_says_and_is_written_the_same),
        cmocka_unit_test(each_malformed_frame_is_refused_with_its_status),
        cmocka_unit_test(no_prefix_of_a_body_reads_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
