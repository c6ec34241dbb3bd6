/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: a stream cut anywhere, batches that grow and are sealed, and writing without memory. What each frame looks like
 * in bytes is in the vectors of tests/conformance/wire. */
#include <stdlib.h>

#include "envelope/frame/frame.h"
#include "envelope/msgpack_bytes.h"
#include "envelope/view.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

static void a_stream_is_split_wherever_it_is_cut(void **state)
{
    (void)state;
    frame_writer w;
    frame_writer_init(&w);
    assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, 1000));
    size_t first = w.len;
    assert_status(LOOM_OK, frame_put_credit(&w, 1, 2));
    for (size_t len = 0; len <= w.len; len++) {
        uint8_t *cut = malloc(len + !len);
        assert_non_null(cut);
        memcpy(cut, w.data, len);
        loom_bytes body;
        size_t need = 0;
        const frame_piece piece = frame_split((loom_bytes){cut, len}, &body, &need);
        assert_int_equal(len < first ? FRAME_PARTIAL : FRAME_WHOLE, piece);
        assert_int_equal(len < FRAME_HEADER_SIZE ? FRAME_HEADER_SIZE : first, need);
        if (piece == FRAME_WHOLE) {
            assert_int_equal(first - FRAME_HEADER_SIZE, body.len);
            assert_ptr_equal(cut + FRAME_HEADER_SIZE, body.data);
        }
        free(cut);
    }
    frame_writer_fini(&w);
}

static void the_longest_frame_is_waited_for_and_a_longer_one_is_not(void **state)
{
    (void)state;
    uint8_t header[FRAME_HEADER_SIZE];
    loom_bytes body;
    size_t need;
    mp_store32(header, FRAME_MAX);
    assert_int_equal(FRAME_PARTIAL, frame_split(BYTES(header), &body, &need));
    assert_int_equal(FRAME_HEADER_SIZE + FRAME_MAX, need);
    mp_store32(header, FRAME_MAX + 1u);
    assert_int_equal(FRAME_BAD_LENGTH, frame_split(BYTES(header), &body, &need));
    mp_store32(header, 0);
    assert_int_equal(FRAME_BAD_LENGTH, frame_split(BYTES(header), &body, &need));
}

static loom_envelope *message(size_t size)
{
    uint8_t *payload = calloc(1, size + 1);
    assert_non_null(payload);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .payload = {payload, size}}));
    free(payload);
    return env;
}

static bool add(frame_writer *w, uint64_t subscription, loom_bytes wire)
{
    uint8_t *room = subscription == 0 ? frame_publish_begin(w, wire.len) : frame_deliver_begin(w, subscription, wire.len);
    if (room == NULL) {
        return false;
    }
    memcpy(room, wire.data, wire.len);
    frame_batch_commit(w, wire.len);
    return true;
}

typedef struct tally {
    unsigned frames, envelopes, largest;
    uint64_t subscriptions; /* their sum */
} tally;

static void count_batch(const frame *f, tally *t)
{
    loom_bytes items = f->u.batch.items;
    for (uint32_t i = 0; i < f->u.batch.count; i++) {
        mp_reader r = {items.data, items.data + items.len};
        uint64_t subscription = 0;
        assert_true(f->type == FRAME_PUBLISH || mp_read_uint(&r, &subscription));
        envelope_view view;
        const char *reason;
        assert_status(LOOM_OK, envelope_scan(&view, (loom_bytes){r.at, (size_t)(r.end - r.at)}, NULL, &reason));
        t->subscriptions += subscription;
        t->envelopes++;
        items = (loom_bytes){r.at + view.len, (size_t)(r.end - r.at) - view.len};
    }
    assert_int_equal(0, items.len);
}

/* Reads everything as a peer would. */
static tally read_all(const frame_writer *w, frame_type type)
{
    tally t = {0};
    loom_bytes left = {w->data, w->len};
    while (left.len > 0) {
        loom_bytes body;
        size_t need;
        frame f;
        char reason[FRAME_REASON_SIZE];
        assert_int_equal(FRAME_WHOLE, frame_split(left, &body, &need));
        assert_status(LOOM_OK, frame_decode(&f, body, reason));
        if (f.type == type) {
            t.frames++;
            t.largest = body.len > t.largest ? (unsigned)body.len : t.largest;
            count_batch(&f, &t);
        }
        left = (loom_bytes){left.data + need, left.len - need};
    }
    return t;
}

