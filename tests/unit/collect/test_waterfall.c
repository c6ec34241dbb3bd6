/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/alloc_fault.h"
#include "tests/unit/collect/trace_fixture.h"
#include "base/str.h"
#include "trace/collect/otlp_from_json.h"
#include "trace/view/summary.h"
#include "trace/view/trace_json.h"
#include "trace/view/waterfall.h"

#include <stdlib.h>

static char *draw(const fixture_span *spans, size_t count, waterfall_options options)
{
    char *text = NULL;
    size_t len = 0;
    span_list list;
    fixture_list(&list, 0x4b, spans, count);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_status(LOOM_OK, waterfall_draw(out, fixture_range(&list), &options));
    fclose(out);
    span_list_fini(&list);
    return text;
}

static void assert_drawn(const char *expected, char *drawn)
{
    if (strcmp(expected, drawn) != 0) {
        print_error("drawn:\n%s", drawn);
    }
    assert_string_equal(expected, drawn);
    free(drawn);
}

static const fixture_span faulty[] = {
    {.id = 1, .name = "root", .kind = LOOM_SPAN_INTERNAL, .service = "agent", .start_us = 0, .end_us = 1000, .key = "topic", .value = "a.b"},
    {.id = 2, .parent = 1, .name = "agent.emit", .kind = LOOM_SPAN_PRODUCER, .service = "agent", .start_us = 250, .end_us = 500,
     .event = "loom.drop", .status = LOOM_SPAN_ERROR, .message = "queue full"},
    {.id = 3, .parent = 1, .name = "agent.on_event", .kind = LOOM_SPAN_CONSUMER, .service = "agent", .start_us = 500, .end_us = 1000, .link = 2},
    {.id = 4, .parent = 9, .name = "lost", .kind = LOOM_SPAN_SERVER, .service = "other", .start_us = 750, .end_us = 750, .link = 8},
};

static void waterfall_shows_tree_bars_events_links_errors_and_orphans(void **state)
{
    (void)state;
    assert_drawn("trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b  2023-11-14 22:13:20.000 UTC  1.00 ms  4 spans, 2 services, 1 error\n"
                 "NAME              SERVICE  KIND          START   DURATION\n"
                 "root              agent    internal          0    1.00 ms  ████████████████\n"
                 "├ agent.emit      agent    producer     250 µs     250 µs      ████\n"
                 "│     ! error: queue full\n"
                 "│     • loom.drop at 250 µs reason=queue_full\n"
                 "└ agent.on_event  agent    consumer     500 µs     500 µs          ████████\n"
                 "      → link 0000000000000002 (agent.emit)\n"
                 "(orphan) lost     other    server       750 µs          0              ▏\n"
                 "    ! parent 0000000000000009 is not in the trace\n"
                 "    → link 0000000000000008 (not in this trace)\n",
                 draw(faulty, 4, (waterfall_options){.columns = 75}));
}

static void attributes_are_listed_when_asked_for(void **state)
{
    (void)state;
    assert_drawn("trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b  2023-11-14 22:13:20.000 UTC  1.00 ms  1 span, 1 service\n"
                 "NAME  SERVICE  KIND          START   DURATION\n"
                 "root  agent    internal          0    1.00 ms  ████████████\n"
                 "    topic = a.b\n",
                 draw(faulty, 1, (waterfall_options){.columns = 55, .attrs = true}));
}

static void errors_are_red_when_colours_are_wanted(void **state)
{
    (void)state;
    char *text = draw(faulty, 2, (waterfall_options){.columns = 75, .colour = true});
    assert_non_null(strstr(text, "\033[31magent.emit"));
    assert_non_null(strstr(text, "\033[31m! error: queue full\033[0m"));
    free(text);
}

static void no_colours_means_no_escape_sequences(void **state)
{
    (void)state;
    char *text = draw(faulty, 4, (waterfall_options){.columns = 120});
    assert_null(strchr(text, '\033'));
    free(text);
}

static void escape_sequences_in_names_do_not_reach_the_terminal(void **state)
{
    (void)state;
    static const fixture_span spans[] = {{.id = 1, .name = "\033[2Jboo\n\xc2\x9b", .kind = 1, .service = "s\r", .key = "\033]0;", .value = "\a", .end_us = 1}};
    char *text = draw(spans, 1, (waterfall_options){.columns = 120, .attrs = true});
    assert_null(strpbrk(text, "\033\r\a"));
    assert_null(strstr(text, "\xc2\x9b"));
    assert_non_null(strstr(text, "·[2Jboo··"));
    free(text);
}

