/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/collect/span_stream.h"

#include "base/str.h"
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

/* What came out: text as it is, lines in brackets. */
typedef struct heard {
    span_stream stream;
    char text[4096];
    size_t len;
    unsigned oversize;
    uint64_t last_number;
} heard;

static void put(heard *h, const char *data, size_t len)
{
    assert_true(h->len + len < sizeof h->text);
    memcpy(h->text + h->len, data, len);
    h->len += len;
    h->text[h->len] = '\0';
}

static void on_text(void *user, loom_bytes text)
{
    assert_true(text.len > 0);
    put(user, (const char *)text.data, text.len);
}

/* A line that begins with "{!" is none. */
static bool on_line(void *user, const span_line *line)
{
    heard *h = user;
    h->last_number = line->number;
    if (line->text.len >= 2 && memcmp(line->text.data, "{!", 2) == 0) {
        return false;
    }
    put(h, line->kind == SPAN_LINE_ERROR ? "<E" : line->at_start ? "<" : "<~", line->kind == SPAN_LINE_ERROR || !line->at_start ? 2 : 1);
    put(h, line->text.data, line->text.len < 100 ? line->text.len : 100);
    put(h, ">", 1);
    return true;
}

static void on_oversize(void *user, uint64_t number)
{
    ((heard *)user)->oversize++;
    ((heard *)user)->last_number = number;
}

static int setup(void **state)
{
    heard *h = calloc(1, sizeof *h);
    *state = h;
    return h == NULL || span_stream_init(&h->stream, &(span_stream_sink){on_text, on_line, on_oversize, h}) != LOOM_OK;
}

static int teardown(void **state)
{
    span_stream_fini(&((heard *)*state)->stream);
    free(*state);
    return 0;
}

static void feed(heard *h, const char *text)
{
    span_stream_feed(&h->stream, bytes_of(text));
}

static void is(heard *h, const char *expected)
{
    assert_string_equal(expected, h->text);
    h->len = 0;
    h->text[0] = '\0';
}

static void lines_are_taken_out_and_text_goes_on_at_once(void **state)
{
    heard *h = *state;
    feed(h, "a\n__LOOM_TRACE__:{1}\nb");
    is(h, "a\n<{1}>b");
    assert_int_equal(2, h->last_number);
    feed(h, "c\n__LOOM_TRACE_ERROR__: oh\n");
    is(h, "c\n<E oh>");
}

static void every_cut_gives_the_same(void **state)
{
    (void)state;
    static const char input[] = "x__LOOM\n___LOOM_TRACE__:{1}\r\n__LOOM_TRACE___LOOM_TRACE_ERROR__: e\n__LOOM_TRACE__:{!}\nq__LOOM_TRACE__:{!}\n"
                                "p__LOOM_TRACE__:text\n__LOOM_TRACE__:{2}";
    static const char output[] = "x__LOOM\n_<~{1}>__LOOM_TRACE_<E e>q__LOOM_TRACE__:{!}\np__LOOM_TRACE__:text\n<{2}>";
    for (size_t cut = 0; cut < sizeof input; cut++) {
        void *one;
        assert_int_equal(0, setup(&one));
        heard *h = one;
        span_stream_feed(&h->stream, (loom_bytes){(const uint8_t *)input, cut});
        span_stream_feed(&h->stream, (loom_bytes){(const uint8_t *)input + cut, sizeof input - 1 - cut});
        span_stream_end(&h->stream);
        is(h, output);
        teardown(&one);
    }
}

static void a_few_bytes_that_could_begin_a_marker_wait_and_are_let_go(void **state)
{
    heard *h = *state;
    feed(h, "name_");
    is(h, "name");
    assert_true(span_stream_waits(&h->stream));
    span_stream_idle(&h->stream);
    is(h, "_");
    assert_false(span_stream_waits(&h->stream));
    feed(h, "\n__LOOM_TRACE");
    is(h, "\n");
    assert_false(span_stream_waits(&h->stream)); /* so much of it is one */
    span_stream_idle(&h->stream);
    feed(h, "__:{1}\n");
    is(h, "<{1}>");
}