static void what_collects_leaves_as_one_frame(void **state)
{
    (void)state;
    loom_envelope *env = message(100);
    frame_writer w;
    frame_writer_init(&w);
    for (uint64_t i = 1; i <= 100; i++) {
        assert_true(add(&w, i * i, loom_envelope_wire(env)));
    }
    frame_writer_seal(&w);
    frame_writer_seal(&w); /* once is enough */
    const tally t = read_all(&w, FRAME_DELIVER);
    assert_int_equal(1, t.frames);
    assert_int_equal(100, t.envelopes);
    assert_int_equal(338350, t.subscriptions);
    frame_writer_fini(&w);
    loom_envelope_unref(env);
}

static void a_batch_is_closed_when_it_is_large_and_no_envelope_is_split(void **state)
{
    (void)state;
    loom_envelope *small = message(1000), *large = message(LOOM_PAYLOAD_MAX);
    frame_writer w;
    frame_writer_init(&w);
    for (int i = 0; i < 200; i++) {
        assert_true(add(&w, 0, loom_envelope_wire(small)));
    }
    assert_true(add(&w, 0, loom_envelope_wire(large)));
    assert_true(add(&w, 0, loom_envelope_wire(small)));
    frame_writer_seal(&w);
    const tally t = read_all(&w, FRAME_PUBLISH);
    assert_int_equal(202, t.envelopes);
    assert_in_range(t.frames, 6, 9);
    assert_in_range(t.largest, LOOM_PAYLOAD_MAX, FRAME_MAX);
    frame_writer_fini(&w);
    loom_envelope_unref(small);
    loom_envelope_unref(large);
}

static void another_frame_closes_an_open_batch_and_keeps_the_order(void **state)
{
    (void)state;
    loom_envelope *env = message(10);
    frame_writer w;
    frame_writer_init(&w);
    assert_true(add(&w, 0, loom_envelope_wire(env)));
    assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, 1));
    assert_true(add(&w, 0, loom_envelope_wire(env)));
    assert_true(add(&w, 5, loom_envelope_wire(env))); /* a batch of another kind */
    frame_writer_seal(&w);
    assert_int_equal(2, read_all(&w, FRAME_PUBLISH).frames);
    assert_int_equal(1, read_all(&w, FRAME_DELIVER).frames);
    frame_writer_clear(&w);
    assert_int_equal(0, w.len);
    assert_true(add(&w, 0, loom_envelope_wire(env))); /* begins anew */
    frame_writer_seal(&w);
    assert_int_equal(1, read_all(&w, FRAME_PUBLISH).envelopes);
    frame_writer_fini(&w);
    loom_envelope_unref(env);
}

static void a_frame_over_the_limit_is_not_written(void **state)
{
    (void)state;
    frame_writer w;
    frame_writer_init(&w);
    uint8_t *payload = calloc(1, FRAME_MAX);
    assert_non_null(payload);
    assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, 1));
    size_t before = w.len;
    const frame_result result = {.call_id = BYTES("x"), .payload = {payload, FRAME_MAX}};
    assert_status(LOOM_ETOOBIG, frame_put_result(&w, &result));
    assert_int_equal(before, w.len);
    free(payload);
    frame_writer_fini(&w);
}

/* ---- calls ---- */

static frame read_first(const frame_writer *w)
{
    frame f;
    loom_bytes body;
    size_t need;
    char reason[FRAME_REASON_SIZE];
    assert_int_equal(FRAME_WHOLE, frame_split((loom_bytes){w->data, w->len}, &body, &need));
    assert_status(LOOM_OK, frame_decode(&f, body, reason));
    return f;
}