static void every_line_of_a_deep_trace_fits_the_terminal(void **state)
{
    (void)state;
    fixture_span spans[200];
    for (size_t i = 0; i < 200; i++) {
        spans[i] = (fixture_span){.id = (uint8_t)(i + 1), .parent = (uint8_t)i, .name = "a.rather.long.name.of.a.span", .kind = 1, .service = "service-with-a-name-that-is-too-long", .start_us = (uint32_t)i, .end_us = 400};
    }
    char *text = draw(spans, 200, (waterfall_options){.columns = 100});
    char *rest = strchr(text, '\n') + 1; /* the title has a fixed length */
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        size_t columns = 0;
        for (const char *c = line; *c != '\0'; c++) {
            columns += ((unsigned char)*c & 0xc0) != 0x80;
        }
        assert_in_range(columns, 0, 100);
    }
    free(text);
}

/* ---- logs ---- */

#define AT(us) "\"timeUnixNano\":\"1700000000000" us "000\","
static const char logged[] =
    "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":["
    "{" AT("400") "\"spanId\":\"0000000000000002\",\"severityNumber\":17,\"body\":{\"stringValue\":\"no \\u001b[2Jroom\"}},"
    "{" AT("300") "\"spanId\":\"0000000000000002\",\"severityNumber\":9,\"eventName\":\"stock\","
    "\"attributes\":[{\"key\":\"sku\",\"value\":{\"intValue\":\"42\"}}]},"
    "{" AT("500") "\"spanId\":\"0000000000000007\",\"severityText\":\"note\",\"body\":{\"boolValue\":true}},"
    "{" AT("600") "\"body\":{\"stringValue\":\"alone\"}}]}]}]}";

typedef struct log_adding {
    log_list *list;
    loom_status st;
} log_adding;

static bool add_log(void *user, const log_record *log)
{
    log_adding *a = user;
    a->st = log_list_add(a->list, log, str_of("shop"));
    return a->st == LOOM_OK;
}

static loom_status list_logs(log_list *list)
{
    char why[OTLP_JSON_PROBLEM_SIZE];
    pb_buf request;
    log_adding a = {.list = list};
    pb_init(&request, NULL, 0, 1 << 20);
    loom_status st = otlp_logs_from_json(&request, str_of(logged), why);
    st = st == LOOM_OK ? logs_read((loom_bytes){request.data, request.len}, add_log, &a) : st;
    pb_fini(&request);
    log_list_sort(list);
    return st == LOOM_OK ? a.st : st;
}

static void log_records_stand_at_their_spans_and_others_below(void **state)
{
    (void)state;
    log_list logs = {.more = 3};
    assert_status(LOOM_OK, list_logs(&logs));
    assert_drawn("trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b  2023-11-14 22:13:20.000 UTC  1.00 ms  2 spans, 1 service, 1 error\n"
                 "NAME          SERVICE  KIND          START   DURATION\n"
                 "root          agent    internal          0    1.00 ms  ████████████████████\n"
                 "└ agent.emit  agent    producer     250 µs     250 µs       █████\n"
                 "      ! error: queue full\n"
                 "      • loom.drop at 250 µs reason=queue_full\n"
                 "      ≡ INFO stock sku=42 at 300 µs\n"
                 "      ≡ ERROR no ·[2Jroom at 400 µs\n"
                 "≡ LOG alone at 600 µs (shop, in no span)\n"
                 "≡ note true at 500 µs (shop, in a span that is not in the trace)\n"
                 "≡ and 3 log records more\n",
                 draw(faulty, 2, (waterfall_options){.columns = 75, .logs = &logs}));
    log_list_fini(&logs);
}

static loom_status list_scenario(void *user)
{
    (void)user;
    log_list logs = {0};
    const loom_status st = list_logs(&logs);
    log_list_fini(&logs);
    return st;
}

static void listing_logs_reports_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(list_scenario, NULL) > 4);
}

static loom_status draw_scenario(void *user)
{
    (void)user;
    pb_buf request;
    span_list list;
    pb_init(&request, NULL, 0, 1 << 20);
    span_list_init(&list);
    fixture_request(&request, 1, faulty, 4);
    loom_status st = request.failed ? LOOM_ENOMEM : span_list_add(&list, (loom_bytes){request.data, request.len});
    if (st == LOOM_OK) {
        FILE *out = fopen("/dev/null", "w");
        span_list_sort(&list);
        st = out == NULL ? LOOM_ENOMEM : waterfall_draw(out, fixture_range(&list), &(waterfall_options){.columns = 80});
        if (out != NULL) {
            fclose(out);
        }
    }
    span_list_fini(&list);
    pb_fini(&request);
    return st;
}