static void a_line_over_the_limit_is_left_out_and_the_next_is_not(void **state)
{
    heard *h = *state;
    feed(h, "a\n" SPAN_MARKER);
    for (size_t i = 0; i < SPAN_LINE_MAX / 16; i++) {
        feed(h, "0123456789abcdef");
    }
    feed(h, "\nb\n" SPAN_MARKER "{1}\n");
    is(h, "a\nb\n<{1}>");
    assert_int_equal(1, h->oversize);
    assert_int_equal(4, h->last_number);
}

static void a_span_over_the_limit_behind_text_is_left_out_however_it_is_cut(void **state)
{
    heard *h = *state;
    static const char *const begins[] = {SPAN_MARKER "{\"", SPAN_MARKER "{", SPAN_MARKER, SPAN_MARKER "{\"trace_id\":\""};
    static const char *const then[] = {"", "\"", "{\"", ""};
    char *rest = malloc(SPAN_LINE_MAX + 3);
    assert_non_null(rest);
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        const size_t len = strlen(then[i]);
        memset(rest, 'x', SPAN_LINE_MAX);
        memcpy(rest, then[i], len);
        rest[SPAN_LINE_MAX - 1] = '\n';
        feed(h, "50%");
        feed(h, begins[i]);
        span_stream_feed(&h->stream, (loom_bytes){(const uint8_t *)rest, SPAN_LINE_MAX});
    }
    is(h, "50%50%50%50%");
    assert_int_equal(4, h->oversize);
    free(rest);
}

static void a_line_at_the_limit_is_taken(void **state)
{
    heard *h = *state;
    const size_t len = SPAN_LINE_MAX;
    char *line = malloc(len);
    assert_non_null(line);
    memset(line, 'x', len);
    memcpy(line, SPAN_MARKER, sizeof SPAN_MARKER - 1);
    line[len - 1] = '\n';
    span_stream_feed(&h->stream, (loom_bytes){(const uint8_t *)line, len});
    span_stream_feed(&h->stream, (loom_bytes){(const uint8_t *)line, len / 2});
    span_stream_feed(&h->stream, (loom_bytes){(const uint8_t *)line + len / 2, len - len / 2});
    assert_int_equal(0, h->oversize);
    assert_int_equal(2 * 102, h->len);
    free(line);
}

static void what_is_torn_by_another_line_does_not_cost_that_one(void **state)
{
    heard *h = *state;
    feed(h, "__LOOM_TRACE__:{!torn__LOOM_TRACE__:{1}\nx__LOOM_TRACE__:{!torn__LOOM_TRACE__:{2}\n");
    is(h, "<~{1}>x__LOOM_TRACE__:{!torn<~{2}>");
}

static void an_end_in_the_middle_keeps_text_and_takes_a_line(void **state)
{
    heard *h = *state;
    feed(h, "a__LOOM_TR");
    span_stream_end(&h->stream);
    is(h, "a__LOOM_TR");
    feed(h, "\n__LOOM_TRACE__:{1}");
    span_stream_end(&h->stream);
    is(h, "\n<{1}>");
    feed(h, "b__LOOM_TRACE__:");
    span_stream_end(&h->stream);
    is(h, "b__LOOM_TRACE__:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_taken_out_and_text_goes_on_at_once, setup, teardown),
        cmocka_unit_test(every_cut_gives_the_same),
        cmocka_unit_test_setup_teardown(a_few_bytes_that_could_begin_a_marker_wait_and_are_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_over_the_limit_is_left_out_and_the_next_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(a_span_over_the_limit_behind_text_is_left_out_however_it_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_at_the_limit_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_torn_by_another_line_does_not_cost_that_one, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_in_the_middle_keeps_text_and_takes_a_line, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