static void a_call_written_in_place_is_the_same_as_one_that_is_copied(void **state)
{
    (void)state;
    loom_envelope *env = message(300);
    const loom_bytes wire = loom_envelope_wire(env);
    const frame_call call = {.call_id = BYTES("id"), .capability = STR("a.b"), .deadline_ms = 70000, .flags = 3, .envelope = wire};
    frame_writer copied, in_place;
    frame_writer_init(&copied);
    frame_writer_init(&in_place);
    assert_status(LOOM_OK, frame_put_call(&copied, &call));
    uint8_t *room = frame_call_begin(&in_place, &call, wire.len + 1000); /* more than is needed in the end */
    assert_non_null(room);
    memcpy(room, wire.data, wire.len);
    frame_call_commit(&in_place, wire.len);
    assert_int_equal(copied.len, in_place.len);
    assert_memory_equal(copied.data, in_place.data, copied.len);
    assert_int_equal(wire.len, read_first(&in_place).u.call.envelope.len);
    frame_writer_fini(&copied);
    frame_writer_fini(&in_place);
    loom_envelope_unref(env);
}

static void a_call_that_is_not_committed_leaves_nothing_behind(void **state)
{
    (void)state;
    loom_envelope *env = message(10);
    const frame_call call = {.capability = STR("a.b")};
    frame_writer w;
    frame_writer_init(&w);
    assert_true(add(&w, 0, loom_envelope_wire(env)));
    const size_t before = w.len;
    assert_non_null(frame_call_begin(&w, &call, 500));
    assert_int_equal(before, w.len);
    assert_true(add(&w, 0, loom_envelope_wire(env)));
    frame_writer_seal(&w);
    assert_int_equal(2, read_all(&w, FRAME_PUBLISH).frames); /* the open batch was closed before the call */
    frame_writer_fini(&w);
    loom_envelope_unref(env);
}

static void a_field_over_its_limit_is_not_written(void **state)
{
    (void)state;
    static const char long_text[FRAME_TEXT_MAX + 1];
    const loom_bytes id = BYTES("x"), long_id = {(const uint8_t *)long_text, FRAME_CALL_ID_MAX + 1};
    const loom_str text = {long_text, sizeof long_text}, name = {long_text, FRAME_CAPABILITY_MAX + 1};
    const loom_bytes envelope = {(const uint8_t *)long_text, 1};
    frame_writer w;
    frame_writer_init(&w);
    assert_status(LOOM_ETOOBIG, frame_put_call(&w, &(frame_call){.call_id = long_id, .envelope = envelope}));
    assert_status(LOOM_ETOOBIG, frame_put_call(&w, &(frame_call){.capability = name, .envelope = envelope}));
    assert_status(LOOM_ETOOBIG, frame_put_call(&w, &(frame_call){.version = name, .envelope = envelope}));
    assert_null(frame_call_begin(&w, &(frame_call){.capability = STR("c")}, LOOM_ENVELOPE_MAX + 1));
    assert_status(LOOM_ETOOBIG, frame_put_result(&w, &(frame_result){.call_id = long_id}));
    assert_status(LOOM_ETOOBIG, frame_put_result(&w, &(frame_result){.call_id = id, .code = text}));
    assert_status(LOOM_ETOOBIG, frame_put_result(&w, &(frame_result){.call_id = id, .text = text}));
    assert_status(LOOM_ETOOBIG, frame_put_report(&w, &(frame_report){.call_id = long_id}));
    assert_status(LOOM_ETOOBIG, frame_put_report(&w, &(frame_report){.call_id = id, .payload = {NULL, FRAME_MAX + 1}}));
    assert_status(LOOM_ETOOBIG, frame_put_cancel(&w, id, text));
    assert_status(LOOM_ETOOBIG, frame_put_call_credit(&w, long_id, 1, 2));
    assert_status(LOOM_ETOOBIG, frame_put_spans(&w, &(frame_spans){.spans = 1, .request = {NULL, FRAME_SPANS_MAX + 1}}));
    assert_int_equal(0, w.len);
    frame_writer_fini(&w);
}