/* As `loom trace ls` has it. */
static char *line_of(const fixture_span *spans, size_t count, bool json)
{
    span_list list;
    trace_summary summary;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fixture_list(&list, 0x4b, spans, count);
    assert_status(LOOM_OK, trace_summary_init(&summary, fixture_range(&list)));
    if (json) {
        assert_status(LOOM_OK, trace_summary_print_json(out, &summary));
    } else {
        trace_summary_print_row(out, &summary, FIXTURE_START_NS, false);
    }
    fclose(out);
    trace_summary_fini(&summary);
    span_list_fini(&list);
    return text;
}

static char *json_of(const fixture_span *spans, size_t count, uint64_t total)
{
    span_list list;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fixture_list(&list, 0x4b, spans, count);
    assert_status(LOOM_OK, trace_print_otlp_json(out, fixture_range(&list), total, 1 << 20));
    fclose(out);
    span_list_fini(&list);
    return text;
}

static void a_kept_trace_without_a_part_is_called_incomplete(void **state)
{
    (void)state;
    fixture_span kept[] = {
        {.id = 1, .parent = 9, .name = "bridge.publish", .kind = LOOM_SPAN_CONSUMER, .service = "bridge", .key = "loom.kept", .value = "error"},
        {.id = 2, .parent = 1, .name = "bridge.forward", .kind = LOOM_SPAN_PRODUCER, .service = "bridge", .end_us = 1, .key = "loom.kept",
         .value = "error", .other_key = "agent_id", .other_value = "worker"},
    };
    char *text = draw(kept, 2, (waterfall_options){.columns = 75});
    assert_non_null(strstr(text, "2 spans, 1 service, incomplete\n"));
    assert_non_null(strstr(text, "! parent 0000000000000009 is not in the trace\n"));
    assert_non_null(strstr(text, "! nothing of worker is in the trace\n"));
    free(text);
    text = line_of(kept, 2, false);
    assert_non_null(strstr(text, "bridge  incomplete\n"));
    free(text);
    text = line_of(kept, 2, true);
    assert_non_null(strstr(text, "\"incomplete\":true"));
    free(text);
    text = json_of(kept, 2, 2);
    assert_non_null(strstr(text, "],\"incomplete\":true,\"missing\":["
                                 "{\"spanId\":\"0000000000000001\",\"text\":\"parent 0000000000000009 is not in the trace\"},"
                                 "{\"spanId\":\"0000000000000002\",\"text\":\"nothing of worker is in the trace\"}]}\n"));
    free(text);
    text = json_of(kept, 2, 3); /* what is not there may be in the rest */
    assert_non_null(strstr(text, "],\"truncated\":true,\"total\":3}\n"));
    free(text);
    kept[0].parent = 0;
    kept[0].name = "work";
    text = line_of(kept, 1, false);
    assert_null(strstr(text, "incomplete"));
    free(text);
    text = line_of(kept, 1, true);
    assert_non_null(strstr(text, "\"incomplete\":false"));
    free(text);
    text = json_of(kept, 1, 1);
    assert_non_null(strstr(text, "]}]}]}\n"));
    free(text);
    text = draw(kept, 1, (waterfall_options){.columns = 75});
    assert_null(strstr(text, "incomplete"));
    free(text);
}

static void drawing_reports_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(draw_scenario, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waterfall_shows_tree_bars_events_links_errors_and_orphans),
        cmocka_unit_test(attributes_are_listed_when_asked_for),
        cmocka_unit_test(errors_are_red_when_colours_are_wanted),
        cmocka_unit_test(no_colours_means_no_escape_sequences),
        cmocka_unit_test(escape_sequences_in_names_do_not_reach_the_terminal),
        cmocka_unit_test(every_line_of_a_deep_trace_fits_the_terminal),
        cmocka_unit_test(a_kept_trace_without_a_part_is_called_incomplete),
        cmocka_unit_test(drawing_reports_every_failed_allocation),
        cmocka_unit_test(log_records_stand_at_their_spans_and_others_below),
        cmocka_unit_test(listing_logs_reports_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
