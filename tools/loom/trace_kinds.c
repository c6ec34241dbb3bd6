/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/trace_kinds.h"

#include <inttypes.h>
#include <loom/topic.h>
#include <stdio.h>

#include "base/duration.h"
#include "base/str.h"
#include "tools/loom/control.h"
#include "tools/loom/event_json.h"
#include "tools/loom/trace_options.h"
#include "trace/view/text.h"

enum { NUMBER_SIZE = 24, PER_SECOND = 10, PER_SECOND_MAX = 100 };
#define NS_PER_MS UINT64_C(1000000)
#define FOR_MAX_NS (UINT64_C(24) * 3600 * 1000 * NS_PER_MS)

static bool has(const options *o, const char *name)
{
    return options_value(o, name) != NULL;
}

bool trace_kinds_meant(const options *o)
{
    return has(o, "topic") || has(o, "capability") || options_is_on(o, "kinds") || has(o, "end");
}

static int add(const command *c, const options *o)
{
    const char *topic = options_value(o, "topic"), *time = options_value(o, "for");
    const char *filter = topic != NULL ? topic : options_value(o, "capability"), *why;
    uint64_t ns = 0, per_second;
    int exit_code = VERB_OK;
    char for_ms[NUMBER_SIZE], rate[NUMBER_SIZE];
    if (loom_filter_check(str_of(filter), &why) != LOOM_OK) {
        return command_misuse(c, "--%s: \"%.100s\": %s", topic != NULL ? "topic" : "capability", filter, why);
    }
    if (time != NULL && (!duration_parse(&ns, str_of(time)) || ns < NS_PER_MS || ns > FOR_MAX_NS)) {
        return command_misuse(c, "--for must be a duration of up to 24h, such as 10m, not \"%.100s\"", time);
    }
    if (!trace_options_number(c, o, "per-second", PER_SECOND, &per_second, &exit_code)) {
        return exit_code;
    }
    if (per_second == 0 || per_second > PER_SECOND_MAX) {
        return command_misuse(c, "--per-second must be a number from 1 to 100");
    }
    snprintf(for_ms, sizeof for_ms, "%" PRIu64, ns / NS_PER_MS);
    snprintf(rate, sizeof rate, "%" PRIu64, per_second);
    const control_key keys[] = {{topic != NULL ? "topic" : "capability", filter}, {"reason", options_value(o, "reason")},
                                {"per_second", rate}, {ns > 0 ? "for_ms" : NULL, for_ms}, {NULL, NULL}};
    json_t *answer = control_ask_socket(c, o, "keep", keys, &exit_code);
    if (answer != NULL) {
        const json_int_t number = json_integer_value(json_object_get(answer, "number"));
        printf("kept as kind %" JSON_INTEGER_FORMAT "; `loom trace keep --end %" JSON_INTEGER_FORMAT "` ends it\n", number, number);
    }
    json_decref(answer);
    return exit_code;
}

static int end(const command *c, const options *o)
{
    int exit_code = VERB_OK;
    uint64_t number;
    if (!trace_options_number(c, o, "end", 0, &number, &exit_code)) {
        return exit_code;
    }
    const control_key keys[] = {{"number", options_value(o, "end")}, {NULL, NULL}};
    json_decref(control_ask_socket(c, o, "kind_end", keys, &exit_code));
    return exit_code;
}

static uint64_t number_of(const json_t *item, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(item, key));
}

static void print_row(const json_t *item)
{
    const json_t *topic = json_object_get(item, "topic");
    const char *filter = json_string_value(topic != NULL ? topic : json_object_get(item, "capability"));
    char left[TEXT_DURATION_SIZE];
    text_duration(left, number_of(item, "left_ms") * NS_PER_MS);
    printf("%6" PRIu64 "  %-11s", number_of(item, "number"), topic != NULL ? "topic" : "capability");
    text_put_padded(stdout, str_of(filter), 30);
    fputs("  ", stdout);
    text_put_padded(stdout, str_of(left), 10);
    printf("  %5" PRIu64 "  %8" PRIu64 "  %8" PRIu64 "  ", number_of(item, "per_second"), number_of(item, "kept"), number_of(item, "limited"));
    (void)text_put(stdout, str_of(json_string_value(json_object_get(item, "reason"))), 40);
    fputc('\n', stdout);
}

static int list(const command *c, const options *o)
{
    int exit_code = VERB_OK;
    const bool json = options_is_on(o, "json");
    json_t *answer = control_ask_socket(c, o, "kinds", NULL, &exit_code), *item;
    const json_t *kinds = json_object_get(answer, "kinds");
    size_t i;
    if (answer != NULL && json_array_size(kinds) == 0 && !json) {
        fprintf(stderr, json_is_true(json_object_get(answer, "recorder")) ? "no kind of traces is kept just now\n"
                            : "the broker's flight recorder is off; it is on where its LOOM_TRACE_RECORDER says so\n");
    } else if (answer != NULL && !json) {
        printf("%6s  %-11s%-30s  %-10s  %5s  %8s  %8s  %s\n", "NUMBER", "KIND", "FILTER", "LEFT", "PER S", "KEPT", "TOO MANY", "WHY");
    }
    json_array_foreach(kinds, i, item) {
        if (json) {
            json_print_tidy(json_incref(item));
        } else {
            print_row(item);
        }
    }
    json_decref(answer);
    return exit_code;
}

int trace_kinds_run(const command *c, const options *o)
{
    if (has(o, "topic") + has(o, "capability") + has(o, "end") + options_is_on(o, "kinds") != 1) {
        return command_misuse(c, "give one of --topic, --capability, --kinds and --end");
    }
    return options_is_on(o, "kinds") ? list(c, o) : has(o, "end") ? end(c, o) : add(c, o);
}