static void a_frame_with_keys_has_nothing_of_the_one_before(void **state)
{
    (void)state;
    static const uint8_t subscribe[] = {0x92, 3, 0x81, 0xa6, 'f', 'i', 'l', 't', 'e', 'r', 0xa1, '>'};
    static const uint8_t shortest[] = {0x92, 3, 0x80};
    frame f;
    char reason[FRAME_REASON_SIZE];
    assert_status(LOOM_OK, frame_decode(&f, BYTES(subscribe), reason));
    assert_str(">", f.u.subscribe.filter);
    assert_status(LOOM_OK, frame_decode(&f, BYTES(shortest), reason)); /* into the same memory */
    assert_int_equal(0, f.u.subscribe.filter.len);
    assert_int_equal(0, f.u.subscribe.type_count);
}

/* ---- metadata ---- */

static void metadata_reads_as_it_was_written(void **state)
{
    (void)state;
    loom_header entries[FRAME_METADATA_MAX], again[FRAME_METADATA_MAX];
    uint8_t map[2048];
    size_t len, count;
    for (size_t n = 0; n <= FRAME_METADATA_MAX; n++) {
        assert_status(LOOM_OK, frame_metadata_write(map, sizeof map, entries, n, &len));
        assert_status(LOOM_OK, frame_metadata_read((loom_bytes){map, len}, again, FRAME_METADATA_MAX, &count));
        assert_int_equal(n, count);
        if (n > 0) {
            assert_str("key", again[n - 1].key);
            assert_int_equal(entries[0].value.len, again[n - 1].value.len);
            assert_status(LOOM_ETOOBIG, frame_metadata_read((loom_bytes){map, len}, again, n - 1, &count));
        }
        if (n < FRAME_METADATA_MAX) {
            entries[n] = (loom_header){STR("key"), STR("a value of more than thirty-one bytes, for str 8")};
        }
    }
}

static void metadata_over_a_limit_is_not_written(void **state)
{
    (void)state;
    static char text[LOOM_HEADERS_MAX];
    static uint8_t map[LOOM_HEADERS_MAX + 1];
    loom_header many[FRAME_METADATA_MAX + 1] = {{{NULL, 0}, {NULL, 0}}};
    size_t len;
    assert_status(LOOM_OK, frame_metadata_write(map, sizeof map, many, FRAME_METADATA_MAX, &len));
    assert_status(LOOM_ETOOBIG, frame_metadata_write(map, sizeof map, many, FRAME_METADATA_MAX + 1, &len));
    loom_header one = {STR("k"), {text, LOOM_HEADERS_MAX - 1 - 2 - 3}};
    assert_status(LOOM_OK, frame_metadata_write(map, sizeof map, &one, 1, &len));
    assert_int_equal(LOOM_HEADERS_MAX, len);
    assert_status(LOOM_ETOOBIG, frame_metadata_write(map, LOOM_HEADERS_MAX - 1, &one, 1, &len));
    one.value.len++;
    assert_status(LOOM_ETOOBIG, frame_metadata_write(map, sizeof map, &one, 1, &len));
    one.value.len = SIZE_MAX;
    assert_status(LOOM_ETOOBIG, frame_metadata_write(map, sizeof map, &one, 1, &len));
}

static void metadata_that_is_no_map_of_strings_is_malformed(void **state)
{
    (void)state;
    static const uint8_t array[] = {0x90}, number[] = {0x81, 0xa1, 'k', 1}, bomb[] = {0xdf, 0, 0, 0, 2, 0xa1, 'k', 0xa1, 'v'},
                         more[] = {0x81, 0xa1, 'k', 0xa1, 'v', 0xc0};
    const loom_bytes wrong[] = {BYTES(array), BYTES(number), BYTES(bomb), BYTES(more)};
    loom_header out[FRAME_METADATA_MAX];
    size_t count;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_status(LOOM_EMALFORMED, frame_metadata_read(wrong[i], out, FRAME_METADATA_MAX, &count));
        assert_int_equal(0, count);
    }
}

/* ---- without memory ---- */

