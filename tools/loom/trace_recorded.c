/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/trace_recorded.h"

#include <loom/trace.h>

#include "base/str.h"
#include "tools/loom/control.h"
#include "tools/loom/event_json.h"
#include "trace/view/text.h"

enum { NAME_COLUMNS = 18 };

static uint64_t number_of(const json_t *item, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(item, key));
}

static void print_row(const json_t *item, uint64_t now)
{
    char age[TEXT_DURATION_SIZE], took[TEXT_DURATION_SIZE];
    const uint64_t start = number_of(item, "start_unix_ns");
    text_duration(age, start < now ? now - start : 0);
    text_duration(took, number_of(item, "duration_ns"));
    text_put_padded(stdout, str_of(age), 11);
    printf("%-34s", json_string_value(json_object_get(item, "trace_id")));
    text_put_padded(stdout, str_of(took), 11);
    printf("%5llu  ", (unsigned long long)number_of(item, "spans"));
    text_put_padded(stdout, str_of(json_string_value(json_object_get(item, "name"))), NAME_COLUMNS);
    fputs("  ", stdout);
    (void)text_put(stdout, str_of(json_string_value(json_object_get(item, "topic"))), 60);
    fputs(json_is_true(json_object_get(item, "kept")) ? "  kept\n" : "\n", stdout);
}

int trace_recorded_list(const command *c, const options *o, uint64_t limit)
{
    int exit_code = VERB_OK;
    json_t *answer = control_ask_socket(c, o, "recorded", NULL, &exit_code), *item;
    const json_t *list = json_object_get(answer, "recorded");
    const bool json = options_is_on(o, "json");
    const uint64_t now = loom_time_unix_ns();
    size_t i;
    if (answer != NULL && json_array_size(list) == 0 && !json) {
        fprintf(stderr, "the broker's flight recorder holds nothing; it is on where the broker's LOOM_TRACE_RECORDER says so\n");
    } else if (answer != NULL && !json) {
        printf("%-11s%-34s%-11s%5s  %-*s  %s\n", "AGE", "TRACE", "TOOK", "SPANS", NAME_COLUMNS, "FIRST", "TOPIC");
    }
    json_array_foreach(list, i, item) {
        if (i == limit) {
            break;
        }
        if (json) {
            json_print_tidy(json_incref(item));
        } else {
            print_row(item, now);
        }
    }
    json_decref(answer);
    return exit_code;
}