static loom_status put_everything(void *user)
{
    const loom_envelope *env = user;
    const frame_outcome outcome = {.status = 2, .text = STR("why")};
    const frame_call call = {.call_id = BYTES("x"), .capability = STR("c"), .envelope = loom_envelope_wire(env)};
    const frame_result result = {.call_id = BYTES("x"), .payload = BYTES("y")};
    const frame_report report = {.call_id = BYTES("x"), .kind = FRAME_CHUNK, .payload = loom_envelope_wire(env)};
    static const uint8_t metadata[] = {0x81, 0xa1, 'k', 0xa1, 'v'};
    const frame_provide provide = {.name = STR("n"), .metadata = BYTES(metadata), .withdraw = true};
    frame_writer w;
    frame_writer_init(&w);
    loom_status st = LOOM_OK;
    size_t before = 0;
    for (int step = 0; st == LOOM_OK && step < 17; step++) {
        before = w.len;
        switch (step) {
        case 0: st = frame_put_hello(&w, &(frame_hello){.protocol = 1, .agent = STR("a")}); break;
        case 1: st = frame_put_welcome(&w, &(frame_welcome){.protocol = 1}); break;
        case 2: st = frame_put_subscribe(&w, &(frame_subscribe){.filter = STR("f"), .types = {STR("t")}, .type_count = 1}); break;
        case 3: st = frame_put_unsubscribe(&w, &(frame_unsubscribe){1, 2}); break;
        case 4: st = frame_put_provide(&w, &provide); break;
        case 5: st = frame_put_outcome(&w, FRAME_ERROR, &outcome); break;
        case 6: st = frame_put_credit(&w, 1, 2); break;
        case 7: st = frame_put_number(&w, FRAME_PONG, 3); break;
        case 8: st = frame_put_call(&w, &call); break;
        case 9: st = frame_put_result(&w, &result); break;
        case 10: st = frame_put_cancel(&w, BYTES("x"), STR("r")); break;
        case 11: st = frame_put_report(&w, &report); break;
        case 12: st = frame_put_call_credit(&w, BYTES("x"), 1, 2); break;
        case 13: st = frame_put_spans(&w, &(frame_spans){.spans = 1, .request = loom_envelope_wire(env)}); break;
        case 14: st = frame_put_span_credit(&w, &(frame_span_credit){1, 2, 3}); break;
        case 15: st = add(&w, 0, loom_envelope_wire(env)) ? LOOM_OK : LOOM_ENOMEM; break;
        default: st = add(&w, 9, loom_envelope_wire(env)) ? LOOM_OK : LOOM_ENOMEM; break;
        }
    }
    if (st != LOOM_OK) {
        assert_int_equal(before, w.len); /* nothing was appended */
    }
    frame_writer_seal(&w);
    (void)read_all(&w, FRAME_PUBLISH); /* what is there is whole */
    frame_writer_fini(&w);
    return st;
}

static void a_writer_without_memory_keeps_what_it_has(void **state)
{
    (void)state;
    loom_envelope *env = message(700);
    assert_in_range(alloc_fault_each(put_everything, env), 3, 100);
    loom_envelope_unref(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_split_wherever_it_is_cut),
        cmocka_unit_test(the_longest_frame_is_waited_for_and_a_longer_one_is_not),
        cmocka_unit_test(what_collects_leaves_as_one_frame),
        cmocka_unit_test(a_batch_is_closed_when_it_is_large_and_no_envelope_is_split),
        cmocka_unit_test(another_frame_closes_an_open_batch_and_keeps_the_order),
        cmocka_unit_test(a_frame_over_the_limit_is_not_written),
        cmocka_unit_test(a_call_written_in_place_is_the_same_as_one_that_is_copied),
        cmocka_unit_test(a_call_that_is_not_committed_leaves_nothing_behind),
        cmocka_unit_test(a_field_over_its_limit_is_not_written),
        cmocka_unit_test(a_frame_with_keys_has_nothing_of_the_one_before),
        cmocka_unit_test(metadata_reads_as_it_was_written),
        cmocka_unit_test(metadata_over_a_limit_is_not_written),
        cmocka_unit_test(metadata_that_is_no_map_of_strings_is_malformed),
        cmocka_unit_test(a_writer_without_memory_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
